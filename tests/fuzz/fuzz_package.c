/* Packages: zips and images of foreign bytes, and the names of their time zones. */
#include "deploy/package/package.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cara_package package;
    cara_buf zones;
    cara_error err = {.code = CARA_OK};
    int known;
    cara_slice file = cara_slice_of(data, size);
    if (cara_package_read(file, "file", &package, &err)) {
        if (!err.text[0])
            abort();
    } else if (!package.kind || !package.architecture || package.unpacked < 0) {
        abort();
    }
    cara_buf_init(&zones, 1 << 16);
    if (cara_package_zones(file, "file", &zones, &known, &err) == CARA_OK && zones.len &&
        (zones.data[zones.len - 1] != '\n' || memchr(zones.data, 0, zones.len)))
        abort();
    cara_buf_free(&zones);
    return 0;
}

#include "base/sized.h"

#include <string.h>

void cara_sized_default(void *to, size_t size, const void *defaults, size_t n) {
    if (!to || size < sizeof size)
        return;
    memset(to, 0, size);
    memcpy(to, defaults, size < n ? size : n);
    memcpy(to, &size, sizeof size);
}

int cara_sized_read(void *to, size_t n, const void *from, const char *name, cara_error *err) {
    size_t size;
    if (!from)
        return CARA_OK;
    memcpy(&size, from, sizeof size);
    if (size < sizeof size)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "struct_size of %s is %zu; set its defaults with %s_default()", name, size,
                         name);
    if (size > n)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "struct_size of %s is %zu, of this version of the library %zu; the "
                         "program was compiled with a newer header",
                         name, size, n);
    memcpy(to, from, size);
    memcpy(to, &n, sizeof n);
    return CARA_OK;
}

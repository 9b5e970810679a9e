#include "deploy/package/package.h"

#include "deploy/package/tar.h"

#include <string.h>

const char *cara_package_kind(cara_slice file) {
    if (file.len >= 4 && memcmp(file.ptr, "PK\x03\x04", 4) == 0)
        return "zip";
    return cara_tar_is(file) ? "image" : NULL;
}

static int refuse(const char *name, cara_error *err) {
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "%.200s is no zip, and no OCI archive (a tar) either: `make package` builds "
                     "both into build/package",
                     name);
}

int cara_package_read(cara_slice file, const char *name, cara_package *out, cara_error *err) {
    *out = (cara_package){.kind = cara_package_kind(file)};
    if (!out->kind)
        return refuse(name, err);
    return strcmp(out->kind, "zip") == 0 ? cara_package_read_zip(file, name, out, NULL, err)
                                         : cara_package_read_image(file, name, out, err);
}

int cara_package_zones(cara_slice file, const char *name, cara_buf *names, int *known,
                       cara_error *err) {
    const char *kind = cara_package_kind(file);
    cara_package unused;
    *known = 1;
    if (!kind)
        return refuse(name, err);
    int rc = strcmp(kind, "zip") == 0 ? cara_package_read_zip(file, name, &unused, names, err)
                                      : cara_package_image_zones(file, name, names, known, err);
    if (!rc && names->failed)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the names of time zones");
    return rc;
}

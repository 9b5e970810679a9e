#include "deploy/package/package.h"

#include <string.h>

void cara_package_add_zone(cara_buf *zones, const char *folder, const char *path, size_t n) {
    size_t m = strlen(folder);
    if (!zones || n <= m || memcmp(path, folder, m) != 0)
        return;
    path += m;
    n -= m;
    /* Folders, and tables such as zone1970.tab, are none. */
    if (n > 64 || path[n - 1] == '/' || memchr(path, '.', n) || memchr(path, '\n', n) ||
        memchr(path, 0, n))
        return;
    (void)cara_buf_add(zones, path, n);
    (void)cara_buf_char(zones, '\n');
}

#include "doctor/account.h"

#include <stdio.h>
#include <string.h>

void cara_doctor_name(char *dst, size_t size, const char *value) {
    if (!dst[0] && value && value[0])
        snprintf(dst, size, "%s", value);
}

int cara_doctor_same_queue(const char *arn, const char *url) {
    /* .../111122223333/name and ...:111122223333:name */
    const char *name = strrchr(arn, ':'), *last = strrchr(url, '/');
    if (!name || !last || strcmp(name + 1, last + 1) != 0)
        return 0;
    const char *owner = name, *before = last;
    while (owner > arn && owner[-1] != ':')
        owner--;
    while (before > url && before[-1] != '/')
        before--;
    size_t n = (size_t)(name - owner);
    return n == (size_t)(last - before) && memcmp(owner, before, n) == 0;
}

#include <caracola/version.h>

const char *cara_version(void) {
    return CARA_VERSION;
}

int cara_version_number(void) {
    return CARA_VERSION_NUMBER;
}

#include "app/settings/zone.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_utc(const char *name) {
    static const char *const names[] = {"",        "UTC",       "UTC0",     "GMT",          "GMT0",
                                        "Etc/UTC", "Etc/GMT",   "Etc/UCT",  "UCT",          "Z",
                                        "Zulu",    "Universal", "Etc/Zulu", "Etc/Universal"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return 1;
    return 0;
}

/* A name of the shape that IANA gives: no absolute path, no "..". */
static int is_name(const char *name) {
    size_t n = strlen(name);
    if (n == 0 || n > 64 || name[0] == '/' || name[0] == '-')
        return 0;
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
              (*name >= '0' && *name <= '9') || strchr("_+-/", *name)))
            return 0;
    return 1;
}

/* A zone file begins with "TZif" (RFC 8536). */
static int has_zone_file(const char *name) {
    const char *folder = getenv("TZDIR");
    if (!folder || !*folder)
        folder = "/usr/share/zoneinfo";
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    char magic[4] = "";
    ssize_t got = read(fd, magic, sizeof magic);
    close(fd);
    return got == 4 && memcmp(magic, "TZif", 4) == 0;
}

int cara_zone_set(const char *name, const char *setting, cara_error *err) {
    const char *source = name ? setting : "TZ";
    if (!name)
        name = getenv("TZ");
    if (!name)
        name = "";
    if (*name == ':')
        name++;
    char value[80];
    if (is_utc(name)) {
        snprintf(value, sizeof value, "UTC0");
    } else if (is_name(name) && has_zone_file(name)) {
        snprintf(value, sizeof value, ":%s", name);
    } else {
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "%s takes the name of a time zone that this machine knows, such as "
                         "America/Mazatlan or UTC (is tzdata installed?), got \"%.64s\"",
                         source, name);
    }
    if (setenv("TZ", value, 1) != 0)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to set the time zone");
    tzset();
    return CARA_OK;
}

int cara_zone_local_time(int64_t t, struct tm *out) {
    time_t seconds = (time_t)t;
    return localtime_r(&seconds, out) ? 0 : -1;
}

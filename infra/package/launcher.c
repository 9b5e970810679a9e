/* `bootstrap` of the Lambda zip: starts bin/caracola beside it with the loader, the libraries, the
 * certificates and the time zones that the zip carries, and nothing of the system's. Linked
 * statically, since Lambda's C library is older than the one that caracola is built with. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOADER_ARGS = 7 };

/* The folder of this program, without the last slash. */
static int task_folder(char *dst, size_t size) {
    ssize_t n = readlink("/proc/self/exe", dst, size - 1);
    if (n <= 0 || (size_t)n >= size - 1)
        return -1;
    dst[n] = '\0';
    char *slash = strrchr(dst, '/');
    if (!slash)
        return -1;
    *slash = '\0';
    return 0;
}

static int join(char *dst, size_t size, const char *folder, const char *name) {
    int n = snprintf(dst, size, "%s/%s", folder, name);
    return n < 0 || (size_t)n >= size ? -1 : 0;
}

/* What the user has set stays; an empty variable is none. */
static int set_default(const char *name, const char *value) {
    const char *now = getenv(name);
    return now && *now ? 0 : setenv(name, value, 1);
}

int main(int argc, char **argv) {
    char task[PATH_MAX - 64], loader[PATH_MAX], lib[PATH_MAX], program[PATH_MAX], ca[PATH_MAX],
        zones[PATH_MAX];
    if (task_folder(task, sizeof task) || join(loader, sizeof loader, task, "lib/" LOADER_NAME) ||
        join(lib, sizeof lib, task, "lib") || join(program, sizeof program, task, "bin/caracola") ||
        join(ca, sizeof ca, task, "share/ca-certificates.crt") ||
        join(zones, sizeof zones, task, "share/zoneinfo")) {
        fputs("bootstrap: /proc/self/exe does not say where this program lies\n", stderr);
        return 127;
    }
    char **args = calloc((size_t)argc + LOADER_ARGS + 1, sizeof *args);
    if (!args || set_default("AWS_CA_BUNDLE", ca) || set_default("TZDIR", zones)) {
        fputs("bootstrap: no memory\n", stderr);
        return 127;
    }
    static char no_cache[] = "--inhibit-cache", path[] = "--library-path", name[] = "--argv0",
                self[] = "bootstrap";
    /* The library path takes the place of LD_LIBRARY_PATH, which Lambda points at its own. */
    char *const head[LOADER_ARGS] = {loader, no_cache, path, lib, name, argc > 0 ? argv[0] : self,
                                     program};
    memcpy(args, head, sizeof head);
    for (int i = 1; i < argc; i++)
        args[LOADER_ARGS + i - 1] = argv[i];
    execv(loader, args);
    perror(loader);
    return 127;
}

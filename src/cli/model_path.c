/* Which model to use where none was named. */
#include "base/file.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *join(const char *folder, size_t n, const char *name) {
    size_t size = n + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%.*s/%s", (int)n, folder, name);
    return path;
}

/* Beside the executable: in the source tree (build/caracola), else where `install` puts it. */
static char *demo_path(void) {
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        size_t folder = slash ? (size_t)(slash - self) : 0;
        static const char *const places[] = {"../models/demo.cara",
                                             "../share/caracola/models/demo.cara"};
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            char *path = join(self, folder, places[i]);
            if (!path || access(path, R_OK) == 0)
                return path;
            free(path);
        }
    }
    return strdup(CARA_DATADIR "/models/demo.cara");
}

int cara_cli_model_path(const char *flag, int quiet, char **out, cara_error *err) {
    const char *named = flag ? flag : getenv("CARACOLA_MODEL");
    *out = NULL;
    if (named && *named) {
        *out = strdup(named);
        return *out ? CARA_OK : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    }
    char *demo = demo_path();
    if (!demo)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    if (access(demo, R_OK) != 0) {
        cara_fail(err, CARA_ERR_NOT_FOUND, -1,
                  "no model was named and the demo model is not at %s; give --model FILE or set "
                  "CARACOLA_MODEL",
                  demo);
        free(demo);
        return CARA_ERR_NOT_FOUND;
    }
    if (!quiet)
        cara_cli_note("using the demo model, which knows some 420 words of fishing reports and no "
                      "human voice; name a real one by --model or CARACOLA_MODEL");
    *out = demo;
    return CARA_OK;
}

int cara_cli_model_file(const char *flag, int quiet, char **out, cara_error *err) {
    int rc = cara_cli_model_path(flag, quiet, out, err);
    if (rc || strncmp(*out, "s3://", 5) != 0)
        return rc;
    rc = cara_fail(err, CARA_ERR_USAGE, -1,
                   "the function and the worker can stream %.200s; here a file is needed: "
                   "`caracola model fetch` brings it",
                   *out);
    free(*out);
    *out = NULL;
    return rc;
}

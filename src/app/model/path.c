#include "app/model/path.h"

#include "app/settings/environment.h"

#include <stdio.h>
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

int cara_model_choose(const char *named, cara_model_choice *out, cara_error *err) {
    *out = (cara_model_choice){.path = NULL};
    if (!named)
        named = cara_env("CARACOLA_MODEL");
    out->is_demo = !named || !*named;
    out->path = out->is_demo ? demo_path() : strdup(named);
    if (!out->path)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    if (!out->is_demo || access(out->path, R_OK) == 0)
        return CARA_OK;
    cara_fail(err, CARA_ERR_NOT_FOUND, -1,
              "no model was named and the demo model is not at %s; CARACOLA_MODEL names one",
              out->path);
    free(out->path);
    out->path = NULL;
    return CARA_ERR_NOT_FOUND;
}

int cara_model_choose_file(const char *named, cara_model_choice *out, cara_error *err) {
    int rc = cara_model_choose(named, out, err);
    if (rc || !cara_model_is_s3(out->path))
        return rc;
    rc = cara_fail(err, CARA_ERR_USAGE, -1,
                   "the function and the worker can stream %.200s; here a file is needed: "
                   "`caracola model fetch` brings it",
                   out->path);
    free(out->path);
    out->path = NULL;
    return rc;
}

int cara_model_is_s3(const char *model) {
    return strncmp(model, "s3://", 5) == 0;
}

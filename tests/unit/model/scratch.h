/* A folder that lives as long as a test, and what most tests of models do. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include "base/files/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch[256];

static int scratch_make(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%s/caracola-model-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(scratch) ? 0 : -1;
}

static void remove_folder(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char inner[600];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (unlink(inner) != 0)
            remove_folder(inner);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

static int scratch_remove(void **state) {
    (void)state;
    remove_folder(scratch);
    return 0;
}

/* A path in the folder; the last four are kept. */
static inline const char *in_scratch(const char *name) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ & 3];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

static inline const char *fixture_path(const char *name) {
    static char path[1024];
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    assert_non_null(root);
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static inline void write_bytes(const char *path, const void *bytes, size_t n) {
    cara_error err;
    if (cara_write_file_atomic(path, bytes, n, 0600, 1, &err))
        fail_msg("%s", err.text);
}

static inline void says(const cara_error *err, const char *what) {
    if (!strstr(err->text, what))
        fail_msg("\"%s\" lacks \"%s\"", err->text, what);
}

#endif

/* Reads the .npy files of the goldens: version 1, C order, little-endian f32, up to 3 dimensions.
 */
#ifndef GOLDEN_NPY_H
#define GOLDEN_NPY_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct npy {
    float *data; /* freed by npy_free() */
    size_t count;
    int n_dims;
    size_t shape[3];
} npy;

/* Where fixtures lie: $CARACOLA_SOURCE_DIR/tests/data/<what>. */
static inline const char *fixture(const char *what) {
    static char path[4096];
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/data/%s", root ? root : ".", what);
    return path;
}

/* A fixture that cannot be read ends the test. */
static inline npy npy_read(const char *what) {
    const char *path = fixture(what);
    npy out = {0};
    unsigned char start[10];
    char header[1024] = "";
    FILE *f = fopen(path, "rb");
    if (!f || fread(start, 1, 10, f) != 10 || memcmp(start, "\x93NUMPY\x01", 7) != 0)
        goto fail;
    size_t n = start[8] + 256u * start[9];
    if (n >= sizeof header || fread(header, 1, n, f) != n || !strstr(header, "'<f4'") ||
        !strstr(header, "'fortran_order': False"))
        goto fail;
    const char *at = strstr(header, "'shape': (");
    if (!at)
        goto fail;
    at += strlen("'shape': (");
    out.count = 1;
    while (*at != ')' && out.n_dims < 3) {
        char *end;
        out.shape[out.n_dims] = strtoul(at, &end, 10);
        out.count *= out.shape[out.n_dims++];
        if (end == at)
            goto fail;
        at = end + strspn(end, ", ");
    }
    out.data = malloc(out.count * sizeof(float) + 1);
    if (!out.data || fread(out.data, sizeof(float), out.count, f) != out.count)
        goto fail;
    fclose(f);
    return out;
fail:
    fprintf(stderr, "cannot read the golden %s\n", path);
    exit(99);
}

static inline void npy_free(npy *a) {
    free(a->data);
    a->data = NULL;
}

/* Largest and mean difference; NaN counts as infinite. */
static inline double most_apart(const float *a, const float *b, size_t n, double *mean) {
    double most = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - b[i]);
        if (!(d <= most))
            most = isnan(d) ? INFINITY : d;
        sum += d;
    }
    if (mean)
        *mean = n ? sum / (double)n : 0;
    return most;
}

#endif

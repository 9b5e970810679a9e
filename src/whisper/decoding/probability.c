#include "whisper/decoding/probability.h"

#include <math.h>

#define LANES 8 /* maxima side by side, so that none waits for the one before it */

float cara_max(const float *x, size_t n) {
    float max[LANES];
    size_t i = 0;
    for (size_t j = 0; j < LANES; j++)
        max[j] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            max[j] = x[i + j] > max[j] ? x[i + j] : max[j];
    for (; i < n; i++)
        max[0] = x[i] > max[0] ? x[i] : max[0];
    for (size_t j = 1; j < LANES; j++)
        max[0] = max[j] > max[0] ? max[j] : max[0];
    return max[0];
}

size_t cara_argmax(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

/* The kernels take no NaN. */
static int has_nan(const float *x, size_t n) {
    int any = 0;
    for (size_t i = 0; i < n; i++)
        any |= x[i] != x[i];
    return any;
}

float cara_log_sum_exp(const cara_kernels *kernels, const float *x, size_t n) {
    float max = cara_max(x, n);
    if (max == -INFINITY)
        return max;
    if (max == INFINITY || has_nan(x, n))
        return NAN;
    return kernels->log_sum_exp(x, n);
}

int cara_softmax(const cara_kernels *kernels, const float *x, size_t n, double temperature,
                 float *p) {
    float max = cara_max(x, n), inverse = (float)(1.0 / temperature);
    if (!isfinite(max) || has_nan(x, n))
        return 0;
    for (size_t i = 0; i < n; i++)
        p[i] = (x[i] - max) * inverse;
    kernels->softmax(p, n);
    return 1;
}

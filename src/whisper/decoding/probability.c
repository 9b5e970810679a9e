#include "whisper/decoding/probability.h"

#include <math.h>

float cara_max(const float *x, size_t n) {
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

size_t cara_argmax(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

float cara_log_sum_exp(const float *x, size_t n) {
    float max = cara_max(x, n);
    if (max == -INFINITY)
        return max;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += expf(x[i] - max);
    return max + (float)log(sum);
}

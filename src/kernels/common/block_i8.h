/* Blocks of keys or values to int8, in plain C that each file's flags make vectors of. */
#ifndef KERNELS_COMMON_BLOCK_I8_H
#define KERNELS_COMMON_BLOCK_I8_H

#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

/* Each channel's scale, and what its values are multiplied with. */
static inline void cara_block_scale(const float *x, size_t ld, size_t n, size_t d, float *scale,
                                    float *inverse) {
    for (size_t p = 0; p < d; p++)
        scale[p] = 0;
    for (size_t j = 0; j < n; j++)
        for (size_t p = 0; p < d; p++) {
            float size = fabsf(x[j * ld + p]);
            scale[p] = size > scale[p] ? size : scale[p];
        }
    for (size_t p = 0; p < d; p++) {
        inverse[p] = scale[p] > 0 ? 127 / scale[p] : 0;
        scale[p] *= 1.0f / 127;
    }
}

/* One row. Adding 1.5 * 2^23 rounds to nearest even and leaves the integer in the low bits. */
static inline void cara_block_row(const float *x, const float *inverse, size_t d, int8_t *dst) {
    for (size_t p = 0; p < d; p++) {
        float shifted = x[p] * inverse[p] + 12582912.0f;
        int32_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        dst[p] = (int8_t)(bits - 0x4b400000);
    }
}

static inline void cara_block_keys(const float *k, size_t ld, size_t n, size_t d, int8_t *dst,
                                   float *scale) {
    float inverse[CARA_HEAD_DIM_MAX];
    int8_t row[CARA_HEAD_DIM_MAX];
    cara_block_scale(k, ld, n, d, scale, inverse);
    memset(dst, 0, (n + 15) / 16 * 16 * d);
    for (size_t j = 0; j < n; j++) {
        int8_t *to = dst + j / 16 * 16 * d + j % 16;
        cara_block_row(k + j * ld, inverse, d, row);
        for (size_t p = 0; p < d; p++)
            to[p * 16] = row[p];
    }
}

static inline void cara_block_values(const float *v, size_t ld, size_t n, size_t d, int8_t *dst,
                                     float *scale) {
    float inverse[CARA_HEAD_DIM_MAX];
    cara_block_scale(v, ld, n, d, scale, inverse);
    for (size_t j = 0; j < n; j++)
        cara_block_row(v + j * ld, inverse, d, dst + j * d);
}

#endif

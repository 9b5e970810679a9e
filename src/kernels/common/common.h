/* Small things that every level needs. */
#ifndef KERNELS_COMMON_COMMON_H
#define KERNELS_COMMON_COMMON_H

#include "kernels/kernels.h"

#define CARA_LAYER_NORM_EPS 1e-5f

/* Attention's scores are in units of ln 2, so that weights are powers of two. */
#define CARA_SCORE_UNIT 1.44269504088896341f

static inline size_t cara_min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t cara_weight_size(cara_weight_type type) {
    return type == CARA_WEIGHT_F32 ? 4 : 2;
}

/* Row `row` of weights [n, k]. */
static inline const void *cara_weight_row(const void *w, cara_weight_type type, size_t k,
                                          size_t row) {
    return (const char *)w + row * k * cara_weight_size(type);
}

/* How many keys query i attends to: the first ones. */
static inline size_t cara_visible_keys(const cara_attend *a, size_t i) {
    return a->causal ? a->n_kv - (a->n_q - 1 - i) : a->n_kv;
}

#endif

/* The tables, and the scalar kernels by name so that higher levels can inherit them. */
#ifndef KERNELS_TABLES_H
#define KERNELS_TABLES_H

#include "kernels/kernels.h"

#define CARA_LAYER_NORM_EPS 1e-5f

extern const cara_kernels cara_kernels_scalar;
#ifdef CARA_HAVE_AVX2
extern const cara_kernels cara_kernels_avx2;
#endif

void cara_scalar_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1,
                      void *scratch);
void cara_scalar_gemv(const cara_gemm *g, size_t n0, size_t n1);
void cara_scalar_attend(const cara_attend *a, void *scratch);
void cara_scalar_attend_few(const cara_attend *a);
void cara_scalar_layer_norm(const float *x, const float *weight, const float *bias, size_t n,
                            float *y);
void cara_scalar_gelu(float *x, size_t n);
void cara_scalar_softmax(float *x, size_t n);
float cara_scalar_log_sum_exp(const float *x, size_t n);
void cara_scalar_widen(cara_weight_type type, const void *src, float *dst, size_t n);

static inline size_t cara_weight_size(cara_weight_type type) {
    return type == CARA_WEIGHT_F32 ? 4 : 2;
}

/* Row `row` of weights [n, k]. */
static inline const void *cara_weight_row(const void *w, cara_weight_type type, size_t k,
                                          size_t row) {
    return (const char *)w + row * k * cara_weight_size(type);
}

/* How many keys query i sees. */
static inline size_t cara_attend_sees(const cara_attend *a, size_t i) {
    return a->causal ? a->n_kv - (a->n_q - 1 - i) : a->n_kv;
}

#endif

/* The tables, and the scalar kernels by name so that higher levels can inherit them. */
#ifndef KERNELS_TABLES_H
#define KERNELS_TABLES_H

#include "kernels/kernels.h"

#define CARA_LAYER_NORM_EPS 1e-5f

extern const cara_kernels cara_kernels_scalar;
#if defined(CARA_X86)
extern const cara_kernels cara_kernels_avx2, cara_kernels_avxvnni;
extern const cara_kernels cara_kernels_avx512, cara_kernels_avx512vnni, cara_kernels_amx;
extern const cara_kernels cara_kernels_avx512vnni_bf16, cara_kernels_amx_bf16;
#elif defined(CARA_ARM64)
extern const cara_kernels cara_kernels_neon;
#endif

void cara_scalar_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1,
                      void *scratch);
void cara_scalar_gemv(const cara_gemm *g, size_t n0, size_t n1);
void cara_scalar_attend(const cara_attend *a, void *scratch);
void cara_scalar_attend_few(const cara_attend *a);
void cara_scalar_attend_f16(const cara_attend_f16 *a);
void cara_scalar_attend_i8(const cara_attend_i8 *a);
void cara_scalar_block_keys(const float *k, size_t ld, size_t n, size_t d, int8_t *dst,
                            float *scale);
void cara_scalar_block_values(const float *v, size_t ld, size_t n, size_t d, int8_t *dst,
                              float *scale);
void cara_scalar_narrow_keys(const float *k, size_t ld, size_t n, size_t d, uint16_t *dst);
void cara_scalar_narrow_values(const float *v, size_t ld, size_t n, size_t d, uint16_t *dst);
void cara_scalar_layer_norm(const float *x, const float *weight, const float *bias, size_t n,
                            float *y);
void cara_scalar_gelu(float *x, size_t n);
void cara_scalar_softmax(float *x, size_t n);
float cara_scalar_log_sum_exp(const float *x, size_t n);
void cara_scalar_widen(cara_weight_type type, const void *src, float *dst, size_t n);

#if defined(CARA_X86)
void cara_avx2_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1, void *scratch);
void cara_avx2_gemv(const cara_gemm *g, size_t n0, size_t n1);
void cara_avx2_attend(const cara_attend *a, void *scratch);
void cara_avx2_attend_i16(const cara_attend *a, void *scratch);
void cara_avx2_attend_few(const cara_attend *a);
void cara_avx2_attend_f16(const cara_attend_f16 *a);
void cara_avx2_attend_i8(const cara_attend_i8 *a);
void cara_avx2_block_keys(const float *k, size_t ld, size_t n, size_t d, int8_t *dst, float *scale);
void cara_avx2_block_values(const float *v, size_t ld, size_t n, size_t d, int8_t *dst,
                            float *scale);
void cara_avx2_narrow_keys(const float *k, size_t ld, size_t n, size_t d, uint16_t *dst);
void cara_avx2_narrow_values(const float *v, size_t ld, size_t n, size_t d, uint16_t *dst);
void cara_avx2_layer_norm(const float *x, const float *weight, const float *bias, size_t n,
                          float *y);
void cara_avx2_gelu(float *x, size_t n);
void cara_avx2_softmax(float *x, size_t n);
float cara_avx2_log_sum_exp(const float *x, size_t n);
void cara_avx2_widen(cara_weight_type type, const void *src, float *dst, size_t n);
/* Blocks of weights and activations as the packed panels of avx2_gemm.c: 16 columns, 6 rows. */
void cara_avx2_pack_w(const cara_gemm *g, size_t n0, size_t n1, size_t k0, size_t kc, float *dst);
void cara_avx2_pack_a(const cara_gemm *g, size_t m0, size_t m1, size_t k0, size_t kc, float *dst);
#elif defined(CARA_ARM64)
void cara_neon_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1, void *scratch);
void cara_neon_gemv(const cara_gemm *g, size_t n0, size_t n1);
void cara_neon_attend(const cara_attend *a, void *scratch);
void cara_neon_attend_few(const cara_attend *a);
void cara_neon_attend_f16(const cara_attend_f16 *a);
void cara_neon_attend_i8(const cara_attend_i8 *a);
void cara_neon_narrow_keys(const float *k, size_t ld, size_t n, size_t d, uint16_t *dst);
void cara_neon_narrow_values(const float *v, size_t ld, size_t n, size_t d, uint16_t *dst);
void cara_neon_layer_norm(const float *x, const float *weight, const float *bias, size_t n,
                          float *y);
void cara_neon_gelu(float *x, size_t n);
void cara_neon_softmax(float *x, size_t n);
float cara_neon_log_sum_exp(const float *x, size_t n);
void cara_neon_widen(cara_weight_type type, const void *src, float *dst, size_t n);
#endif

/* Attention's scores are in units of ln 2, so that weights are powers of two. */
#define CARA_SCORE_UNIT 1.44269504088896341f

static inline size_t cara_least(size_t a, size_t b) {
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

/* How many keys query i sees. */
static inline size_t cara_attend_sees(const cara_attend *a, size_t i) {
    return a->causal ? a->n_kv - (a->n_q - 1 - i) : a->n_kv;
}

#endif

/* AVX2's tables, and its functions for the levels that use them as they are. */
#ifndef KERNELS_AVX2_AVX2_H
#define KERNELS_AVX2_AVX2_H

#include "kernels/kernels.h"

extern const cara_kernels cara_kernels_avx2, cara_kernels_avxvnni;

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
void cara_avx2_narrow(const float *src, uint16_t *dst, size_t n);
void cara_avx2_layer_norm(const float *x, const float *weight, const float *bias, size_t n,
                          float *y);
void cara_avx2_softmax(float *x, size_t n);
float cara_avx2_log_sum_exp(const float *x, size_t n);
void cara_avx2_widen(cara_weight_type type, const void *src, float *dst, size_t n);
/* Blocks of weights and activations as the packed panels of gemm.c: 16 columns, 6 rows. */
void cara_avx2_pack_w(const cara_gemm *g, size_t n0, size_t n1, size_t k0, size_t kc, float *dst);
void cara_avx2_pack_a(const cara_gemm *g, size_t m0, size_t m1, size_t k0, size_t kc, float *dst);

#endif

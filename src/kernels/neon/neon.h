/* NEON's table and functions. */
#ifndef KERNELS_NEON_NEON_H
#define KERNELS_NEON_NEON_H

#include "kernels/kernels.h"

extern const cara_kernels cara_kernels_neon;

void cara_neon_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1, void *scratch);
void cara_neon_gemv(const cara_gemm *g, size_t n0, size_t n1);
void cara_neon_attend(const cara_attend *a, void *scratch);
void cara_neon_attend_few(const cara_attend *a);
void cara_neon_attend_f16(const cara_attend_f16 *a);
void cara_neon_attend_i8(const cara_attend_i8 *a);
void cara_neon_narrow(const float *src, uint16_t *dst, size_t n);
void cara_neon_layer_norm(const float *x, const float *weight, const float *bias, size_t n,
                          float *y);
void cara_neon_softmax(float *x, size_t n);
float cara_neon_log_sum_exp(const float *x, size_t n);
void cara_neon_widen(cara_weight_type type, const void *src, float *dst, size_t n);

#endif

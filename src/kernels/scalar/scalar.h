/* The scalar table, and its functions for the levels that use them as they are. */
#ifndef KERNELS_SCALAR_SCALAR_H
#define KERNELS_SCALAR_SCALAR_H

#include "kernels/kernels.h"

extern const cara_kernels cara_kernels_scalar;

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

#endif

/* The scalar table, and its functions that other levels use as they are. */
#ifndef KERNELS_SCALAR_SCALAR_H
#define KERNELS_SCALAR_SCALAR_H

#include "kernels/kernels.h"

extern const cara_kernels cara_kernels_scalar;

void cara_scalar_block_keys(const float *k, size_t ld, size_t n, size_t d, int8_t *dst,
                            float *scale);
void cara_scalar_block_values(const float *v, size_t ld, size_t n, size_t d, int8_t *dst,
                              float *scale);
void cara_scalar_narrow(const float *src, uint16_t *dst, size_t n);
void cara_scalar_widen(cara_weight_type type, const void *src, float *dst, size_t n);

#endif

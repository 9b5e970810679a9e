/* Integer matrix products: y = x . w^T with weights in int8 (one scale per output channel) and
 * activations quantised on the fly (one scale and zero point per row), summed in int32.
 *
 * One packed layout serves every level, so that a mapped file is read in place:
 * base/numbers/i8_layout.h describes it, model/i8_pack.h makes it.
 *
 * Quantised activations are private to a level: see cara_i8_ops.quantise. */
#ifndef KERNELS_I8_H
#define KERNELS_I8_H

#include "base/numbers/i8_layout.h"

#include <stddef.h>
#include <stdint.h>

/* A packed weight matrix [n, k]; all borrowed. */
typedef struct cara_i8_weights {
    const int8_t *packed; /* [cara_i8_packed_size(n, k)], 64-byte aligned */
    const float *scale;   /* [16 * panels]; weight = scale * int8 */
    const int32_t *sum;   /* [16 * panels]; sum over k of the int8 values of a channel */
    size_t n, k;
} cara_i8_weights;

/* What follows the product, fused: y = act(x . w^T + bias) + residual. */
typedef struct cara_i8_product {
    cara_i8_weights weights;
    const void *x; /* quantised activations of the same level: [rows, k] */
    size_t rows;
    float *y; /* [rows, n], row stride ldy floats */
    size_t ldy;
    const float *bias;     /* [n], or NULL */
    const float *residual; /* [rows, n], row stride ldy, may be y itself; or NULL */
    int gelu;              /* exact GELU between bias and residual */
} cara_i8_product;

typedef struct cara_i8_ops {
    size_t row_tile; /* rows of a tile: the unit that quantise() and product() count in */
    /* Rows of a task, whole tiles: few enough for the cache, many enough to read the weights
     * seldom. */
    size_t rows;
    /* Bytes that `rows` quantised rows of k inputs take. */
    size_t (*activation_size)(size_t rows, size_t k);
    /* Quantises rows [tile0 * row_tile, min(tile1 * row_tile, rows)) of x [rows, k] (row stride ldx
     * floats), from the least to the largest, 0 included, in 254 steps or more. Tiles are
     * independent: threads may share one call's work. */
    void (*quantise)(const float *x, size_t ldx, size_t rows, size_t k, size_t tile0, size_t tile1,
                     void *dst);
    /* The block of y of row tiles [tile0, tile1) and panels [panel0, panel1). */
    void (*product)(const cara_i8_product *p, size_t tile0, size_t tile1, size_t panel0,
                    size_t panel1);
} cara_i8_ops;

extern const cara_i8_ops cara_i8_scalar;
extern const cara_i8_ops cara_i8_avx2;       /* AVX2, FMA */
extern const cara_i8_ops cara_i8_avxvnni;    /* and AVX-VNNI */
extern const cara_i8_ops cara_i8_avx512vnni; /* AVX-512 F, BW, VL, VNNI */
extern const cara_i8_ops cara_i8_amx;        /* AMX-INT8; the thread holds the permission */
extern const cara_i8_ops cara_i8_neon;       /* Armv8.2 dotprod */

#endif

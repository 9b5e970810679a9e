/* What the AVX-512 files share: sixteen lanes, and the register tile of 6 rows by 4 panels of 16
 * columns. Written with the compiler's vectors, so that tests can compile the same source for
 * machines without the level (CARA_EMULATED); only what the compiler does not find by itself is
 * spelt as an instruction. */
#ifndef KERNELS_AVX512_VECTORS_H
#define KERNELS_AVX512_VECTORS_H

#include "kernels/common/common.h"

#ifndef CARA_EMULATED
#include <immintrin.h>
#endif
#include <math.h>
#include <string.h>

typedef float cara_v16 __attribute__((vector_size(64)));
typedef int32_t cara_v16i __attribute__((vector_size(64)));
typedef uint32_t cara_v16u __attribute__((vector_size(64)));

#define CARA_512_ROWS 6
/* Attention: queries that share packed keys and values, and steps of 4 bytes in a packed block's
 * rows of weights: 32 KiB each of keys and values for heads of 64. */
#define CARA_512_ATTEND_Q 504
#define CARA_512_ATTEND_KV 128
#define CARA_512_PADDED(n, step) (((n) + (step)-1) / (step) * (step))
/* Bytes for them where `rows` queries are multiplied together, and steps are one f32 or a pair: as
 * attend.h lays them out. */
#define CARA_512_ATTEND_SCRATCH(rows)                                                              \
    (((size_t)2 * CARA_512_ATTEND_KV * CARA_HEAD_DIM_MAX + 3 * (rows)*CARA_512_ATTEND_KV +         \
      (size_t)2 * CARA_512_PADDED(CARA_512_ATTEND_Q, rows) * CARA_HEAD_DIM_MAX) *                  \
     sizeof(float))

static inline cara_v16 cara_load_16(const float *p) {
    cara_v16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void cara_avx512_store_16(float *p, cara_v16 v) {
    memcpy(p, &v, sizeof v);
}

static inline cara_v16 cara_all_16(float x) {
    return (cara_v16){0} + x;
}

static inline cara_v16 cara_load_n16(const float *p, size_t n) {
    if (n >= 16)
        return cara_load_16(p);
    cara_v16 v = {0};
    memcpy(&v, p, n * sizeof *p);
    return v;
}

static inline void cara_avx512_store_n16(float *p, cara_v16 v, size_t n) {
    if (n >= 16)
        cara_avx512_store_16(p, v);
    else
        memcpy(p, &v, n * sizeof *p);
}

#ifdef CARA_EMULATED
static inline cara_v16 cara_fma_16(cara_v16 a, cara_v16 b, cara_v16 c) {
    for (int i = 0; i < 16; i++)
        c[i] = fmaf(a[i], b[i], c[i]);
    return c;
}
static inline cara_v16 cara_vmax_16(cara_v16 a, cara_v16 b) {
    for (int i = 0; i < 16; i++)
        a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
#else
static inline cara_v16 cara_fma_16(cara_v16 a, cara_v16 b, cara_v16 c) {
    return (cara_v16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
static inline cara_v16 cara_vmax_16(cara_v16 a, cara_v16 b) {
    return (cara_v16)_mm512_max_ps((__m512)a, (__m512)b);
}
#endif

#ifdef CARA_EMULATED
static inline float cara_sum_16(cara_v16 v) {
    float x[16];
    memcpy(x, &v, sizeof x);
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++)
            x[i] += x[i + half];
    return x[0];
}

static inline float cara_max_16(cara_v16 v) {
    float x = v[0];
    for (int i = 1; i < 16; i++)
        x = x > v[i] ? x : v[i];
    return x;
}
#else
static inline float cara_sum_16(cara_v16 v) {
    return _mm512_reduce_add_ps((__m512)v);
}

static inline float cara_max_16(cara_v16 v) {
    return _mm512_reduce_max_ps((__m512)v);
}
#endif

/* e^x for x <= 88 as cara_exp_8() of avx2/vectors.h; what is below -87.3 becomes 0. */
static inline cara_v16 cara_exp_16(cara_v16 x) {
    const cara_v16 low = cara_all_16(-87.33f);
    cara_v16i live = x >= low;
    x = cara_vmax_16(x, low);
    /* Adding and taking away 1.5 * 2^23 rounds to the nearest integer. */
    const cara_v16 magic = cara_all_16(12582912.0f);
    cara_v16 shifted = cara_fma_16(x, cara_all_16(1.44269504088896341f), magic);
    cara_v16 n = shifted - magic;
    cara_v16 r = cara_fma_16(n, cara_all_16(-0.693145751953125f), x);
    r = cara_fma_16(n, cara_all_16(-1.42860682030941723e-6f), r);
    cara_v16 y = cara_fma_16(r, cara_all_16(1.0f / 5040), cara_all_16(1.0f / 720));
    y = cara_fma_16(y, r, cara_all_16(1.0f / 120));
    y = cara_fma_16(y, r, cara_all_16(1.0f / 24));
    y = cara_fma_16(y, r, cara_all_16(1.0f / 6));
    y = cara_fma_16(y, r, cara_all_16(0.5f));
    y = cara_fma_16(y, r, cara_all_16(1.0f));
    y = cara_fma_16(y, r, cara_all_16(1.0f));
    return (cara_v16)(((cara_v16i)y + ((cara_v16i)shifted << 23)) & live);
}

/* What lies between x and the integer below, and y * 2^x for that integer; for -inf 0 and 0. */
#ifdef CARA_EMULATED
static inline cara_v16 cara_fraction_16(cara_v16 x) {
    for (int i = 0; i < 16; i++)
        x[i] = x[i] == -INFINITY ? 0 : x[i] - floorf(x[i]);
    return x;
}
static inline cara_v16 cara_scale_16(cara_v16 y, cara_v16 x) {
    for (int i = 0; i < 16; i++)
        y[i] = ldexpf(y[i], (int)fmaxf(floorf(x[i]), -200));
    return y;
}
#else
static inline cara_v16 cara_fraction_16(cara_v16 x) {
    return (cara_v16)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
static inline cara_v16 cara_scale_16(cara_v16 y, cara_v16 x) {
    return (cara_v16)_mm512_scalef_ps((__m512)y, (__m512)x);
}
#endif

/* 2^x for x <= 127 within 3e-6 of itself, for weights that are rounded to bf16. */
static inline cara_v16 cara_exp2_16(cara_v16 x) {
    cara_v16 r = cara_fraction_16(x);
    cara_v16 y = cara_fma_16(r, cara_all_16(1.3426684e-2f), cara_all_16(5.2242475e-2f));
    y = cara_fma_16(y, r, cara_all_16(2.412802e-1f));
    y = cara_fma_16(y, r, cara_all_16(6.9304484e-1f));
    y = cara_fma_16(y, r, cara_all_16(1.0f));
    return cara_scale_16(y, x);
}

/* 16 rows of 16 to 16 columns of 16. */
static inline void cara_transpose_16(cara_v16i r[16]) {
#ifdef __clang__
#define CARA_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define CARA_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (cara_v16i){__VA_ARGS__})
#endif
    for (int i = 0; i < 8; i++) {
        cara_v16i a = r[i], b = r[i + 8];
        r[i] = CARA_SHUFFLE(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        r[i + 8] = CARA_SHUFFLE(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    }
    for (int i = 0; i < 16; i++)
        if (!(i & 4)) {
            cara_v16i a = r[i], b = r[i + 4];
            r[i] = CARA_SHUFFLE(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
            r[i + 4] =
                CARA_SHUFFLE(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
        }
    for (int i = 0; i < 16; i++)
        if (!(i & 2)) {
            cara_v16i a = r[i], b = r[i + 2];
            r[i] = CARA_SHUFFLE(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
            r[i + 2] =
                CARA_SHUFFLE(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
        }
    for (int i = 0; i < 16; i += 2) {
        cara_v16i a = r[i], b = r[i + 1];
        r[i] = CARA_SHUFFLE(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
        r[i + 1] = CARA_SHUFFLE(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
    }
#undef CARA_SHUFFLE
}

/* ---- the register tile ----
 *
 * c [6, 16 * panels] (rows ldc floats apart) = (fresh ? 0 : c) + a . b over k steps of 4 bytes. Row
 * i of a at step p is the 4 bytes a[i * row + p * step]; panel j of b at step p is the 64 bytes
 * b[j * stride + p * 16]. CARA_DOT(c, x, w) adds the products of one step: one f32, or a pair of
 * bf16. A file defines it before CARA_512_TILES. */
#define CARA_512_DECLARE_1(i) cara_v16 c##i##0 = fresh ? (cara_v16){0} : cara_load_16(c + i * ldc);
#define CARA_512_DECLARE_2(i)                                                                      \
    CARA_512_DECLARE_1(i) cara_v16 c##i##1 = fresh ? (cara_v16){0} : cara_load_16(c + i * ldc + 16);
#define CARA_512_DECLARE_3(i)                                                                      \
    CARA_512_DECLARE_2(i) cara_v16 c##i##2 = fresh ? (cara_v16){0} : cara_load_16(c + i * ldc + 32);
#define CARA_512_DECLARE_4(i)                                                                      \
    CARA_512_DECLARE_3(i) cara_v16 c##i##3 = fresh ? (cara_v16){0} : cara_load_16(c + i * ldc + 48);
#define CARA_512_STORE_1(i) cara_avx512_store_16(c + i * ldc, c##i##0);
#define CARA_512_STORE_2(i) CARA_512_STORE_1(i) cara_avx512_store_16(c + i * ldc + 16, c##i##1);
#define CARA_512_STORE_3(i) CARA_512_STORE_2(i) cara_avx512_store_16(c + i * ldc + 32, c##i##2);
#define CARA_512_STORE_4(i) CARA_512_STORE_3(i) cara_avx512_store_16(c + i * ldc + 48, c##i##3);
#define CARA_512_DOTS_1(i) CARA_DOT(c##i##0, x, w0);
#define CARA_512_DOTS_2(i) CARA_512_DOTS_1(i) CARA_DOT(c##i##1, x, w1);
#define CARA_512_DOTS_3(i) CARA_512_DOTS_2(i) CARA_DOT(c##i##2, x, w2);
#define CARA_512_DOTS_4(i) CARA_512_DOTS_3(i) CARA_DOT(c##i##3, x, w3);
#define CARA_512_LOAD_1 w0 = cara_load_16(b);
#define CARA_512_LOAD_2 CARA_512_LOAD_1 w1 = cara_load_16(b + stride);
#define CARA_512_LOAD_3 CARA_512_LOAD_2 w2 = cara_load_16(b + 2 * stride);
#define CARA_512_LOAD_4 CARA_512_LOAD_3 w3 = cara_load_16(b + 3 * stride);
#define CARA_512_W_1 w0
#define CARA_512_W_2 w0, w1
#define CARA_512_W_3 w0, w1, w2
#define CARA_512_W_4 w0, w1, w2, w3
#define CARA_512_STEP(P, i, from)                                                                  \
    x = cara_all_16(*(from));                                                                      \
    CARA_512_DOTS_##P(i)
#define CARA_512_ROWS_OF(X) X(0) X(1) X(2) X(3) X(4) X(5)

#define CARA_512_TILE(P)                                                                           \
    static void tile_##P(size_t k, const float *a, size_t row, size_t step, const float *b,        \
                         size_t stride, float *c, size_t ldc, int fresh) {                         \
        (void)stride;                                                                              \
        CARA_512_ROWS_OF(CARA_512_DECLARE_##P)                                                     \
        const float *a3 = a + 3 * row;                                                             \
        for (; k; k--, a += step, a3 += step, b += 16) {                                           \
            cara_v16 x, CARA_512_W_##P;                                                            \
            CARA_512_LOAD_##P;                                                                     \
            CARA_512_STEP(P, 0, a)                                                                 \
            CARA_512_STEP(P, 1, a + row)                                                           \
            CARA_512_STEP(P, 2, a + 2 * row)                                                       \
            CARA_512_STEP(P, 3, a3)                                                                \
            CARA_512_STEP(P, 4, a3 + row)                                                          \
            CARA_512_STEP(P, 5, a3 + 2 * row)                                                      \
        }                                                                                          \
        CARA_512_ROWS_OF(CARA_512_STORE_##P)                                                       \
    }

#define CARA_512_TILES                                                                             \
    CARA_512_TILE(1)                                                                               \
    CARA_512_TILE(2)                                                                               \
    CARA_512_TILE(3)                                                                               \
    CARA_512_TILE(4)                                                                               \
    static void tile(size_t panels, size_t k, const float *a, size_t row, size_t step,             \
                     const float *b, size_t stride, float *c, size_t ldc, int fresh) {             \
        static void (*const tiles[4])(size_t, const float *, size_t, size_t, const float *,        \
                                      size_t, float *, size_t,                                     \
                                      int) = {tile_1, tile_2, tile_3, tile_4};                     \
        tiles[panels - 1](k, a, row, step, b, stride, c, ldc, fresh);                              \
    }

#endif

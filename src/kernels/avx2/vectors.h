/* What the AVX2 files share. Only files compiled with -mavx2 -mfma -mf16c include this. */
#ifndef KERNELS_AVX2_VECTORS_H
#define KERNELS_AVX2_VECTORS_H

#include "kernels/common/common.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

/* The register tile: 6 rows by 16 columns leaves 4 of 16 registers for operands. */
#define CARA_MR 6
#define CARA_NR 16
/* Depth of a packed block: a 6-row and a 16-column panel of it stay in a 32 KiB cache. */
#define CARA_KC 384
#define CARA_MC 120 /* rows of a packed block of a: 180 KiB */
#define CARA_NC 256 /* columns of a packed block of w: 384 KiB; both fit a 1 MiB cache */

/* Attention: queries that share packed keys and values, and keys of a packed block. */
#define CARA_ATTEND_Q 504
#define CARA_ATTEND_KV 256
#define CARA_ATTEND_SCRATCH                                                                        \
    (((size_t)2 * CARA_ATTEND_KV * CARA_HEAD_DIM_MAX + CARA_MR * CARA_ATTEND_KV +                  \
      2 * CARA_ATTEND_Q * CARA_HEAD_DIM_MAX) *                                                     \
     sizeof(float))

typedef struct cara_tile {
    __m256 at[CARA_MR][2];
} cara_tile;

/* tile += a · b over k steps. Row i of a at step p is a[i * row + p * step]; b's 16 columns at step
 * p are b[p * ldb ..]. */
static inline __attribute__((always_inline)) void cara_tile_add(cara_tile *t, size_t k,
                                                                const float *a, size_t row,
                                                                size_t step, const float *b,
                                                                size_t ldb) {
    __m256 c00 = t->at[0][0], c01 = t->at[0][1], c10 = t->at[1][0], c11 = t->at[1][1];
    __m256 c20 = t->at[2][0], c21 = t->at[2][1], c30 = t->at[3][0], c31 = t->at[3][1];
    __m256 c40 = t->at[4][0], c41 = t->at[4][1], c50 = t->at[5][0], c51 = t->at[5][1];
    const float *a3 = a + 3 * row;
#pragma GCC unroll 4
    for (size_t p = 0; p < k; p++) {
        __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8), x;
        x = _mm256_broadcast_ss(a);
        c00 = _mm256_fmadd_ps(x, b0, c00);
        c01 = _mm256_fmadd_ps(x, b1, c01);
        x = _mm256_broadcast_ss(a + row);
        c10 = _mm256_fmadd_ps(x, b0, c10);
        c11 = _mm256_fmadd_ps(x, b1, c11);
        x = _mm256_broadcast_ss(a + 2 * row);
        c20 = _mm256_fmadd_ps(x, b0, c20);
        c21 = _mm256_fmadd_ps(x, b1, c21);
        x = _mm256_broadcast_ss(a3);
        c30 = _mm256_fmadd_ps(x, b0, c30);
        c31 = _mm256_fmadd_ps(x, b1, c31);
        x = _mm256_broadcast_ss(a3 + row);
        c40 = _mm256_fmadd_ps(x, b0, c40);
        c41 = _mm256_fmadd_ps(x, b1, c41);
        x = _mm256_broadcast_ss(a3 + 2 * row);
        c50 = _mm256_fmadd_ps(x, b0, c50);
        c51 = _mm256_fmadd_ps(x, b1, c51);
        a += step;
        a3 += step;
        b += ldb;
    }
    t->at[0][0] = c00, t->at[0][1] = c01, t->at[1][0] = c10, t->at[1][1] = c11;
    t->at[2][0] = c20, t->at[2][1] = c21, t->at[3][0] = c30, t->at[3][1] = c31;
    t->at[4][0] = c40, t->at[4][1] = c41, t->at[5][0] = c50, t->at[5][1] = c51;
}

static inline void cara_transpose_8(__m256 r[8]) {
    __m256 t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i + 0] = _mm256_shuffle_ps(t[4 * i + 0], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i + 0], t[4 * i + 2], 0xEE);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

/* The first n lanes of eight set, n <= 8. */
static inline __m256i cara_mask_8(size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

static inline __m256 cara_load_n(const float *p, size_t n) {
    return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, cara_mask_8(n));
}

static inline void cara_avx2_store_n(float *p, __m256 x, size_t n) {
    if (n >= 8)
        _mm256_storeu_ps(p, x);
    else
        _mm256_maskstore_ps(p, cara_mask_8(n), x);
}

/* Eight stored weights as f32. */
static inline __attribute__((always_inline)) __m256 cara_widen_8(const void *p,
                                                                 cara_weight_type type) {
    if (type == CARA_WEIGHT_F32)
        return _mm256_loadu_ps(p);
    __m128i h = _mm_loadu_si128(p);
    if (type == CARA_WEIGHT_F16)
        return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* The first n < 8 of them, zero beyond; reads nothing past them. */
static inline __m256 cara_widen_n(const void *p, cara_weight_type type, size_t n) {
    char bytes[32] = {0};
    memcpy(bytes, p, n * cara_weight_size(type));
    return cara_widen_8(bytes, type);
}

static inline float cara_sum_8(__m256 x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

static inline float cara_max_8(__m256 x) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

/* e^x for x <= 88, within 2 ulp; below about -87 it is 0. x = n ln 2 + r, |r| <= ln 2 / 2, and e^r
 * by its Taylor series to the 7th power. */
static inline __m256 cara_exp_8(__m256 x) {
    const __m256 low = _mm256_set1_ps(-87.33f), high = _mm256_set1_ps(88.37f);
    __m256 live = _mm256_cmp_ps(x, low, _CMP_GE_OQ);
    x = _mm256_min_ps(_mm256_max_ps(x, low), high);
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504088896341f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    /* ln 2 in two parts, so that n ln 2 costs no accuracy. */
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693145751953125f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(1.42860682030941723e-6f), r);
    __m256 y = _mm256_set1_ps(1.0f / 5040);
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f / 720));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f / 120));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f / 24));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f / 6));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(0.5f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f));
    __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    y = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), power));
    return _mm256_and_ps(y, live);
}

/* 2^x for x <= 127 within 1e-7 of itself; -127 and below become 0. */
static inline __m256 cara_exp2_8(__m256 x) {
    x = _mm256_max_ps(x, _mm256_set1_ps(-127.0f));
    /* Adding and taking away 1.5 * 2^23 rounds to the nearest integer. */
    const __m256 magic = _mm256_set1_ps(12582912.0f);
    __m256 shifted = _mm256_add_ps(x, magic);
    __m256 r = _mm256_sub_ps(x, _mm256_sub_ps(shifted, magic));
    __m256 y = _mm256_set1_ps(1.55946778e-4f);
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.34066434e-3f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(9.61769279e-3f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(5.55031039e-2f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(2.40226522e-1f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(6.93147242e-1f));
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f));
    __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), power));
}

/* One query's scores [n] to 2^(score - top), the running top and sum brought up to date. Returns by
 * what the sums so far must shrink. The array holds a multiple of 8; what is beyond n becomes 0. */
static inline float cara_softmax_block(float *score, size_t n, float *top, float *sum) {
    __m256 low = _mm256_set1_ps(-INFINITY), most = low, more = low;
    size_t j = 0;
    if (n % 8) {
        __m256 mask = _mm256_castsi256_ps(cara_mask_8(n % 8));
        float *tail = score + n / 8 * 8;
        _mm256_store_ps(tail, _mm256_blendv_ps(low, _mm256_load_ps(tail), mask));
    }
    for (; j + 8 < n; j += 16) {
        most = _mm256_max_ps(most, _mm256_load_ps(score + j));
        more = _mm256_max_ps(more, _mm256_load_ps(score + j + 8));
    }
    if (j < n)
        most = _mm256_max_ps(most, _mm256_load_ps(score + j));
    float old = *top, next = cara_max_8(_mm256_max_ps(most, more));
    next = next > old ? next : old;
    __m256 base = _mm256_set1_ps(next), total = _mm256_setzero_ps();
    for (j = 0; j < n; j += 8) {
        __m256 e = cara_exp2_8(_mm256_sub_ps(_mm256_load_ps(score + j), base));
        _mm256_store_ps(score + j, e);
        total = _mm256_add_ps(total, e);
    }
    float shrink = _mm256_cvtss_f32(cara_exp2_8(_mm256_set1_ps(old - next)));
    *top = next;
    *sum = *sum * shrink + cara_sum_8(total);
    return shrink;
}

/* x Φ(x), with erfc by formula 7.1.26 of Abramowitz and Stegun (error 1.5e-7). Half of |x| erfc is
 * the part that is lost from max(x, 0), so that both tails keep their accuracy. */
static inline __m256 cara_gelu_8(__m256 x) {
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    __m256 a = _mm256_andnot_ps(sign, x); /* |x| */
    __m256 z = _mm256_mul_ps(a, _mm256_set1_ps(0.70710678118654752f));
    __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(_mm256_set1_ps(0.3275911f), z, one));
    __m256 p = _mm256_set1_ps(1.061405429f);
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-1.453152027f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(1.421413741f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-0.284496736f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.254829592f));
    p = _mm256_mul_ps(p, t);
    __m256 e = cara_exp_8(_mm256_xor_ps(_mm256_mul_ps(z, z), sign));
    __m256 lost = _mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(0.5f), a), _mm256_mul_ps(p, e));
    return _mm256_sub_ps(_mm256_max_ps(x, _mm256_setzero_ps()), lost);
}

#endif

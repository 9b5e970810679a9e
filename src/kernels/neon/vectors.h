/* What the NEON files share. Only files compiled with -march=armv8.2-a+dotprod include this. */
#ifndef KERNELS_NEON_VECTORS_H
#define KERNELS_NEON_VECTORS_H

#include "kernels/common/common.h"

#include <arm_neon.h>
#include <math.h>
#include <string.h>

/* The register tile: 8 rows by 12 columns are 24 of the 32 registers; a step takes 5 more. */
#define CARA_MR 8
#define CARA_NR 12
/* Depth of a packed block: an 8-row and a 12-column panel of it stay in a 64 KiB cache. */
#define CARA_KC 384
#define CARA_MC 120 /* rows of a packed block of a: 180 KiB */
#define CARA_NC 252 /* columns of a packed block of w: 378 KiB; both fit a 1 MiB cache */

/* Attention: queries that share packed keys and values, and keys of a packed block. */
#define CARA_ATTEND_Q 504
#define CARA_ATTEND_KV 256
#define CARA_ATTEND_SCRATCH                                                                        \
    (((size_t)2 * CARA_ATTEND_KV * CARA_HEAD_DIM_MAX + CARA_NR * CARA_ATTEND_KV +                  \
      2 * CARA_ATTEND_Q * CARA_HEAD_DIM_MAX) *                                                     \
     sizeof(float))

/* A row of the tile. Names and not an array: GCC would store that in every step. */
typedef struct cara_row {
    float32x4_t x, y, z;
} cara_row;

static inline cara_row cara_row_load(const float *p) {
    return (cara_row){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8)};
}

static inline void cara_row_store(float *p, cara_row r) {
    vst1q_f32(p, r.x);
    vst1q_f32(p + 4, r.y);
    vst1q_f32(p + 8, r.z);
}

static inline cara_row cara_row_add(cara_row r, float by, cara_row b) {
    return (cara_row){vfmaq_n_f32(r.x, b.x, by), vfmaq_n_f32(r.y, b.y, by),
                      vfmaq_n_f32(r.z, b.z, by)};
}

/* c += aᵀ · b over k steps of packed panels: a [k][8], b [k][12], c [8][12]. */
static inline void cara_tile_add(float *c, size_t k, const float *a, const float *b) {
    cara_row r0 = cara_row_load(c), r1 = cara_row_load(c + CARA_NR);
    cara_row r2 = cara_row_load(c + 2 * CARA_NR), r3 = cara_row_load(c + 3 * CARA_NR);
    cara_row r4 = cara_row_load(c + 4 * CARA_NR), r5 = cara_row_load(c + 5 * CARA_NR);
    cara_row r6 = cara_row_load(c + 6 * CARA_NR), r7 = cara_row_load(c + 7 * CARA_NR);
    for (size_t p = 0; p < k; p++, a += CARA_MR, b += CARA_NR) {
        cara_row x = cara_row_load(b);
        float32x4_t low = vld1q_f32(a), high = vld1q_f32(a + 4);
        r0 = cara_row_add(r0, vgetq_lane_f32(low, 0), x);
        r1 = cara_row_add(r1, vgetq_lane_f32(low, 1), x);
        r2 = cara_row_add(r2, vgetq_lane_f32(low, 2), x);
        r3 = cara_row_add(r3, vgetq_lane_f32(low, 3), x);
        r4 = cara_row_add(r4, vgetq_lane_f32(high, 0), x);
        r5 = cara_row_add(r5, vgetq_lane_f32(high, 1), x);
        r6 = cara_row_add(r6, vgetq_lane_f32(high, 2), x);
        r7 = cara_row_add(r7, vgetq_lane_f32(high, 3), x);
    }
    cara_row_store(c, r0), cara_row_store(c + CARA_NR, r1);
    cara_row_store(c + 2 * CARA_NR, r2), cara_row_store(c + 3 * CARA_NR, r3);
    cara_row_store(c + 4 * CARA_NR, r4), cara_row_store(c + 5 * CARA_NR, r5);
    cara_row_store(c + 6 * CARA_NR, r6), cara_row_store(c + 7 * CARA_NR, r7);
}

static inline void cara_transpose_4(float32x4_t r[4]) {
    float32x4_t a = vzip1q_f32(r[0], r[2]), b = vzip2q_f32(r[0], r[2]);
    float32x4_t c = vzip1q_f32(r[1], r[3]), d = vzip2q_f32(r[1], r[3]);
    r[0] = vzip1q_f32(a, c);
    r[1] = vzip2q_f32(a, c);
    r[2] = vzip1q_f32(b, d);
    r[3] = vzip2q_f32(b, d);
}

/* The first n of four; zeros beyond. Reads nothing past them. */
static inline float32x4_t cara_load_n(const float *p, size_t n) {
    if (n >= 4)
        return vld1q_f32(p);
    float some[4] = {0};
    memcpy(some, p, n * sizeof *p);
    return vld1q_f32(some);
}

static inline void cara_neon_store_n(float *p, float32x4_t x, size_t n) {
    if (n >= 4) {
        vst1q_f32(p, x);
        return;
    }
    float some[4];
    vst1q_f32(some, x);
    memcpy(p, some, n * sizeof *p);
}

/* Four stored weights as f32. */
static inline __attribute__((always_inline)) float32x4_t cara_widen_4(const void *p,
                                                                      cara_weight_type type) {
    if (type == CARA_WEIGHT_F32)
        return vld1q_f32(p);
    uint16x4_t h = vld1_u16(p);
    if (type == CARA_WEIGHT_F16)
        return vcvt_f32_f16(vreinterpret_f16_u16(h));
    return vreinterpretq_f32_u32(vshll_n_u16(h, 16));
}

/* The first n of four, zeros beyond; reads nothing past them. */
static inline __attribute__((always_inline)) float32x4_t
cara_widen_n(const void *p, cara_weight_type type, size_t n) {
    if (n >= 4)
        return cara_widen_4(p, type);
    float some[4] = {0};
    memcpy(some, p, n * cara_weight_size(type));
    return cara_widen_4(some, type);
}

/* e^x for x <= 88, within 2 ulp; below about -87 it is 0. As cara_exp_8 of avx2/vectors.h. */
static inline float32x4_t cara_exp_4(float32x4_t x) {
    const float32x4_t least = vdupq_n_f32(-87.33f);
    uint32x4_t live = vcgeq_f32(x, least);
    x = vminq_f32(vmaxq_f32(x, least), vdupq_n_f32(88.37f));
    float32x4_t n = vrndnq_f32(vmulq_n_f32(x, 1.44269504088896341f));
    /* ln 2 in two parts, so that n ln 2 costs no accuracy. */
    float32x4_t r = vfmsq_n_f32(x, n, 0.693145751953125f);
    r = vfmsq_n_f32(r, n, 1.42860682030941723e-6f);
    float32x4_t y = vdupq_n_f32(1.0f / 5040);
    y = vfmaq_f32(vdupq_n_f32(1.0f / 720), y, r);
    y = vfmaq_f32(vdupq_n_f32(1.0f / 120), y, r);
    y = vfmaq_f32(vdupq_n_f32(1.0f / 24), y, r);
    y = vfmaq_f32(vdupq_n_f32(1.0f / 6), y, r);
    y = vfmaq_f32(vdupq_n_f32(0.5f), y, r);
    y = vfmaq_f32(vdupq_n_f32(1.0f), y, r);
    y = vfmaq_f32(vdupq_n_f32(1.0f), y, r);
    int32x4_t power = vshlq_n_s32(vcvtq_s32_f32(n), 23);
    int32x4_t bits = vaddq_s32(vreinterpretq_s32_f32(y), power);
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_s32(bits), live));
}

/* 2^x for x <= 127 within 1e-7 of itself; -127 and below become 0. As cara_exp2_8 of
 * avx2/vectors.h. */
static inline float32x4_t cara_exp2_4(float32x4_t x) {
    x = vmaxq_f32(x, vdupq_n_f32(-127.0f));
    /* Adding and taking away 1.5 * 2^23 rounds to the nearest integer. */
    const float32x4_t magic = vdupq_n_f32(12582912.0f);
    float32x4_t shifted = vaddq_f32(x, magic);
    float32x4_t r = vsubq_f32(x, vsubq_f32(shifted, magic));
    float32x4_t y = vdupq_n_f32(1.55946778e-4f);
    y = vfmaq_f32(vdupq_n_f32(1.34066434e-3f), y, r);
    y = vfmaq_f32(vdupq_n_f32(9.61769279e-3f), y, r);
    y = vfmaq_f32(vdupq_n_f32(5.55031039e-2f), y, r);
    y = vfmaq_f32(vdupq_n_f32(2.40226522e-1f), y, r);
    y = vfmaq_f32(vdupq_n_f32(6.93147242e-1f), y, r);
    y = vfmaq_f32(vdupq_n_f32(1.0f), y, r);
    int32x4_t power = vshlq_n_s32(vreinterpretq_s32_f32(shifted), 23);
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(y), power));
}

/* One query's scores [n] to 2^(score - top), the running top and sum brought up to date. Returns by
 * what the sums so far must shrink. The array holds a multiple of 4; what is beyond n becomes 0. */
static inline float cara_softmax_block(float *score, size_t n, float *top, float *sum) {
    float32x4_t most = vdupq_n_f32(*top), total = vdupq_n_f32(0);
    for (size_t j = n; j % 4; j++)
        score[j] = -INFINITY;
    for (size_t j = 0; j < n; j += 4)
        most = vmaxq_f32(most, vld1q_f32(score + j));
    float next = vmaxvq_f32(most);
    most = vdupq_n_f32(next);
    for (size_t j = 0; j < n; j += 4) {
        float32x4_t e = cara_exp2_4(vsubq_f32(vld1q_f32(score + j), most));
        vst1q_f32(score + j, e);
        total = vaddq_f32(total, e);
    }
    float shrink = vgetq_lane_f32(cara_exp2_4(vdupq_n_f32(*top - next)), 0);
    *top = next;
    *sum = *sum * shrink + vaddvq_f32(total);
    return shrink;
}

/* x Φ(x), as cara_gelu_8 of avx2/vectors.h: half of |x| erfc is what is lost from max(x, 0). */
static inline float32x4_t cara_gelu_4(float32x4_t x) {
    const float32x4_t one = vdupq_n_f32(1.0f);
    float32x4_t a = vabsq_f32(x), z = vmulq_n_f32(a, 0.70710678118654752f);
    float32x4_t t = vdivq_f32(one, vfmaq_n_f32(one, z, 0.3275911f));
    float32x4_t p = vdupq_n_f32(1.061405429f);
    p = vfmaq_f32(vdupq_n_f32(-1.453152027f), p, t);
    p = vfmaq_f32(vdupq_n_f32(1.421413741f), p, t);
    p = vfmaq_f32(vdupq_n_f32(-0.284496736f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.254829592f), p, t);
    p = vmulq_f32(p, t);
    float32x4_t e = cara_exp_4(vnegq_f32(vmulq_f32(z, z)));
    float32x4_t lost = vmulq_f32(vmulq_n_f32(a, 0.5f), vmulq_f32(p, e));
    return vsubq_f32(vmaxq_f32(x, vdupq_n_f32(0)), lost);
}

#endif

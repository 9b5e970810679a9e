/* Matrix products by packed panels and an 8 x 12 register tile, and the products of few rows, as
 * avx2/gemm.c. */
#include "kernels/common/walks.h"
#include "kernels/neon/neon.h"
#include "kernels/neon/vectors.h"

#define MR CARA_MR
#define NR CARA_NR

/* Rows [n0, n0 + 12) of w, steps [k0, k0 + kc), to [kc][12]; rows beyond n1 become zeros. */
static inline __attribute__((always_inline)) void pack_w_typed(const cara_gemm *g, size_t n0,
                                                               size_t n1, size_t k0, size_t kc,
                                                               float *dst,
                                                               const cara_weight_type type) {
    for (size_t h = 0; h < NR; h += 4) {
        size_t j0 = n0 + h, rows = j0 < n1 ? cara_min_size(n1 - j0, 4) : 0;
        const char *src[4];
        for (size_t i = 0; i < 4; i++)
            src[i] = (const char *)cara_weight_row(g->w, type, g->k, i < rows ? j0 + i : n0) +
                     k0 * cara_weight_size(type);
        for (size_t p = 0; p < kc; p += 4) {
            size_t n = cara_min_size(kc - p, 4), at = p * cara_weight_size(type);
            float32x4_t r[4];
            for (size_t i = 0; i < 4; i++)
                r[i] = i < rows ? cara_widen_n(src[i] + at, type, n) : vdupq_n_f32(0);
            cara_transpose_4(r);
            for (size_t i = 0; i < n; i++)
                vst1q_f32(dst + (p + i) * NR + h, r[i]);
        }
    }
}

static void pack_w(const cara_gemm *g, size_t n0, size_t n1, size_t k0, size_t kc, float *dst) {
    for (size_t j = n0; j < n1; j += NR, dst += kc * NR) {
        if (g->type == CARA_WEIGHT_F16)
            pack_w_typed(g, j, n1, k0, kc, dst, CARA_WEIGHT_F16);
        else if (g->type == CARA_WEIGHT_F32)
            pack_w_typed(g, j, n1, k0, kc, dst, CARA_WEIGHT_F32);
        else
            pack_w_typed(g, j, n1, k0, kc, dst, CARA_WEIGHT_BF16);
    }
}

/* Rows [m0, m1) of a, steps [k0, k0 + kc), to panels [kc][8]; rows beyond m1 become zeros. */
static void pack_a(const cara_gemm *g, size_t m0, size_t m1, size_t k0, size_t kc, float *dst) {
    for (size_t i = m0; i < m1; i += MR, dst += kc * MR)
        for (size_t h = 0; h < MR; h += 4)
            for (size_t p = 0; p < kc; p += 4) {
                size_t n = cara_min_size(kc - p, 4);
                float32x4_t r[4];
                for (size_t l = 0; l < 4; l++)
                    r[l] = i + h + l < m1 ? cara_load_n(g->a + (i + h + l) * g->lda + k0 + p, n)
                                          : vdupq_n_f32(0);
                cara_transpose_4(r);
                for (size_t l = 0; l < n; l++)
                    vst1q_f32(dst + (p + l) * MR + h, r[l]);
            }
}

static void one_tile(const cara_gemm *g, size_t i, size_t rows, size_t j, size_t columns, size_t kc,
                     const float *a, const float *b, int first, int last) {
    const float *start = !first ? g->c : g->gelu ? NULL : g->residual;
    float t[MR][NR] = {{0}};
    for (size_t l = 0; start && l < rows; l++)
        memcpy(t[l], start + (i + l) * g->ldc + j, columns * sizeof **t);
    cara_tile_add(t[0], kc, a, b);
    for (size_t h = 0; h < columns; h += 4) {
        size_t n = cara_min_size(columns - h, 4);
        float32x4_t bias = last && g->bias ? cara_load_n(g->bias + j + h, n) : vdupq_n_f32(0);
        for (size_t l = 0; l < rows; l++) {
            float32x4_t y = vaddq_f32(vld1q_f32(t[l] + h), bias);
            size_t place = (i + l) * g->ldc + j + h;
            if (last && g->gelu) {
                y = cara_gelu_4(y);
                if (g->residual)
                    y = vaddq_f32(y, cara_load_n(g->residual + place, n));
            }
            cara_neon_store_n(g->c + place, y, n);
        }
    }
}

void cara_neon_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1, void *scratch) {
    cara_gemm_walk(g, m0, m1, n0, n1, scratch,
                   (cara_gemm_parts){CARA_KC, CARA_MC, CARA_NC, MR, NR, pack_w, pack_a, one_tile});
}

/* Eight weights of each of two rows of w. */
typedef struct pair {
    float32x4_t p0, p1, q0, q1;
} pair;

static inline __attribute__((always_inline)) pair pair_load(const char *p, const char *q,
                                                            const cara_weight_type type) {
    const size_t half = 4 * cara_weight_size(type);
    return (pair){cara_widen_4(p, type), cara_widen_4(p + half, type), cara_widen_4(q, type),
                  cara_widen_4(q + half, type)};
}

/* The sums of one row of a with them: two registers each, whatever they are grouped with, so that a
 * row's result does not depend on the others. */
static inline pair pair_add(pair s, const float *a, pair w) {
    float32x4_t x0 = vld1q_f32(a), x1 = vld1q_f32(a + 4);
    return (pair){vfmaq_f32(s.p0, x0, w.p0), vfmaq_f32(s.p1, x1, w.p1), vfmaq_f32(s.q0, x0, w.q0),
                  vfmaq_f32(s.q1, x1, w.q1)};
}

/* The last n < 8; reads nothing past them. */
static pair pair_add_last(pair s, const float *a, const char *p, const char *q, size_t n,
                          cara_weight_type type) {
    float x[8] = {0}, u[8] = {0}, v[8] = {0};
    memcpy(x, a, n * sizeof *x);
    memcpy(u, p, n * cara_weight_size(type));
    memcpy(v, q, n * cara_weight_size(type));
    return pair_add(s, x, pair_load((const char *)u, (const char *)v, type));
}

static void finish(const cara_gemm *g, size_t i, size_t j, float32x4_t s0, float32x4_t s1) {
    size_t place = i * g->ldc + j;
    float y = vaddvq_f32(vaddq_f32(s0, s1)) + (g->bias ? g->bias[j] : 0);
    if (g->gelu)
        y = vgetq_lane_f32(cara_gelu_4(vdupq_n_f32(y)), 0);
    g->c[place] = y + (g->residual ? g->residual[place] : 0);
}

static void pair_finish(const cara_gemm *g, size_t i, size_t j, size_t columns, pair s) {
    finish(g, i, j, s.p0, s.p1);
    if (columns > 1)
        finish(g, i, j + 1, s.q0, s.q1);
}

/* Up to four rows of a from i on against two rows of w (the second may be the first). */
static inline __attribute__((always_inline)) void dots(const cara_gemm *g, size_t i,
                                                       const size_t rows, size_t j, size_t columns,
                                                       const cara_weight_type type) {
    const pair zero = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
    const size_t size = cara_weight_size(type);
    const char *p = cara_weight_row(g->w, type, g->k, j);
    const char *q = columns > 1 ? p + g->k * size : p;
    const float *a0 = g->a + i * g->lda, *a1 = rows > 1 ? a0 + g->lda : a0;
    const float *a2 = rows > 2 ? a1 + g->lda : a0, *a3 = rows > 3 ? a2 + g->lda : a0;
    pair s0 = zero, s1 = zero, s2 = zero, s3 = zero;
    size_t k = 0;
    for (; k + 8 <= g->k; k += 8) {
        pair w = pair_load(p + k * size, q + k * size, type);
        s0 = pair_add(s0, a0 + k, w);
        if (rows > 1)
            s1 = pair_add(s1, a1 + k, w);
        if (rows > 2)
            s2 = pair_add(s2, a2 + k, w);
        if (rows > 3)
            s3 = pair_add(s3, a3 + k, w);
    }
    if (k < g->k) {
        size_t n = g->k - k;
        p += k * size, q += k * size;
        s0 = pair_add_last(s0, a0 + k, p, q, n, type);
        if (rows > 1)
            s1 = pair_add_last(s1, a1 + k, p, q, n, type);
        if (rows > 2)
            s2 = pair_add_last(s2, a2 + k, p, q, n, type);
        if (rows > 3)
            s3 = pair_add_last(s3, a3 + k, p, q, n, type);
    }
    pair_finish(g, i, j, columns, s0);
    if (rows > 1)
        pair_finish(g, i + 1, j, columns, s1);
    if (rows > 2)
        pair_finish(g, i + 2, j, columns, s2);
    if (rows > 3)
        pair_finish(g, i + 3, j, columns, s3);
}

static inline __attribute__((always_inline)) void
gemv_typed(const cara_gemm *g, size_t n0, size_t n1, const cara_weight_type type) {
    for (size_t j = n0; j < n1; j += 2) {
        size_t i = 0, columns = cara_min_size(n1 - j, 2);
        for (; i + 4 <= g->m; i += 4)
            dots(g, i, 4, j, columns, type);
        if (g->m - i == 3)
            dots(g, i, 3, j, columns, type);
        else if (g->m - i == 2)
            dots(g, i, 2, j, columns, type);
        else if (g->m - i == 1)
            dots(g, i, 1, j, columns, type);
    }
}

void cara_neon_gemv(const cara_gemm *g, size_t n0, size_t n1) {
    if (g->type == CARA_WEIGHT_F16)
        gemv_typed(g, n0, n1, CARA_WEIGHT_F16);
    else if (g->type == CARA_WEIGHT_F32)
        gemv_typed(g, n0, n1, CARA_WEIGHT_F32);
    else
        gemv_typed(g, n0, n1, CARA_WEIGHT_BF16);
}

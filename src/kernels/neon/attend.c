/* Attention in blocks of keys with a running softmax, as avx2/attend.c, but with twelve queries
 * side by side in three registers: scores are [key][12] and sums [column][12], so that one tile
 * serves both products and a maximum, a weight or a sum never goes across a register. */
#include "kernels/common/walks.h"
#include "kernels/neon/neon.h"
#include "kernels/neon/vectors.h"

#define KV CARA_ATTEND_KV
#define D_MAX CARA_HEAD_DIM_MAX
#define GROUP CARA_NR /* queries */

/* Keys [k0, k0 + n) to panels of 8 keys, [d][8] each; missing keys become zeros. */
static void pack_keys(const cara_attend *a, size_t k0, size_t n, float *dst) {
    for (size_t j = 0; j < (n + CARA_MR - 1) / CARA_MR * CARA_MR; j += 4) {
        float *panel = dst + j / CARA_MR * CARA_MR * a->d + j % CARA_MR;
        for (size_t p = 0; p < a->d; p += 4) {
            float32x4_t r[4];
            for (size_t i = 0; i < 4; i++)
                r[i] = j + i < n ? vld1q_f32(a->k + (k0 + j + i) * a->ldk + p) : vdupq_n_f32(0);
            cara_transpose_4(r);
            for (size_t i = 0; i < 4; i++)
                vst1q_f32(panel + (p + i) * CARA_MR, r[i]);
        }
    }
}

/* Values [k0, k0 + n) to panels of 8 columns, [n][8] each. */
static void pack_values(const cara_attend *a, size_t k0, size_t n, float *dst) {
    for (size_t c = 0; c < a->d; c += CARA_MR)
        for (size_t j = 0; j < n; j++, dst += CARA_MR) {
            const float *src = a->v + (k0 + j) * a->ldv + c;
            vst1q_f32(dst, vld1q_f32(src));
            vst1q_f32(dst + 4, vld1q_f32(src + 4));
        }
}

/* Queries [i0, i1) to panels of 12, [d][12] each, scaled; missing ones become zeros. */
static void pack_queries(const cara_attend *a, size_t i0, size_t i1, float *dst) {
    float scale = a->scale * CARA_SCORE_UNIT;
    for (size_t i = i0; i < i1; i += GROUP, dst += a->d * GROUP)
        for (size_t h = 0; h < GROUP; h += 4)
            for (size_t p = 0; p < a->d; p += 4) {
                float32x4_t r[4];
                for (size_t l = 0; l < 4; l++)
                    r[l] = i + h + l < i1
                               ? vmulq_n_f32(vld1q_f32(a->q + (i + h + l) * a->ldq + p), scale)
                               : vdupq_n_f32(0);
                cara_transpose_4(r);
                for (size_t l = 0; l < 4; l++)
                    vst1q_f32(dst + (p + l) * GROUP + h, r[l]);
            }
}

/* Keys that a query of the group does not attend to. */
static void mask_keys(const cara_attend *a, size_t i, size_t k0, size_t n, float *score) {
    for (size_t l = 0; l < GROUP && i + l < a->n_q; l++) {
        size_t visible = cara_visible_keys(a, i + l);
        for (size_t j = visible > k0 ? visible - k0 : 0; j < n; j++)
            score[j * GROUP + l] = -INFINITY;
    }
}

/* Scores [n][12] to 2^(score - top), tops and sums brought up to date, and by what the sums so far
 * must shrink. */
static void softmax_block(float *score, size_t n, float *top, float *sum, float32x4_t shrink[3]) {
    float32x4_t most[3], total[3];
    for (size_t h = 0; h < 3; h++) {
        most[h] = vld1q_f32(top + h * 4);
        total[h] = vdupq_n_f32(0);
    }
    for (size_t j = 0; j < n; j++)
        for (size_t h = 0; h < 3; h++)
            most[h] = vmaxq_f32(most[h], vld1q_f32(score + j * GROUP + h * 4));
    for (size_t j = 0; j < n; j++)
        for (size_t h = 0; h < 3; h++) {
            float *at = score + j * GROUP + h * 4;
            float32x4_t e = cara_exp2_4(vsubq_f32(vld1q_f32(at), most[h]));
            vst1q_f32(at, e);
            total[h] = vaddq_f32(total[h], e);
        }
    for (size_t h = 0; h < 3; h++) {
        shrink[h] = cara_exp2_4(vsubq_f32(vld1q_f32(top + h * 4), most[h]));
        vst1q_f32(top + h * 4, most[h]);
        vst1q_f32(sum + h * 4, vfmaq_f32(total[h], vld1q_f32(sum + h * 4), shrink[h]));
    }
}

/* Twelve queries from i on against one packed block of keys and values. */
static void one_block(const cara_attend *a, const float *q /* [d][12] */, size_t i, size_t k0,
                      size_t n, const float *keys, const float *values, float *score /* [KV][12] */,
                      float *acc /* [d][12] */, float *top, float *sum) {
    float32x4_t shrink[3];
    for (size_t j = 0; j < n; j += CARA_MR) {
        memset(score + j * GROUP, 0, CARA_MR * GROUP * sizeof *score);
        cara_tile_add(score + j * GROUP, a->d, keys + j * a->d, q);
    }
    if (a->causal)
        mask_keys(a, i, k0, n, score);
    softmax_block(score, n, top, sum, shrink);
    for (size_t c = 0; c < a->d; c++)
        for (size_t h = 0; h < 3; h++) {
            float *at = acc + c * GROUP + h * 4;
            vst1q_f32(at, vmulq_f32(vld1q_f32(at), shrink[h]));
        }
    for (size_t c = 0; c < a->d; c += CARA_MR)
        cara_tile_add(acc + c * GROUP, n, values + c * n, score);
}

/* Sums [d][12] of `rows` queries to their rows of out. */
static void unpack(const float *acc, const float *sum, size_t rows, size_t d, float *out,
                   size_t ldo) {
    for (size_t h = 0; h < rows; h += 4) {
        float32x4_t by = vdivq_f32(vdupq_n_f32(1), vld1q_f32(sum + h));
        for (size_t c = 0; c < d; c += 4) {
            float32x4_t r[4];
            for (size_t l = 0; l < 4; l++)
                r[l] = vmulq_f32(by, vld1q_f32(acc + (c + l) * GROUP + h));
            cara_transpose_4(r);
            for (size_t l = 0; l < 4 && h + l < rows; l++)
                vst1q_f32(out + (h + l) * ldo + c, r[l]);
        }
    }
}

/* Queries [i0, i1), at most CARA_ATTEND_Q. */
static void attend_some(const cara_attend *a, size_t i0, size_t i1, float *scratch) {
    float *keys = scratch, *values = keys + KV * D_MAX, *score = values + KV * D_MAX;
    float *q = score + GROUP * KV, *acc = q + CARA_ATTEND_Q * D_MAX;
    float top[CARA_ATTEND_Q], sum[CARA_ATTEND_Q];
    pack_queries(a, i0, i1, q);
    for (size_t i = 0; i < CARA_ATTEND_Q; i++) {
        top[i] = -INFINITY;
        sum[i] = 0;
    }
    memset(acc, 0, (i1 - i0 + GROUP - 1) / GROUP * GROUP * a->d * sizeof *acc);
    size_t n_kv = cara_visible_keys(a, i1 - 1);
    for (size_t k0 = 0; k0 < n_kv; k0 += KV) {
        size_t n = cara_min_size(n_kv - k0, KV);
        pack_keys(a, k0, n, keys);
        pack_values(a, k0, n, values);
        for (size_t i = i0; i < i1; i += GROUP)
            one_block(a, q + (i - i0) * a->d, i, k0, n, keys, values, score, acc + (i - i0) * a->d,
                      top + (i - i0), sum + (i - i0));
    }
    for (size_t i = i0; i < i1; i += GROUP)
        unpack(acc + (i - i0) * a->d, sum + (i - i0), cara_min_size(i1 - i, GROUP), a->d,
               a->out + i * a->ldo, a->ldo);
}

void cara_neon_attend(const cara_attend *a, void *scratch) {
    for (size_t i = 0; i < a->n_q; i += CARA_ATTEND_Q)
        attend_some(a, i, cara_min_size(i + CARA_ATTEND_Q, a->n_q), scratch);
}

/* ---- few queries ---- */

static void score_key(const cara_attend *a, size_t j, float score[CARA_FEW_ROWS][CARA_FEW_KV],
                      size_t at) {
    const float *k = a->k + j * a->ldk;
    for (size_t i = 0; i < a->n_q; i++) {
        const float *q = a->q + i * a->ldq;
        float32x4_t s[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
        for (size_t p = 0; p < a->d; p += 16)
            for (size_t h = 0; h < 4; h++)
                s[h] = vfmaq_f32(s[h], vld1q_f32(q + p + h * 4), vld1q_f32(k + p + h * 4));
        s[0] = vaddq_f32(vaddq_f32(s[0], s[1]), vaddq_f32(s[2], s[3]));
        score[i][at] = a->scale * CARA_SCORE_UNIT * vaddvq_f32(s[0]);
    }
}

static void add_values(const cara_attend *a, size_t k0, size_t n, float shrink, const float *score,
                       float *acc) {
    for (size_t c = 0; c < a->d; c += 16) { /* kept in registers */
        const float *v = a->v + k0 * a->ldv + c;
        float32x4_t sum[4];
        for (size_t h = 0; h < 4; h++)
            sum[h] = vmulq_n_f32(vld1q_f32(acc + c + h * 4), shrink);
        for (size_t j = 0; j < n; j++)
            for (size_t h = 0; h < 4; h++)
                sum[h] = vfmaq_n_f32(sum[h], vld1q_f32(v + j * a->ldv + h * 4), score[j]);
        for (size_t h = 0; h < 4; h++)
            vst1q_f32(acc + c + h * 4, sum[h]);
    }
}

void cara_neon_attend_few(const cara_attend *a) {
    cara_few_walk(a, (cara_few_parts){score_key, cara_softmax_block, add_values});
}

/* Attention in blocks of keys with a running softmax (online normaliser: Milakov and Gimelshein,
 * 2018), so that the matrix of scores never exists. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vectors.h"
#include "kernels/common/walks.h"

#include <math.h>

#define KV CARA_ATTEND_KV
#define D_MAX CARA_HEAD_DIM_MAX

/* Keys [k0, k0 + n) to panels of 16 keys, [d][16] each; missing keys become zeros. */
static void pack_keys(const cara_attend *a, size_t k0, size_t n, float *dst) {
    for (size_t j = 0; j < n; j += 8) {
        float *panel = dst + j / CARA_NR * a->d * CARA_NR + j % CARA_NR;
        size_t rows = cara_min_size(n - j, 8);
        for (size_t p = 0; p < a->d; p += 8) {
            __m256 r[8];
            for (size_t i = 0; i < 8; i++)
                r[i] = i < rows ? _mm256_loadu_ps(a->k + (k0 + j + i) * a->ldk + p)
                                : _mm256_setzero_ps();
            cara_transpose_8(r);
            for (size_t i = 0; i < 8; i++)
                _mm256_store_ps(panel + (p + i) * CARA_NR, r[i]);
        }
    }
    if (n % CARA_NR > 0 && n % CARA_NR <= 8) /* the other half of the last panel */
        for (size_t p = 0; p < a->d; p++)
            _mm256_store_ps(dst + (n / CARA_NR * a->d + p) * CARA_NR + 8, _mm256_setzero_ps());
}

/* Values [k0, k0 + n) to panels of 16 columns, [n][16] each. */
static void pack_values(const cara_attend *a, size_t k0, size_t n, float *dst) {
    for (size_t c = 0; c < a->d; c += CARA_NR)
        for (size_t j = 0; j < n; j++, dst += CARA_NR) {
            const float *src = a->v + (k0 + j) * a->ldv + c;
            _mm256_store_ps(dst, _mm256_loadu_ps(src));
            _mm256_store_ps(dst + 8, _mm256_loadu_ps(src + 8));
        }
}

/* Six queries (or fewer) against one packed block of keys and values. score: [6][KV]. */
static void one_block(const cara_attend *a, const float *q /* [d][6], scaled */, size_t i,
                      size_t rows, size_t k0, size_t n, const float *keys, const float *values,
                      float *score, float *acc /* [6][d] */, float *top, float *sum) {
    float shrink[CARA_MR];
    for (size_t j = 0; j < n; j += CARA_NR) {
        cara_tile t;
        memset(&t, 0, sizeof t);
        cara_tile_add(&t, a->d, q, 1, CARA_MR, keys + j * a->d, CARA_NR);
        for (size_t l = 0; l < CARA_MR; l++) {
            _mm256_store_ps(score + l * KV + j, t.at[l][0]);
            _mm256_store_ps(score + l * KV + j + 8, t.at[l][1]);
        }
    }
    for (size_t l = 0; l < rows; l++) {
        size_t visible = cara_visible_keys(a, i + l),
               here = visible > k0 ? cara_min_size(visible - k0, n) : 0;
        shrink[l] = here ? cara_softmax_block(score + l * KV, here, &top[l], &sum[l]) : 1;
        size_t filled = (here + 7) / 8 * 8;
        if (filled < n)
            memset(score + l * KV + filled, 0, (n - filled) * sizeof *score);
    }
    for (size_t l = rows; l < CARA_MR; l++) {
        shrink[l] = 0;
        memset(score + l * KV, 0, n * sizeof *score);
    }
    for (size_t c = 0; c < a->d; c += CARA_NR) {
        cara_tile t;
        for (size_t l = 0; l < CARA_MR; l++) {
            __m256 by = _mm256_set1_ps(shrink[l]);
            t.at[l][0] = _mm256_mul_ps(by, _mm256_load_ps(acc + l * a->d + c));
            t.at[l][1] = _mm256_mul_ps(by, _mm256_load_ps(acc + l * a->d + c + 8));
        }
        cara_tile_add(&t, n, score, KV, 1, values + c * n, CARA_NR);
        for (size_t l = 0; l < CARA_MR; l++) {
            _mm256_store_ps(acc + l * a->d + c, t.at[l][0]);
            _mm256_store_ps(acc + l * a->d + c + 8, t.at[l][1]);
        }
    }
}

/* Queries [i0, i1), at most CARA_ATTEND_Q. */
static void attend_some(const cara_attend *a, size_t i0, size_t i1, float *scratch) {
    float *keys = scratch, *values = keys + KV * D_MAX, *score = values + KV * D_MAX;
    float *q = score + CARA_MR * KV, *acc = q + CARA_ATTEND_Q * D_MAX;
    float top[CARA_ATTEND_Q], sum[CARA_ATTEND_Q];
    for (size_t i = i0; i < i1; i += CARA_MR) {
        float *panel = q + (i - i0) * a->d;
        for (size_t l = 0; l < CARA_MR; l++)
            for (size_t p = 0; p < a->d; p++)
                panel[p * CARA_MR + l] =
                    i + l < i1 ? a->scale * CARA_SCORE_UNIT * a->q[(i + l) * a->ldq + p] : 0;
    }
    for (size_t i = 0; i < CARA_ATTEND_Q; i++) {
        top[i] = -INFINITY;
        sum[i] = 0;
    }
    size_t padded = (i1 - i0 + CARA_MR - 1) / CARA_MR * CARA_MR;
    memset(acc, 0, padded * a->d * sizeof *acc);
    size_t n_kv = cara_visible_keys(a, i1 - 1);
    for (size_t k0 = 0; k0 < n_kv; k0 += KV) {
        size_t n = cara_min_size(n_kv - k0, KV);
        pack_keys(a, k0, n, keys);
        pack_values(a, k0, n, values);
        for (size_t i = i0; i < i1; i += CARA_MR)
            one_block(a, q + (i - i0) * a->d, i, cara_min_size(i1 - i, CARA_MR), k0, n, keys,
                      values, score, acc + (i - i0) * a->d, top + (i - i0), sum + (i - i0));
    }
    for (size_t i = i0; i < i1; i++) {
        __m256 by = _mm256_set1_ps(1 / sum[i - i0]);
        for (size_t c = 0; c < a->d; c += 8)
            _mm256_storeu_ps(a->out + i * a->ldo + c,
                             _mm256_mul_ps(by, _mm256_load_ps(acc + (i - i0) * a->d + c)));
    }
}

void cara_avx2_attend(const cara_attend *a, void *scratch) {
    for (size_t i = 0; i < a->n_q; i += CARA_ATTEND_Q)
        attend_some(a, i, cara_min_size(i + CARA_ATTEND_Q, a->n_q), scratch);
}

/* ---- few queries ---- */

static void score_key(const cara_attend *a, size_t j, float score[CARA_FEW_ROWS][CARA_FEW_KV],
                      size_t at) {
    const float *k = a->k + j * a->ldk;
    for (size_t i = 0; i < a->n_q; i++) {
        const float *q = a->q + i * a->ldq;
        __m256 s0 = _mm256_setzero_ps(), s1 = s0;
        for (size_t p = 0; p < a->d; p += 16) {
            s0 = _mm256_fmadd_ps(_mm256_loadu_ps(q + p), _mm256_loadu_ps(k + p), s0);
            s1 = _mm256_fmadd_ps(_mm256_loadu_ps(q + p + 8), _mm256_loadu_ps(k + p + 8), s1);
        }
        score[i][at] = a->scale * CARA_SCORE_UNIT * cara_sum_8(_mm256_add_ps(s0, s1));
    }
}

/* A run of `width` registers of columns. */
static inline __attribute__((always_inline)) void
add_value_columns(const cara_attend *a, size_t k0, size_t n, size_t c, const size_t width,
                  float shrink, const float *score, float *acc) {
    __m256 sum[4];
    for (size_t h = 0; h < width; h++)
        sum[h] = _mm256_mul_ps(_mm256_set1_ps(shrink), _mm256_load_ps(acc + c + h * 8));
    for (size_t j = 0; j < n; j++) {
        const float *v = a->v + (k0 + j) * a->ldv + c;
        __m256 by = _mm256_broadcast_ss(score + j);
        for (size_t h = 0; h < width; h++)
            sum[h] = _mm256_fmadd_ps(by, _mm256_loadu_ps(v + h * 8), sum[h]);
    }
    for (size_t h = 0; h < width; h++)
        _mm256_store_ps(acc + c + h * 8, sum[h]);
}

static void add_values(const cara_attend *a, size_t k0, size_t n, float shrink, const float *score,
                       float *acc) {
    size_t c = 0;
    for (; c + 32 <= a->d; c += 32)
        add_value_columns(a, k0, n, c, 4, shrink, score, acc);
    for (; c < a->d; c += 16)
        add_value_columns(a, k0, n, c, 2, shrink, score, acc);
}

void cara_avx2_attend_few(const cara_attend *a) {
    cara_few_walk(a, (cara_few_parts){score_key, cara_softmax_block, add_values});
}

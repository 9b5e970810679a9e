/* Attention over an f16 cache for few queries. Scores of 16 keys come out of one pass over a panel
 * of keys, so that no sum goes across a register. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vectors.h"
#include "kernels/scalar/scalar.h"

#include <math.h>

#define KV 256 /* keys of a block; a multiple of 16 */

void cara_avx2_narrow(const float *src, uint16_t *dst, size_t n) {
    const __m256 most = _mm256_set1_ps(65504), least = _mm256_set1_ps(-65504);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 x = _mm256_max_ps(_mm256_min_ps(_mm256_loadu_ps(src + i), most), least);
        _mm_storeu_si128((__m128i *)(dst + i), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    }
    cara_scalar_narrow(src + i, dst + i, n - i);
}

static inline __m256 half_8(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

/* Scores of one panel of 16 keys for `rows` queries (at most 4). */
static inline __attribute__((always_inline)) void panel_scores(const cara_attend_f16 *a,
                                                               const uint16_t *k, size_t i,
                                                               const size_t rows, float *score) {
    __m256 c0[4], c1[4];
    const float *q = a->q + i * a->ldq;
    for (size_t r = 0; r < rows; r++)
        c0[r] = c1[r] = _mm256_setzero_ps();
    for (size_t p = 0; p < a->d; p++) {
        __m256 k0 = half_8(k + p * 16), k1 = half_8(k + p * 16 + 8);
        for (size_t r = 0; r < rows; r++) {
            __m256 x = _mm256_broadcast_ss(q + r * a->ldq + p);
            c0[r] = _mm256_fmadd_ps(x, k0, c0[r]);
            c1[r] = _mm256_fmadd_ps(x, k1, c1[r]);
        }
    }
    __m256 by = _mm256_set1_ps(a->scale * CARA_SCORE_UNIT);
    for (size_t r = 0; r < rows; r++) {
        _mm256_storeu_ps(score + r * KV, _mm256_mul_ps(c0[r], by));
        _mm256_storeu_ps(score + r * KV + 8, _mm256_mul_ps(c1[r], by));
    }
}

static void scores(const cara_attend_f16 *a, size_t k0, size_t n, float (*score)[KV]) {
    for (size_t j = 0; j < n; j += 16) {
        const uint16_t *k = a->k + (k0 + j) / 16 * 16 * a->d;
        size_t i = 0;
        for (; i + 4 <= a->n_q; i += 4)
            panel_scores(a, k, i, 4, &score[i][j]);
        if (a->n_q - i == 3)
            panel_scores(a, k, i, 3, &score[i][j]);
        else if (a->n_q - i == 2)
            panel_scores(a, k, i, 2, &score[i][j]);
        else if (a->n_q - i == 1)
            panel_scores(a, k, i, 1, &score[i][j]);
    }
}

/* acc = shrink * acc + score . v for `rows` queries (at most 2) and `width` registers of columns.
 */
static inline __attribute__((always_inline)) void
add_weighted(const uint16_t *v, size_t d, size_t n, const size_t rows, const size_t width,
             const float *shrink, const float *score, float *acc) {
    __m256 sum[2][4];
    for (size_t r = 0; r < rows; r++)
        for (size_t h = 0; h < width; h++)
            sum[r][h] = _mm256_mul_ps(_mm256_set1_ps(shrink[r]),
                                      _mm256_load_ps(acc + r * CARA_HEAD_DIM_MAX + h * 8));
    for (size_t j = 0; j < n; j++) {
        __m256 by[2];
        for (size_t r = 0; r < rows; r++)
            by[r] = _mm256_broadcast_ss(score + r * KV + j);
        for (size_t h = 0; h < width; h++) {
            __m256 x = half_8(v + j * d + h * 8);
            for (size_t r = 0; r < rows; r++)
                sum[r][h] = _mm256_fmadd_ps(by[r], x, sum[r][h]);
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t h = 0; h < width; h++)
            _mm256_store_ps(acc + r * CARA_HEAD_DIM_MAX + h * 8, sum[r][h]);
}

void cara_avx2_attend_f16(const cara_attend_f16 *a) {
    _Alignas(64) float score[CARA_FEW_ROWS][KV];
    _Alignas(64) float acc[CARA_FEW_ROWS][CARA_HEAD_DIM_MAX];
    float top[CARA_FEW_ROWS], sum[CARA_FEW_ROWS], shrink[CARA_FEW_ROWS];
    for (size_t i = 0; i < a->n_q; i++) {
        top[i] = -INFINITY;
        sum[i] = 0;
        memset(acc[i], 0, a->d * sizeof **acc);
    }
    for (size_t k0 = 0; k0 < a->n_kv; k0 += KV) {
        size_t n = cara_min_size(a->n_kv - k0, KV);
        const uint16_t *v = a->v + k0 * a->d;
        scores(a, k0, n, score);
        for (size_t i = 0; i < a->n_q; i++)
            shrink[i] = cara_softmax_block(score[i], n, &top[i], &sum[i]);
        for (size_t c = 0; c < a->d; c += 32)
            for (size_t i = 0; i < a->n_q; i += 2) {
                if (a->d - c >= 32 && a->n_q - i >= 2)
                    add_weighted(v + c, a->d, n, 2, 4, shrink + i, score[i], acc[i] + c);
                else if (a->d - c >= 32)
                    add_weighted(v + c, a->d, n, 1, 4, shrink + i, score[i], acc[i] + c);
                else
                    for (size_t r = i; r < a->n_q && r < i + 2; r++)
                        add_weighted(v + c, a->d, n, 1, 2, shrink + r, score[r], acc[r] + c);
            }
    }
    for (size_t i = 0; i < a->n_q; i++)
        for (size_t c = 0; c < a->d; c++)
            a->out[i * a->ldo + c] = acc[i][c] / sum[i];
}

/* Attention over an int8 cache for few queries. Scores of 16 keys come out of one pass over a panel
 * of keys; scales are taken into the queries and out of the sums, a block at a time. Whatever rows
 * and panels are grouped, each sum has one accumulator and one order. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vectors.h"
#include "kernels/common/block_i8.h"

#define KV CARA_I8_KEYS
#define D_MAX CARA_HEAD_DIM_MAX

void cara_avx2_block_keys(const float *k, size_t ld, size_t n, size_t d, int8_t *dst,
                          float *scale) {
    cara_block_keys(k, ld, n, d, dst, scale);
}

void cara_avx2_block_values(const float *v, size_t ld, size_t n, size_t d, int8_t *dst,
                            float *scale) {
    cara_block_values(v, ld, n, d, dst, scale);
}

static inline __m256 wide_8(const int8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

/* Scores of `panels` panels of 16 keys for `rows` queries: at most 8 registers of sums. */
static inline __attribute__((always_inline)) void panel_scores(const int8_t *k, size_t d,
                                                               const float *q, const size_t rows,
                                                               const size_t panels, float *score) {
    __m256 sum[4][3][2];
    for (size_t r = 0; r < rows; r++)
        for (size_t h = 0; h < panels; h++)
            sum[r][h][0] = sum[r][h][1] = _mm256_setzero_ps();
    for (size_t p = 0; p < d; p++) {
        __m256 x[4];
        for (size_t r = 0; r < rows; r++)
            x[r] = _mm256_broadcast_ss(q + r * D_MAX + p);
        for (size_t h = 0; h < panels; h++) {
            const int8_t *from = k + (h * d + p) * 16;
            __m256 k0 = wide_8(from), k1 = wide_8(from + 8);
            for (size_t r = 0; r < rows; r++) {
                sum[r][h][0] = _mm256_fmadd_ps(x[r], k0, sum[r][h][0]);
                sum[r][h][1] = _mm256_fmadd_ps(x[r], k1, sum[r][h][1]);
            }
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t h = 0; h < panels; h++) {
            _mm256_store_ps(score + r * KV + h * 16, sum[r][h][0]);
            _mm256_store_ps(score + r * KV + h * 16 + 8, sum[r][h][1]);
        }
}

static void scores(const int8_t *k, size_t d, const float *q, size_t n_q, size_t n, float *score) {
    size_t panels = (n + 15) / 16, i = 0;
    for (; i + 3 <= n_q; i += 4) {
        size_t rows = n_q - i < 4 ? n_q - i : 4;
        for (size_t j = 0; j < panels; j++) {
            if (rows == 4)
                panel_scores(k + j * 16 * d, d, q + i * D_MAX, 4, 1, score + i * KV + j * 16);
            else
                panel_scores(k + j * 16 * d, d, q + i * D_MAX, 3, 1, score + i * KV + j * 16);
        }
    }
    for (size_t rows = n_q > i ? n_q - i : 0, j = 0; rows && j < panels;) {
        const int8_t *from = k + j * 16 * d;
        float *to = score + i * KV + j * 16;
        if (rows == 2 && panels - j >= 2)
            panel_scores(from, d, q + i * D_MAX, 2, 2, to), j += 2;
        else if (rows == 2)
            panel_scores(from, d, q + i * D_MAX, 2, 1, to), j++;
        else if (panels - j >= 3)
            panel_scores(from, d, q + i * D_MAX, 1, 3, to), j += 3;
        else
            panel_scores(from, d, q + i * D_MAX, 1, 1, to), j++;
    }
}

/* acc = shrink * acc + scale * (score . v) for `rows` queries and `width` registers of columns. */
static inline __attribute__((always_inline)) void
add_weighted(const int8_t *v, size_t d, size_t n, const float *scale, const size_t rows,
             const size_t width, const float *shrink, const float *score, float *acc) {
    __m256 sum[4][8];
    for (size_t r = 0; r < rows; r++)
        for (size_t h = 0; h < width; h++)
            sum[r][h] = _mm256_setzero_ps();
    for (size_t j = 0; j < n; j++) {
        __m256 by[4];
        for (size_t r = 0; r < rows; r++)
            by[r] = _mm256_broadcast_ss(score + r * KV + j);
        for (size_t h = 0; h < width; h++) {
            __m256 x = wide_8(v + j * d + h * 8);
            for (size_t r = 0; r < rows; r++)
                sum[r][h] = _mm256_fmadd_ps(by[r], x, sum[r][h]);
        }
    }
    for (size_t h = 0; h < width; h++) {
        __m256 by = _mm256_loadu_ps(scale + h * 8);
        for (size_t r = 0; r < rows; r++) {
            float *at = acc + r * D_MAX + h * 8;
            __m256 old = _mm256_mul_ps(_mm256_set1_ps(shrink[r]), _mm256_load_ps(at));
            _mm256_store_ps(at, _mm256_fmadd_ps(by, sum[r][h], old));
        }
    }
}

static void add_weighted_all(const cara_attend_i8 *a, size_t k0, size_t n, const float *scale,
                             const float *shrink, float (*score)[KV], float (*acc)[D_MAX]) {
    const int8_t *v = a->v + k0 * a->d;
    size_t d = a->d;
    for (size_t i = 0; i < a->n_q;) {
        size_t rows = a->n_q - i >= 4 ? 4 : a->n_q - i >= 2 ? 2 : 1;
        for (size_t c = 0, step; c < d; c += step) {
            float *to = acc[i] + c;
            if (rows == 4)
                add_weighted(v + c, d, n, scale + c, 4, 2, shrink + i, score[i], to), step = 16;
            else if (rows == 2 && d - c >= 32)
                add_weighted(v + c, d, n, scale + c, 2, 4, shrink + i, score[i], to), step = 32;
            else if (rows == 2)
                add_weighted(v + c, d, n, scale + c, 2, 2, shrink + i, score[i], to), step = 16;
            else if (d - c >= 64)
                add_weighted(v + c, d, n, scale + c, 1, 8, shrink + i, score[i], to), step = 64;
            else
                add_weighted(v + c, d, n, scale + c, 1, 2, shrink + i, score[i], to), step = 16;
        }
        i += rows;
    }
}

void cara_avx2_attend_i8(const cara_attend_i8 *a) {
    _Alignas(64) float score[CARA_FEW_ROWS][KV], acc[CARA_FEW_ROWS][D_MAX], q[CARA_FEW_ROWS][D_MAX];
    float top[CARA_FEW_ROWS], sum[CARA_FEW_ROWS], shrink[CARA_FEW_ROWS];
    for (size_t i = 0; i < a->n_q; i++) {
        top[i] = -INFINITY;
        sum[i] = 0;
        memset(acc[i], 0, a->d * sizeof **acc);
    }
    for (size_t k0 = 0, block = 0; k0 < a->n_kv; k0 += KV, block++) {
        size_t n = a->n_kv - k0 < KV ? a->n_kv - k0 : KV;
        const float *scale = a->k_scale + block * a->d;
        for (size_t i = 0; i < a->n_q; i++)
            for (size_t p = 0; p < a->d; p++)
                q[i][p] = a->q[i * a->ldq + p] * (a->scale * CARA_SCORE_UNIT) * scale[p];
        scores(a->k + k0 * a->d, a->d, &q[0][0], a->n_q, n, &score[0][0]);
        for (size_t i = 0; i < a->n_q; i++)
            shrink[i] = cara_softmax_block(score[i], n, &top[i], &sum[i]);
        add_weighted_all(a, k0, n, a->v_scale + block * a->d, shrink, score, acc);
    }
    for (size_t i = 0; i < a->n_q; i++)
        for (size_t c = 0; c < a->d; c++)
            a->out[i * a->ldo + c] = acc[i][c] / sum[i];
}

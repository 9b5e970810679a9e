/* Matrix products by packed panels and a 6 x 16 register tile (Goto's scheme), and the products of
 * few rows, which are bound by how fast the weights come from memory. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vectors.h"
#include "kernels/common/walks.h"

/* Rows [n0, n0 + 16) of w, steps [k0, k0 + kc), to [kc][16]; rows beyond n1 become zeros. */
static inline __attribute__((always_inline)) void pack_w_typed(const cara_gemm *g, size_t n0,
                                                               size_t n1, size_t k0, size_t kc,
                                                               float *dst,
                                                               const cara_weight_type type) {
    for (size_t half = 0; half < 2; half++) {
        size_t j0 = n0 + half * 8, rows = j0 < n1 ? cara_min_size(n1 - j0, 8) : 0;
        const char *src[8];
        for (size_t i = 0; i < 8; i++)
            src[i] = (const char *)cara_weight_row(g->w, type, g->k, i < rows ? j0 + i : n0) +
                     k0 * cara_weight_size(type);
        for (size_t p = 0; p < kc; p += 8) {
            size_t n = cara_min_size(kc - p, 8), at = p * cara_weight_size(type);
            __m256 r[8];
            for (size_t i = 0; i < 8; i++)
                r[i] = i >= rows ? _mm256_setzero_ps()
                       : n == 8  ? cara_widen_8(src[i] + at, type)
                                 : cara_widen_n(src[i] + at, type, n);
            cara_transpose_8(r);
            for (size_t i = 0; i < n; i++)
                _mm256_store_ps(dst + (p + i) * CARA_NR + half * 8, r[i]);
        }
    }
}

void cara_avx2_pack_w(const cara_gemm *g, size_t n0, size_t n1, size_t k0, size_t kc, float *dst) {
    for (size_t j = n0; j < n1; j += CARA_NR, dst += kc * CARA_NR) {
        if (g->type == CARA_WEIGHT_F16)
            pack_w_typed(g, j, n1, k0, kc, dst, CARA_WEIGHT_F16);
        else if (g->type == CARA_WEIGHT_F32)
            pack_w_typed(g, j, n1, k0, kc, dst, CARA_WEIGHT_F32);
        else
            pack_w_typed(g, j, n1, k0, kc, dst, CARA_WEIGHT_BF16);
    }
}

/* Rows [m0, m1) of a, steps [k0, k0 + kc), to panels [kc][6]; rows beyond m1 become zeros. */
void cara_avx2_pack_a(const cara_gemm *g, size_t m0, size_t m1, size_t k0, size_t kc, float *dst) {
    for (size_t i = m0; i < m1; i += CARA_MR, dst += kc * CARA_MR) {
        size_t rows = cara_min_size(m1 - i, CARA_MR);
        const float *src = g->a + i * g->lda + k0;
        size_t p = 0;
        for (; rows == CARA_MR && p + 8 <= kc; p += 8) {
            __m256 r[8];
            for (size_t l = 0; l < CARA_MR; l++)
                r[l] = _mm256_loadu_ps(src + l * g->lda + p);
            r[6] = r[7] = _mm256_setzero_ps();
            cara_transpose_8(r);
            /* Each store spills two zeros that the next one overwrites; the last takes no more
             * than its six. */
            float *to = dst + p * CARA_MR;
            for (size_t l = 0; l < 7; l++)
                _mm256_storeu_ps(to + l * CARA_MR, r[l]);
            cara_avx2_store_n(to + 7 * CARA_MR, r[7], CARA_MR);
        }
        for (; p < kc; p++)
            for (size_t l = 0; l < CARA_MR; l++)
                dst[p * CARA_MR + l] = l < rows ? src[l * g->lda + p] : 0;
    }
}

static void one_tile(const cara_gemm *g, size_t i, size_t rows, size_t j, size_t columns, size_t kc,
                     const float *a, const float *b, int first, int last) {
    const float *start = !first ? g->c : g->gelu ? NULL : g->residual;
    size_t n[2] = {cara_min_size(columns, 8), columns > 8 ? columns - 8 : 0};
    cara_tile t;
    for (size_t l = 0; l < CARA_MR; l++)
        for (size_t h = 0; h < 2; h++)
            t.at[l][h] = start && l < rows && n[h]
                             ? cara_load_n(start + (i + l) * g->ldc + j + h * 8, n[h])
                             : _mm256_setzero_ps();
    cara_tile_add(&t, kc, a, 1, CARA_MR, b, CARA_NR);
    for (size_t h = 0; h < 2 && n[h]; h++) {
        size_t at = j + h * 8;
        __m256 bias = last && g->bias ? cara_load_n(g->bias + at, n[h]) : _mm256_setzero_ps();
        for (size_t l = 0; l < rows; l++) {
            __m256 y = _mm256_add_ps(t.at[l][h], bias);
            size_t place = (i + l) * g->ldc + at;
            if (last && g->gelu) {
                y = cara_gelu_8(y);
                if (g->residual)
                    y = _mm256_add_ps(y, cara_load_n(g->residual + place, n[h]));
            }
            cara_avx2_store_n(g->c + place, y, n[h]);
        }
    }
}

void cara_avx2_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1, void *scratch) {
    cara_gemm_walk(g, m0, m1, n0, n1, scratch,
                   (cara_gemm_parts){CARA_KC, CARA_MC, CARA_NC, CARA_MR, CARA_NR, cara_avx2_pack_w,
                                     cara_avx2_pack_a, one_tile});
}

/* Four rows of w against up to three rows of a. Each sum has one accumulator, whatever it is
 * grouped with, so that a row's result does not depend on the others. */
#define GROUP_N 4

static inline __attribute__((always_inline)) void dots(const cara_gemm *g, size_t i,
                                                       const size_t rows, size_t j,
                                                       const size_t columns,
                                                       const cara_weight_type type) {
    __m256 sum[3][GROUP_N];
    const char *w[GROUP_N];
    const float *a[3];
    const size_t size = type == CARA_WEIGHT_F32 ? 4 : 2;
    for (size_t c = 0; c < columns; c++)
        w[c] = cara_weight_row(g->w, type, g->k, j + c);
    for (size_t r = 0; r < rows; r++) {
        a[r] = g->a + (i + r) * g->lda;
        for (size_t c = 0; c < columns; c++)
            sum[r][c] = _mm256_setzero_ps();
    }
    size_t p = 0;
    for (; p + 8 <= g->k; p += 8) {
        __m256 x[3];
        for (size_t r = 0; r < rows; r++)
            x[r] = _mm256_loadu_ps(a[r] + p);
        for (size_t c = 0; c < columns; c++) {
            __m256 y = cara_widen_8(w[c] + p * size, type);
            for (size_t r = 0; r < rows; r++)
                sum[r][c] = _mm256_fmadd_ps(x[r], y, sum[r][c]);
        }
    }
    if (p < g->k)
        for (size_t c = 0; c < columns; c++) {
            __m256 y = cara_widen_n(w[c] + p * size, type, g->k - p);
            for (size_t r = 0; r < rows; r++)
                sum[r][c] = _mm256_fmadd_ps(cara_load_n(a[r] + p, g->k - p), y, sum[r][c]);
        }
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            size_t place = (i + r) * g->ldc + j + c;
            float y = cara_sum_8(sum[r][c]) + (g->bias ? g->bias[j + c] : 0);
            if (g->gelu)
                y = _mm256_cvtss_f32(cara_gelu_8(_mm256_set1_ps(y)));
            g->c[place] = y + (g->residual ? g->residual[place] : 0);
        }
}

static inline __attribute__((always_inline)) void
gemv_typed(const cara_gemm *g, size_t n0, size_t n1, const cara_weight_type type) {
    size_t j = n0;
    /* All rows of a pass over four rows of w before the next four: those stay in the first cache.
     */
    for (; j + GROUP_N <= n1; j += GROUP_N) {
        size_t i = 0;
        for (; i + 3 <= g->m; i += 3)
            dots(g, i, 3, j, GROUP_N, type);
        if (g->m - i == 2)
            dots(g, i, 2, j, GROUP_N, type);
        else if (g->m - i == 1)
            dots(g, i, 1, j, GROUP_N, type);
    }
    for (; j < n1; j++)
        for (size_t i = 0; i < g->m; i++)
            dots(g, i, 1, j, 1, type);
}

void cara_avx2_gemv(const cara_gemm *g, size_t n0, size_t n1) {
    if (g->type == CARA_WEIGHT_F16)
        gemv_typed(g, n0, n1, CARA_WEIGHT_F16);
    else if (g->type == CARA_WEIGHT_F32)
        gemv_typed(g, n0, n1, CARA_WEIGHT_F32);
    else
        gemv_typed(g, n0, n1, CARA_WEIGHT_BF16);
}

/* The loops of an operation, which levels share; each level supplies its multiplication. Inlined
 * into each, so that calls to constants are direct. */
#ifndef KERNELS_COMMON_WALKS_H
#define KERNELS_COMMON_WALKS_H

#include "kernels/common/common.h"

#include <math.h>
#include <string.h>

/* A product by packed panels (Goto's scheme). */
typedef struct cara_gemm_parts {
    size_t kc, mc, nc;    /* a packed block: steps, rows of a, columns of w */
    size_t rows, columns; /* of a register tile; panels of a have as many rows */
    void (*pack_w)(const cara_gemm *g, size_t n0, size_t n1, size_t k0, size_t kc, float *dst);
    void (*pack_a)(const cara_gemm *g, size_t m0, size_t m1, size_t k0, size_t kc, float *dst);
    /* One register tile over a block of k. Partial sums rest in c between blocks: a residual that
     * may be c itself is therefore taken up by the first block, where there is no GELU between. */
    void (*tile)(const cara_gemm *g, size_t i, size_t rows, size_t j, size_t columns, size_t kc,
                 const float *a, const float *b, int first, int last);
} cara_gemm_parts;

/* cara_kernels.gemm; scratch holds (nc + mc) * kc floats. */
static inline __attribute__((always_inline)) void cara_gemm_walk(const cara_gemm *g, size_t m0,
                                                                 size_t m1, size_t n0, size_t n1,
                                                                 void *scratch,
                                                                 const cara_gemm_parts parts) {
    float *w = scratch, *a = w + parts.nc * parts.kc;
    size_t k0 = 0;
    do { /* once where k is 0 */
        size_t kc = cara_min_size(g->k - k0, parts.kc);
        int first = k0 == 0, last = k0 + kc == g->k;
        parts.pack_w(g, n0, n1, k0, kc, w);
        for (size_t i0 = m0; i0 < m1; i0 += parts.mc) {
            size_t i1 = cara_min_size(i0 + parts.mc, m1);
            parts.pack_a(g, i0, i1, k0, kc, a);
            for (size_t j = n0; j < n1; j += parts.columns)
                for (size_t i = i0; i < i1; i += parts.rows)
                    parts.tile(g, i, cara_min_size(i1 - i, parts.rows), j,
                               cara_min_size(n1 - j, parts.columns), kc, a + (i - i0) * kc,
                               w + (j - n0) * kc, first, last);
        }
        k0 += kc;
    } while (k0 < g->k);
}

#define CARA_FEW_KV 256 /* keys of a block */

/* Attention of few queries. */
typedef struct cara_few_parts {
    /* Dots of key j with each query, in units of ln 2, to score[query][at]: the key is read once.
     */
    void (*score)(const cara_attend *a, size_t j, float score[CARA_FEW_ROWS][CARA_FEW_KV],
                  size_t at);
    /* Scores [n] to 2^(score - top), top and sum brought up to date; by what sums must shrink. */
    float (*softmax_block)(float *score, size_t n, float *top, float *sum);
    /* acc [d] = shrink * acc + score [n] · values from k0 on. */
    void (*add_values)(const cara_attend *a, size_t k0, size_t n, float shrink, const float *score,
                       float *acc);
} cara_few_parts;

/* cara_kernels.attend_few. */
static inline __attribute__((always_inline)) void cara_few_walk(const cara_attend *a,
                                                                const cara_few_parts parts) {
    _Alignas(64) float score[CARA_FEW_ROWS][CARA_FEW_KV];
    _Alignas(64) float acc[CARA_FEW_ROWS][CARA_HEAD_DIM_MAX];
    float top[CARA_FEW_ROWS], sum[CARA_FEW_ROWS];
    for (size_t i = 0; i < a->n_q; i++) {
        top[i] = -INFINITY;
        sum[i] = 0;
        memset(acc[i], 0, a->d * sizeof **acc);
    }
    for (size_t k0 = 0; k0 < a->n_kv; k0 += CARA_FEW_KV) {
        size_t n = cara_min_size(a->n_kv - k0, CARA_FEW_KV);
        for (size_t j = 0; j < n; j++)
            parts.score(a, k0 + j, score, j);
        for (size_t i = 0; i < a->n_q; i++) {
            size_t visible = cara_visible_keys(a, i),
                   here = visible > k0 ? cara_min_size(visible - k0, n) : 0;
            if (!here)
                continue;
            float shrink = parts.softmax_block(score[i], here, &top[i], &sum[i]);
            parts.add_values(a, k0, here, shrink, score[i], acc[i]);
        }
    }
    for (size_t i = 0; i < a->n_q; i++)
        for (size_t c = 0; c < a->d; c++)
            a->out[i * a->ldo + c] = acc[i][c] / sum[i];
}

#endif

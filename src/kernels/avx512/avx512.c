/* AVX-512: products and attention in f32, and the tables of its levels. Memory-bound kernels and
 * those of rows are AVX2's. */
#include "kernels/avx512/vectors.h"

#include "kernels/avx512/avx512.h"
#include "kernels/common/walks.h"

#define CARA_DOT(c, x, w) c = cara_fma_16(x, w, c)
CARA_512_TILES

#define ATTEND_PAIR 1
#include "kernels/avx512/attend_rows.h"

void cara_avx512_attend(const cara_attend *a, void *scratch) {
    attend_in_blocks(a, scratch);
}

/* GELU as cara_gelu_8() of avx2/vectors.h. */
static inline cara_v16 gelu_16(cara_v16 x) {
    cara_v16 a = (cara_v16)((cara_v16i)x & 0x7fffffff);
    cara_v16 z = a * 0.70710678118654752f;
    cara_v16 t = 1.0f / cara_fma_16(cara_all_16(0.3275911f), z, cara_all_16(1.0f));
    cara_v16 p = cara_fma_16(cara_all_16(1.061405429f), t, cara_all_16(-1.453152027f));
    p = cara_fma_16(p, t, cara_all_16(1.421413741f));
    p = cara_fma_16(p, t, cara_all_16(-0.284496736f));
    p = cara_fma_16(p, t, cara_all_16(0.254829592f)) * t;
    cara_v16 lost = 0.5f * a * (p * cara_exp_16(-(z * z)));
    return cara_vmax_16(x, (cara_v16){0}) - lost;
}

/* A tile of at most 6 x 64. Partial sums rest in c between blocks of k, as in avx2/gemm.c. */
static void one_tile(const cara_gemm *g, size_t i, size_t rows, size_t j, size_t columns, size_t kc,
                     const float *a, const float *b, int first, int last) {
    _Alignas(64) float c[CARA_512_ROWS][64];
    const float *start = !first ? g->c : g->gelu ? NULL : g->residual;
    size_t panels = (columns + 15) / 16;
    if (start)
        for (size_t l = 0; l < CARA_512_ROWS; l++)
            for (size_t h = 0; h < columns; h += 16)
                cara_avx512_store_16(
                    &c[l][h], l < rows
                                  ? cara_load_n16(start + (i + l) * g->ldc + j + h, columns - h)
                                  : (cara_v16){0});
    tile(panels, kc, a, 1, CARA_512_ROWS, b, kc * 16, &c[0][0], 64, !start);
    for (size_t h = 0; h < columns; h += 16) {
        size_t n = columns - h;
        cara_v16 bias = last && g->bias ? cara_load_n16(g->bias + j + h, n) : (cara_v16){0};
        for (size_t l = 0; l < rows; l++) {
            size_t place = (i + l) * g->ldc + j + h;
            cara_v16 y = cara_load_16(&c[l][h]) + bias;
            if (last && g->gelu) {
                y = gelu_16(y);
                if (g->residual)
                    y += cara_load_n16(g->residual + place, n);
            }
            cara_avx512_store_n16(g->c + place, y, n);
        }
    }
}

void cara_avx512_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1,
                      void *scratch) {
    cara_gemm_walk(g, m0, m1, n0, n1, scratch,
                   (cara_gemm_parts){CARA_512_KC, CARA_512_MC, CARA_512_NC, CARA_512_ROWS, 64,
                                     cara_avx2_pack_w, cara_avx2_pack_a, one_tile});
}

const cara_kernels cara_kernels_avx512 =
    CARA_512_TABLE(CARA_CPU_AVX512, cara_i8_avx2, cara_avx512_attend, CARA_512_ROWS);
const cara_kernels cara_kernels_avx512vnni =
    CARA_512_TABLE(CARA_CPU_AVX512VNNI, cara_i8_avx512vnni, cara_avx512_attend, CARA_512_ROWS);
const cara_kernels cara_kernels_avx512vnni_bf16 =
    CARA_512_TABLE(CARA_CPU_AVX512VNNI, cara_i8_avx512vnni, cara_avx512_attend_bf16, CARA_512_ROWS);

/* AVX-512's tables and functions, and how a table of its levels and of AMX's is filled. */
#ifndef KERNELS_AVX512_AVX512_H
#define KERNELS_AVX512_AVX512_H

#include "kernels/avx2/avx2.h"

extern const cara_kernels cara_kernels_avx512, cara_kernels_avx512vnni;
extern const cara_kernels cara_kernels_avx512vnni_bf16;

void cara_avx512_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1,
                      void *scratch);
void cara_avx512_attend(const cara_attend *a, void *scratch);
void cara_avx512_attend_bf16(const cara_attend *a, void *scratch);

/* Blocks of a product: 6-row panels of a and 16-column panels of w, as avx2/gemm.c packs them. */
#define CARA_512_KC 384
#define CARA_512_MC 120
#define CARA_512_NC 256

#define CARA_512_TABLE(its_level, its_i8, coarse, rows)                                            \
    {                                                                                              \
        .level = its_level, .gemm_tile_m = 4 * CARA_512_MC + 24, .gemm_tile_n = CARA_512_NC,       \
        .gemm_scratch = (size_t)(CARA_512_NC + CARA_512_MC) * CARA_512_KC * sizeof(float),         \
        .attend_scratch = CARA_512_ATTEND_SCRATCH(rows), .gemm = cara_avx512_gemm,                 \
        .gemv = cara_avx2_gemv, .attend = cara_avx512_attend, .attend_coarse = coarse,             \
        .attend_queries = CARA_512_ATTEND_Q, .attend_few = cara_avx2_attend_few,                   \
        .attend_f16 = cara_avx2_attend_f16, .narrow = cara_avx2_narrow,                            \
        .attend_i8 = cara_avx2_attend_i8, .block_keys = cara_avx2_block_keys,                      \
        .block_values = cara_avx2_block_values, .i8 = &its_i8, .layer_norm = cara_avx2_layer_norm, \
        .softmax = cara_avx2_softmax, .log_sum_exp = cara_avx2_log_sum_exp,                        \
        .widen = cara_avx2_widen,                                                                  \
    }

#endif

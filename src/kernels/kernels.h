/* Arithmetic, as a table of functions for one CPU level.
 *
 * Tables are filled from scalar upward; a level inherits the functions that it lacks. A kernel
 * never makes threads: callers split rows or columns over a pool. How they split never changes a
 * result: each output is summed in an order that depends on its own row and column only. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "base/error.h"
#include "kernels/i8.h"

#include <stddef.h>
#include <stdint.h>

typedef enum cara_cpu_level {
    CARA_CPU_SCALAR = 0,
    CARA_CPU_AVX2,       /* AVX2, FMA, F16C */
    CARA_CPU_AVXVNNI,    /* and AVX-VNNI */
    CARA_CPU_AVX512,     /* AVX2's and AVX-512 F, BW, DQ, VL */
    CARA_CPU_AVX512VNNI, /* and AVX-512 VNNI; BF16 is used where it is there */
    CARA_CPU_AMX,        /* and AMX-INT8, with the system's permission for tile data */
    CARA_CPU_NEON,       /* Armv8.2 with dotprod */
    CARA_CPU_LEVELS
} cara_cpu_level;

/* How weights are stored; products accumulate in f32 whatever it is. */
typedef enum cara_weight_type {
    CARA_WEIGHT_F32 = 0,
    CARA_WEIGHT_F16,
    CARA_WEIGHT_BF16
} cara_weight_type;

/* c = act(a · wᵀ + bias) + residual; the shape of nn.Linear. Pointers need no alignment beyond that
 * of their type. */
typedef struct cara_gemm {
    size_t m, n, k;
    const float *a; /* [m, k], rows lda apart */
    size_t lda;
    const void *w; /* [n, k], row-major */
    cara_weight_type type;
    int gelu;              /* act is the exact GELU, else the identity */
    const float *bias;     /* [n], or NULL */
    const float *residual; /* [m, n], rows ldc apart, or NULL; may be c itself unless gelu is set */
    float *c;              /* [m, n], rows ldc apart; overlaps neither a nor w */
    size_t ldc;
} cara_gemm;

/* One head of attention: out = softmax(scale * q · kᵀ) · v. Rows of each are ld* floats apart. */
#define CARA_HEAD_DIM_STEP 16
#define CARA_HEAD_DIM_MAX 128
typedef struct cara_attend {
    size_t n_q, n_kv; /* n_kv > 0 */
    size_t d;         /* head width: a multiple of 16, at most 128 */
    const float *q;   /* [n_q, d] */
    size_t ldq;
    const float *k; /* [n_kv, d] */
    size_t ldk;
    const float *v; /* [n_kv, d] */
    size_t ldv;
    float *out; /* [n_q, d]; may be q itself */
    size_t ldo;
    float scale;
    int causal; /* the last query attends to all n_kv keys, the one before it one fewer, and so on
                 */
} cara_attend;

/* One head of attention for few queries over keys and values that were narrowed to f16 once:
 * half the memory to read for each token. */
typedef struct cara_attend_f16 {
    size_t n_q, n_kv; /* 0 < n_q <= CARA_FEW_ROWS, 0 < n_kv */
    size_t d;         /* as in cara_attend */
    const float *q;   /* [n_q, d] */
    size_t ldq;
    const uint16_t *k; /* panels of 16 keys: [ceil(n_kv / 16)][d][16] */
    const uint16_t *v; /* [n_kv, d] */
    float *out;        /* [n_q, d] */
    size_t ldo;
    float scale;
} cara_attend_f16;

static inline size_t cara_f16_keys_count(size_t n_kv, size_t d) {
    return (n_kv + 15) / 16 * 16 * d;
}

/* The same over keys and values in int8: each block of CARA_I8_KEYS of them has a scale for each of
 * its d channels. */
#define CARA_I8_KEYS 96
typedef struct cara_attend_i8 {
    size_t n_q, n_kv; /* 0 < n_q <= CARA_FEW_ROWS, 0 < n_kv */
    size_t d;         /* as in cara_attend */
    const float *q;   /* [n_q, d] */
    size_t ldq;
    const int8_t *k;      /* panels of 16 keys: [ceil(n_kv / 16)][d][16] */
    const int8_t *v;      /* [n_kv, d] */
    const float *k_scale; /* [ceil(n_kv / CARA_I8_KEYS), d] */
    const float *v_scale; /* the same */
    float *out;           /* [n_q, d] */
    size_t ldo;
    float scale;
} cara_attend_i8;

#define CARA_FEW_ROWS 8 /* up to so many rows gemv and attend_few are meant for */

typedef struct cara_kernels {
    cara_cpu_level level;

    /* gemm works on tiles of at most tile_n columns (any number of rows); tile_m rows make a task
     * that is worth its packing. */
    size_t gemm_tile_m, gemm_tile_n;
    size_t gemm_scratch;   /* bytes that gemm needs, 64-byte aligned */
    size_t attend_scratch; /* bytes that attend needs, 64-byte aligned */

    /* The tile [m0, m1) x [n0, n1) of g->c. n1 - n0 <= gemm_tile_n. */
    void (*gemm)(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1, void *scratch);
    /* Columns [n0, n1) for all g->m rows: each row of w is read from memory once. */
    void (*gemv)(const cara_gemm *g, size_t n0, size_t n1);

    /* Blockwise with a running softmax, so that scores never leave the cache; for many queries. */
    void (*attend)(const cara_attend *a, void *scratch);
    /* The same with what the level has for speed (bf16 or 16-bit integers): for models whose
     * weights are coarser still. */
    void (*attend_coarse)(const cara_attend *a, void *scratch);
    size_t attend_queries; /* queries of a task that is worth its packing */
    /* Reads each key and value once for all queries; n_q <= CARA_FEW_ROWS. */
    void (*attend_few)(const cara_attend *a);
    void (*attend_f16)(const cara_attend_f16 *a);
    void (*attend_i8)(const cara_attend_i8 *a);
    /* A block of n <= CARA_I8_KEYS keys or values [n, d], rows ld apart, to the layouts of
     * cara_attend_i8 and its scales [d]. Missing keys of the last panel become zeros. */
    void (*block_keys)(const float *k, size_t ld, size_t n, size_t d, int8_t *dst, float *scale);
    void (*block_values)(const float *v, size_t ld, size_t n, size_t d, int8_t *dst, float *scale);
    const cara_i8_ops *i8;

    /* nn.LayerNorm, eps 1e-5, of one row; x and y may be the same. */
    void (*layer_norm)(const float *x, const float *weight, const float *bias, size_t n, float *y);
    /* In place; -inf gives 0, and at least one element is finite. */
    void (*softmax)(float *x, size_t n);
    /* log(sum(exp(x))); -inf counts nothing, and at least one element is finite. */
    float (*log_sum_exp)(const float *x, size_t n);
    /* Stored weights to f32. */
    void (*widen)(cara_weight_type type, const void *src, float *dst, size_t n);
    /* f32 to f16, as the f16 cache holds; what f16 cannot hold becomes the nearest it can. */
    void (*narrow)(const float *src, uint16_t *dst, size_t n);
} cara_kernels;

const char *cara_cpu_level_name(cara_cpu_level level); /* "scalar", "avx2", ... */

/* The highest level of this machine (cpuid and XGETBV). */
cara_cpu_level cara_cpu_detect(void);

/* 1 where this machine and this build have the level. */
int cara_cpu_has(cara_cpu_level level);

/* Picks a level by name; NULL or "" means the best. Fails with CARA_ERR_CPU where the name is
 * unknown or the machine lacks it, naming those it has. */
int cara_cpu_pick(const char *name, cara_cpu_level *out, cara_error *err);

/* The table of a level that this machine has, for this machine; static and read-only. */
const cara_kernels *cara_kernels_for(cara_cpu_level level);

#endif

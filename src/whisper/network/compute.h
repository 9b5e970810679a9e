/* The context of every numeric function of this room: the model, the kernels and the threads; and
 * the operations that are split over those threads. */
#ifndef WHISPER_COMPUTE_H
#define WHISPER_COMPUTE_H

#include "base/memory/arena.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "model/weights.h"

typedef struct cara_compute {
    const cara_model *model;
    const cara_weights *weights; /* used instead of the model's own; NULL: none */
    const cara_kernels *kernels;
    cara_pool *pool; /* NULL: this thread alone */
    /* Polled per layer and per token; non-zero stops with CARA_ERR_CANCELLED. May be NULL. */
    int (*poll)(void *cookie);
    void *cookie;
} cara_compute;

static inline const cara_weights *cara_compute_weights(const cara_compute *compute) {
    return compute->weights ? compute->weights : cara_model_weights(compute->model);
}

/* CARA_ERR_CANCELLED where the caller wants to stop. */
int cara_compute_poll(const cara_compute *compute, cara_error *err);

/* Scratch of one thread each, for the kernels; and what the threads share. */
typedef struct cara_scratch {
    char *memory;      /* 64-byte aligned */
    size_t per_thread; /* bytes, a multiple of 64 */
    void *quantised;   /* the rows that cara_products_run() quantises for int8 weights */
} cara_scratch;

/* From the arena, for every thread of the pool; products by int8 weights have at most `rows` rows
 * of `k` inputs (0 where none are run). -1 on no memory. */
int cara_scratch_init(cara_scratch *scratch, const cara_compute *compute, size_t rows, size_t k,
                      cara_arena *arena);

/* Bytes that quantised rows take at most, for any number of rows up to `rows`. */
size_t cara_quantised_size(const cara_compute *compute, size_t rows, size_t k);

/* count * size bytes, 64-byte aligned, which use memory only as they are written; to be freed with
 * free(). NULL where there is none. */
void *cara_alloc_untouched(size_t count, size_t size);

static inline void *cara_scratch_of(const cara_scratch *scratch, int thread) {
    return scratch->memory + (size_t)thread * scratch->per_thread;
}

/* nn.Linear ready for the kernels: its weights borrowed from the model, its bias widened. */
typedef struct cara_dense {
    const void *w; /* [n, k]; NULL where the weights are int8 */
    cara_weight_type type;
    size_t n, k;
    const float *bias;              /* [n], or NULL */
    const cara_tensor *narrow_bias; /* what cara_dense_load() has yet to widen into it, or NULL */
    cara_i8_weights i8;             /* packed is NULL where the weights are not int8 */
} cara_dense;

static inline int cara_dense_is_i8(const cara_dense *dense) {
    return dense->i8.packed != NULL;
}

/* nn.LayerNorm, widened. */
typedef struct cara_norm {
    const float *weight, *bias;                     /* [n] */
    const cara_tensor *narrow_weight, *narrow_bias; /* as narrow_bias of cara_dense */
    size_t n;
} cara_norm;

/* MODEL_SHAPE where n_state does not fall into n_head heads of a width that the kernels take.
 * `side` is "audio" or "text". */
int cara_check_heads(const char *side, int32_t n_state, int32_t n_head, cara_error *err);

/* CARA_WEIGHT_* of a tensor; -1 where the kernels do not read its type or layout. */
int cara_weight_type_of(const cara_tensor *t, cara_weight_type *out);

/* Makes one ready from the types and shapes alone: no weight is read, since they may not have
 * arrived yet (cara_model_await()). MODEL_SHAPE where a weight's type or layout is not one that the
 * kernels read, MEMORY. `name` is for the error's text. A convolution's weight [out, in, 3] counts
 * as [out, in * 3]. */
int cara_dense_init(cara_dense *dense, const cara_linear *linear, const char *name,
                    cara_arena *arena, cara_error *err);
int cara_norm_init(cara_norm *norm, const cara_layer_norm *ln, const char *name, cara_arena *arena,
                   cara_error *err);

/* Widens the rest, once the weights have arrived. To be called before they are used. */
void cara_dense_load(cara_dense *dense, const cara_compute *compute);
void cara_norm_load(cara_norm *norm, const cara_compute *compute);

/* A positional embedding, borrowed from the model and widened as it is read. */
typedef struct cara_positions {
    const cara_tensor *tensor; /* [n, n_state] */
    cara_weight_type type;
} cara_positions;

/* As cara_dense_init(). */
int cara_positions_init(cara_positions *positions, const cara_tensor *tensor, const char *name,
                        cara_error *err);

/* Rows [first, first + n) to dst [n, n_state]; the weights are there. */
void cara_positions_read(const cara_positions *positions, const cara_compute *compute, size_t first,
                         size_t n, float *dst);

/* One product of a group that runs as one job: a group wakes the pool once, not once for each. */
typedef struct cara_product {
    const cara_dense *dense;
    const float *a; /* [m, k], rows lda apart */
    size_t lda;
    int gelu;
    const float *residual; /* [m, n], rows ldc apart, or NULL; may be c unless gelu is set */
    float *c;              /* [m, n], rows ldc apart */
    size_t ldc;
} cara_product;
#define CARA_PRODUCTS_MAX 4

/* All products have m rows. Few rows go through gemv, more through gemm. Where the weights are
 * int8, so are all of the group, and all have the same a. */
void cara_products_run(const cara_compute *compute, const cara_scratch *scratch, size_t m,
                       const cara_product *products, size_t n_products);

/* The same, except that float weights always go through gemv, so that a row's result does not
 * depend on the number of rows. */
void cara_products_run_few(const cara_compute *compute, const cara_scratch *scratch, size_t m,
                           const cara_product *products, size_t n_products);

/* One product of few enough rows for one thread, which need not share its work: inside a task.
 * quantise() comes first where the weights are int8; several products may use its result. */
typedef struct cara_rows {
    const cara_compute *compute;
    void *kernels;   /* a thread's scratch */
    void *quantised; /* [cara_quantised_size(rows, k)] */
} cara_rows;
void cara_rows_quantise(const cara_rows *rows, size_t m, const float *a, size_t lda, size_t k);
void cara_rows_run(const cara_rows *rows, size_t m, const cara_product *product);

/* y [m, norm->n] = layer norm of x [m, norm->n]. */
void cara_norm_run(const cara_compute *compute, const cara_norm *norm, size_t m, const float *x,
                   float *y);

/* Attention of n_head heads. Head h's queries and outputs begin at column h * d of rows
 * `ld_q`/`ld_o` apart; its keys and values begin `head_kv` floats after the last head's, rows
 * `ld_kv` apart. */
typedef struct cara_heads {
    size_t n_head, d, n_q, n_kv;
    const float *q;
    size_t ld_q;
    const float *k, *v;
    size_t ld_kv, head_kv;
    float *out;
    size_t ld_o;
    int causal;
    int coarse; /* attend_coarse will do */
} cara_heads;

/* n_groups of the same n_head and n_q, as one job: candidates with caches of their own. */
void cara_heads_run(const cara_compute *compute, const cara_scratch *scratch,
                    const cara_heads *heads, size_t n_groups);

/* The same over keys and values in f16 (cara_attend_f16); a head's begin head_k and head_v behind
 * the last one's. At most CARA_FEW_ROWS queries. */
typedef struct cara_heads_f16 {
    size_t n_head, d, n_q, n_kv;
    const float *q;
    size_t ld_q;
    const uint16_t *k, *v;
    size_t head_k, head_v;
    float *out;
    size_t ld_o;
} cara_heads_f16;

/* n_groups of the same n_head, as one job. */
void cara_heads_f16_run(const cara_compute *compute, const cara_heads_f16 *heads, size_t n_groups);

#endif

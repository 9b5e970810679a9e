/* One pass of the decoder over its weights: the rows that it computes, one for each token that is
 * fed, and the memory that it computes them in. */
#ifndef WHISPER_PASS_H
#define WHISPER_PASS_H

#include "whisper/network/compute.h"

/* The decoder's attention: n_head * d is n_text_state. */
typedef struct cara_text_shape {
    size_t n_layer, n_head, d;
} cara_text_shape;

/* A run of tokens in a pass. */
typedef struct cara_pass_run {
    size_t index; /* in the caller's list */
    int slot, audio;
    size_t at; /* position of its first token */
    size_t n;
    size_t first; /* its first row in the pass; cara_pass_add() sets it */
} cara_pass_run;

typedef struct cara_pass {
    const cara_compute *compute;
    cara_scratch scratch;
    cara_text_shape shape;
    size_t n_state;
    cara_pass_run *runs; /* [n_runs] longer runs first, then by audio */
    size_t n_runs;
    size_t rows, many; /* rows of the pass; the first `many` are those of longer runs */
    size_t rows_max;
    char *memory; /* of the buffers below */
    size_t memory_size;
    float *x, *norm, *q, *k, *v; /* [rows_max, n_state] */
    float *wide;                 /* [rows_max, 4 * n_state] */
} cara_pass;

/* A longer run has more tokens than kernels for few rows take. */
static inline int cara_pass_run_is_few(const cara_pass_run *run) {
    return run->n <= CARA_FEW_ROWS;
}

/* For passes of up to rows_max rows and runs_max runs; `compute` is borrowed. Products by int8
 * weights have at most `i8_rows` rows (0: there are none); `is_i8` where all are such, which need
 * no scratch per thread. Small parts come from the arena. -1 on no memory; cara_pass_free() then
 * frees what there is. */
int cara_pass_init(cara_pass *pass, const cara_compute *compute, const cara_text_shape *shape,
                   size_t rows_max, size_t runs_max, size_t i8_rows, int is_i8, cara_arena *arena);
void cara_pass_free(cara_pass *pass);

/* Empties it. */
void cara_pass_begin(cara_pass *pass);

/* Adds a run; 0 where its rows do not fit any more. */
int cara_pass_add(cara_pass *pass, cara_pass_run run);

/* Row of a token of the caller's run `index`, which is in the pass. */
size_t cara_pass_row(const cara_pass *pass, size_t index, size_t token);

/* Products [n] of all rows of the pass. Float weights: those of longer runs by gemm, the others by
 * gemv, so that the rest of the pass never changes a result. */
void cara_pass_products(const cara_pass *pass, const cara_product *products, size_t n);

#endif

/* What the encoder computes between one attention and the next, for int8 weights. There rows are
 * independent: a task computes some rows from attention's output to the next block's queries, keys
 * and values, so that intermediate values stay in its core's cache. */
#ifndef WHISPER_ENCODER_ROWS_H
#define WHISPER_ENCODER_ROWS_H

#include "whisper/network/block.h"

typedef struct cara_encoder_rows {
    /* Borrowed; set by the caller before cara_encoder_rows_init(). */
    const cara_compute *compute;
    const cara_scratch *scratch;
    const cara_dense *conv1, *conv2;
    const cara_positions *positions;
    const cara_norm *ln_post;
    size_t n_mels, n_state;
    float *x;   /* [n_ctx, n_state], the residual stream */
    float *qkv; /* [3, n_ctx, n_state]; attention writes its output in place of the queries */

    char *memory;      /* of the threads */
    size_t per_thread; /* bytes of one */
} cara_encoder_rows;

/* Memory for the threads, from the arena. -1 where there is none. */
int cara_encoder_rows_init(cara_encoder_rows *r, cara_arena *arena);

/* Convolutions and positions: the first 2 * n_ctx frames of mel [n_mels, row] to r->x. */
void cara_encoder_rows_convolve(const cara_encoder_rows *r, const float *mel, size_t row,
                                size_t n_ctx);

/* From attention's output of block `done` (NULL before the first one) to the queries, keys and
 * values of block `next`; where that is NULL to states [n_ctx, n_state], the encoder's output. */
void cara_encoder_rows_run(const cara_encoder_rows *r, size_t n_ctx, const cara_block *done,
                           const cara_block *next, float *states);

#endif

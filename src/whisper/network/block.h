/* A layer of the encoder or the decoder, ready for the kernels: what model/layers.h lists, by role.
 */
#ifndef WHISPER_BLOCK_H
#define WHISPER_BLOCK_H

#include "model/layers.h"
#include "whisper/network/compute.h"

typedef union cara_block_member {
    cara_dense dense;
    cara_norm norm;
} cara_block_member;

typedef struct cara_block {
    const cara_layer_table *table; /* which members it has, and of which kind */
    cara_block_member member[CARA_LAYER_ROLES];
} cara_block;

static inline const cara_dense *cara_block_dense(const cara_block *b, cara_layer_role role) {
    return &b->member[role].dense;
}

static inline const cara_norm *cara_block_norm(const cara_block *b, cara_layer_role role) {
    return &b->member[role].norm;
}

/* Layer `index`, whose weights are the cara_encoder_layer or cara_decoder_layer at `layer`. Errors
 * as cara_dense_init(). */
int cara_block_init(cara_block *b, const cara_layer_table *table, const void *layer, size_t index,
                    cara_arena *arena, cara_error *err);

/* Widens its biases and norms; the weights are there. */
void cara_block_load(cara_block *b, const cara_compute *compute);

/* How many of its linear layers have int8 weights, or (is_i8 0) float ones. */
size_t cara_block_count(const cara_block *b, int is_i8);

#endif

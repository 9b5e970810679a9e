/* What the encoder's files share. */
#ifndef WHISPER_ENCODER_PARTS_H
#define WHISPER_ENCODER_PARTS_H

#include "whisper/network/compute.h"
#include "whisper/network/encoder.h"

#define CARA_CONV_WIDTH 3 /* of both convolutions, padding 1 */

typedef struct cara_encoder_block {
    cara_norm attn_ln, mlp_ln;
    cara_dense query, key, value, out, mlp_0, mlp_2;
} cara_encoder_block;

struct cara_encoder {
    cara_compute compute;
    cara_arena arena;
    cara_scratch scratch;
    size_t full_ctx; /* n_audio_ctx: what all below has room for */
    size_t n_ctx, n_state, n_head, n_mels, n_layer;
    size_t loaded; /* 1 the convolutions and positions, and 1 each block, are there and widened */
    cara_dense conv1, conv2;
    cara_encoder_block *blocks; /* [n_layer] */
    cara_norm ln_post;
    const cara_tensor *positions; /* [n_ctx, n_state] */
    cara_weight_type positions_type;
    int by_rows; /* all blocks are int8: encoder_rows.c */
    float *x;    /* [n_ctx, n_state], the residual stream */
    float *norm; /* [n_ctx, n_state], layer norms; then attention's output */
    float *qkv;  /* [3, n_ctx, n_state]; before the blocks, conv1's output [2 * n_ctx, n_state] */
    float *wide; /* [n_ctx, 4 * n_state] in the MLP; before the blocks, the gathered windows:
                    [2 * n_ctx, n_mels * 3], then [n_ctx, n_state * 3]; NULL by rows */
    char *lanes; /* by rows: what each thread needs for its rows */
    size_t lane; /* bytes of one */
    const cara_encoder_probe *probe; /* or NULL */
};

/* Row t of dst holds, for each channel, the frames stride * t - 1, + 0, + 1 (zero outside), which
 * is the order of the weight [out, in, 3]: a convolution becomes a product. */
typedef struct cara_gather {
    const float *src;      /* channel c, frame f at src[c * channel + f * frame] */
    size_t channel, frame; /* steps in floats */
    size_t channels, frames, stride;
} cara_gather;
void cara_gather_rows(const cara_gather *g, size_t t0, size_t t1, float *dst);
cara_gather cara_gather_mel(const cara_encoder *e, const float *mel);
cara_gather cara_gather_conv1(const cara_encoder *e, const float *conv1);

/* Waits for the weights of stage `stage`, where that was not done yet: 0 the convolutions and
 * positions, 1 .. n_layer the blocks, with ln_post in the last. As cara_model_await(). */
int cara_encoder_load(cara_encoder *e, size_t stage, cara_error *err);

/* The attention of a block: queries, keys and values in e->qkv, to e->norm. */
void cara_encoder_attend(const cara_encoder *e, int coarse);

/* Shows the probe what stands behind block `layer`. */
void cara_encoder_show_layer(const cara_encoder *e, size_t layer);

/* ---- by rows ---- */

/* Memory for the threads' lanes. -1 where there is none. */
int cara_encoder_rows_init(cara_encoder *e);
int cara_encoder_rows_run(cara_encoder *e, const float *mel, float *states, cara_error *err);

#endif

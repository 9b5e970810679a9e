/* What the decoder's files share. */
#ifndef WHISPER_DECODER_PARTS_H
#define WHISPER_DECODER_PARTS_H

#include "whisper/compute.h"
#include "whisper/decoder.h"

typedef struct cara_decoder_block {
    cara_norm attn_ln, cross_ln, mlp_ln;
    cara_dense query, key, value, out;
    cara_dense cross_query, cross_key, cross_value, cross_out;
    cara_dense mlp_0, mlp_2;
} cara_decoder_block;

struct cara_decoder {
    cara_compute compute;
    cara_arena arena;
    cara_scratch scratch;
    size_t n_vocab, n_ctx, n_audio_ctx, n_state, n_head, d, n_layer, max_rows;
    cara_decoder_block *blocks; /* [n_layer] */
    cara_norm ln;
    cara_dense logits;                   /* the token embedding, which is also the output layer */
    const float *positions;              /* [n_ctx, n_state] */
    const cara_tensor *narrow_positions; /* as narrow_bias of cara_dense */
    size_t loaded;       /* layers that are there and widened; n_layer + 1: all else, too */
    int halves;          /* the audio's keys and values are kept in f16 */
    float *cross;        /* [n_layer, 2, n_head, n_audio_ctx, d] keys, values; or NULL */
    uint16_t *cross_f16; /* a layer: n_head keys, n_head values as cara_attend_f16; or NULL */
    char *lanes;         /* with halves: what each thread needs to make them */
    size_t lane;         /* bytes of one */
    float *cache;        /* [max_rows slots, n_layer, 2, n_head, n_ctx, d] */
    size_t slot_floats, kv_floats; /* of one slot; of its keys or values in one layer */
    int *slot, *next, *taken;      /* [max_rows] row's slot; scratch of reorder */
    size_t offset;                 /* positions that the caches hold */
    int has_audio;
    size_t rows_room;            /* rows that the buffers below hold */
    float *x, *norm, *q, *k, *v; /* [rows_room, n_state] */
    float *wide;                 /* [rows_room, 4 * n_state] */
    float *audio_kv;             /* [2, n_audio_ctx, n_state] on the way to `cross`; or NULL */
    cara_heads *heads;           /* [max_rows] */
};

/* Waits for the weights of stage `stage`, where that was not done yet: 0 .. n_layer - 1 the layers,
 * n_layer what is in none. As cara_model_await(). */
int cara_decoder_load(cara_decoder *d, size_t stage, cara_error *err);

/* ---- decoder_audio.c: the window's keys and values ---- */

/* Memory for them, in f16 where all that make them are int8. -1 where there is none. */
int cara_decoder_audio_init(cara_decoder *d);
void cara_decoder_audio_free(cara_decoder *d);

/* Attention of `rows` queries d->q over them, to d->norm. */
void cara_decoder_attend_audio(cara_decoder *d, size_t layer, size_t rows);

#endif

/* What the decoder's files share. */
#ifndef WHISPER_DECODER_PARTS_H
#define WHISPER_DECODER_PARTS_H

#include "whisper/network/compute.h"
#include "whisper/network/decoder.h"

typedef struct cara_decoder_block {
    cara_norm attn_ln, cross_ln, mlp_ln;
    cara_dense query, key, value, out;
    cara_dense cross_query, cross_key, cross_value, cross_out;
    cara_dense mlp_0, mlp_2;
} cara_decoder_block;

typedef struct cara_decoder_slot {
    int buffer; /* of the cache */
    int audio;
    size_t length; /* tokens that the buffer holds */
} cara_decoder_slot;

/* A run in a pass. */
typedef struct cara_planned {
    size_t run;   /* index in the caller's list */
    size_t first; /* its first row in the pass */
    size_t n;
    int few; /* n <= CARA_FEW_ROWS */
    int buffer, audio;
    size_t at; /* position of its first token */
} cara_planned;

struct cara_decoder {
    cara_compute compute;
    cara_arena arena;
    cara_scratch scratch;
    size_t n_vocab, n_ctx, n_audio_ctx, n_state, n_head, d, n_layer, n_audios, n_slots;
    cara_decoder_block *blocks; /* [n_layer] */
    cara_norm ln;
    cara_dense logits;            /* the token embedding, which is also the output layer */
    const cara_tensor *positions; /* [n_ctx, n_state], widened a row at a time */
    cara_weight_type positions_type;
    size_t loaded; /* layers that are there and widened; n_layer + 1: all else, too */
    int narrow;    /* caches are narrow: the audios' int8, the slots' f16 */

    /* The audios' keys and values. */
    float *cross;        /* [n_audios, n_layer, 2, n_head, n_audio_ctx, d] keys, values; or NULL */
    int8_t *cross_i8;    /* the same, as cara_attend_i8; or NULL */
    float *cross_scales; /* [n_audios, n_layer, 2, n_head, blocks of n_audio_ctx, d]; or NULL */
    char *lanes;         /* with narrow: what each thread needs to make them; may be `memory` */
    size_t lane;         /* bytes of one */
    float *audio_kv;     /* [2, n_audio_ctx, n_state] on the way to `cross`; or NULL */
    int *has_audio;      /* [n_audios] */
    size_t *audio_ctx;   /* [n_audios] positions that each has, at most n_audio_ctx */

    /* The slots' keys and values. */
    float *cache;             /* [n_slots, n_layer, 2, n_head, n_ctx, d]; or NULL */
    uint16_t *cache_f16;      /* the same, as cara_attend_f16; or NULL */
    cara_decoder_slot *slots; /* [n_slots] */
    cara_decoder_slot *next;  /* [n_slots] scratch of reorder */
    int *taken;               /* [n_slots] by buffer; the same */
    size_t *common;           /* [n_slots, n_slots] tokens that two buffers hold alike, from 0 on */

    /* One pass. */
    cara_planned *planned; /* [n_slots] longer runs first, then by audio */
    size_t n_planned;
    size_t rows, many; /* rows of the pass; the first `many` are those of longer runs */
    size_t rows_room;
    size_t memory_size;
    char *memory;                /* of the buffers below */
    float *x, *norm, *q, *k, *v; /* [rows_room, n_state] */
    float *wide;                 /* [rows_room, 4 * n_state] */
    cara_heads *heads;           /* [rows_room], or NULL */
    cara_heads_f16 *heads_f16;   /* [rows_room], or NULL */
    cara_attend_i8 *heads_i8;    /* [rows_room] first heads, or NULL */
    uint16_t *half;              /* [n_state] on the way to cache_f16 */
};

/* Waits for the weights of stage `stage`, where that was not done yet: 0 .. n_layer - 1 the layers,
 * n_layer what is in none. As cara_model_await(). */
int cara_decoder_load(cara_decoder *d, size_t stage, cara_error *err);

/* ---- decoder_audio.c: the audios' keys and values ---- */

/* Memory for them. -1 where there is none. */
int cara_decoder_audio_init(cara_decoder *d);
void cara_decoder_audio_free(cara_decoder *d);

/* Attention of the pass's queries d->q over them, to d->norm. */
void cara_decoder_attend_audio(cara_decoder *d, size_t layer);

/* ---- decoder_cache.c: the slots' keys and values ---- */

int cara_decoder_cache_init(cara_decoder *d);
void cara_decoder_cache_free(cara_decoder *d);

/* Keeps d->k and d->v of the pass's rows, then attention of d->q over each row's own past, to
 * d->norm. */
void cara_decoder_attend_cache(cara_decoder *d, size_t layer);

/* count * size bytes, 64-byte aligned and not touched yet: memory is taken as it is written. NULL
 * where there is none. */
void *cara_decoder_untouched(size_t count, size_t size);

#endif

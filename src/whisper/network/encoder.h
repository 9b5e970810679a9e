/* AudioEncoder of whisper/model.py: one 30 s window of mel to encoder states. */
#ifndef WHISPER_ENCODER_H
#define WHISPER_ENCODER_H

#include "whisper/network/compute.h"

typedef struct cara_encoder cara_encoder; /* scratch memory, reused between windows */

/* `compute` is copied, what it points to borrowed. Errors: MODEL_SHAPE, MEMORY. */
int cara_encoder_new(const cara_compute *compute, cara_encoder **out, cara_error *err);

/* mel [n_mels, 2 * n_audio_ctx] to states [n_audio_ctx, n_audio_state]. CANCELLED, and the errors
 * of cara_model_await(). */
int cara_encoder_run(cara_encoder *encoder, const float *mel, float *states, cara_error *err);

/* For measuring: functions that are called while the encoder runs. Either may be NULL. */
typedef struct cara_encoder_probe {
    /* The inputs [rows, k] of every product but the first convolution's, which it may change. Not
     * called where the blocks are int8. */
    void (*inputs)(void *ctx, float *a, size_t rows, size_t k);
    /* The residual stream [n_audio_ctx, n_audio_state] after a block. */
    void (*layer)(void *ctx, size_t layer, const float *x);
    void *ctx;
} cara_encoder_probe;

/* Borrowed until the encoder is freed or given NULL. */
void cara_encoder_set_probe(cara_encoder *encoder, const cara_encoder_probe *probe);

/* From now on runs compute only the first `n` positions of a window, 1 to n_audio_ctx: the first
 * 2 * n frames of its mel, whose rows stay as long as before, to states [n, n_audio_state]. */
void cara_encoder_set_ctx(cara_encoder *encoder, size_t n);

void cara_encoder_free(cara_encoder *encoder);

#endif

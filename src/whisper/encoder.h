/* AudioEncoder of whisper/model.py: one 30 s window of mel to encoder states. */
#ifndef WHISPER_ENCODER_H
#define WHISPER_ENCODER_H

#include "whisper/compute.h"

typedef struct cara_encoder cara_encoder; /* scratch memory, reused between windows */

int cara_encoder_new(const cara_compute *compute, cara_encoder **out, cara_error *err);

/* mel [n_mels, 2 * n_audio_ctx] to states [n_audio_ctx, n_audio_state]. CANCELLED, else succeeds.
 */
int cara_encoder_run(cara_encoder *encoder, const float *mel, float *states, cara_error *err);

void cara_encoder_free(cara_encoder *encoder);

#endif

/* TextDecoder of whisper/model.py with its caches, for several candidates over one window.
 *
 * All rows share the window's cross-attention keys and values and stand at the same offset; each
 * has a self-attention cache of its own. A window goes: set_audio, prompt, fork, step, step, ... */
#ifndef WHISPER_DECODER_H
#define WHISPER_DECODER_H

#include "whisper/compute.h"

typedef struct cara_decoder cara_decoder;

/* Room for max_rows candidates (best_of, and beams when they come). */
int cara_decoder_new(const cara_compute *compute, int max_rows, cara_decoder **out,
                     cara_error *err);

/* Computes the cross-attention keys and values from states [n_audio_ctx, n_audio_state]; forgets
 * the self-attention cache. CANCELLED. */
int cara_decoder_set_audio(cara_decoder *decoder, const float *states, cara_error *err);

/* Forgets the self-attention cache and keeps the audio, for another try at the same window. */
void cara_decoder_reset(cara_decoder *decoder);

/* Feeds n tokens to row 0 from offset 0 and writes logits [n_wanted, n_vocab] after the tokens at
 * the indices `wanted` (ascending, each < n). USAGE where n exceeds n_text_ctx, CANCELLED. */
int cara_decoder_prompt(cara_decoder *decoder, const int32_t *tokens, size_t n,
                        const size_t *wanted, size_t n_wanted, float *logits, cara_error *err);

/* Copies row 0's cache to rows 1..n_rows-1. */
void cara_decoder_fork(cara_decoder *decoder, int n_rows);

/* Row i goes on from what row source[i] was (kv cache rearrange of decoding.py). */
void cara_decoder_reorder(cara_decoder *decoder, const int *source, int n_rows);

/* Feeds one token to each row, writes logits [n_rows, n_vocab]. USAGE past n_text_ctx, CANCELLED.
 */
int cara_decoder_step(cara_decoder *decoder, const int32_t *tokens, int n_rows, float *logits,
                      cara_error *err);

void cara_decoder_free(cara_decoder *decoder);

#endif

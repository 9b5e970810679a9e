/* TextDecoder of whisper/model.py with its caches, for several audios and candidates at once.
 *
 * An *audio* holds the cross-attention keys and values of one window. A *slot* holds the
 * self-attention cache of one sequence of tokens: its length, and the audio that it attends to.
 * forward() is the only way to feed tokens: prompts, steps, beams, candidates, draft tokens and
 * windows of several files are all lists of runs, and one call reads each weight once for all of
 * them. The calls for one window:
 *
 *     set_audio(d, audio, states)
 *     start(d, slot, audio)                 empties the slot
 *     forward(d, {slot, prompt, n}, ...)    the logits of the wanted tokens
 *     fork(d, slot, slot, n)                candidates: slots [slot, slot + n) become copies
 *     forward(d, n runs of one token)       a step of all of them
 *     reorder(d, slot, source, n)           beams: each continues another one's tokens
 *     forward(d, {slot, draft, k})          k tokens at once, all their logits
 *     truncate(d, slot, length)             removes those that were wrong
 *
 * A run's logits do not depend on the other runs of a call, nor on how a call is split into
 * several: they are equal bit by bit. With int8 weights they also do not depend on how a sequence
 * is cut into runs. With float weights, runs of up to CARA_FEW_ROWS tokens give what single steps
 * give, bit by bit; longer runs use other kernels, whose sums differ by rounding. (So feed the same
 * prompt as one run, and verify at most CARA_FEW_ROWS tokens at a time.) */
#ifndef WHISPER_DECODER_H
#define WHISPER_DECODER_H

#include "whisper/network/compute.h"
#include "whisper/network/run.h"

typedef struct cara_decoder cara_decoder;

/* n_audios and n_slots at least 1. A slot's cache has memory once it is reserved, and costs it as
 * it is filled. `compute` is copied, what it points to borrowed. Errors: USAGE, MEMORY,
 * MODEL_SHAPE. */
int cara_decoder_new(const cara_compute *compute, int n_audios, int n_slots, cara_decoder **out,
                     cara_error *err);

/* Computes an audio's keys and values from states [n_audio_ctx, n_audio_state], and empties the
 * slots that attend to it. CANCELLED and the errors of cara_model_await(); the audio then counts as
 * never set. */
int cara_decoder_set_audio(cara_decoder *decoder, int audio, const float *states, cara_error *err);

/* From the audio's next cara_decoder_set_audio() on, its states are [n, n_audio_state], n from 1 to
 * n_audio_ctx, the initial value. Until then the audio counts as never set. */
void cara_decoder_set_audio_ctx(cara_decoder *decoder, int audio, size_t n);

/* Memory for slots [first, first + n), once, before each is used. USAGE (no such slots), MEMORY. */
int cara_decoder_reserve(cara_decoder *decoder, int first, int n, cara_error *err);

/* Empties a slot, which then attends to `audio`. Every slot starts with audio 0. */
void cara_decoder_start(cara_decoder *decoder, int slot, int audio);

/* Keeps only the slot's first `length` tokens; does nothing where it has no more. */
void cara_decoder_truncate(cara_decoder *decoder, int slot, size_t length);

/* Slots [first, first + n) become copies of `from`, which may be one of them. Only what they do not
 * have in common already is copied. */
void cara_decoder_fork(cara_decoder *decoder, int from, int first, int n);

/* Slot first + i continues what slot first + source[i] held, 0 <= source[i] < n (kv cache rearrange
 * of decoding.py). Permutations are free; of a source that is used twice, what the two do not have
 * in common already is copied. */
void cara_decoder_reorder(cara_decoder *decoder, int first, const int *source, int n);

/* Feeds all runs and writes logits [n_wanted, n_vocab]: those after the tokens at the indices
 * `wanted`, which ascend and count over all runs in order. On failure the slots are as before.
 * Errors: USAGE (a slot that would exceed n_text_ctx, an audio that was never set), CANCELLED. */
int cara_decoder_forward(cara_decoder *decoder, const cara_run *runs, size_t n_runs,
                         const size_t *wanted, size_t n_wanted, float *logits, cara_error *err);

/* Where the cross-attention of some heads goes, before its softmax (QKs of timing.py). */
typedef struct cara_alignment {
    const cara_alignment_head *heads; /* [n_heads] */
    size_t n_heads;
    float *scores; /* [n_heads, tokens of the run, positions of its audio] */
} cara_alignment;

/* cara_decoder_forward() of one run, with the scores of its tokens beside its logits, which are the
 * same. USAGE also where there is no such head. */
int cara_decoder_align(cara_decoder *decoder, const cara_run *run, const size_t *wanted,
                       size_t n_wanted, float *logits, const cara_alignment *alignment,
                       cara_error *err);

void cara_decoder_free(cara_decoder *decoder);

#endif

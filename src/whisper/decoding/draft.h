/* Speculative decoding: a small model guesses the next tokens, which the large one verifies in one
 * pass. The guesses obey the same rules of decoding; they decide how fast the large model decodes,
 * never what it says. */
#ifndef WHISPER_DRAFT_H
#define WHISPER_DRAFT_H

#include "whisper/decoding/decoding.h"
#include "whisper/network/compute.h"

typedef struct cara_draft cara_draft;

/* `compute` is the large model's: threads, kernels and poll are shared, and its decoder's weights
 * are what the small one's are compared with. With `quantise`, float weights become int8. `length`
 * is how many tokens to guess, 0: as many as seem to pay. Both models must outlive the draft.
 * Errors: VOCAB (another vocabulary), MODEL_SHAPE, MEMORY. */
int cara_draft_new(const cara_model *model, const cara_compute *compute, int quantise, int length,
                   cara_draft **out, cara_error *err);

/* A new window, its mel [n_mels, CARA_N_FRAMES] and the rules to decode it by, both borrowed until
 * the next one. Its first `audio_ctx` positions are encoded when the first guess is asked for. */
void cara_draft_hear(cara_draft *draft, const float *mel, size_t audio_ctx,
                     const cara_rules *rules);

/* Guesses for that window; borrows the draft. How many it makes follows from how often it was right
 * of late, and from what its own steps cost beside the large model's. */
cara_guesser cara_draft_guesser(cara_draft *draft);

/* Seconds spent in it since the last call of this. */
double cara_draft_seconds(cara_draft *draft);

void cara_draft_free(cara_draft *draft);

/* How many tokens to guess, at most `most`: the number that gives most tokens for what they cost.
 * `chance` is that of a guess being right, `step` what a step of the small model costs in steps of
 * the large one. */
size_t cara_draft_length(double chance, double step, size_t most);

#endif

/* Speculative decoding: a draft model proposes the next tokens, which the large model verifies in
 * one pass. Proposed tokens obey the same decoding rules; they change the speed of the large model,
 * never its result. */
#ifndef WHISPER_DRAFT_H
#define WHISPER_DRAFT_H

#include "whisper/backend/backend.h"
#include "whisper/decoding/rules.h"

#include <caracola/model.h>

#define CARA_MAX_DRAFT_TOKENS (CARA_FEW_ROWS - 1) /* proposed in one call, at most */

typedef struct cara_draft cara_draft;

/* Errors where `draft` cannot be a draft of `model`: VOCAB (another vocabulary), MODEL_SHAPE. */
int cara_draft_check(const cara_model *draft, const cara_model *model, cara_error *err);

/* `backend` is that of the draft model, with one audio and one slot; it is freed with the draft, on
 * failure it stays the caller's. `step` is what a step of it costs, in steps of the large model.
 * `length` is how many tokens to propose, 0: as many as the measured share of accepted ones is
 * worth. MEMORY. */
int cara_draft_new(cara_backend *backend, const cara_dims *dims, double step, int length,
                   cara_draft **out, cara_error *err);

/* A new window, its mel [n_mels, CARA_N_FRAMES] and the rules to decode it by, both borrowed until
 * the next one. Its first `audio_ctx` positions are encoded when tokens are first requested. */
void cara_draft_set_window(cara_draft *draft, const float *mel, size_t audio_ctx,
                           const cara_rules *rules);

/* Writes at most `most` tokens to follow tokens [n], of which those from `begin` on were sampled;
 * *n_out may be 0. Errors: those of the backend. */
int cara_draft_propose(cara_draft *draft, const int32_t *tokens, size_t n, size_t begin,
                       size_t most, int32_t *out, size_t *n_out, cara_error *err);

/* From now on the draft's work polls `stop`, as its backend does. Nothing where draft is NULL. */
void cara_draft_set_stop(cara_draft *draft, cara_backend_stop stop);

/* Seconds spent in it since the last call of this; 0 for NULL. */
double cara_draft_seconds(cara_draft *draft);

/* NULL is allowed. */
void cara_draft_free(cara_draft *draft);

/* How many tokens to propose, at most `most`: the number that gives the most tokens for their cost.
 * `chance` is the probability that a token is accepted, `step` as above. */
size_t cara_draft_length(double chance, double step, size_t most);

#endif

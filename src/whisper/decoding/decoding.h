/* One window to tokens, and which language is spoken: whisper/decoding.py. */
#ifndef WHISPER_DECODING_H
#define WHISPER_DECODING_H

#include "base/error.h"
#include "base/memory/arena.h"
#include "tokenizer/tokenizer.h"
#include "whisper/backend/backend.h"
#include "whisper/decoding/draft.h"
#include "whisper/decoding/random.h"
#include "whisper/decoding/rules.h"
#include "whisper/decoding/strategy.h"

#include <stddef.h>
#include <stdint.h>

#define CARA_MAX_CANDIDATES                                                                        \
    64 /* most that best_of or beam_size may ask for; slots of a session                           \
        */

/* What stays the same from window to window (DecodingTask's setup). */
typedef struct cara_decode_task {
    const cara_tokenizer *tokenizer;
    cara_rules rules;
    int32_t sot_sequence[4]; /* sot, language, task, no_timestamps */
    size_t n_sot_sequence;
    const int32_t *prefix; /* [n_prefix] text that every window begins with */
    size_t n_prefix;
    int32_t n_text_ctx;
    int32_t sample_len;    /* most tokens a window */
    double length_penalty; /* NaN: none */
} cara_decode_task;

/* One attempt at a window, which is audio 0 of the backend, in slots 0 to candidates - 1. */
typedef struct cara_attempt {
    const int32_t *prompt; /* [n_prompt]; its end is used where it is too long */
    size_t n_prompt;
    double temperature;
    int candidates;  /* beam_size, best_of, or 1 */
    double patience; /* of beam search; 0: none, greedy or sampled */
    /* NULL: none. Used only where decoding is greedy, which it never changes the result of. */
    cara_draft *draft;
} cara_attempt;

/* DecodingResult */
typedef struct cara_decoding {
    const int32_t *tokens; /* [n_tokens], without prompt and eot */
    size_t n_tokens;
    double temperature;
    double avg_logprob;
    double no_speech_prob;
    double compression_ratio;
    size_t drafted, drafted_right; /* tokens that a draft proposed; of these, accepted ones */
} cara_decoding;

/* Rows of logits [n_vocab] that an attempt wants at most. */
size_t cara_decode_logit_rows(const cara_attempt *attempt);

/* decode() of the window that the backend encoded last, in slots that are reserved. `logits` is
 * scratch, [cara_decode_logit_rows(), n_vocab]. The result is in the arena. Errors: MEMORY,
 * INTERNAL, and those of the backend (CANCELLED). */
int cara_decode(const cara_decode_task *task, const cara_attempt *attempt, cara_backend *backend,
                cara_random *random, float *logits, cara_arena *arena, cara_decoding *out,
                cara_error *err);

/* detect_language() for a multilingual vocabulary: *language is an index for cara_language_code().
 * `logits` is scratch, [n_vocab]. Errors: those of the backend. */
int cara_detect_language(const cara_tokenizer *tokenizer, const cara_kernels *kernels,
                         cara_backend *backend, float *logits, int *language, double *probability,
                         cara_error *err);

#endif

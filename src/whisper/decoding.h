/* One window to tokens, and which language is spoken: whisper/decoding.py. */
#ifndef WHISPER_DECODING_H
#define WHISPER_DECODING_H

#include "base/arena.h"
#include "base/error.h"
#include "tokenizer/tokenizer.h"
#include "whisper/random.h"
#include "whisper/rules.h"

#include <stddef.h>
#include <stdint.h>

#define CARA_MAX_CANDIDATES 64 /* most that best_of may ask for */

/* The text decoder over the window at hand, as these rules need it (Inference of decoding.py).
 * The members are the functions of whisper/decoder.h; tests put handmade logits here. */
typedef struct cara_inference {
    /* Starts anew: feeds tokens [n] to row 0, writes logits [n_wanted, n_vocab] after those at the
     * indices `wanted`, ascending. */
    int (*prompt)(void *ctx, const int32_t *tokens, size_t n, const size_t *wanted, size_t n_wanted,
                  float *logits, cara_error *err);
    /* Rows 1 to n_rows - 1 become copies of row 0. */
    void (*fork)(void *ctx, int n_rows);
    /* Row i goes on from what row source[i] was. */
    void (*reorder)(void *ctx, const int *source, int n_rows);
    /* Feeds tokens [n_rows], one to each row; writes logits [n_rows, n_vocab]. */
    int (*step)(void *ctx, const int32_t *tokens, int n_rows, float *logits, cara_error *err);
    void *ctx;
} cara_inference;

/* What stays the same from window to window (DecodingTask's setup). */
typedef struct cara_decode_task {
    const cara_tokenizer *tokenizer;
    cara_rules rules;
    int32_t sot_sequence[4]; /* sot, language, task, no_timestamps */
    size_t n_sot_sequence;
    int32_t n_text_ctx;
    int32_t sample_len;    /* most tokens a window */
    double length_penalty; /* NaN: none */
} cara_decode_task;

/* One try at a window. */
typedef struct cara_attempt {
    const int32_t *prompt; /* [n_prompt]; its end is used where it is too long */
    size_t n_prompt;
    double temperature;
    int candidates; /* best_of; 1 at temperature 0 */
} cara_attempt;

/* DecodingResult */
typedef struct cara_decoding {
    const int32_t *tokens; /* [n_tokens], without prompt and eot */
    size_t n_tokens;
    double temperature;
    double avg_logprob;
    double no_speech_prob;
    double compression_ratio;
} cara_decoding;

/* Rows of logits [n_vocab] that cara_decode() needs. */
int cara_decode_logit_rows(int candidates);

/* decode(). `logits` is scratch, [cara_decode_logit_rows(), n_vocab]. The outcome is in the arena.
 * Errors: MEMORY, and those of the inference (CANCELLED). */
int cara_decode(const cara_decode_task *task, const cara_attempt *attempt,
                const cara_inference *inference, cara_random *random, float *logits,
                cara_arena *arena, cara_decoding *out, cara_error *err);

/* detect_language() for a multilingual vocabulary: *language is an index for cara_language_code().
 * `logits` is scratch, [n_vocab]. Errors: those of the inference. */
int cara_detect_language(const cara_tokenizer *tokenizer, const cara_inference *inference,
                         float *logits, int *language, double *probability, cara_error *err);

/* Tokenizer.decode() as a string in the arena: ids as valid UTF-8. NULL where there is no memory.
 * A NUL byte, which no C string can hold, becomes U+FFFD like what is ill-formed. */
const char *cara_decode_text(const cara_tokenizer *tokenizer, const int32_t *ids, size_t n,
                             cara_arena *arena);

#endif

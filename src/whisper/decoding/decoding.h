/* One window to tokens, and which language is spoken: whisper/decoding.py. */
#ifndef WHISPER_DECODING_H
#define WHISPER_DECODING_H

#include "base/arena.h"
#include "base/error.h"
#include "tokenizer/tokenizer.h"
#include "whisper/decoding/random.h"
#include "whisper/decoding/rules.h"
#include "whisper/decoding/strategy.h"
#include "whisper/network/decoder.h"

#include <stddef.h>
#include <stdint.h>

#define CARA_MAX_CANDIDATES 64 /* most that best_of may ask for */

/* The text decoder over the window at hand, as these rules need it (Inference of decoding.py).
 * The members are the functions of whisper/decoder.h; tests put handmade logits here. */
typedef struct cara_inference {
    void (*start)(void *ctx, int slot);
    void (*truncate)(void *ctx, int slot, size_t length);
    void (*fork)(void *ctx, int from, int first, int n);
    void (*reorder)(void *ctx, int first, const int *source, int n);
    int (*forward)(void *ctx, const cara_run *runs, size_t n_runs, const size_t *wanted,
                   size_t n_wanted, float *logits, cara_error *err);
    void *ctx;
} cara_inference;

/* Foresees what the decoder will say, so that one pass can verify several tokens (draft.h). */
#define CARA_MAX_GUESSES (CARA_FEW_ROWS - 1)
typedef struct cara_guesser {
    /* Writes at most `most` tokens to follow tokens [n], of which those from `begin` on were
     * sampled; *n_out may be 0. Errors: those of an inference. */
    int (*guess)(void *ctx, const int32_t *tokens, size_t n, size_t begin, size_t most,
                 int32_t *out, size_t *n_out, cara_error *err);
    void *ctx;
} cara_guesser;

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
    int slot;       /* the first of `candidates` that are the window's own */
    /* NULL: none. Heard at temperature 0 with one candidate, where it never changes the outcome. */
    const cara_guesser *guesser;
} cara_attempt;

/* DecodingResult */
typedef struct cara_decoding {
    const int32_t *tokens; /* [n_tokens], without prompt and eot */
    size_t n_tokens;
    double temperature;
    double avg_logprob;
    double no_speech_prob;
    double compression_ratio;
    size_t n_guessed, n_guessed_right;
} cara_decoding;

/* Rows of logits [n_vocab] that an attempt wants at most. */
size_t cara_decode_logit_rows(const cara_attempt *attempt);

/* decode(). `logits` is scratch, [cara_decode_logit_rows(), n_vocab]. The outcome is in the arena.
 * Errors: MEMORY, and those of the inference (CANCELLED). */
int cara_decode(const cara_decode_task *task, const cara_attempt *attempt,
                const cara_inference *inference, cara_random *random, float *logits,
                cara_arena *arena, cara_decoding *out, cara_error *err);

/* The same in steps, for who decodes several windows side by side:
 *
 *     open(w, ...)
 *     while (!w->done)
 *         forward w->runs with other windows' (w->wanted counts from the first of its own tokens)
 *         take(w, its rows of logits)
 *     close(w, ...)
 *
 * What is borrowed must outlive the window: task, inference, random, arena, the attempt's prompt
 * and guesser. A window has nothing to free but its arena. */
typedef struct cara_window {
    int done;
    cara_run runs[CARA_MAX_CANDIDATES];
    size_t n_runs;
    size_t wanted[CARA_MAX_CANDIDATES];
    size_t n_wanted;

    const cara_decode_task *task;
    const cara_inference *inference;
    cara_attempt attempt;
    cara_strategy strategy;
    cara_sequences rows;
    size_t sot_index;
    int32_t sampled; /* tokens of each row */
    double no_speech_prob;
    int32_t guess[CARA_MAX_GUESSES];
    size_t n_guess, n_guessed, n_guessed_right;
} cara_window;

/* MEMORY, INTERNAL. Starts the attempt's first slot. */
int cara_window_open(cara_window *w, const cara_decode_task *task, const cara_attempt *attempt,
                     const cara_inference *inference, cara_random *random, cara_arena *arena,
                     cara_error *err);

/* Chooses tokens by logits [n_wanted, n_vocab], which it changes, and says what to feed next, or
 * that it is done. Errors: those of the guesser. */
int cara_window_take(cara_window *w, float *logits, cara_error *err);

/* The outcome of a window that is done, in the arena. MEMORY. */
int cara_window_close(cara_window *w, cara_arena *arena, cara_decoding *out, cara_error *err);

/* detect_language() for a multilingual vocabulary: *language is an index for cara_language_code().
 * `logits` is scratch, [n_vocab]. Errors: those of the inference. */
int cara_detect_language(const cara_tokenizer *tokenizer, const cara_kernels *kernels,
                         const cara_inference *inference, float *logits, int *language,
                         double *probability, cara_error *err);

/* Tokenizer.decode() as a string in the arena: ids as valid UTF-8. NULL where there is no memory.
 * A NUL byte, which no C string can hold, becomes U+FFFD like what is ill-formed. */
const char *cara_decode_text(const cara_tokenizer *tokenizer, const int32_t *ids, size_t n,
                             cara_arena *arena);

#endif

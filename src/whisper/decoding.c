#include "whisper/decoding.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "whisper/probability.h"
#include "whisper/strategy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const char *cara_decode_text(const cara_tokenizer *tokenizer, const int32_t *ids, size_t n,
                             cara_arena *arena) {
    cara_buf bytes;
    cara_buf_init(&bytes, CARA_LIMIT_RESULT_BYTES);
    char *text = NULL;
    if (!cara_tokenizer_decode(tokenizer, ids, n, &bytes)) {
        for (size_t i = 0; i < bytes.len; i++)
            if (!bytes.data[i])
                bytes.data[i] = (char)0xFF;
        text = cara_arena_alloc(arena, bytes.len + 1, 3);
        if (text)
            cara_utf8_replace(bytes.len ? bytes.data : "", bytes.len, text);
    }
    cara_buf_free(&bytes);
    return text;
}

/* compression_ratio() of whisper/utils.py; NaN where zlib has no memory. */
static double compression_ratio(cara_slice text) {
    uLongf n = compressBound((uLong)text.len);
    Bytef *packed = malloc(n);
    double ratio = NAN;
    if (packed && compress(packed, &n, text.ptr, (uLong)text.len) == Z_OK)
        ratio = (double)text.len / (double)n;
    free(packed);
    return ratio;
}

/* DecodingTask._get_initial_tokens() */
static int initial_tokens(const cara_decode_task *task, const cara_attempt *attempt,
                          cara_arena *arena, int32_t **tokens, size_t *n, size_t *sot_index) {
    size_t most = (size_t)(task->n_text_ctx / 2 - 1);
    size_t n_prompt = attempt->n_prompt < most ? attempt->n_prompt : most;
    /* room for all that can follow, and for the eot that may come on top */
    size_t cap = 1 + n_prompt + task->n_sot_sequence + (size_t)task->n_text_ctx + 1;
    size_t rows = (size_t)attempt->candidates;
    int32_t *out = cara_arena_alloc(arena, rows * cap, sizeof *out);
    if (!out)
        return -1;
    size_t at = 0;
    if (attempt->n_prompt) {
        out[at++] = cara_tokenizer_special(task->tokenizer)->sot_prev;
        memcpy(out + at, attempt->prompt + (attempt->n_prompt - n_prompt), n_prompt * sizeof *out);
        at += n_prompt;
    }
    *sot_index = at;
    memcpy(out + at, task->sot_sequence, task->n_sot_sequence * sizeof *out);
    *n = at + task->n_sot_sequence;
    *tokens = out;
    return (int)cap;
}

/* MaximumLikelihoodRanker; as numpy's argmax, a NaN wins. */
static size_t best_candidate(const cara_candidate *candidates, size_t n, double length_penalty) {
    size_t best = 0;
    double best_score = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        double length = (double)candidates[i].n_tokens;
        double penalty = isnan(length_penalty) ? length : pow((5 + length) / 6, length_penalty);
        double score = candidates[i].sum_logprob / penalty;
        if (isnan(score))
            return i;
        if (score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

/* DecodingTask._main_loop(). Fills the rows, and the probability of no speech at sot. */
static int main_loop(const cara_decode_task *task, const cara_inference *inference,
                     cara_strategy *strategy, cara_rows *rows, size_t sot_index, float *logits,
                     double *no_speech_prob, cara_error *err) {
    size_t n_vocab = (size_t)task->rules.n_vocab;
    size_t wanted[2] = {sot_index, rows->begin - 1};
    size_t n_wanted = wanted[0] == wanted[1] ? 1 : 2;
    int rc =
        inference->prompt(inference->ctx, rows->tokens, rows->begin, wanted, n_wanted, logits, err);
    if (rc)
        return rc;

    int32_t no_speech = cara_tokenizer_special(task->tokenizer)->no_speech;
    if (no_speech >= 0)
        *no_speech_prob = expf(logits[no_speech] - cara_log_sum_exp(logits, n_vocab));

    const float *last = logits + (n_wanted - 1) * n_vocab;
    memmove(logits, last, n_vocab * sizeof *logits);
    inference->fork(inference->ctx, rows->n);
    for (int i = 1; i < rows->n; i++) {
        memcpy(logits + (size_t)i * n_vocab, logits, n_vocab * sizeof *logits);
        memcpy(rows->tokens + (size_t)i * rows->cap, rows->tokens,
               rows->begin * sizeof *rows->tokens);
    }

    for (int step = 1;; step++) {
        for (int i = 0; i < rows->n; i++)
            cara_rules_apply(&task->rules, rows->tokens + (size_t)i * rows->cap + rows->begin,
                             rows->len - rows->begin, logits + (size_t)i * n_vocab);
        int completed = strategy->update(strategy, rows, logits);
        if (completed || rows->len > (size_t)task->n_text_ctx || step >= task->sample_len)
            return CARA_OK;

        int moved = 0;
        for (int i = 0; i < rows->n; i++)
            moved |= rows->source[i] != i;
        if (moved)
            inference->reorder(inference->ctx, rows->source, rows->n);
        int32_t next[CARA_MAX_CANDIDATES];
        for (int i = 0; i < rows->n; i++)
            next[i] = rows->tokens[(size_t)i * rows->cap + rows->len - 1];
        rc = inference->step(inference->ctx, next, rows->n, logits, err);
        if (rc)
            return rc;
    }
}

int cara_decode_logit_rows(int candidates) {
    return candidates > 2 ? candidates : 2; /* the prompt wants two: at sot and at its end */
}

int cara_decode(const cara_decode_task *task, const cara_attempt *attempt,
                const cara_inference *inference, cara_random *random, float *logits,
                cara_arena *arena, cara_decoding *out, cara_error *err) {
    if (attempt->candidates < 1 || attempt->candidates > CARA_MAX_CANDIDATES)
        return cara_fail(err, CARA_ERR_INTERNAL, -1, "A window cannot have %d candidates",
                         attempt->candidates);
    *out = (cara_decoding){.temperature = attempt->temperature, .no_speech_prob = NAN};

    size_t sot_index = 0;
    cara_rows rows = {.n = attempt->candidates};
    int cap = initial_tokens(task, attempt, arena, &rows.tokens, &rows.begin, &sot_index);
    size_t n = (size_t)rows.n;
    rows.sum_logprobs = cara_arena_alloc(arena, n, sizeof *rows.sum_logprobs);
    rows.source = cara_arena_alloc(arena, n, sizeof *rows.source);
    cara_candidate *candidates = cara_arena_alloc(arena, n, sizeof *candidates);
    if (cap < 0 || !rows.sum_logprobs || !rows.source || !candidates)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory to decode a window");
    rows.cap = (size_t)cap;
    rows.len = rows.begin;

    cara_strategy strategy =
        cara_strategy_greedy(task->rules.n_vocab, task->rules.eot, attempt->temperature, random);
    int rc =
        main_loop(task, inference, &strategy, &rows, sot_index, logits, &out->no_speech_prob, err);
    if (rc)
        return rc;

    size_t n_candidates = strategy.finalize(&strategy, &rows, candidates, n);
    cara_candidate best =
        candidates[best_candidate(candidates, n_candidates, task->length_penalty)];
    const char *text = cara_decode_text(task->tokenizer, best.tokens, best.n_tokens, arena);
    if (!text)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the text of a window");
    out->tokens = best.tokens;
    out->n_tokens = best.n_tokens;
    out->avg_logprob = best.sum_logprob / (double)(best.n_tokens + 1);
    out->compression_ratio = compression_ratio(cara_utf8_strip(text, strlen(text)));
    return CARA_OK;
}

int cara_detect_language(const cara_tokenizer *tokenizer, const cara_inference *inference,
                         float *logits, int *language, double *probability, cara_error *err) {
    const cara_special_tokens *special = cara_tokenizer_special(tokenizer);
    size_t at = 0, n = (size_t)cara_tokenizer_n_languages(tokenizer);
    int rc = inference->prompt(inference->ctx, &special->sot, 1, &at, 1, logits, err);
    if (rc)
        return rc;
    /* All but the language tokens are masked, so the softmax is over these alone. */
    const float *languages = logits + special->language_begin;
    size_t best = cara_argmax(languages, n);
    *language = (int)best;
    *probability = expf(languages[best] - cara_log_sum_exp(languages, n));
    return CARA_OK;
}

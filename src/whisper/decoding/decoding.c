#include "whisper/decoding/decoding.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "whisper/decoding/beams.h"
#include "whisper/decoding/probability.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

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

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory to decode a window");
}

/* DecodingTask._get_initial_tokens() */
static int initial_tokens(const cara_decode_task *task, const cara_attempt *attempt,
                          cara_arena *arena, int32_t **tokens, size_t *n, size_t *sot_index) {
    size_t most = (size_t)(task->n_text_ctx / 2 - 1);
    size_t n_prompt = attempt->n_prompt < most ? attempt->n_prompt : most;
    /* room for all that can follow, and for one eot more */
    size_t cap =
        1 + n_prompt + task->n_sot_sequence + task->n_prefix + (size_t)task->n_text_ctx + 1;
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
    at += task->n_sot_sequence;
    if (task->n_prefix)
        memcpy(out + at, task->prefix, task->n_prefix * sizeof *out);
    *n = at + task->n_prefix;
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

size_t cara_decode_logit_rows(const cara_attempt *attempt) {
    size_t n = attempt->draft ? CARA_MAX_DRAFT_TOKENS + 1 : 2; /* the prompt needs two */
    return (size_t)attempt->candidates > n ? (size_t)attempt->candidates : n;
}

/* One window at one temperature (DecodingTask.run()); all its memory is in the arena. */
typedef struct window {
    int done;
    cara_run runs[CARA_MAX_CANDIDATES]; /* to be fed next */
    size_t n_runs;
    size_t wanted[CARA_MAX_CANDIDATES];
    size_t n_wanted;

    const cara_decode_task *task;
    cara_backend *backend;
    cara_attempt attempt;
    cara_strategy strategy;
    cara_sequences rows;
    size_t sot_index;
    int32_t sampled; /* tokens of each row */
    double no_speech_prob;
    int32_t draft[CARA_MAX_DRAFT_TOKENS]; /* proposed tokens that are in the run */
    size_t n_draft, drafted, drafted_right;
} window;

/* Starts the attempt's first slot unless it fails. MEMORY, INTERNAL. */
static int open_window(window *w, const cara_decode_task *task, const cara_attempt *attempt,
                       cara_backend *backend, cara_random *random, cara_arena *arena,
                       cara_error *err) {
    if (attempt->candidates < 1 || attempt->candidates > CARA_MAX_CANDIDATES)
        return cara_fail(err, CARA_ERR_INTERNAL, -1, "A window cannot have %d candidates",
                         attempt->candidates);
    *w = (window){.task = task,
                  .backend = backend,
                  .attempt = *attempt,
                  .rows = {.n = attempt->candidates},
                  .no_speech_prob = NAN};
    cara_sequences *rows = &w->rows;
    int is_beams = attempt->patience > 0;
    if (attempt->temperature > 0 || rows->n > 1 || is_beams)
        w->attempt.draft = NULL;
    int cap = initial_tokens(task, attempt, arena, &rows->tokens, &rows->begin, &w->sot_index);
    size_t n = (size_t)rows->n;
    rows->sum_logprobs = cara_arena_alloc(arena, n, sizeof *rows->sum_logprobs);
    rows->source = cara_arena_alloc(arena, n, sizeof *rows->source);
    rows->logits = cara_arena_alloc(arena, n, sizeof *rows->logits);
    float *weights = NULL;
    if (attempt->temperature > 0)
        weights = cara_arena_alloc(arena, (size_t)task->rules.n_vocab, sizeof *weights);
    if (cap < 0 || !rows->sum_logprobs || !rows->source || !rows->logits ||
        (attempt->temperature > 0 && !weights))
        return no_memory(err);
    rows->cap = (size_t)cap;
    rows->len = rows->begin;
    const cara_rules *rules = &task->rules;
    if (!is_beams)
        w->strategy = cara_strategy_greedy(rules->kernels, rules->n_vocab, rules->eot,
                                           attempt->temperature, random, weights);
    else if (cara_strategy_beams(rules->kernels, rules->n_vocab, rules->eot, rows->n,
                                 attempt->patience, rows->cap, arena, &w->strategy) != 0)
        return no_memory(err);
    backend->ops->start(backend, 0, 0);
    w->runs[w->n_runs++] = (cara_run){0, rows->tokens, rows->begin};
    w->wanted[w->n_wanted++] = w->sot_index;
    if (w->sot_index != rows->begin - 1)
        w->wanted[w->n_wanted++] = rows->begin - 1;
    return CARA_OK;
}

static const int32_t *row_tokens(const cara_sequences *rows, int i) {
    return rows->tokens + (size_t)i * rows->cap;
}

static void filter(const window *w, int row, float *logits) {
    const cara_sequences *rows = &w->rows;
    cara_rules_apply(&w->task->rules, row_tokens(rows, row) + rows->begin, rows->len - rows->begin,
                     logits);
}

/* All candidates begin with the same prompt, so one row of logits serves them all. */
static void use_prompt_logits(window *w, float *logits) {
    const cara_decode_task *task = w->task;
    cara_sequences *rows = &w->rows;
    size_t n_vocab = (size_t)task->rules.n_vocab;
    int32_t no_speech = cara_tokenizer_special(task->tokenizer)->no_speech;
    if (no_speech >= 0)
        w->no_speech_prob =
            expf(logits[no_speech] - cara_log_sum_exp(task->rules.kernels, logits, n_vocab));
    float *last = logits + (w->n_wanted - 1) * n_vocab;
    filter(w, 0, last);
    if (rows->n > 1)
        w->backend->ops->fork(w->backend, 0, 0, rows->n);
    for (int i = 0; i < rows->n; i++) {
        if (i)
            memcpy(rows->tokens + (size_t)i * rows->cap, rows->tokens,
                   rows->begin * sizeof *rows->tokens);
        rows->logits[i] = last;
    }
}

/* A row of logits for each run. */
static void use_step_logits(window *w, float *logits) {
    cara_sequences *rows = &w->rows;
    for (int i = 0; i < rows->n; i++)
        rows->logits[i] = NULL;
    for (size_t i = 0; i < w->n_runs; i++) {
        int row = w->runs[i].slot;
        rows->logits[row] = logits + i * (size_t)w->task->rules.n_vocab;
        filter(w, row, rows->logits[row]);
    }
}

/* Appends proposed tokens to the only run; one pass then verifies them. */
static int add_draft(window *w, cara_error *err) {
    const cara_decode_task *task = w->task;
    cara_sequences *rows = &w->rows;
    int64_t room = (int64_t)task->n_text_ctx - (int64_t)rows->len;
    int64_t left = (int64_t)task->sample_len - w->sampled - 1;
    int64_t most = room < left ? room : left;
    if (most < 1)
        return CARA_OK;
    most = most < CARA_MAX_DRAFT_TOKENS ? most : CARA_MAX_DRAFT_TOKENS;
    int rc = cara_draft_propose(w->attempt.draft, rows->tokens, rows->len, rows->begin,
                                (size_t)most, w->draft, &w->n_draft, err);
    if (rc)
        return rc;
    /* They stand after the row's tokens until sampled tokens replace them. */
    memcpy(rows->tokens + rows->len, w->draft, w->n_draft * sizeof *w->draft);
    w->runs[0].n += w->n_draft;
    for (size_t i = 0; i < w->n_draft; i++)
        w->wanted[w->n_wanted++] = 1 + i;
    w->drafted += w->n_draft;
    return CARA_OK;
}

/* The runs of the next step, one for each row that has not ended. */
static int next_runs(window *w, cara_error *err) {
    const cara_sequences *rows = &w->rows;
    w->n_runs = w->n_wanted = w->n_draft = 0;
    for (int i = 0; i < rows->n; i++) {
        const int32_t *last = row_tokens(rows, i) + rows->len - 1;
        if (*last == w->task->rules.eot)
            continue;
        w->runs[w->n_runs] = (cara_run){i, last, 1};
        w->wanted[w->n_wanted++] = w->n_runs++;
    }
    return w->attempt.draft ? add_draft(w, err) : CARA_OK;
}

/* One iteration of DecodingTask._main_loop(), or several where draft tokens are accepted: chooses
 * tokens by logits [n_wanted, n_vocab], which it changes, and sets the runs of the next step, or
 * `done`. Errors: those of the draft. */
static int choose_tokens(window *w, float *logits, cara_error *err) {
    cara_sequences *rows = &w->rows;
    cara_backend *backend = w->backend;
    size_t accepted = 0;
    if (w->sampled == 0)
        use_prompt_logits(w, logits);
    else
        use_step_logits(w, logits);
    for (;;) {
        int completed = w->strategy.update(&w->strategy, rows);
        w->sampled++;
        w->done = completed || rows->len > (size_t)w->task->n_text_ctx ||
                  w->sampled >= w->task->sample_len;
        if (accepted >= w->n_draft || rows->tokens[rows->len - 1] != w->draft[accepted])
            break;
        accepted++;
        if (w->done)
            break;
        rows->logits[0] = logits + accepted * (size_t)w->task->rules.n_vocab;
        filter(w, 0, rows->logits[0]);
    }
    w->drafted_right += accepted;
    if (w->done)
        return CARA_OK;
    if (w->n_draft)
        backend->ops->truncate(backend, 0, rows->len - 1);
    int moved = 0;
    for (int i = 0; i < rows->n; i++)
        moved |= rows->source[i] != i;
    if (moved)
        backend->ops->reorder(backend, 0, rows->source, rows->n);
    return next_runs(w, err);
}

/* The result of a window that is done, in the arena. MEMORY. */
static int close_window(window *w, cara_arena *arena, cara_decoding *out, cara_error *err) {
    const cara_decode_task *task = w->task;
    size_t n =
        w->strategy.beams ? cara_beams_most(w->rows.n, w->attempt.patience) : (size_t)w->rows.n;
    *out = (cara_decoding){.temperature = w->attempt.temperature,
                           .no_speech_prob = w->no_speech_prob,
                           .drafted = w->drafted,
                           .drafted_right = w->drafted_right};
    cara_candidate *candidates = cara_arena_alloc(arena, n, sizeof *candidates);
    if (!candidates)
        return no_memory(err);
    size_t n_candidates = w->strategy.finalize(&w->strategy, &w->rows, candidates, n);
    cara_candidate best =
        candidates[best_candidate(candidates, n_candidates, task->length_penalty)];
    const char *text = cara_tokenizer_text(task->tokenizer, best.tokens, best.n_tokens, arena);
    if (!text)
        return no_memory(err);
    out->tokens = best.tokens;
    out->n_tokens = best.n_tokens;
    out->avg_logprob = best.sum_logprob / (double)(best.n_tokens + 1);
    out->compression_ratio = compression_ratio(cara_utf8_strip(text, strlen(text)));
    return CARA_OK;
}

int cara_decode(const cara_decode_task *task, const cara_attempt *attempt, cara_backend *backend,
                cara_random *random, float *logits, cara_arena *arena, cara_decoding *out,
                cara_error *err) {
    window w;
    int rc = open_window(&w, task, attempt, backend, random, arena, err);
    if (rc)
        return rc;
    while (!rc && !w.done) {
        rc = backend->ops->forward(backend, w.runs, w.n_runs, w.wanted, w.n_wanted, logits, err);
        if (!rc)
            rc = choose_tokens(&w, logits, err);
    }
    backend->ops->finish(backend, 0);
    return rc ? rc : close_window(&w, arena, out, err);
}

int cara_detect_language(const cara_tokenizer *tokenizer, const cara_kernels *kernels,
                         cara_backend *backend, float *logits, int *language, double *probability,
                         cara_error *err) {
    const cara_special_tokens *special = cara_tokenizer_special(tokenizer);
    const cara_run sot = {0, &special->sot, 1};
    const size_t at = 0, n = (size_t)cara_tokenizer_n_languages(tokenizer);
    backend->ops->start(backend, 0, 0);
    int rc = backend->ops->forward(backend, &sot, 1, &at, 1, logits, err);
    backend->ops->finish(backend, 0);
    if (rc)
        return rc;
    /* All but the language tokens are masked, so the softmax is over these alone. */
    const float *languages = logits + special->language_begin;
    size_t best = cara_argmax(languages, n);
    *language = (int)best;
    *probability = expf(languages[best] - cara_log_sum_exp(kernels, languages, n));
    return CARA_OK;
}

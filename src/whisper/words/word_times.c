#include "whisper/words/word_times.h"

#include "base/limits.h"
#include "tokenizer/words.h"
#include "whisper/decoding/probability.h"
#include "whisper/mel/mel.h"
#include "whisper/words/alignment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Memory for scores: more heads than fit are computed in several passes. Published models have up
 * to 23 heads, which fit; others may use all of their upper layers'. */
#define SCORES_BYTES ((size_t)64 << 20)

#define POSITIONS_PER_SECOND 50 /* TOKENS_PER_SECOND */

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the times of a window's words");
}

/* The text tokens of a window, and what the decoder says of them. */
typedef struct alignment {
    const cara_word_window *window;
    int32_t *tokens; /* [n_tokens] sot sequence, no_timestamps, text, eot */
    size_t n_tokens, n_before, n_text;
    size_t n_used;         /* positions that hold audio */
    double *probabilities; /* [n_text] */
    float *sum;            /* [n_tokens, n_used] */
    size_t *starts;        /* [n_text + 1] position at which each begins, eot's last */
} alignment;

/* Feeds the tokens in runs, with logits of those before a text token, and adds what the heads
 * [first, first + n) say to the sum. */
static int add_heads(alignment *a, size_t first, size_t n, float *scores, float *part,
                     float *scratch, cara_error *err) {
    const cara_word_window *w = a->window;
    const cara_decode_task *task = &w->settings->task;
    size_t n_vocab = (size_t)task->rules.n_vocab, n_positions = w->n_positions;
    int rc = CARA_OK;
    w->backend->ops->start(w->backend, 0, 0);
    for (size_t at = 0; at < a->n_tokens && !rc;) {
        size_t left = a->n_tokens - at;
        size_t n_run = left < CARA_WORD_LOGIT_ROWS ? left : CARA_WORD_LOGIT_ROWS;
        size_t wanted[CARA_WORD_LOGIT_ROWS], n_wanted = 0;
        for (size_t i = 0; i < n_run; i++)
            if (first == 0 && at + i + 1 >= a->n_before && at + i + 1 < a->n_before + a->n_text)
                wanted[n_wanted++] = i;
        const cara_run run = {0, a->tokens + at, n_run};
        const cara_alignment heads = {w->heads + first, n, part};
        rc = w->backend->ops->align(w->backend, &run, wanted, n_wanted, w->logits, &heads, err);
        for (size_t i = 0; i < n_wanted && !rc; i++) {
            size_t text = at + wanted[i] + 1 - a->n_before;
            const float *row = w->logits + i * n_vocab;
            a->probabilities[text] =
                expf(row[a->tokens[a->n_before + text]] -
                     cara_log_sum_exp(task->rules.kernels, row, (size_t)task->rules.eot));
        }
        for (size_t h = 0; h < n && !rc; h++)
            memcpy(scores + (h * a->n_tokens + at) * n_positions, part + h * n_run * n_positions,
                   n_run * n_positions * sizeof *scores);
        at += n_run;
    }
    w->backend->ops->finish(w->backend, 0);
    if (!rc)
        cara_alignment_add(task->rules.kernels, scores, n, a->n_tokens, n_positions, a->n_used,
                           scratch, a->sum);
    return rc;
}

/* The first half of find_alignment(): probabilities and starts. */
static int align(alignment *a, cara_arena *arena, cara_error *err) {
    const cara_word_window *w = a->window;
    size_t each = a->n_tokens * w->n_positions, most = SCORES_BYTES / sizeof(float) / each;
    most = most < 1 ? 1 : most > w->n_heads ? w->n_heads : most;
    float *scores = malloc(most * each * sizeof *scores);
    float *part = malloc(most * CARA_WORD_LOGIT_ROWS * w->n_positions * sizeof *part);
    float *scratch = cara_arena_alloc(arena, CARA_ALIGNMENT_SCRATCH(a->n_used), sizeof *scratch);
    int rc = scores && part && scratch ? CARA_OK : no_memory(err);
    for (size_t first = 0; first < w->n_heads && !rc; first += most) {
        size_t n = w->n_heads - first < most ? w->n_heads - first : most;
        rc = add_heads(a, first, n, scores, part, scratch, err);
    }
    free(part);
    free(scores);
    if (rc)
        return rc;
    /* The row of a token says where the next one is: from no_timestamps to the last text token. */
    size_t rows = a->n_text + 1;
    float *matrix = a->sum + (a->n_before - 1) * a->n_used;
    for (size_t i = 0; i < rows * a->n_used; i++)
        matrix[i] /= (float)w->n_heads;
    return cara_alignment_path(matrix, rows, a->n_used, arena, a->starts) ? no_memory(err)
                                                                          : CARA_OK;
}

/* find_alignment(): the words of text tokens [n]; none where there are no tokens, or so many that
 * they do not fit into the decoder's context. */
static int find_alignment(const cara_word_window *w, const int32_t *text, size_t n,
                          cara_arena *arena, cara_word_timing **out, size_t *n_out,
                          cara_error *err) {
    const cara_settings *s = w->settings;
    const cara_decode_task *task = &s->task;
    const cara_special_tokens *special = cara_tokenizer_special(s->tokenizer);
    size_t n_sot = task->n_sot_sequence; /* without its own no_timestamps */
    n_sot -= task->sot_sequence[n_sot - 1] == special->no_timestamps;
    *n_out = 0;
    if (n == 0 || n_sot + n + 2 > (size_t)task->n_text_ctx)
        return CARA_OK;
    alignment a = {.window = w, .n_before = n_sot + 1, .n_text = n, .n_tokens = n_sot + 1 + n + 1};
    a.n_used = (size_t)(w->segment_size * s->dims.n_audio_ctx / CARA_N_FRAMES);
    a.n_used = a.n_used < 1 ? 1 : a.n_used > w->n_positions ? w->n_positions : a.n_used;
    a.tokens = cara_arena_alloc(arena, a.n_tokens, sizeof *a.tokens);
    a.probabilities = cara_arena_alloc(arena, n, sizeof *a.probabilities);
    a.starts = cara_arena_alloc(arena, n + 1, sizeof *a.starts);
    a.sum = cara_arena_alloc(arena, a.n_tokens * a.n_used, sizeof *a.sum);
    if (!a.tokens || !a.probabilities || !a.starts || !a.sum)
        return no_memory(err);
    memcpy(a.tokens, task->sot_sequence, n_sot * sizeof *a.tokens);
    a.tokens[n_sot] = special->no_timestamps;
    memcpy(a.tokens + a.n_before, text, n * sizeof *a.tokens);
    a.tokens[a.n_before + n] = special->eot;
    int rc = align(&a, arena, err);
    const cara_token_word *words = NULL;
    size_t n_words = 0;
    if (!rc)
        rc = cara_tokenizer_words(s->tokenizer, s->language, a.tokens + a.n_before, n + 1, arena,
                                  &words, &n_words, err);
    if (rc || n_words <= 1) /* eot alone, or as a part of the only word */
        return rc;
    cara_word_timing *timings = cara_arena_alloc(arena, n_words - 1, sizeof *timings);
    if (!timings)
        return no_memory(err);
    for (size_t i = 0, first = 0; i < n_words - 1; i++) {
        size_t next = first + words[i].n_tokens;
        double sum = 0;
        for (size_t k = first; k < next; k++)
            sum += a.probabilities[k];
        timings[i] = (cara_word_timing){.word = words[i].text,
                                        .n_tokens = words[i].n_tokens,
                                        .start = (double)a.starts[first] / POSITIONS_PER_SECOND,
                                        .end = (double)a.starts[next] / POSITIONS_PER_SECOND,
                                        .probability = sum / (double)words[i].n_tokens};
        first = next;
    }
    *out = timings;
    *n_out = n_words - 1;
    return CARA_OK;
}

int cara_add_word_timestamps(const cara_word_window *w, cara_cut *cut, cara_arena *arena,
                             cara_error *err) {
    const int32_t eot = w->settings->task.rules.eot;
    size_t n_tokens = 0, n_text = 0, n = 0;
    for (size_t i = 0; i < cut->n_segments; i++)
        n_tokens += cut->segments[i].n_tokens;
    int32_t *text = cara_arena_alloc(arena, n_tokens + 1, sizeof *text);
    size_t *n_texts = cara_arena_alloc(arena, cut->n_segments + 1, sizeof *n_texts);
    if (!text || !n_texts)
        return no_memory(err);
    for (size_t i = 0; i < cut->n_segments; i++) {
        size_t before = n_text;
        for (size_t k = 0; k < cut->segments[i].n_tokens; k++)
            if (cut->segments[i].tokens[k] < eot)
                text[n_text++] = cut->segments[i].tokens[k];
        n_texts[i] = n_text - before;
    }
    const cara_options *o = &w->settings->options;
    cara_word_timing *timings = NULL;
    int rc = find_alignment(w, text, n_text, arena, &timings, &n, err);
    if (!rc &&
        cara_place_words(timings, n, n_texts, o->prepend_punctuations, o->append_punctuations,
                         w->seek, w->last_speech_timestamp, cut, arena))
        rc = no_memory(err);
    return rc;
}

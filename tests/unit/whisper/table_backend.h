/* A backend whose logits follow from the last token, by a table, and one window decoded over it. */
#ifndef TESTS_WHISPER_TABLE_BACKEND_H
#define TESTS_WHISPER_TABLE_BACKEND_H

#include "whisper/decoding/decoding.h"
#include "whisper/decoding/settings.h"

#include "vocabulary.h"

#include <math.h>

enum { N_VOCAB = 51865, MOST = 64 };
static cara_tokenizer *tokenizer;
static float *logits;

static int open_all(void **state) {
    (void)state;
    tokenizer = open_vocabulary(N_VOCAB);
    logits = malloc((size_t)MOST * N_VOCAB * sizeof *logits);
    return logits ? 0 : -1;
}

static int close_all(void **state) {
    (void)state;
    cara_tokenizer_free(tokenizer);
    free(logits);
    return 0;
}

/* A decoder whose next token depends on the last one alone: a table of {after, token, weight}.
 * What the table does not name has weight 0. */
typedef struct arc {
    int32_t after, token;
    double weight; /* probability, up to a factor */
} arc;

typedef struct fake {
    cara_backend backend;
    const arc *arcs;
    size_t n_arcs;
    int32_t prompt[512];
    size_t n_prompt, wanted[2], n_wanted;
    double no_speech; /* probability at sot */
    int n_rows;
    size_t positions; /* fed so far */
    size_t n_text_ctx;
    int cancel_after; /* steps; 0: never */
    int steps;
    int passes; /* behind the prompt */
    int windows_open;
} fake;

static void logits_after(const fake *f, int32_t last, float *out) {
    for (int i = 0; i < N_VOCAB; i++)
        out[i] = -INFINITY;
    for (size_t i = 0; i < f->n_arcs; i++)
        if (f->arcs[i].after == last || f->arcs[i].after < 0)
            out[f->arcs[i].token] = (float)log(f->arcs[i].weight);
}

static void fake_start(cara_backend *b, int slot, int audio) {
    fake *f = (fake *)b;
    assert_int_equal(slot, 0);
    assert_int_equal(audio, 0);
    f->windows_open++;
    f->n_prompt = f->positions = 0;
    f->n_rows = 1;
}

static void fake_prompt(fake *f, const cara_run *run, const size_t *wanted, size_t n_wanted,
                        float *out) {
    assert_true(run->n <= 512);
    memcpy(f->prompt, run->tokens, run->n * sizeof *run->tokens);
    f->n_prompt = f->positions = run->n;
    assert_true(n_wanted == 1 || (n_wanted == 2 && wanted[0] < wanted[1]));
    memcpy(f->wanted, wanted, n_wanted * sizeof *wanted);
    f->n_wanted = n_wanted;
    assert_int_equal(wanted[n_wanted - 1], run->n - 1);
    float *last = out + (n_wanted - 1) * N_VOCAB;
    logits_after(f, run->tokens[run->n - 1], last);
    if (n_wanted == 2) { /* at sot: no speech, or a token that stands for all else */
        logits_after(f, -2, out);
        out[7] = (float)log(1 - f->no_speech);
        out[cara_tokenizer_special(tokenizer)->no_speech] = (float)log(f->no_speech);
    }
}

static void fake_finish(cara_backend *b, int slot) {
    assert_int_equal(slot, 0);
    ((fake *)b)->windows_open--;
}

static void fake_truncate(cara_backend *b, int slot, size_t length) {
    fake *f = (fake *)b;
    assert_int_equal(slot, 0);
    assert_true(length <= f->positions && length >= f->n_prompt);
    f->positions = length;
}

static void fake_fork(cara_backend *b, int from, int first, int n) {
    assert_int_equal(from, 0);
    assert_int_equal(first, 0);
    ((fake *)b)->n_rows = n;
}

static void fake_reorder(cara_backend *b, int first, const int *source, int n) {
    (void)b, (void)first, (void)source, (void)n;
    fail_msg("greedy decoding moves no rows");
}

static int fake_forward(cara_backend *b, const cara_run *runs, size_t n_runs, const size_t *wanted,
                        size_t n_wanted, float *out, cara_error *err) {
    fake *f = (fake *)b;
    assert_int_equal(f->windows_open, 1);
    if (!f->n_prompt) {
        assert_int_equal(n_runs, 1);
        fake_prompt(f, runs, wanted, n_wanted, out);
        return CARA_OK;
    }
    if (f->cancel_after && ++f->steps > f->cancel_after)
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped");
    size_t fed = 0;
    assert_true(n_runs >= 1 && n_runs <= (size_t)f->n_rows);
    for (size_t i = 0; i < n_runs; i++) {
        assert_true(runs[i].slot >= (int)i && runs[i].slot < f->n_rows);
        for (size_t t = 0; t < runs[i].n; t++, fed++) {
            assert_int_equal(wanted[fed], fed);
            logits_after(f, runs[i].tokens[t], out + fed * N_VOCAB);
        }
    }
    assert_int_equal(n_wanted, fed);
    f->passes++;
    f->positions += runs[0].n;
    if (f->n_text_ctx)
        assert_true(f->positions <= f->n_text_ctx);
    return CARA_OK;
}

static const cara_backend_ops fake_ops = {.start = fake_start,
                                          .finish = fake_finish,
                                          .truncate = fake_truncate,
                                          .fork = fake_fork,
                                          .reorder = fake_reorder,
                                          .forward = fake_forward};

/* A task in Spanish without any filter, so that the fake alone decides. */
static void plain_task(cara_arena *arena, cara_settings *s) {
    cara_options options;
    cara_options_default(&options, sizeof options);
    options.language = "es";
    options.suppress_tokens = "";
    options.suppress_blank = 0;
    cara_dims dims = dims_of_test(N_VOCAB);
    assert_int_equal(cara_settings_check(&options, &dims, tokenizer,
                                         cara_kernels_for(CARA_CPU_SCALAR), arena, s, NULL),
                     CARA_OK);
    s->task.rules.timestamps = 0;
}

static int decode(fake *f, const cara_decode_task *task, const cara_attempt *attempt, uint64_t seed,
                  cara_arena *arena, cara_decoding *out) {
    cara_random random;
    cara_random_seed(&random, seed);
    f->backend.ops = &fake_ops;
    int rc = cara_decode(task, attempt, &f->backend, &random, logits, arena, out, NULL);
    assert_int_equal(f->windows_open, 0);
    return rc;
}

#define TRANSCRIBE 50359
#define EOT 50257

#endif

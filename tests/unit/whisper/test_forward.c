/* Encoder and decoder: caches, candidates, limits, cancelling. What they compute is compared with
 * openai/whisper's in tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "whisper/mel/mel.h"
#include "whisper/network/decoder.h"
#include "whisper/network/encoder.h"
#include "whisper/network/pass.h"
#include "whisper/network/quantise.h"

#include "network_fixture.h"

/* Logits after the last token of one run. */
static int feed(cara_decoder *d, int slot, const int32_t *tokens, size_t n, float *logits,
                cara_error *err) {
    size_t last = n - 1;
    return cara_decoder_forward(d, &(cara_run){slot, tokens, n}, 1, &last, 1, logits, err);
}

/* At least n tokens, 448 at most: one more than then fits is refused, and changes nothing. Logits
 * show that there are no more. */
static void assert_holds(cara_decoder *d, int slot, size_t n) {
    static const int32_t zeros[449];
    cara_error err;
    const cara_run run = {slot, zeros, 449 - n};
    assert_int_equal(cara_decoder_forward(d, &run, 1, NULL, 0, NULL, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "448"));
}

/* A token to each of the slots 0 to n - 1. */
static int step(cara_decoder *d, const int32_t *tokens, size_t n, float *logits, cara_error *err) {
    cara_run runs[64];
    size_t wanted[64];
    for (size_t i = 0; i < n; i++) {
        runs[i] = (cara_run){(int)i, tokens + i, 1};
        wanted[i] = i;
    }
    return cara_decoder_forward(d, runs, n, wanted, n, logits, err);
}

/* Logits of a decoder of its own after these tokens, fed one by one behind a prompt of `prompt`. */
static void alone(fixture *f, const float *states, const int32_t *tokens, size_t n, size_t prompt,
                  float *logits) {
    cara_decoder *d = decoder_with_audio(f, 1);
    cara_error err;
    assert_int_equal(cara_decoder_set_audio(d, 0, states, &err), CARA_OK);
    assert_int_equal(feed(d, 0, tokens, prompt, logits, &err), CARA_OK);
    for (size_t i = prompt; i < n; i++)
        assert_int_equal(feed(d, 0, tokens + i, 1, logits, &err), CARA_OK);
    cara_decoder_free(d);
}

static void check_candidates(fixture *f) {
    enum { ROWS = 4, STEPS = 6 };
    /* Where each row goes on from before each step: duplicates, swaps, and a row lost. */
    static const int source[STEPS][ROWS] = {{0, 1, 2, 3}, {1, 1, 0, 3}, {3, 2, 1, 0},
                                            {0, 0, 0, 0}, {2, 0, 1, 3}, {3, 3, 0, 0}};
    int32_t history[ROWS][2 + STEPS] = {{50257, 11}, {50257, 11}, {50257, 11}, {50257, 11}};
    cara_decoder *d = decoder_with_audio(f, ROWS);
    cara_error err;
    float *logits = malloc((ROWS + 1) * f->n_vocab * sizeof *logits);
    float *want = logits + ROWS * f->n_vocab;
    assert_non_null(logits);
    /* A second try at the window must find nothing of the first. */
    for (int try = 0; try < 2; try++) {
        cara_decoder_start(d, 0, 0);
        assert_int_equal(feed(d, 0, history[0], 2, logits, &err), CARA_OK);
        cara_decoder_fork(d, 0, 0, ROWS);
        for (int s = 0; s < STEPS; s++) {
            int32_t before[ROWS][2 + STEPS], tokens[ROWS];
            memcpy(before, history, sizeof before);
            cara_decoder_reorder(d, 0, source[s], ROWS);
            for (int r = 0; r < ROWS; r++) {
                memcpy(history[r], before[source[s][r]], sizeof history[r]);
                tokens[r] = history[r][2 + s] = 100 + 1000 * try + 10 * s + r;
            }
            assert_int_equal(step(d, tokens, ROWS, logits, &err), CARA_OK);
        }
        for (int r = 0; r < ROWS; r++) {
            assert_holds(d, r, 2 + STEPS);
            alone(f, f->states, history[r], 2 + STEPS, 2, want);
            assert_memory_equal(want, logits + (size_t)r * f->n_vocab, f->n_vocab * sizeof *want);
        }
    }
    cara_decoder_free(d);
    free(logits);
}

/* With caches in f32, and with int8 weights in f16 and int8. */
static void candidates_are_independent(void **state) {
    fixture *f = *state;
    cara_quantised *quantised;
    cara_error err;
    check_candidates(f);
    assert_int_equal(cara_quantise(&f->compute, &quantised, &err), CARA_OK);
    f->compute.weights = cara_quantised_weights(quantised);
    check_candidates(f);
    f->compute.weights = NULL;
    cara_quantised_free(quantised);
}

/* A sequence's logits are equal bit by bit whatever shares its passes: sequences over two audios,
 * of different lengths, fed by prompts, single tokens and short runs, some of them truncated. */
static void check_other_runs(fixture *f, int every) {
    enum { AUDIOS = 2, SLOTS = 21, STEPS = 14, LONGEST = 448 };
    size_t n = (size_t)f->dims->n_audio_ctx * (size_t)f->dims->n_audio_state;
    float *other = malloc(n * sizeof *other);
    float *logits = malloc((SLOTS + 1) * f->n_vocab * sizeof *logits);
    int32_t(*history)[LONGEST] = calloc(SLOTS, sizeof *history);
    assert_true(other && logits && history);
    for (size_t i = 0; i < n; i++)
        other[i] = -0.5f * f->states[n - 1 - i];
    float *want = logits + SLOTS * f->n_vocab;
    const float *states[AUDIOS] = {f->states, other};
    size_t length[SLOTS] = {0}, prompt[SLOTS];
    cara_error err;
    cara_decoder *d;
    assert_int_equal(cara_decoder_new(&f->compute, AUDIOS, SLOTS, &d, &err), CARA_OK);
    assert_int_equal(cara_decoder_reserve(d, 0, SLOTS, &err), CARA_OK);
    for (int a = 0; a < AUDIOS; a++)
        assert_int_equal(cara_decoder_set_audio(d, a, states[a], &err), CARA_OK);
    uint32_t seed = 5;
    for (int s = 0; s < SLOTS; s++) {
        cara_decoder_start(d, s, s % AUDIOS);
        /* some short, some long: in all more than one pass holds */
        prompt[s] = s % 3 == 0 ? 2 + (size_t)s % 5 : s % 3 == 1 ? 9 + (size_t)s : 60;
    }
    for (int t = 0; t < STEPS; t++) {
        cara_run runs[SLOTS];
        size_t wanted[SLOTS], n_runs = 0, total = 0;
        for (int s = 0; s < SLOTS; s++) {
            /* A slot comes in at its own time, and rests now and then. */
            if (t < s % 4 || (t + s) % 5 == 4)
                continue;
            size_t k = !length[s] ? prompt[s] : 1 + (seed >> 20) % CARA_FEW_ROWS;
            if (length[s] > prompt[s] + 3 && (t + s) % 3 == 0) {
                size_t back = 1 + (size_t)t % 3;
                length[s] -= back;
                cara_decoder_truncate(d, s, length[s]);
            }
            for (size_t i = 0; i < k; i++) {
                seed = seed * 1664525u + 1013904223u;
                history[s][length[s] + i] = (int32_t)((seed >> 8) % 50000);
            }
            runs[n_runs] = (cara_run){s, history[s] + length[s], k};
            length[s] += k;
            total += k;
            wanted[n_runs++] = total - 1;
        }
        assert_int_equal(cara_decoder_forward(d, runs, n_runs, wanted, n_runs, logits, &err),
                         CARA_OK);
        for (size_t i = 0; i < n_runs; i++) {
            int s = runs[i].slot;
            assert_holds(d, s, length[s]);
            if ((s + t) % every)
                continue; /* a sample of them: each is decoded again from its start */
            alone(f, states[s % AUDIOS], history[s], length[s], prompt[s], want);
            assert_memory_equal(want, logits + i * f->n_vocab, f->n_vocab * sizeof *want);
        }
    }
    cara_decoder_free(d);
    free(other);
    free(logits);
    free(history);
}

static void other_runs_of_a_pass_change_no_result(void **state) {
    fixture *f = *state;
    const cara_compute was = f->compute;
    cara_error err;
    for (int level = 0; level < CARA_CPU_LEVELS; level++) {
        if (!cara_cpu_has(level))
            continue;
        cara_quantised *quantised;
        int every = level == CARA_CPU_SCALAR ? 41 : 17; /* it is slow */
        f->compute.kernels = cara_kernels_for(level);
        check_other_runs(f, every);
        assert_int_equal(cara_quantise(&f->compute, &quantised, &err), CARA_OK);
        f->compute.weights = cara_quantised_weights(quantised);
        check_other_runs(f, every);
        f->compute.weights = NULL;
        cara_quantised_free(quantised);
    }
    f->compute = was;
}

static void limits_are_errors(void **state) {
    fixture *f = *state;
    cara_decoder *d;
    cara_error err;
    float *logits = malloc(2 * f->n_vocab * sizeof *logits);
    assert_non_null(logits);
    int32_t tokens[449] = {1}, bad = (int32_t)f->n_vocab, negative = -1;
    assert_int_equal(cara_decoder_new(&f->compute, 1, 0, &d, &err), CARA_ERR_USAGE);
    assert_null(d);
    assert_int_equal(cara_decoder_new(&f->compute, 0, 1, &d, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_decoder_new(&f->compute, 1, 2, &d, &err), CARA_OK);
    assert_int_equal(cara_decoder_reserve(d, 0, 2, &err), CARA_OK);
    assert_int_equal(feed(d, 0, tokens, 1, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_decoder_set_audio(d, 0, f->states, &err), CARA_OK);
    assert_int_equal(feed(d, 0, tokens, 0, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(feed(d, 0, tokens, 449, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(feed(d, 0, &bad, 1, logits, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "51864"));
    assert_int_equal(feed(d, 0, &negative, 1, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(feed(d, 2, tokens, 1, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(feed(d, -1, tokens, 1, logits, &err), CARA_ERR_USAGE);
    cara_run twice[2] = {{0, tokens, 1}, {0, tokens, 1}};
    size_t far = 2;
    assert_int_equal(cara_decoder_forward(d, twice, 2, NULL, 0, logits, &err), CARA_ERR_USAGE);
    twice[1].slot = 1;
    assert_int_equal(cara_decoder_forward(d, twice, 2, &far, 1, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(feed(d, 0, tokens, 447, logits, &err), CARA_OK); /* it was empty */
    cara_decoder_fork(d, 0, 0, 2);
    assert_int_equal(step(d, tokens, 3, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(step(d, tokens, 2, logits, &err), CARA_OK);
    assert_int_equal(step(d, tokens, 2, logits, &err), CARA_ERR_USAGE);
    assert_holds(d, 1, 448);
    cara_decoder_truncate(d, 1, 500);
    assert_holds(d, 1, 448);
    cara_decoder_truncate(d, 1, 3);
    assert_int_equal(feed(d, 1, tokens, 446, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(feed(d, 1, tokens, 445, logits, &err), CARA_OK);
    cara_decoder_free(d);
    free(logits);
    assert_int_equal(cara_check_heads("text", 384, 6, &err), CARA_OK);
    assert_int_equal(cara_check_heads("text", 384, 7, &err), CARA_ERR_MODEL_SHAPE);
    assert_int_equal(cara_check_heads("text", 40, 1, &err), CARA_ERR_MODEL_SHAPE);
    assert_int_equal(cara_check_heads("text", 512, 2, &err), CARA_ERR_MODEL_SHAPE);
    assert_int_equal(cara_check_heads("text", 512, 0, &err), CARA_ERR_MODEL_SHAPE);
}

/* After a stop at any poll the same run can be started again. */
static void a_stopped_run_can_be_repeated(void **state) {
    fixture *f = *state;
    cara_encoder *e;
    cara_error err;
    size_t n_mel = (size_t)f->dims->n_mels * CARA_N_FRAMES;
    size_t n = (size_t)f->dims->n_audio_ctx * (size_t)f->dims->n_audio_state;
    float *mel = calloc(n_mel, sizeof *mel), *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    float *logits = malloc(2 * f->n_vocab * sizeof *logits);
    assert_true(mel && a && b && logits);
    for (size_t i = 0; i < n_mel; i++)
        mel[i] = (float)(i % 17) / 17;
    assert_int_equal(cara_encoder_new(&f->compute, &e, &err), CARA_OK);
    assert_int_equal(cara_encoder_run(e, mel, a, &err), CARA_OK);
    int stops = 0;
    for (;; stops++) {
        f->polls_left = stops;
        int code = cara_encoder_run(e, mel, b, &err);
        if (code == CARA_OK)
            break;
        assert_int_equal(code, CARA_ERR_CANCELLED);
    }
    assert_true(stops >= f->dims->n_audio_layer);
    assert_memory_equal(a, b, n * sizeof *a);
    cara_encoder_free(e);

    f->polls_left = -1;
    cara_decoder *d = decoder_with_audio(f, 1);
    int32_t tokens[2] = {50257, 11};
    f->polls_left = 1;
    assert_int_equal(cara_decoder_set_audio(d, 0, f->states, &err), CARA_ERR_CANCELLED);
    f->polls_left = -1;
    assert_int_equal(feed(d, 0, tokens, 2, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_decoder_set_audio(d, 0, f->states, &err), CARA_OK);
    f->polls_left = 2;
    assert_int_equal(feed(d, 0, tokens, 2, logits, &err), CARA_ERR_CANCELLED);
    f->polls_left = -1;
    assert_int_equal(feed(d, 0, tokens, 2, logits, &err), CARA_OK);
    f->polls_left = 0;
    assert_int_equal(feed(d, 0, tokens, 1, logits, &err), CARA_ERR_CANCELLED);
    f->polls_left = -1;
    assert_int_equal(feed(d, 0, tokens, 1, logits, &err), CARA_OK);
    int32_t all[3] = {50257, 11, 50257};
    alone(f, f->states, all, 3, 2, logits + f->n_vocab);
    assert_memory_equal(logits, logits + f->n_vocab, f->n_vocab * sizeof *logits);
    cara_decoder_free(d);
    free(mel);
    free(a);
    free(b);
    free(logits);
}

/* A cut window is what a model with so short a context makes of the same frames: encoder states,
 * and logits from them. `weights` are the model's own (NULL) or int8. */
static void cut_to(fixture *f, size_t ctx, const cara_weights *weights, const float *mel) {
    size_t frames = 2 * ctx, n_mels = (size_t)f->dims->n_mels;
    size_t n_state = (size_t)f->dims->n_audio_state, last = 3;
    float *part = malloc(frames * n_mels * sizeof *part);
    float *got = malloc(ctx * n_state * sizeof *got), *want = malloc(ctx * n_state * sizeof *want);
    float *logits = malloc(2 * f->n_vocab * sizeof *logits);
    assert_true(part && got && want && logits);
    for (size_t m = 0; m < n_mels; m++)
        memcpy(part + m * frames, mel + m * CARA_N_FRAMES, frames * sizeof *part);
    cara_model brief = *f->model;
    brief.dims.n_audio_ctx = (int32_t)ctx;
    cara_compute full = f->compute, cut = f->compute;
    full.weights = cut.weights = weights;
    cut.model = &brief;
    static const int32_t tokens[2] = {50257, 11};
    cara_error err;
    cara_encoder *e;
    cara_decoder *d;
    /* After a whole window, of which nothing may be left, and beside one. */
    float *all = malloc((size_t)f->dims->n_audio_ctx * n_state * sizeof *all);
    assert_non_null(all);
    assert_int_equal(cara_encoder_new(&full, &e, &err), CARA_OK);
    assert_int_equal(cara_decoder_new(&full, 2, 2, &d, &err), CARA_OK);
    assert_int_equal(cara_decoder_reserve(d, 0, 2, &err), CARA_OK);
    assert_int_equal(cara_encoder_run(e, mel, all, &err), CARA_OK);
    assert_int_equal(cara_decoder_set_audio(d, 0, all, &err), CARA_OK);
    assert_int_equal(cara_decoder_set_audio(d, 1, all, &err), CARA_OK);
    cara_decoder_start(d, 1, 1);
    cara_encoder_set_ctx(e, ctx);
    cara_decoder_set_audio_ctx(d, 1, ctx);
    assert_int_equal(feed(d, 1, tokens, 2, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_encoder_run(e, mel, got, &err), CARA_OK);
    assert_int_equal(cara_decoder_set_audio(d, 1, got, &err), CARA_OK);
    const cara_run runs[2] = {{0, tokens, 2}, {1, tokens, 2}};
    assert_int_equal(cara_decoder_forward(d, runs, 2, &last, 1, logits, &err), CARA_OK);
    cara_encoder_free(e);
    cara_decoder_free(d);
    free(all);
    assert_int_equal(cara_encoder_new(&cut, &e, &err), CARA_OK);
    assert_int_equal(cara_decoder_new(&cut, 1, 1, &d, &err), CARA_OK);
    assert_int_equal(cara_decoder_reserve(d, 0, 1, &err), CARA_OK);
    assert_int_equal(cara_encoder_run(e, part, want, &err), CARA_OK);
    assert_int_equal(cara_decoder_set_audio(d, 0, want, &err), CARA_OK);
    assert_int_equal(feed(d, 0, tokens, 2, logits + f->n_vocab, &err), CARA_OK);
    cara_encoder_free(e);
    cara_decoder_free(d);
    assert_memory_equal(got, want, ctx * n_state * sizeof *got);
    assert_memory_equal(logits, logits + f->n_vocab, f->n_vocab * sizeof *logits);
    free(part);
    free(got);
    free(want);
    free(logits);
}

static void a_shortened_window_decodes_as_a_short_window(void **state) {
    fixture *f = *state;
    static const size_t ctx[] = {1, 16, 95, 97, 600, 1499, 1500};
    size_t n = (size_t)f->dims->n_mels * CARA_N_FRAMES;
    float *mel = malloc(n * sizeof *mel);
    assert_non_null(mel);
    for (size_t i = 0; i < n; i++)
        mel[i] = (float)(i * 2654435761u % 1000) / 500 - 1;
    cara_quantised *q;
    cara_error err;
    assert_int_equal(cara_quantise(&f->compute, &q, &err), CARA_OK);
    for (size_t i = 0; i < sizeof ctx / sizeof *ctx; i++) {
        cut_to(f, ctx[i], NULL, mel);
        cut_to(f, ctx[i], cara_quantised_weights(q), mel);
    }
    cara_quantised_free(q);
    free(mel);
}

/* Longer runs come first, then those of an audio together, else in the caller's order. */
static void a_pass_orders_its_runs(void **state) {
    const fixture *f = *state;
    static const cara_pass_run runs[] = {
        {.index = 0, .audio = 1, .n = 3}, {.index = 1, .audio = 0, .n = 8},
        {.index = 2, .audio = 1, .n = 9}, {.index = 3, .audio = 0, .n = 20},
        {.index = 4, .audio = 1, .n = 1}, {.index = 5, .audio = 0, .n = 1},
        {.index = 6, .audio = 2, .n = 6},
    };
    static const size_t order[] = {3, 2, 1, 5, 0, 4}; /* the last does not fit */
    enum { N = sizeof order / sizeof *order };
    const cara_text_shape shape = {1, 1, 16};
    cara_arena arena;
    cara_pass pass;
    cara_arena_init(&arena, 1 << 20);
    assert_int_equal(cara_pass_init(&pass, &f->compute, &shape, 47, N + 1, 0, 1, &arena), 0);
    for (int try = 0; try < 2; try++) {
        size_t row = 0;
        cara_pass_begin(&pass);
        for (size_t i = 0; i < N + 1; i++)
            assert_int_equal(cara_pass_add(&pass, runs[i]), i < N);
        assert_int_equal(pass.n_runs, N);
        assert_int_equal(pass.rows, 42);
        assert_int_equal(pass.many, 29);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(pass.runs[i].index, order[i]);
            assert_int_equal(pass.runs[i].first, row);
            assert_int_equal(cara_pass_row(&pass, order[i], 0), row);
            row += pass.runs[i].n;
        }
    }
    cara_pass_free(&pass);
    cara_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_orders_its_runs),
        cmocka_unit_test(candidates_are_independent),
        cmocka_unit_test(other_runs_of_a_pass_change_no_result),
        cmocka_unit_test(limits_are_errors),
        cmocka_unit_test(a_stopped_run_can_be_repeated),
        cmocka_unit_test(a_shortened_window_decodes_as_a_short_window),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

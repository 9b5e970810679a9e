/* Encoder and decoder: caches, candidates, limits, cancelling. What they compute is compared with
 * openai/whisper's in tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "whisper/decoder.h"
#include "whisper/encoder.h"
#include "whisper/mel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fixture {
    cara_model *model;
    cara_compute compute;
    const cara_dims *dims;
    float *states; /* [n_audio_ctx, n_audio_state], random */
    size_t n_vocab;
    int polls_left; /* poll() says stop when it reaches 0; negative: never */
} fixture;

static int poll_it(void *cookie) {
    fixture *f = cookie;
    return f->polls_left >= 0 && f->polls_left-- == 0;
}

static int setup(void **state) {
    static fixture f;
    char path[4096];
    cara_error err;
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/data/golden/shapes/micro-en.pt", root ? root : ".");
    if (cara_model_open_without_vocab(path, &f.model, &err) != CARA_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    f.dims = cara_model_dims(f.model);
    f.n_vocab = (size_t)f.dims->n_vocab;
    f.compute = (cara_compute){.model = f.model,
                               .kernels = cara_kernels_for(cara_cpu_detect()),
                               .pool = cara_pool_new(2),
                               .poll = poll_it,
                               .cookie = &f};
    f.polls_left = -1;
    size_t n = (size_t)f.dims->n_audio_ctx * (size_t)f.dims->n_audio_state;
    f.states = malloc(n * sizeof *f.states);
    uint32_t seed = 1;
    for (size_t i = 0; f.states && i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        f.states[i] = (float)(seed >> 8) / 8388608.0f - 1;
    }
    *state = &f;
    return f.states && f.compute.pool ? 0 : -1;
}

static int teardown(void **state) {
    fixture *f = *state;
    free(f->states);
    cara_pool_free(f->compute.pool);
    cara_model_close(f->model);
    return 0;
}

static cara_decoder *decoder_with_audio(fixture *f, int rows) {
    cara_decoder *d;
    cara_error err;
    assert_int_equal(cara_decoder_new(&f->compute, rows, &d, &err), CARA_OK);
    assert_int_equal(cara_decoder_set_audio(d, f->states, &err), CARA_OK);
    return d;
}

/* What a decoder of its own says after these tokens, fed one by one behind a prompt of two. */
static void alone(fixture *f, const int32_t *tokens, size_t n, float *logits) {
    cara_decoder *d = decoder_with_audio(f, 1);
    cara_error err;
    size_t last = 1;
    assert_int_equal(cara_decoder_prompt(d, tokens, 2, &last, 1, logits, &err), CARA_OK);
    for (size_t i = 2; i < n; i++)
        assert_int_equal(cara_decoder_step(d, tokens + i, 1, logits, &err), CARA_OK);
    cara_decoder_free(d);
}

static void candidates_are_independent(void **state) {
    fixture *f = *state;
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
    size_t last = 1;
    /* A second try at the window must find nothing of the first. */
    for (int try = 0; try < 2; try++) {
        cara_decoder_reset(d);
        assert_int_equal(cara_decoder_prompt(d, history[0], 2, &last, 1, logits, &err), CARA_OK);
        cara_decoder_fork(d, ROWS);
        for (int s = 0; s < STEPS; s++) {
            int32_t before[ROWS][2 + STEPS], tokens[ROWS];
            memcpy(before, history, sizeof before);
            cara_decoder_reorder(d, source[s], ROWS);
            for (int r = 0; r < ROWS; r++) {
                memcpy(history[r], before[source[s][r]], sizeof history[r]);
                tokens[r] = history[r][2 + s] = 100 + 1000 * try + 10 * s + r;
            }
            assert_int_equal(cara_decoder_step(d, tokens, ROWS, logits, &err), CARA_OK);
        }
        for (int r = 0; r < ROWS; r++) {
            alone(f, history[r], 2 + STEPS, want);
            assert_memory_equal(want, logits + (size_t)r * f->n_vocab, f->n_vocab * sizeof *want);
        }
    }
    cara_decoder_free(d);
    free(logits);
}

static void more_candidates_than_few_rows(void **state) {
    fixture *f = *state;
    enum { ROWS = CARA_FEW_ROWS + 3 };
    cara_decoder *d = decoder_with_audio(f, ROWS);
    cara_error err;
    float *logits = malloc((ROWS + 1) * f->n_vocab * sizeof *logits);
    float *want = logits + ROWS * f->n_vocab;
    assert_non_null(logits);
    int32_t tokens[ROWS], history[3] = {50257, 11, 0};
    size_t last = 1;
    assert_int_equal(cara_decoder_prompt(d, history, 2, &last, 1, logits, &err), CARA_OK);
    cara_decoder_fork(d, ROWS);
    for (int r = 0; r < ROWS; r++)
        tokens[r] = 500 + r;
    assert_int_equal(cara_decoder_step(d, tokens, ROWS, logits, &err), CARA_OK);
    for (int r = 0; r < ROWS; r += 5) {
        history[2] = tokens[r];
        alone(f, history, 3, want);
        for (size_t i = 0; i < f->n_vocab; i++) {
            float apart = want[i] - logits[(size_t)r * f->n_vocab + i];
            assert_true(apart < 1e-4f && apart > -1e-4f);
        }
    }
    cara_decoder_free(d);
    free(logits);
}

static void limits_are_told(void **state) {
    fixture *f = *state;
    cara_decoder *d;
    cara_error err;
    float *logits = malloc(2 * f->n_vocab * sizeof *logits);
    assert_non_null(logits);
    int32_t tokens[449] = {1}, bad = (int32_t)f->n_vocab, negative = -1;
    size_t last = 0;
    assert_int_equal(cara_decoder_new(&f->compute, 0, &d, &err), CARA_ERR_USAGE);
    assert_null(d);
    assert_int_equal(cara_decoder_new(&f->compute, 2, &d, &err), CARA_OK);
    assert_int_equal(cara_decoder_prompt(d, tokens, 1, &last, 1, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_decoder_set_audio(d, f->states, &err), CARA_OK);
    assert_int_equal(cara_decoder_prompt(d, tokens, 0, &last, 1, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_decoder_prompt(d, tokens, 449, &last, 1, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_decoder_prompt(d, &bad, 1, &last, 1, logits, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "51864"));
    assert_int_equal(cara_decoder_prompt(d, &negative, 1, &last, 1, logits, &err), CARA_ERR_USAGE);
    last = 446;
    assert_int_equal(cara_decoder_prompt(d, tokens, 447, &last, 1, logits, &err), CARA_OK);
    cara_decoder_fork(d, 2);
    assert_int_equal(cara_decoder_step(d, tokens, 3, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_decoder_step(d, tokens, 2, logits, &err), CARA_OK);
    assert_int_equal(cara_decoder_step(d, tokens, 2, logits, &err), CARA_ERR_USAGE);
    cara_decoder_free(d);
    free(logits);
    assert_int_equal(cara_check_heads("text", 384, 6, &err), CARA_OK);
    assert_int_equal(cara_check_heads("text", 384, 7, &err), CARA_ERR_MODEL_SHAPE);
    assert_int_equal(cara_check_heads("text", 40, 1, &err), CARA_ERR_MODEL_SHAPE);
    assert_int_equal(cara_check_heads("text", 512, 2, &err), CARA_ERR_MODEL_SHAPE);
    assert_int_equal(cara_check_heads("text", 512, 0, &err), CARA_ERR_MODEL_SHAPE);
}

/* Stopping at any poll leaves everything in a state to start over from. */
static void stopping_is_clean(void **state) {
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
    size_t last = 1;
    f->polls_left = 1;
    assert_int_equal(cara_decoder_set_audio(d, f->states, &err), CARA_ERR_CANCELLED);
    f->polls_left = -1;
    assert_int_equal(cara_decoder_prompt(d, tokens, 2, &last, 1, logits, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_decoder_set_audio(d, f->states, &err), CARA_OK);
    f->polls_left = 2;
    assert_int_equal(cara_decoder_prompt(d, tokens, 2, &last, 1, logits, &err), CARA_ERR_CANCELLED);
    f->polls_left = -1;
    assert_int_equal(cara_decoder_prompt(d, tokens, 2, &last, 1, logits, &err), CARA_OK);
    f->polls_left = 0;
    assert_int_equal(cara_decoder_step(d, tokens, 1, logits, &err), CARA_ERR_CANCELLED);
    f->polls_left = -1;
    assert_int_equal(cara_decoder_step(d, tokens, 1, logits, &err), CARA_OK);
    int32_t all[3] = {50257, 11, 50257};
    alone(f, all, 3, logits + f->n_vocab);
    assert_memory_equal(logits, logits + f->n_vocab, f->n_vocab * sizeof *logits);
    cara_decoder_free(d);
    free(mel);
    free(a);
    free(b);
    free(logits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_are_independent),
        cmocka_unit_test(more_candidates_than_few_rows),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(stopping_is_clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

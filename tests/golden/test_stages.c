/* Mel to encoder states, and tokens to logits, against openai/whisper's, at every kernel level of
 * this machine and with one thread and three: those must agree to the bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "npy.h"
#include "whisper/network/decoder.h"
#include "whisper/network/encoder.h"

#include <jansson.h>

#define MAX_TOKENS 64

typedef struct stage {
    const char *model, *files; /* under tests/data */
} stage;

static const stage stages[] = {
    {"nano/nano.pt", "golden/stages/en-00"},
    {"nano/nano.pt", "golden/stages/en-03"},
    {"nano/nano.pt", "golden/stages/es-01"},
    {"nano/nano.pt", "golden/stages/es-02"},
    {"golden/shapes/micro-v3.pt", "golden/shapes/micro-v3"},
    {"golden/shapes/micro-en.pt", "golden/shapes/micro-en"},
};

typedef struct fed {
    int32_t tokens[MAX_TOKENS];
    size_t n, rows[MAX_TOKENS], n_rows;
} fed;

static fed read_fed(const char *path) {
    fed f = {0};
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error), *value;
    if (!root)
        fail_msg("%s: %s", path, error.text);
    size_t i;
    json_array_foreach(json_object_get(root, "tokens"), i, value) {
        assert_true(f.n < MAX_TOKENS);
        f.tokens[f.n++] = (int32_t)json_integer_value(value);
    }
    json_array_foreach(json_object_get(root, "logit_rows"), i, value) {
        assert_true(f.n_rows < MAX_TOKENS);
        f.rows[f.n_rows++] = (size_t)json_integer_value(value);
    }
    json_decref(root);
    assert_true(f.n > 0 && f.n_rows > 0);
    return f;
}

static npy read_part(const stage *s, const char *part) {
    char name[256];
    snprintf(name, sizeof name, "%s.%s.npy", s->files, part);
    return npy_read(name);
}

/* The tokens one by one, in a second row beside other ones, must give the prompt's logits too. */
static void step_by_step(cara_decoder *decoder, const fed *f, size_t n_vocab, const float *want) {
    cara_error err;
    float *logits = malloc(2 * n_vocab * sizeof *logits);
    assert_non_null(logits);
    int32_t other = f->tokens[0];
    cara_decoder_start(decoder, 0, 0);
    assert_int_equal(
        cara_decoder_forward(decoder, &(cara_run){0, f->tokens, 1}, 1, NULL, 0, logits, &err),
        CARA_OK);
    cara_decoder_fork(decoder, 0, 0, 2);
    int swap[2] = {1, 0};
    cara_decoder_reorder(decoder, 0, swap, 2);
    for (size_t i = 1, row = f->rows[0] == 0; i < f->n && row < f->n_rows; i++) {
        cara_run runs[2] = {{0, &other, 1}, {1, f->tokens + i, 1}};
        size_t both[2] = {0, 1};
        assert_int_equal(cara_decoder_forward(decoder, runs, 2, both, 2, logits, &err), CARA_OK);
        if (i != f->rows[row])
            continue;
        double apart = most_apart(logits + n_vocab, want + row * n_vocab, n_vocab, NULL);
        assert_true(apart <= 1e-2);
        row++;
    }
    free(logits);
}

static void one_stage(const stage *s, cara_cpu_level level, int threads, float **states_out,
                      float **logits_out) {
    cara_error err;
    cara_model *model;
    char path[256];
    if (cara_model_open_without_vocab(fixture(s->model), &model, &err) != CARA_OK)
        fail_msg("%s", err.text);
    const cara_dims *dims = cara_model_dims(model);
    cara_compute compute = {
        .model = model, .kernels = cara_kernels_for(level), .pool = cara_pool_new(threads)};
    npy mel = read_part(s, "mel"), encoder_want = read_part(s, "encoder");
    npy logits_want = read_part(s, "logits");
    snprintf(path, sizeof path, "%s.json", s->files);
    fed f = read_fed(fixture(path));
    assert_int_equal(encoder_want.count, (size_t)dims->n_audio_ctx * (size_t)dims->n_audio_state);
    assert_int_equal(logits_want.count, f.n_rows * (size_t)dims->n_vocab);
    float *states = malloc(encoder_want.count * sizeof *states);
    float *logits = malloc(logits_want.count * sizeof *logits);
    assert_non_null(states);
    assert_non_null(logits);

    cara_encoder *encoder;
    cara_decoder *decoder;
    assert_int_equal(cara_encoder_new(&compute, &encoder, &err), CARA_OK);
    assert_int_equal(cara_encoder_run(encoder, mel.data, states, &err), CARA_OK);
    double mean, apart = most_apart(states, encoder_want.data, encoder_want.count, &mean);
    assert_int_equal(cara_decoder_new(&compute, 1, 2, &decoder, &err), CARA_OK);
    assert_int_equal(cara_decoder_reserve(decoder, 0, 2, &err), CARA_OK);
    assert_int_equal(cara_decoder_set_audio(decoder, 0, encoder_want.data, &err), CARA_OK);
    assert_int_equal(cara_decoder_forward(decoder, &(cara_run){0, f.tokens, f.n}, 1, f.rows,
                                          f.n_rows, logits, &err),
                     CARA_OK);
    double logits_apart = most_apart(logits, logits_want.data, logits_want.count, NULL);
    print_message("%s, %s, %d threads: encoder max %.2g mean %.2g, logits max %.2g\n", s->files,
                  cara_cpu_level_name(level), threads, apart, mean, logits_apart);
    assert_true(apart <= 2e-3);
    assert_true(mean <= 1e-4);
    assert_true(logits_apart <= 1e-2);
    step_by_step(decoder, &f, (size_t)dims->n_vocab, logits_want.data);

    cara_encoder_free(encoder);
    cara_decoder_free(decoder);
    cara_pool_free(compute.pool);
    npy_free(&mel);
    npy_free(&encoder_want);
    npy_free(&logits_want);
    cara_model_close(model);
    *states_out = states;
    *logits_out = logits;
}

static void stages_match_at_every_level(void **state) {
    (void)state;
    for (int level = 0; level < CARA_CPU_LEVELS; level++) {
        if (!cara_cpu_has((cara_cpu_level)level))
            continue;
        for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
            float *states[2], *logits[2];
            one_stage(&stages[i], (cara_cpu_level)level, 1, &states[0], &logits[0]);
            /* The slow level shows that threads change nothing on one model of each width. */
            if (level != CARA_CPU_SCALAR || i >= 4) {
                one_stage(&stages[i], (cara_cpu_level)level, 3, &states[1], &logits[1]);
                npy shape = read_part(&stages[i], "encoder");
                assert_memory_equal(states[0], states[1], shape.count * sizeof(float));
                npy_free(&shape);
                shape = read_part(&stages[i], "logits");
                assert_memory_equal(logits[0], logits[1], shape.count * sizeof(float));
                npy_free(&shape);
                free(states[1]);
                free(logits[1]);
            }
            free(states[0]);
            free(logits[0]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stages_match_at_every_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The scores of cross-attention that word times are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "whisper/network/cross_cache.h"
#include "whisper/network/pass.h"
#include "whisper/network/quantise.h"

#include "network_fixture.h"

#include <math.h>

enum { N = 11, CTX = 700 };

/* The same logits as without scores, and the same scores however the tokens are cut into runs.
 * Those of the first layer are kept in `first` [N, CTX]. */
static void check_alignment(fixture *f, float tolerance, float *first) {
    static const int32_t tokens[N] = {50257, 50362, 11, 262, 995, 290, 318, 257, 1332, 13, 50256};
    size_t n_ctx = CTX, wanted[N];
    const cara_alignment_head heads[] = {{0, 0}, {f->dims->n_text_layer - 1, 0}, {1, 0}};
    size_t each = N * n_ctx;
    cara_error err;
    cara_decoder *d = decoder_with_audio(f, 3);
    float *logits = malloc(2 * N * f->n_vocab * sizeof *logits), *same = logits + N * f->n_vocab;
    float *scores = malloc(6 * each * sizeof *scores), *parts = scores + 3 * each;
    assert_true(logits && scores);
    cara_decoder_set_audio_ctx(d, 0, n_ctx);
    assert_int_equal(cara_decoder_set_audio(d, 0, f->states, &err), CARA_OK);
    for (size_t i = 0; i < N; i++)
        wanted[i] = i;
    const cara_alignment whole = {heads, 3, scores};
    const cara_run run = {0, tokens, N};
    if (cara_decoder_forward(d, &run, 1, wanted, N, same, &err))
        fail_msg("%s", err.text);
    cara_decoder_start(d, 0, 0);
    assert_int_equal(cara_decoder_align(d, &run, wanted, N, logits, &whole, &err), CARA_OK);
    assert_memory_equal(logits, same, N * f->n_vocab * sizeof *logits);

    /* Token by token, in another slot. */
    for (size_t i = 0; i < N; i++) {
        const cara_run one = {1, tokens + i, 1};
        const cara_alignment part = {heads, 3, parts};
        assert_int_equal(cara_decoder_align(d, &one, NULL, 0, NULL, &part, &err), CARA_OK);
        for (size_t h = 0; h < 3; h++)
            for (size_t t = 0; t < n_ctx; t++) {
                float a = scores[h * each + i * n_ctx + t], b = parts[h * n_ctx + t];
                if (!(fabsf(a - b) <= tolerance * (1 + fabsf(a))))
                    fail_msg("head %zu, token %zu, position %zu: %g, alone %g", h, i, t, a, b);
            }
    }
    memcpy(first, scores, each * sizeof *first);
    const cara_alignment_head none[] = {
        {-1, 0}, {f->dims->n_text_layer, 0}, {0, -1}, {0, f->dims->n_text_head}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(cara_decoder_align(d, &(cara_run){2, tokens, 1}, NULL, 0, NULL,
                                            &(cara_alignment){&none[i], 1, scores}, &err),
                         CARA_ERR_USAGE);
    cara_decoder_free(d);
    free(scores);
    free(logits);
}

static void alignment_leaves_the_logits_as_they_are(void **state) {
    fixture *f = *state;
    cara_compute was = f->compute;
    float *exact = malloc(2 * N * CTX * sizeof *exact), *coarse = exact + N * CTX;
    assert_non_null(exact);
    for (int level = 0; level < CARA_CPU_LEVELS; level++) {
        cara_quantised *quantised = NULL;
        cara_error err;
        if (!cara_cpu_has((cara_cpu_level)level))
            continue;
        f->compute.kernels = cara_kernels_for((cara_cpu_level)level);
        check_alignment(f, 1e-3f, exact);
        assert_int_equal(cara_quantise(&f->compute, &quantised, &err), CARA_OK);
        f->compute.weights = cara_quantised_weights(quantised);
        check_alignment(f, 1e-3f, coarse);
        f->compute.weights = NULL;
        cara_quantised_free(quantised);
        /* Int8 scores are those of floats, less what int8 costs. */
        double difference = 0, size = 0;
        for (size_t i = 0; i < N * CTX; i++) {
            difference += pow(exact[i] - coarse[i], 2);
            size += pow(exact[i], 2);
        }
        print_message("%s: int8 differs by %.2f %%\n", cara_cpu_level_name((cara_cpu_level)level),
                      100 * sqrt(difference / size));
        assert_true(sqrt(difference / size) < 0.1);
    }
    free(exact);
    f->compute = was;
}

/* q . k / sqrt(d) of keys that are computed here, in double. */
static void scores_are_those_of_queries_and_keys(void **state) {
    fixture *f = *state;
    enum { HEADS = 2, D = 64, S = HEADS * D, POSITIONS = 203, ROWS = 11, BEFORE = 3 };
    const cara_text_shape shape = {.n_layer = 2, .n_head = HEADS, .d = D};
    float *weights = malloc(2 * S * S * sizeof *weights), scores[ROWS * POSITIONS];
    float *bias = malloc(S * sizeof *bias);
    assert_true(weights && bias);
    for (size_t i = 0; i < 2 * S * S; i++)
        weights[i] = f->states[i] * 0.1f;
    for (size_t i = 0; i < S; i++)
        bias[i] = f->states[77 + i];
    const float *states = f->states + 500;
    cara_dense key = {.w = weights, .type = CARA_WEIGHT_F32, .n = S, .k = S, .bias = bias};
    cara_dense value = {.w = weights + S * S, .type = CARA_WEIGHT_F32, .n = S, .k = S};
    cara_arena arena;
    cara_pass pass;
    cara_arena_init(&arena, 1 << 26);
    assert_int_equal(cara_pass_init(&pass, &f->compute, &shape, 64, 4, 0, 0, &arena), 0);
    cara_cross_cache *cache = cara_cross_cache_new(&pass, 2, POSITIONS + 50, 0);
    assert_non_null(cache);
    cara_cross_cache_set_ctx(cache, 1, POSITIONS);
    assert_int_equal(cara_cross_cache_ctx(cache, 1), POSITIONS);
    cara_cross_cache_set_layer(cache, 1, 1, &key, &value, states);
    cara_cross_cache_mark_set(cache, 1);
    for (size_t i = 0; i < 64 * S; i++)
        pass.q[i] = f->states[9000 + i];
    const cara_pass_run run = {.audio = 1, .n = ROWS, .first = BEFORE};
    for (size_t head = 0; head < HEADS; head++) {
        cara_cross_cache_scores(cache, 1, head, &run, scores);
        for (size_t i = 0; i < ROWS; i++)
            for (size_t t = 0; t < POSITIONS; t++) {
                double want = 0;
                for (size_t p = head * D; p < (head + 1) * D; p++) {
                    double k = bias[p], q = pass.q[(BEFORE + i) * S + p];
                    for (size_t c = 0; c < S; c++)
                        k += (double)weights[p * S + c] * states[t * S + c];
                    want += q * k / 8;
                }
                if (!(fabs(scores[i * POSITIONS + t] - want) <= 1e-4))
                    fail_msg("head %zu, row %zu, position %zu: %g, expected %g", head, i, t,
                             scores[i * POSITIONS + t], want);
            }
    }
    cara_cross_cache_free(cache);
    cara_pass_free(&pass);
    cara_arena_free(&arena);
    free(bias);
    free(weights);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alignment_leaves_the_logits_as_they_are),
        cmocka_unit_test(scores_are_those_of_queries_and_keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* The logit filters, over a vocabulary small enough to write out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "whisper/decoding/probability.h"
#include "whisper/decoding/random.h"
#include "whisper/decoding/rules.h"
#include "whisper/decoding/strategy.h"

#include <math.h>
#include <string.h>

/* 0 to 9 text, 10 eot, 11 sot, 12 no_timestamps, 13 to 22 the timestamps 0 to 9. */
enum { N = 23, EOT = 10, SOT = 11, NO_TIMESTAMPS = 12, T0 = 13 };

static cara_rules rules_of_test(void) {
    return (cara_rules){.kernels = cara_kernels_for(CARA_CPU_SCALAR),
                        .n_vocab = N,
                        .eot = EOT,
                        .no_timestamps = NO_TIMESTAMPS,
                        .timestamp_begin = T0,
                        .timestamps = 1,
                        .max_initial_timestamp = -1};
}

/* One letter a token: what may follow. Text, eot and sot, no_timestamps, timestamps. */
static void allowed_after(const cara_rules *rules, const int32_t *sampled, size_t n,
                          float timestamp_logit, char out[N + 1]) {
    float logits[N];
    for (int i = 0; i < N; i++)
        logits[i] = i < T0 ? 0 : timestamp_logit;
    cara_rules_apply(rules, sampled, n, logits);
    for (int i = 0; i < N; i++)
        out[i] = logits[i] == -INFINITY ? '.' : 'x';
    out[N] = 0;
}

static void timestamps_come_in_rising_pairs(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int32_t sampled[6];
        size_t n;
        const char *allowed;
    } cases[] = {
        {"first: a timestamp, nothing else",
         {0},
         0,
         ".........."
         "..."
         "xxxxxxxxxx"},
        {"after the first timestamp: no timestamp",
         {T0 + 2},
         1,
         "xxxxxxxxxx"
         "xx."
         ".........."},
        {"text in a segment: anything later",
         {T0 + 2, 4},
         2,
         "xxxxxxxxxx"
         "xx."
         "...xxxxxxx"},
        {"end of a segment: its pair, equal allowed, or eot",
         {T0 + 2, 4, T0 + 5},
         3,
         ".........."
         "xx."
         ".....xxxxx"},
        {"after a pair: no timestamp",
         {T0 + 2, 4, T0 + 5, T0 + 5},
         4,
         "xxxxxxxxxx"
         "xx."
         ".........."},
        {"text after a pair: later than it",
         {T0 + 2, 4, T0 + 5, T0 + 6, 1},
         5,
         "xxxxxxxxxx"
         "xx."
         ".......xxx"},
        {"text alone (no timestamp yet)",
         {4},
         1,
         "xxxxxxxxxx"
         "xx."
         "xxxxxxxxxx"},
        {"text then its end, at the last step",
         {4, T0 + 9},
         2,
         ".........."
         "xx."
         ".........x"},
        {"text after the last step: no time is left",
         {T0 + 9, 4},
         2,
         "xxxxxxxxxx"
         "xx."
         ".........."},
    };
    cara_rules rules = rules_of_test();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char allowed[N + 1];
        allowed_after(&rules, cases[i].sampled, cases[i].n, -10, allowed);
        if (strcmp(allowed, cases[i].allowed))
            print_message("%s\n", cases[i].what);
        assert_string_equal(allowed, cases[i].allowed);
    }
}

static void the_first_timestamp_has_a_limit(void **state) {
    (void)state;
    static const struct {
        int32_t limit;
        const char *allowed;
    } cases[] = {
        {-1, ".............xxxxxxxxxx"}, {0, ".............x........."},
        {3, ".............xxxx......"},  {9, ".............xxxxxxxxxx"},
        {50, ".............xxxxxxxxxx"}, {INT32_MAX, ".............xxxxxxxxxx"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_rules rules = rules_of_test();
        rules.max_initial_timestamp = cases[i].limit;
        char allowed[N + 1];
        allowed_after(&rules, NULL, 0, -10, allowed);
        assert_string_equal(allowed, cases[i].allowed);
        /* only the first */
        int32_t sampled[] = {T0 + 1, 3};
        allowed_after(&rules, sampled, 2, -10, allowed);
        assert_string_equal(allowed, "xxxxxxxxxxxx...xxxxxxxx");
    }
}

static void timestamps_win_by_their_sum(void **state) {
    (void)state;
    cara_rules rules = rules_of_test();
    int32_t sampled[] = {T0, 3};
    char allowed[N + 1];
    /* nine timestamps may follow: together they weigh 9 * exp(logit) against exp(0) of the text */
    allowed_after(&rules, sampled, 2, -logf(9) + 0.01f, allowed);
    assert_string_equal(allowed, "..............xxxxxxxxx");
    allowed_after(&rules, sampled, 2, -logf(9) - 0.01f, allowed);
    assert_string_equal(allowed, "xxxxxxxxxxxx..xxxxxxxxx");

    /* A suppressed token does not count as text, a masked timestamp does not count as time. */
    float logits[N];
    for (int i = 0; i < N; i++)
        logits[i] = i < T0 ? -5 : -10;
    logits[7] = 9;
    logits[T0] = 100; /* masked: time does not stand still */
    int32_t seven = 7;
    rules.suppress = &seven;
    rules.n_suppress = 1;
    cara_rules_apply(&rules, sampled, 2, logits);
    assert_true(logits[7] == -INFINITY);
    assert_true(logits[T0] == -INFINITY);
    assert_true(logits[6] == -5);
}

static void blank_and_suppressed_tokens(void **state) {
    (void)state;
    static const int32_t blank[] = {3}, suppress[] = {0, 9, SOT};
    static const struct {
        const char *what;
        int suppress_blank, timestamps, suppressing;
        size_t n;
        const char *allowed;
    } cases[] = {
        {"nothing on", 0, 0, 0, 0, "xxxxxxxxxxxxxxxxxxxxxxx"},
        {"blank, first", 1, 0, 0, 0, "xxx.xxxxxx.xxxxxxxxxxxx"},
        {"blank, later", 1, 0, 0, 1, "xxxxxxxxxxxxxxxxxxxxxxx"},
        {"suppress, first", 0, 0, 1, 0, ".xxxxxxxx.x.xxxxxxxxxxx"},
        {"suppress, later", 0, 0, 1, 1, ".xxxxxxxx.x.xxxxxxxxxxx"},
        {"both, first", 1, 0, 1, 0, ".xx.xxxxx...xxxxxxxxxxx"},
        {"all three, first", 1, 1, 1, 0, ".............xxxxxxxxxx"},
        {"all three, later", 1, 1, 1, 1, ".xxxxxxxx.x..xxxxxxxxxx"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_rules rules = rules_of_test();
        rules.suppress_blank = cases[i].suppress_blank;
        rules.blank = blank;
        rules.n_blank = 1;
        rules.timestamps = cases[i].timestamps;
        if (cases[i].suppressing) {
            rules.suppress = suppress;
            rules.n_suppress = 3;
        }
        int32_t sampled[] = {5};
        char allowed[N + 1];
        allowed_after(&rules, sampled, cases[i].n, -10, allowed);
        if (strcmp(allowed, cases[i].allowed))
            print_message("%s\n", cases[i].what);
        assert_string_equal(allowed, cases[i].allowed);
    }
}

static void probabilities_carry_infinities(void **state) {
    (void)state;
    float x[] = {-INFINITY, 1, 3, 3, -INFINITY};
    float none[] = {-INFINITY, -INFINITY}, large[] = {1000, 1000};
    float bad[][20] = {{[3] = NAN}, {[3] = INFINITY}, {[19] = NAN}}, p[20];
    assert_int_equal(cara_argmax(x, 5), 2); /* the first of equals */
    assert_int_equal(cara_argmax(none, 2), 0);
    assert_true(cara_max(none, 0) == -INFINITY);
    for (int level = 0; level < CARA_CPU_LEVELS; level++) {
        if (!cara_cpu_has(level))
            continue;
        const cara_kernels *kernels = cara_kernels_for(level);
        assert_true(cara_log_sum_exp(kernels, none, 2) == -INFINITY);
        assert_true(cara_log_sum_exp(kernels, none, 0) == -INFINITY);
        assert_true(fabsf(cara_log_sum_exp(kernels, x, 5) - logf(expf(1) + 2 * expf(3))) < 1e-6f);
        assert_true(fabsf(cara_log_sum_exp(kernels, large, 2) - (1000 + logf(2))) < 1e-3f);
        assert_int_equal(cara_softmax(kernels, none, 2, 1, p), 0);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            assert_true(isnan(cara_log_sum_exp(kernels, bad[i], 20)));
            assert_int_equal(cara_softmax(kernels, bad[i], 20, 1, p), 0);
        }
        assert_int_equal(cara_softmax(kernels, x, 5, 2, p), 1);
        double sum = exp(-1) + 2;
        assert_true(p[0] == 0 && p[4] == 0 && fabs(p[1] - exp(-1) / sum) < 1e-6);
        assert_true(fabs(p[2] - 1 / sum) < 1e-6 && p[3] == p[2]);
    }
}

static void the_largest_is_found_anywhere(void **state) {
    (void)state;
    float x[40];
    for (size_t n = 1; n <= 40; n++)
        for (size_t at = 0; at < n; at++) {
            for (size_t i = 0; i < n; i++)
                x[i] = i == at ? 7 : i == (at + 1) % n ? NAN : -(float)i;
            assert_true(cara_max(x, n) == 7);
        }
}

/* Rows of 6 tokens with one before the first sampled. */
static cara_sequences rows_of_test(int n, int32_t *tokens, float **logits, float *sums,
                                   int *source) {
    for (int i = 0; i < n; i++) {
        tokens[(size_t)i * 6] = SOT;
        sums[i] = 0;
    }
    return (cara_sequences){.n = n,
                            .begin = 1,
                            .len = 1,
                            .cap = 6,
                            .tokens = tokens,
                            .logits = logits,
                            .sum_logprobs = sums,
                            .source = source};
}

static void greedy_takes_the_likeliest_and_ends_at_eot(void **state) {
    (void)state;
    int32_t tokens[12];
    float sums[2];
    int source[2];
    float logits[2 * N], *of[2] = {logits, logits + N};
    cara_sequences rows = rows_of_test(2, tokens, of, sums, source);
    cara_strategy greedy =
        cara_strategy_greedy(cara_kernels_for(CARA_CPU_SCALAR), N, EOT, 0, NULL, NULL);
    for (int i = 0; i < 2 * N; i++)
        logits[i] = -INFINITY;
    logits[4] = logits[5] = 2; /* row 0: a tie, the first wins with 1/2 */
    logits[N + EOT] = 0;       /* row 1: certainly over */
    assert_int_equal(greedy.update(&greedy, &rows), 0);
    assert_int_equal(tokens[1], 4);
    assert_int_equal(tokens[7], EOT);
    logits[4] = logits[5] = -INFINITY;
    logits[EOT] = 1;
    of[1] = NULL; /* row 1 has ended: it is asked no more */
    assert_int_equal(greedy.update(&greedy, &rows), 1);
    assert_int_equal(tokens[8], EOT);
    assert_true(fabsf(sums[0] - logf(0.5f)) < 1e-6f);
    assert_true(sums[1] == 0);

    cara_candidate out[2];
    assert_int_equal(greedy.finalize(&greedy, &rows, out, 2), 2);
    assert_int_equal(out[0].n_tokens, 1);
    assert_int_equal(out[0].tokens[0], 4);
    assert_int_equal(out[1].n_tokens, 0);
    assert_int_equal(greedy.finalize(&greedy, &rows, out, 1), 1);

    /* Nothing allowed: token 0 with a log-probability of NaN, as in the reference. */
    rows = rows_of_test(1, tokens, of, sums, source);
    for (int i = 0; i < N; i++)
        logits[i] = -INFINITY;
    assert_int_equal(greedy.update(&greedy, &rows), 0);
    assert_int_equal(tokens[1], 0);
    assert_true(isnan(sums[0]));
}

static void sampling_follows_the_distribution(void **state) {
    (void)state;
    enum { DRAWS = 40000 };
    static const double temperatures[] = {0.5, 1.0, 2.0};
    const cara_kernels *kernels = cara_kernels_for(CARA_CPU_SCALAR);
    float logits[N], weights[N];
    for (int i = 0; i < N; i++)
        logits[i] = -INFINITY;
    logits[2] = 0;
    logits[7] = 1;
    logits[22] = -1;
    for (size_t t = 0; t < sizeof temperatures / sizeof *temperatures; t++) {
        cara_random random;
        cara_random_seed(&random, 42);
        cara_strategy sampled =
            cara_strategy_greedy(kernels, N, EOT, temperatures[t], &random, weights);
        int counts[N] = {0};
        double sum = 0;
        for (int i = 0; i < DRAWS; i++) {
            int32_t tokens[6];
            float sums[1];
            int source[1];
            float *of[1] = {logits};
            cara_sequences rows = rows_of_test(1, tokens, of, sums, source);
            sampled.update(&sampled, &rows);
            counts[tokens[1]]++;
            sum = sums[0];
            /* the log-probability is that of the logits, whatever the temperature */
            assert_true(fabs(sum - (logits[tokens[1]] - cara_log_sum_exp(kernels, logits, N))) <
                        1e-6);
        }
        double total = 0, inverse = 1 / temperatures[t];
        for (int i = 0; i < N; i++)
            total += exp(logits[i] * inverse);
        for (int i = 0; i < N; i++) {
            double p = exp(logits[i] * inverse) / total;
            double sigma = sqrt(p * (1 - p) / DRAWS);
            assert_true(fabs(counts[i] / (double)DRAWS - p) <= 4 * sigma);
        }
    }
}

static void equal_seeds_give_equal_numbers(void **state) {
    (void)state;
    cara_random a, b, c;
    cara_random_seed(&a, 7);
    cara_random_seed(&b, 7);
    cara_random_seed(&c, 8);
    int differ = 0;
    double mean = 0;
    for (int i = 0; i < 10000; i++) {
        double x = cara_random_next(&a);
        assert_true(x >= 0 && x < 1);
        assert_true(x == cara_random_next(&b));
        differ += x != cara_random_next(&c);
        mean += x / 10000;
    }
    assert_true(differ > 9990);
    assert_true(fabs(mean - 0.5) < 0.02);
}

/* Once for each token that came, as CTranslate2 has it. */
static void repeated_tokens_are_lowered(void **state) {
    (void)state;
    cara_rules rules = rules_of_test();
    rules.timestamps = 0;
    rules.repetition_penalty = 2;
    static const int32_t sampled[] = {3, 4, 3, T0};
    float logits[N];
    for (int i = 0; i < N; i++)
        logits[i] = i == 4 ? -1 : 6;
    cara_rules_apply(&rules, sampled, 4, logits);
    for (int i = 0; i < N; i++)
        assert_true(logits[i] == (i == 4 ? -2 : i == 3 || i == T0 ? 3 : 6));
    rules.repetition_penalty = 1;
    cara_rules_apply(&rules, sampled, 4, logits);
    assert_true(logits[3] == 3);
}

static void ngrams_come_only_once(void **state) {
    (void)state;
    static const struct {
        int size;
        int32_t sampled[8];
        size_t n;
        const char *forbidden; /* digits */
    } cases[] = {
        {0, {1, 2, 1, 2, 1}, 5, ""},
        {1, {1, 2, 1}, 3, "12"},
        {2, {1, 2, 3, 1}, 4, "2"},
        {2, {1, 2, 1, 3, 1}, 5, "23"},
        {3, {1, 2, 3, 1, 2}, 5, "3"},
        {3, {1, 2, 3, 1}, 4, ""},
        {3, {1, 2}, 2, ""},
        {4, {1, 1, 1, 1, 1}, 5, "1"},
        {2, {1}, 1, ""},
        {1, {0}, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_rules rules = rules_of_test();
        rules.timestamps = 0;
        rules.no_repeat_ngram_size = cases[i].size;
        float logits[N] = {0};
        cara_rules_apply(&rules, cases[i].sampled, cases[i].n, logits);
        for (int k = 0; k < N; k++)
            assert_int_equal(logits[k] == -INFINITY,
                             k < 10 && strchr(cases[i].forbidden, '0' + k) != NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_tokens_are_lowered),
        cmocka_unit_test(ngrams_come_only_once),
        cmocka_unit_test(timestamps_come_in_rising_pairs),
        cmocka_unit_test(the_first_timestamp_has_a_limit),
        cmocka_unit_test(timestamps_win_by_their_sum),
        cmocka_unit_test(blank_and_suppressed_tokens),
        cmocka_unit_test(probabilities_carry_infinities),
        cmocka_unit_test(the_largest_is_found_anywhere),
        cmocka_unit_test(greedy_takes_the_likeliest_and_ends_at_eot),
        cmocka_unit_test(sampling_follows_the_distribution),
        cmocka_unit_test(equal_seeds_give_equal_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

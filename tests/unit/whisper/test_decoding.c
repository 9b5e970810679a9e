/* One window's decoding over handmade logits: prompts, ends, candidates, scores, languages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "tokenizer/language.h"

#include "table_backend.h"

static void scores_are_those_of_the_path(void **state) {
    (void)state;
    static const arc arcs[] = {{TRANSCRIBE, 100, 0.5}, {TRANSCRIBE, 101, 0.3},
                               {TRANSCRIBE, EOT, 0.2}, {100, 102, 0.8},
                               {100, EOT, 0.2},        {102, EOT, 1}};
    cara_arena arena;
    cara_arena_init(&arena, 1 << 24);
    cara_settings s;
    plain_task(&arena, &s);
    fake f = {.arcs = arcs, .n_arcs = 6, .no_speech = 0.25};
    cara_attempt attempt = {.candidates = 1};
    cara_decoding d;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
    assert_int_equal(d.n_tokens, 2);
    assert_int_equal(d.tokens[0], 100);
    assert_int_equal(d.tokens[1], 102);
    assert_true(fabs(d.avg_logprob - (log(0.5) + log(0.8)) / 3) < 1e-6);
    assert_true(fabs(d.no_speech_prob - 0.25) < 1e-6);
    assert_true(d.temperature == 0);
    assert_int_equal(f.n_prompt, 3);
    assert_int_equal(f.n_wanted, 2);
    assert_int_equal(f.wanted[0], 0);
    cara_arena_free(&arena);
}

static void prompts_keep_their_end(void **state) {
    (void)state;
    static const arc arcs[] = {{-1, EOT, 1}};
    static const struct {
        size_t given, used;
    } cases[] = {{0, 0}, {1, 1}, {222, 222}, {223, 223}, {224, 223}, {400, 223}};
    int32_t prompt[400];
    for (int i = 0; i < 400; i++)
        prompt[i] = 1000 + i;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 24);
        cara_settings s;
        plain_task(&arena, &s);
        fake f = {.arcs = arcs, .n_arcs = 1, .no_speech = 0.5};
        cara_attempt attempt = {.prompt = prompt, .n_prompt = cases[i].given, .candidates = 1};
        cara_decoding d;
        assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
        size_t used = cases[i].used, sot = used ? used + 1 : 0;
        assert_int_equal(f.n_prompt, sot + 3);
        assert_int_equal(f.wanted[0], sot);
        if (used)
            assert_int_equal(f.prompt[0], cara_tokenizer_special(tokenizer)->sot_prev);
        for (size_t k = 0; k < used; k++)
            assert_int_equal(f.prompt[1 + k], prompt[cases[i].given - used + k]);
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(f.prompt[sot + k], s.task.sot_sequence[k]);
        assert_int_equal(d.n_tokens, 0);
        assert_true(fabs(d.avg_logprob) < 1e-7);
        assert_true(d.compression_ratio == 0);
        cara_arena_free(&arena);
    }
}

/* What is sampled, and what the rules count from, begins behind it. */
static void a_prefix_is_fed_and_not_given_back(void **state) {
    (void)state;
    static const struct {
        const char *prefix;
        int sample_len;
        size_t n;
    } cases[] = {
        {" a a a ", 0, 3},     {"a", 0, 1}, {"", 0, 0},
        {"a a a a a", 222, 2}, /* n_text_ctx / 2 - sample_len from its end */
        {"a a a a a", 226, 3}, /* Python's prefix[2:] */
        {"a a a a a", 300, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 24);
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.language = "es";
        options.prefix = cases[i].prefix;
        options.sample_len = cases[i].sample_len;
        cara_dims dims = dims_of_test(N_VOCAB);
        cara_settings s;
        assert_int_equal(cara_settings_check(&options, &dims, tokenizer,
                                             cara_kernels_for(CARA_CPU_SCALAR), &arena, &s, NULL),
                         CARA_OK);
        s.task.rules.timestamps = 0;
        static const arc arcs[] = {{-1, 100, 0.3}, {-1, EOT, 0.7}}; /* eot is never the first */
        fake f = {.arcs = arcs, .n_arcs = 2, .no_speech = 0.5};
        int32_t prompt[] = {1000, 1001};
        cara_attempt attempt = {.prompt = prompt, .n_prompt = 2, .candidates = 1};
        cara_decoding d;
        assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
        assert_int_equal(f.n_prompt, 3 + 3 + cases[i].n);
        assert_int_equal(f.wanted[0], 3);
        int32_t *a;
        size_t n_a;
        assert_int_equal(cara_tokenizer_encode(tokenizer, " a", 2, &arena, &a, &n_a, NULL), 0);
        assert_int_equal(n_a, 1);
        for (size_t k = 0; k < cases[i].n; k++)
            assert_int_equal(f.prompt[6 + k], *a);
        assert_int_equal(d.n_tokens, 1);
        assert_int_equal(d.tokens[0], 100);
        cara_arena_free(&arena);
    }
}

static void endless_text_is_cut(void **state) {
    (void)state;
    static const arc arcs[] = {{-1, 100, 1}}; /* never ends */
    static const struct {
        int32_t sample_len, n_text_ctx;
        size_t prompt, expected;
    } cases[] = {
        {224, 448, 0, 224}, {224, 448, 223, 222}, /* 1 + 223 + 3 tokens before: 449 in all is the
                                                     most */
        {5, 448, 0, 5},     {1, 448, 0, 1},       {1000, 448, 0, 446}, {1000, 16, 7, 6},
    };
    int32_t prompt[223] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 24);
        cara_settings s;
        plain_task(&arena, &s);
        s.task.sample_len = cases[i].sample_len;
        s.task.n_text_ctx = cases[i].n_text_ctx;
        fake f = {.arcs = arcs, .n_arcs = 1, .n_text_ctx = (size_t)cases[i].n_text_ctx};
        cara_attempt attempt = {.prompt = prompt, .n_prompt = cases[i].prompt, .candidates = 1};
        cara_decoding d;
        assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
        assert_int_equal(d.n_tokens, cases[i].expected);
        cara_arena_free(&arena);
    }
}

/* 100 ends at once; 101 may say one thing more; 102 always does. */
static const arc candidates[] = {
    {TRANSCRIBE, 100, 0.5}, {TRANSCRIBE, 101, 0.1}, {TRANSCRIBE, 102, 0.4}, {100, EOT, 1},
    {101, EOT, 0.5},        {101, 103, 0.5},        {102, 103, 1},          {103, EOT, 1}};

static void the_best_candidate_is_chosen(void **state) {
    (void)state;
    static const struct {
        double length_penalty;
        int32_t first;
        size_t n_tokens;
        double sum;
    } cases[] = {
        {NAN, 102, 2, 0.4}, /* log(.4) / 2 beats log(.5) / 1 */
        {0.0, 100, 1, 0.5}, /* the sums alone */
        {1.0, 100, 1, 0.5}, /* log(.5) / 1 beats log(.4) / (7/6) */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 24);
        cara_settings s;
        plain_task(&arena, &s);
        s.task.length_penalty = cases[i].length_penalty;
        fake f = {.arcs = candidates, .n_arcs = 8, .no_speech = 0.5};
        cara_attempt attempt = {.temperature = 1.0, .candidates = MOST};
        cara_decoding d;
        assert_int_equal(decode(&f, &s.task, &attempt, 3, &arena, &d), CARA_OK);
        assert_int_equal(d.tokens[0], cases[i].first);
        assert_int_equal(d.n_tokens, cases[i].n_tokens);
        assert_true(fabs(d.avg_logprob - log(cases[i].sum) / (double)(cases[i].n_tokens + 1)) <
                    1e-6);
        assert_true(d.temperature == 1.0);
        cara_arena_free(&arena);
    }
}

static void equal_seeds_sample_the_same(void **state) {
    (void)state;
    int firsts[3] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        int32_t first[2];
        for (int again = 0; again < 2; again++) {
            cara_arena arena;
            cara_arena_init(&arena, 1 << 24);
            cara_settings s;
            plain_task(&arena, &s);
            fake f = {.arcs = candidates, .n_arcs = 8, .no_speech = 0.5};
            cara_attempt attempt = {.temperature = 1.0, .candidates = 1};
            cara_decoding d;
            assert_int_equal(decode(&f, &s.task, &attempt, seed, &arena, &d), CARA_OK);
            first[again] = d.tokens[0];
            cara_arena_free(&arena);
        }
        assert_int_equal(first[0], first[1]);
        firsts[first[0] - 100]++;
    }
    /* .5, .1 and .4 of 200, to four sigma */
    assert_in_range(firsts[0], 72, 128);
    assert_in_range(firsts[1], 3, 37);
    assert_in_range(firsts[2], 52, 108);
}

static void repetition_raises_the_compression_ratio(void **state) {
    (void)state;
    int32_t *word;
    size_t n;
    cara_arena arena;
    cara_arena_init(&arena, 1 << 24);
    assert_int_equal(cara_tokenizer_encode(tokenizer, " totoaba", 8, &arena, &word, &n, NULL), 0);
    arc arcs[8];
    assert_true(n >= 1 && n < 8);
    for (size_t i = 0; i < n; i++)
        arcs[i] = (arc){word[i], word[(i + 1) % n], 1};
    arcs[n] = (arc){TRANSCRIBE, word[0], 1};
    cara_settings s;
    plain_task(&arena, &s);
    s.task.sample_len = (int32_t)(20 * n);
    fake f = {.arcs = arcs, .n_arcs = n + 1, .no_speech = 0.5};
    cara_attempt attempt = {.candidates = 1};
    cara_decoding d;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
    /* python3: t = ' '.join(['totoaba'] * 20); len(t) / len(zlib.compress(t.encode())) */
    assert_true(fabs(d.compression_ratio - 159.0 / 19.0) < 1e-9);
    cara_arena_free(&arena);
}

static void stopping_is_passed_on(void **state) {
    (void)state;
    static const arc arcs[] = {{-1, 100, 1}};
    cara_arena arena;
    cara_arena_init(&arena, 1 << 24);
    cara_settings s;
    plain_task(&arena, &s);
    fake f = {.arcs = arcs, .n_arcs = 1, .cancel_after = 3};
    cara_attempt attempt = {.candidates = 1};
    cara_decoding d;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_ERR_CANCELLED);
    attempt.candidates = MOST + 1;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_ERR_INTERNAL);
    cara_arena_free(&arena);
    cara_arena_init(&arena, 64);
    attempt.candidates = 1;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_ERR_MEMORY);
    cara_arena_free(&arena);
}

static void english_only_prompts_need_one_row_of_logits(void **state) {
    (void)state;
    /* Without language and task the sequence is sot alone: its logits are also the last ones. */
    cara_arena arena;
    cara_arena_init(&arena, 1 << 24);
    cara_settings s;
    plain_task(&arena, &s);
    s.task.n_sot_sequence = 1;
    int32_t no_speech = cara_tokenizer_special(tokenizer)->no_speech;
    const arc arcs[] = {{-1, 100, 0.6}, {-1, no_speech, 0.4}};
    fake f = {.arcs = arcs, .n_arcs = 2};
    s.task.sample_len = 1;
    cara_attempt attempt = {.candidates = 1};
    cara_decoding d;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
    assert_int_equal(f.n_wanted, 1);
    assert_true(fabs(d.no_speech_prob - 0.4) < 1e-6);
    assert_int_equal(d.tokens[0], 100);
    cara_arena_free(&arena);
}

static void the_language_is_the_likeliest_of_its_tokens(void **state) {
    (void)state;
    int32_t begin = cara_tokenizer_special(tokenizer)->language_begin;
    int32_t es = begin + cara_language_find("es"), fr = begin + cara_language_find("fr");
    const arc arcs[] = {{-1, 100, 50}, {-1, es, 0.3}, {-1, fr, 0.1}};
    fake f = {.arcs = arcs, .n_arcs = 3};
    f.backend.ops = &fake_ops;
    int language = -1;
    double probability = 0;
    assert_int_equal(cara_detect_language(tokenizer, cara_kernels_for(CARA_CPU_SCALAR), &f.backend,
                                          logits, &language, &probability, NULL),
                     CARA_OK);
    assert_string_equal(cara_language_code(language), "es");
    assert_true(fabs(probability - 0.75) < 1e-6);
    assert_int_equal(f.n_prompt, 1);
    assert_int_equal(f.prompt[0], cara_tokenizer_special(tokenizer)->sot);
}

static void text_is_always_valid(void **state) {
    (void)state;
    cara_arena arena;
    cara_arena_init(&arena, 1 << 20);
    /* the ids of single bytes follow GPT-2's order: 0xC3 is 127, 0xB1 109, 0x00 188 */
    const int32_t cases[][3] = {{127, 109, 64}, {127, 64, 109}, {188, 64, 188}};
    static const char *const texts[] = {"\xC3\xB1"
                                        "a",
                                        "\xEF\xBF\xBD"
                                        "a\xEF\xBF\xBD",
                                        "\xEF\xBF\xBD"
                                        "a\xEF\xBF\xBD"};
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(cara_tokenizer_text(tokenizer, cases[i], 3, &arena), texts[i]);
    assert_string_equal(cara_tokenizer_text(tokenizer, NULL, 0, &arena), "");
    cara_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_path),
        cmocka_unit_test(prompts_keep_their_end),
        cmocka_unit_test(a_prefix_is_fed_and_not_given_back),
        cmocka_unit_test(endless_text_is_cut),
        cmocka_unit_test(the_best_candidate_is_chosen),
        cmocka_unit_test(equal_seeds_sample_the_same),
        cmocka_unit_test(repetition_raises_the_compression_ratio),
        cmocka_unit_test(stopping_is_passed_on),
        cmocka_unit_test(english_only_prompts_need_one_row_of_logits),
        cmocka_unit_test(the_language_is_the_likeliest_of_its_tokens),
        cmocka_unit_test(text_is_always_valid),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}

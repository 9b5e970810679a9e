/* Options: what is refused and how it is said, and what the rest becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "tokenizer/language.h"
#include "whisper/decoding/settings.h"

#include "vocabulary.h"

#include <math.h>

static cara_tokenizer *multilingual, *english;

static int open_both(void **state) {
    (void)state;
    multilingual = open_vocabulary(51865);
    english = open_vocabulary(51864);
    return 0;
}

static int close_both(void **state) {
    (void)state;
    cara_tokenizer_free(multilingual);
    cara_tokenizer_free(english);
    return 0;
}

static int check(const cara_options *options, const cara_tokenizer *tokenizer, cara_arena *arena,
                 cara_settings *out, cara_error *err) {
    cara_dims dims = dims_of_test(cara_tokenizer_special(tokenizer)->timestamp_begin + 1501);
    return cara_settings_check(options, &dims, tokenizer, cara_kernels_for(CARA_CPU_SCALAR), arena,
                               out, err);
}

static void defaults_are_those_of_transcribe(void **state) {
    (void)state;
    cara_arena arena;
    cara_arena_init(&arena, 1 << 20);
    cara_settings s;
    assert_int_equal(check(NULL, multilingual, &arena, &s, NULL), CARA_OK);
    assert_int_equal(s.options.n_temperatures, 6);
    for (size_t i = 0; i < 6; i++)
        assert_true(fabs(s.options.temperature[i] - 0.2 * (double)i) < 1e-12);
    assert_true(s.options.compression_ratio_threshold == 2.4);
    assert_true(s.options.logprob_threshold == -1.0);
    assert_true(s.options.no_speech_threshold == 0.6);
    assert_int_equal(s.options.condition_on_previous_text, 1);
    assert_int_equal(s.options.best_of, 0);
    assert_int_equal(s.options.beam_size, 0);
    assert_int_equal(s.language, -1);
    assert_int_equal(s.task.sample_len, 224);
    assert_int_equal(s.task.rules.max_initial_timestamp, 50);
    assert_int_equal(s.task.rules.timestamps, 1);
    assert_int_equal(s.task.rules.suppress_blank, 1);
    assert_int_equal(s.task.rules.blank[0], 220);
    assert_int_equal(s.n_clips, 1);
    assert_int_equal(s.clips[0], 0);
    assert_int_equal(s.n_prompt, 0);
    cara_arena_free(&arena);
}

/* Positions to encode: all but where less is asked for, and never fewer than hold audio. */
static void a_window_is_cut_as_asked(void **state) {
    (void)state;
    static const struct {
        int audio_ctx;
        int64_t frames, positions;
    } cases[] = {
        {CARA_AUDIO_CTX_FULL, 0, 1500},
        {CARA_AUDIO_CTX_FULL, 800, 1500},
        {CARA_AUDIO_CTX_FULL, 3000, 1500},
        {CARA_AUDIO_CTX_AUTO, 0, 200},
        {CARA_AUDIO_CTX_AUTO, 1, 201},
        {CARA_AUDIO_CTX_AUTO, 800, 600},
        {CARA_AUDIO_CTX_AUTO, 801, 601},
        {CARA_AUDIO_CTX_AUTO, 2600, 1500},
        {CARA_AUDIO_CTX_AUTO, 3000, 1500},
        {1, 0, 1},
        {1, 799, 400},
        {400, 799, 400},
        {400, 801, 401},
        {1, 3000, 1500},
        {1500, 800, 1500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.audio_ctx = cases[i].audio_ctx;
        cara_arena arena;
        cara_arena_init(&arena, 1 << 20);
        cara_settings s;
        assert_int_equal(check(&options, multilingual, &arena, &s, NULL), CARA_OK);
        assert_int_equal(cara_settings_audio_ctx(&s, cases[i].frames), cases[i].positions);
        cara_arena_free(&arena);
    }
}

/* Each sets one option to something bad; the error names it, its value and what it takes. */
#define BAD(member, ...)                                                                           \
    static void bad_##member(cara_options *o) {                                                    \
        o->member = __VA_ARGS__;                                                                   \
    }
BAD(task, (cara_task)2)
BAD(n_temperatures, 0)
BAD(beam_size, 65)
BAD(patience, 1.5)
BAD(best_of, -1)
BAD(length_penalty, 1.5)
BAD(repetition_penalty, 0)
BAD(no_repeat_ngram_size, -1)
BAD(prompt_reset_on_temperature, NAN)
BAD(language_detection_segments, 0)
BAD(language_detection_threshold, 1.5)
BAD(hallucination_silence_threshold, -1)
BAD(audio_ctx, 1501)
BAD(sample_len, -3)
BAD(max_initial_timestamp, -1)
BAD(language, "klingon")
BAD(suppress_tokens, "1,x")
BAD(clip_timestamps, "1,two")
BAD(initial_prompt, "\xFF")

static void too_many_temperatures(cara_options *o) {
    o->n_temperatures = CARA_MAX_TEMPERATURES + 1;
}
static void negative_temperature(cara_options *o) {
    o->temperature[1] = -0.2;
}
static void nan_temperature(cara_options *o) {
    o->temperature[0] = NAN;
}
static void many_candidates(cara_options *o) {
    o->best_of = 65;
}
static void negative_beam_size(cara_options *o) {
    o->beam_size = -5;
}
static void small_patience(cara_options *o) {
    o->beam_size = 5;
    o->patience = 0.1; /* round(0.5) is 0 */
}
static void large_patience(cara_options *o) {
    o->beam_size = 5;
    o->patience = 101;
}
static void bad_prefix(cara_options *o) {
    o->prefix = "\xC3";
}
static void long_prefix(cara_options *o) {
    static char text[2 * 300 + 1];
    for (size_t i = 0; i < 300; i++)
        memcpy(text + 2 * i, " a", 3);
    o->prefix = text;
}
static void negative_audio_ctx(cara_options *o) {
    o->audio_ctx = -2;
}
static void late_language(cara_options *o) {
    o->language = "yue"; /* the hundredth, which this vocabulary has not */
}

static void bad_options_are_named(void **state) {
    (void)state;
    static const struct {
        void (*spoil)(cara_options *);
        const char *says[3];
    } cases[] = {
        {bad_task, {"task", "2", "CARA_TRANSLATE"}},
        {bad_n_temperatures, {"temperature", "0 values", "1 to 16"}},
        {too_many_temperatures, {"temperature", "17 values", "1 to 16"}},
        {negative_temperature, {"temperature", "-0.2", "0 to 100"}},
        {nan_temperature, {"temperature", "nan", "0 to 100"}},
        {bad_beam_size, {"beam_size", "65", "1 to 64"}},
        {negative_beam_size, {"beam_size", "-5", "1 to 64"}},
        {bad_patience, {"patience", "1.5", "requires beam_size"}},
        {small_patience, {"patience", "0.1", "at least 1"}},
        {large_patience, {"patience", "101", "at most 100"}},
        {bad_prefix, {"prefix", "UTF-8", ""}},
        {long_prefix, {"prefix", "300 tokens", "220 beside a prompt"}},
        {bad_best_of, {"best_of", "-1", "1 to 64"}},
        {many_candidates, {"best_of", "65", "1 to 64"}},
        {bad_length_penalty, {"length_penalty", "1.5", "0 to 1"}},
        {bad_repetition_penalty, {"repetition_penalty", "0", "above 0"}},
        {bad_no_repeat_ngram_size, {"no_repeat_ngram_size", "-1", "1 or more"}},
        {bad_prompt_reset_on_temperature, {"prompt_reset_on_temperature", "not a number", ""}},
        {bad_language_detection_segments, {"language_detection_segments", "0", "1 or more"}},
        {bad_language_detection_threshold, {"language_detection_threshold", "1.5", "0 to 1"}},
        {bad_hallucination_silence_threshold, {"hallucination_silence_threshold", "-1", "from 0"}},
        {bad_audio_ctx, {"audio_ctx", "1501", "1 to 1500"}},
        {negative_audio_ctx, {"audio_ctx", "-2", "1 to 1500"}},
        {bad_sample_len, {"sample_len", "-3", "1 or more"}},
        {bad_max_initial_timestamp, {"max_initial_timestamp", "-1", "0 to 30"}},
        {bad_language, {"language", "\"klingon\"", "en zh de es ru"}},
        {late_language, {"language", "\"yue\"", "en zh de es ru"}},
        {bad_suppress_tokens, {"suppress_tokens", "\"1,x\"", "0 to 51864"}},
        {bad_clip_timestamps, {"clip_timestamps", "\"1,two\"", "seconds"}},
        {bad_initial_prompt, {"initial_prompt", "UTF-8", ""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_options options;
        cara_options_default(&options, sizeof options);
        cases[i].spoil(&options);
        cara_arena arena;
        cara_arena_init(&arena, 1 << 20);
        cara_settings s;
        cara_error err = {0};
        assert_int_equal(check(&options, multilingual, &arena, &s, &err), CARA_ERR_USAGE);
        for (size_t k = 0; k < 3; k++)
            if (!strstr(err.text, cases[i].says[k]))
                fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says[k]);
        assert_true(strlen(err.text) < sizeof err.text - 1);
        cara_arena_free(&arena);
    }
}

static void languages_are_found_by_any_name(void **state) {
    (void)state;
    static const struct {
        const char *given;
        const char *code; /* "" to be detected */
        const char *english_code;
    } cases[] = {
        {NULL, "", "en"},          {"es", "es", "en"}, {"Spanish", "es", "en"},
        {"castilian", "es", "en"}, {"EN", "en", "en"}, {"su", "su", "en"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.language = cases[i].given;
        cara_arena arena;
        cara_arena_init(&arena, 1 << 20);
        cara_settings s;
        assert_int_equal(check(&options, multilingual, &arena, &s, NULL), CARA_OK);
        assert_string_equal(s.language < 0 ? "" : cara_language_code(s.language), cases[i].code);
        if (s.language >= 0)
            assert_int_equal(s.task.sot_sequence[1],
                             cara_tokenizer_special(multilingual)->language_begin +
                                 cara_language_find(cases[i].code));
        /* `language` is ignored by English-only models. */
        assert_int_equal(check(&options, english, &arena, &s, NULL), CARA_OK);
        assert_string_equal(cara_language_code(s.language), cases[i].english_code);
        cara_arena_free(&arena);
    }
    cara_options options;
    cara_options_default(&options, sizeof options);
    options.language = "klingon";
    cara_arena arena;
    cara_arena_init(&arena, 1 << 20);
    cara_settings s;
    assert_int_equal(check(&options, english, &arena, &s, NULL), CARA_ERR_USAGE);
    cara_arena_free(&arena);
}

static void sot_sequences(void **state) {
    (void)state;
    static const struct {
        int32_t n_vocab;
        cara_task task;
        int without_timestamps;
        size_t n;
        int32_t sequence[4];
    } cases[] = {
        {51865, CARA_TRANSCRIBE, 0, 3, {50258, 50262, 50359}},
        {51865, CARA_TRANSLATE, 0, 3, {50258, 50262, 50358}},
        {51865, CARA_TRANSCRIBE, 1, 4, {50258, 50262, 50359, 50363}},
        {51864, CARA_TRANSCRIBE, 0, 1, {50257}},
        {51864, CARA_TRANSLATE, 1, 2, {50257, 50362}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.language = "es";
        options.task = cases[i].task;
        options.without_timestamps = cases[i].without_timestamps;
        cara_arena arena;
        cara_arena_init(&arena, 1 << 20);
        cara_settings s;
        assert_int_equal(
            check(&options, cases[i].n_vocab == 51865 ? multilingual : english, &arena, &s, NULL),
            CARA_OK);
        assert_int_equal(s.task.n_sot_sequence, cases[i].n);
        for (size_t k = 0; k < cases[i].n; k++)
            assert_int_equal(s.task.sot_sequence[k], cases[i].sequence[k]);
        assert_int_equal(s.task.rules.timestamps, !cases[i].without_timestamps);
        cara_arena_free(&arena);
    }
}

static int contains(const cara_settings *s, int32_t id) {
    for (size_t i = 0; i < s->task.rules.n_suppress; i++)
        if (s->task.rules.suppress[i] == id)
            return 1;
    return 0;
}

static void suppressed_tokens_are_expanded(void **state) {
    (void)state;
    size_t n_non_speech;
    const int32_t *non_speech = cara_tokenizer_non_speech(multilingual, &n_non_speech);
    static const struct {
        const char *given;
        int filter, non_speech, five;
    } cases[] = {
        {"-1", 1, 1, 0}, {"5", 1, 0, 1},       {"5,-1", 1, 1, 1}, {"-1, 5", 1, 1, 1},
        {"", 0, 0, 0},   {"5,51864", 1, 0, 1}, {NULL, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.suppress_tokens = cases[i].given;
        cara_arena arena;
        cara_arena_init(&arena, 1 << 20);
        cara_settings s;
        assert_int_equal(check(&options, multilingual, &arena, &s, NULL), CARA_OK);
        const cara_special_tokens *special = cara_tokenizer_special(multilingual);
        const int32_t specials[] = {special->transcribe, special->translate, special->sot,
                                    special->sot_prev,   special->sot_lm,    special->no_speech};
        for (size_t k = 0; k < 6; k++)
            assert_int_equal(contains(&s, specials[k]), cases[i].filter);
        assert_int_equal(contains(&s, special->eot), 0);
        assert_int_equal(contains(&s, 5), cases[i].five);
        for (size_t k = 0; k < n_non_speech; k++)
            if (non_speech[k] != 5)
                assert_int_equal(contains(&s, non_speech[k]), cases[i].non_speech);
        cara_arena_free(&arena);
    }
    static const char *const bad[] = {"-2", "51865", ",", "1,", "1 2", "a", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.suppress_tokens = bad[i];
        cara_arena arena;
        cara_arena_init(&arena, 1 << 20);
        cara_settings s;
        assert_int_equal(check(&options, multilingual, &arena, &s, NULL), CARA_ERR_USAGE);
        cara_arena_free(&arena);
    }
}

static void clips_are_frames(void **state) {
    (void)state;
    static const struct {
        const char *given;
        size_t n; /* 0: refused */
        int64_t clips[4];
    } cases[] = {
        {"0", 1, {0}},
        {"", 1, {0}},
        {NULL, 1, {0}},
        {"1.0,4.0", 2, {100, 400}},
        {"1.5", 1, {150}},
        {" 1 , 2.25 ,3.125,4.", 4, {100, 225, 312, 400}}, /* 312.5: to the even one */
        {"0.285", 1, {28}},                               /* 28.499999999999996 */
        {".5,86400", 2, {50, 8640000}},
        {"1,", 0, {0}},
        {",1", 0, {0}},
        {"-1", 0, {0}},
        {"1.2.3", 0, {0}},
        {"nan", 0, {0}},
        {"inf", 0, {0}},
        {"86400.01", 0, {0}},
        {"9999999999999999999999", 0, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.clip_timestamps = cases[i].given;
        cara_arena arena;
        cara_arena_init(&arena, 1 << 20);
        cara_settings s;
        assert_int_equal(check(&options, multilingual, &arena, &s, NULL),
                         cases[i].n ? CARA_OK : CARA_ERR_USAGE);
        if (cases[i].n)
            assert_int_equal(s.n_clips, cases[i].n);
        for (size_t k = 0; k < cases[i].n; k++)
            assert_int_equal(s.clips[k], cases[i].clips[k]);
        cara_arena_free(&arena);
    }
}

static void limits_and_prompts(void **state) {
    (void)state;
    static const struct {
        double max_initial;
        int32_t steps;
    } limits[] = {{NAN, -1}, {0.0, -1}, {0.5, 25}, {0.01, 0}, {0.03, 2}, {30, 1500}};
    cara_arena arena;
    cara_settings s;
    cara_options options;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        cara_options_default(&options, sizeof options);
        options.max_initial_timestamp = limits[i].max_initial;
        cara_arena_init(&arena, 1 << 20);
        assert_int_equal(check(&options, multilingual, &arena, &s, NULL), CARA_OK);
        assert_int_equal(s.task.rules.max_initial_timestamp, limits[i].steps);
        cara_arena_free(&arena);
    }

    static const struct {
        const char *given, *as_text;
    } prompts[] = {
        {"Loreto, Cabo Pulmo", " Loreto, Cabo Pulmo"},
        {" \n Loreto \t", " Loreto"},
        {"", " "}, /* an empty prompt is one blank, as in the reference */
        {"<|endoftext|>", " <|endoftext|>"},
    };
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        cara_options_default(&options, sizeof options);
        options.initial_prompt = prompts[i].given;
        cara_arena_init(&arena, 1 << 20);
        assert_int_equal(check(&options, multilingual, &arena, &s, NULL), CARA_OK);
        assert_true(s.n_prompt > 0);
        for (size_t k = 0; k < s.n_prompt; k++)
            assert_true(s.prompt[k] < cara_tokenizer_special(multilingual)->eot);
        assert_string_equal(cara_tokenizer_text(multilingual, s.prompt, s.n_prompt, &arena),
                            prompts[i].as_text);
        cara_arena_free(&arena);
    }

    char *huge = malloc(CARA_LIMIT_PROMPT_BYTES + 2);
    assert_non_null(huge);
    memset(huge, 'a', CARA_LIMIT_PROMPT_BYTES + 1);
    huge[CARA_LIMIT_PROMPT_BYTES + 1] = 0;
    options.initial_prompt = huge;
    cara_arena_init(&arena, 1 << 20);
    assert_int_equal(check(&options, multilingual, &arena, &s, NULL), CARA_ERR_USAGE);
    cara_arena_free(&arena);
    free(huge);

    /* No memory is an error, not a crash. */
    cara_options_default(&options, sizeof options);
    cara_arena_init(&arena, 16);
    assert_int_equal(check(&options, multilingual, &arena, &s, NULL), CARA_ERR_MEMORY);
    cara_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_transcribe),
        cmocka_unit_test(a_window_is_cut_as_asked),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(languages_are_found_by_any_name),
        cmocka_unit_test(sot_sequences),
        cmocka_unit_test(suppressed_tokens_are_expanded),
        cmocka_unit_test(clips_are_frames),
        cmocka_unit_test(limits_and_prompts),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}

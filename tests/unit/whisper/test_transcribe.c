/* cara_transcribe() over a backend of handmade windows: what is cut, skipped, tried again,
 * remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "whisper/decoding/fallback.h"
#include "whisper/decoding/segments.h"

#include "scripted_backend.h"

#include <math.h>

/* The result is the caller's. */
static cara_result *transcribe(fake *f, cara_options *options, int64_t content_frames) {
    cara_result *result = NULL;
    options->language = "es";
    assert_int_equal(transcribe_within(f, options, content_frames, 1 << 20, &result), CARA_OK);
    assert_int_equal(f->languages, 0);
    return result;
}

static void windows_are_cut_at_their_timestamps(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int64_t frames; /* of the audio; the window at frame 0 has speech, the rest is silent */
        int32_t tokens[12];
        int64_t next_seek;
        size_t n_segments;
        struct {
            double start, end;
            const char *text;
            size_t n_tokens;
            int cleared;
        } segments[3];
        const char *text;
    } cases[] = {
        {"a pair: the unfinished segment is left for the next window",
         4000,
         {T(20), SPACE, A, T(200), T(220), B, END},
         200,
         1,
         {{0.2, 2.0, " a", 4, 0}},
         " a"},
        {"two pairs",
         4000,
         {T(0), A, T(200), T(200), B, T(400), T(500), C, END},
         400,
         2,
         {{0, 2, "a", 3, 0}, {2, 4, "b", 3, 0}},
         "ab"},
        {"a pair at the end",
         4000,
         {T(0), A, T(200), T(200), END},
         200,
         1,
         {{0, 2, "a", 3, 0}},
         "a"},
        {"a single timestamp at the end: nothing follows in the window",
         4000,
         {T(0), A, T(200), T(210), B, T(400), END},
         3000,
         2,
         {{0, 2, "a", 3, 0}, {2.1, 4, "b", 3, 0}},
         "ab"},
        {"no pair: one segment from the window's start to the last timestamp",
         4000,
         {T(40), A, T(402), END},
         3000,
         1,
         {{0, 4.02, "a", 3, 0}},
         "a"},
        {"no end: to the end of the audio",
         2500,
         {T(40), A, B, END},
         2500,
         1,
         {{0, 0.4, "ab", 3, 0}},
         "ab"},
        {"only <|0.00|>: to the end too", 2500, {T(0), A, END}, 2500, 1, {{0, 25, "a", 2, 0}}, "a"},
        {"no timestamps", 4000, {A, B, END}, 3000, 1, {{0, 30, "ab", 2, 0}}, "ab"},
        {"nothing", 500, {END}, 500, 1, {{0, 5, "", 0, 1}}, ""},
        {"white space", 500, {SPACE, SPACE, END}, 500, 1, {{0, 5, "", 0, 1}}, ""},
        {"an instantaneous segment is cleared",
         4000,
         {T(100), A, T(100), T(100), B, T(200), T(200), END},
         200,
         2,
         {{1, 1, "", 0, 1}, {1, 2, "b", 3, 0}},
         "b"},
        {"a character cut by a segment's end is whole in the text",
         4000,
         {T(0), N_1, T(100), T(100), N_2, T(200), T(200), END},
         200,
         2,
         {{0, 1, "\xEF\xBF\xBD", 3, 0}, {1, 2, "\xEF\xBF\xBD", 3, 0}},
         "\xC3\xB1"},
        {"special tokens are no text of a segment",
         4000,
         {T(0), A, 50262, T(200), T(200), END},
         200,
         1,
         {{0, 2, "a", 4, 0}},
         "a<|es|>"},
        {"text before a pair begins with the window",
         4000,
         {A, T(100), T(100), END},
         100,
         1,
         {{0, 1, "a", 2, 0}},
         "a"},
        {"no way to turn in circles", 4000, {T(0), T(0), END}, 3000, 1, {{0, 0, "", 0, 1}}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        window_script script[3] = {{.avg_logprob = -0.1}};
        memcpy(script[0].tokens, cases[i].tokens, sizeof cases[i].tokens);
        script[1] = script[2] = (window_script){{END}, .no_speech_prob = 0.9, .avg_logprob = -2};
        fake f = {.script = script, .n_script = 3};
        cara_options options;
        cara_options_default(&options, sizeof options);
        cara_result *r = transcribe(&f, &options, cases[i].frames);
        print_message("%s\n", cases[i].what);
        if (f.n_encoded > 1)
            assert_int_equal(f.encoded[1].seek, cases[i].next_seek);
        else
            assert_int_equal(cases[i].frames, cases[i].next_seek);
        assert_int_equal(r->n_segments, cases[i].n_segments);
        for (size_t k = 0; k < r->n_segments; k++) {
            const cara_segment *s = &r->segments[k];
            assert_int_equal(s->id, k);
            assert_int_equal(s->seek, 0);
            assert_true(fabs(s->start - cases[i].segments[k].start) < 1e-9);
            assert_true(fabs(s->end - cases[i].segments[k].end) < 1e-9);
            assert_string_equal(s->text, cases[i].segments[k].text);
            assert_int_equal(s->n_tokens, cases[i].segments[k].n_tokens);
            assert_int_equal(s->cleared, cases[i].segments[k].cleared);
            assert_true(fabs(s->avg_logprob + 0.1) < 1e-5);
        }
        assert_string_equal(r->text, cases[i].text);
        assert_int_equal(r->no_speech, !*cases[i].text);
        assert_int_equal(r->cut_short, 0);
        cara_result_free(r);
    }
}

static void the_no_speech_rule(void **state) {
    (void)state;
    static const struct {
        double no_speech_prob, avg_logprob, no_speech_threshold, logprob_threshold;
        int skipped;
    } cases[] = {
        {0.7, -2, 0.6, -1, 1}, {0.7, -0.5, 0.6, -1, 0}, /* confident words outweigh it */
        {0.7, -1, 0.6, -1, 1}, {0.6, -2, 0.6, -1, 0},   {0.7, -0.5, 0.6, NAN, 1},
        {0.7, -2, NAN, -1, 0}, {NAN, -2, 0.6, -1, 0},   {0.7, NAN, 0.6, -1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cara_decoding decoding = {.avg_logprob = cases[i].avg_logprob,
                                        .no_speech_prob = cases[i].no_speech_prob};
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.n_temperatures = 1;
        options.no_speech_threshold = cases[i].no_speech_threshold;
        options.logprob_threshold = cases[i].logprob_threshold;
        assert_int_equal(cara_should_skip(&options, &decoding), cases[i].skipped);

        /* And in the loop: at a threshold, a computed probability may lie on either side of it. */
        if (isnan(decoding.avg_logprob) || isnan(decoding.no_speech_prob) ||
            decoding.avg_logprob == -1 || decoding.no_speech_prob == 0.6)
            continue;
        window_script script = {{T(0), A, T(100), END},
                                .avg_logprob = cases[i].avg_logprob,
                                .no_speech_prob = cases[i].no_speech_prob};
        fake f = {.script = &script, .n_script = 1};
        cara_result *r = transcribe(&f, &options, 400);
        assert_int_equal(r->n_segments, !cases[i].skipped);
        assert_int_equal(r->no_speech, cases[i].skipped);
        cara_result_free(r);
    }
}

static void fallback_thresholds(void **state) {
    (void)state;
    static const struct {
        const char *what;
        double avg_logprob, compression_ratio, no_speech_prob;
        double logprob_threshold, compression_ratio_threshold;
        int falls_back;
    } cases[] = {
        {"good", -0.5, 1, 0, -1, 2.4, 0},
        {"at the thresholds is good", -1, 2.4, 0, -1, 2.4, 0},
        {"unlikely", -1.1, 1, 0, -1, 2.4, 1},
        {"repetitive", -0.1, 2.5, 0, -1, 2.4, 1},
        {"both", -2, 9, 0, -1, 2.4, 1},
        {"silence needs no second try", -2, 1, 0.7, -1, 2.4, 0},
        {"repetitive silence neither", -2, 9, 0.7, -1, 2.4, 0},
        {"repetitive speech, though no_speech is high", -0.1, 9, 0.7, -1, 2.4, 1},
        {"no threshold of log-probability", -9, 1, 0, NAN, 2.4, 0},
        {"no threshold of repetition", -0.1, 9, 0, -1, NAN, 0},
        {"NaN is never below or above", NAN, NAN, 0, -1, 2.4, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cara_decoding decoding = {.avg_logprob = cases[i].avg_logprob,
                                        .compression_ratio = cases[i].compression_ratio,
                                        .no_speech_prob = cases[i].no_speech_prob};
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.logprob_threshold = cases[i].logprob_threshold;
        options.compression_ratio_threshold = cases[i].compression_ratio_threshold;
        print_message("%s\n", cases[i].what);
        assert_int_equal(cara_needs_fallback(&options, &decoding), cases[i].falls_back);
    }
}

static void temperatures_are_tried_in_turn(void **state) {
    (void)state;
    enum { REPEATED = 40 };
    static const struct {
        const char *what;
        double avg_logprob[4], no_speech_prob;
        int repetitive[4];
        size_t tries;
    } cases[] = {
        {"good at once", {-0.5}, 0, {0}, 1},
        {"unlikely twice", {-1.1, -1.2, -0.9}, 0, {0, 0, 0}, 3},
        {"repetitive once", {-0.1, -0.1}, 0, {1, 0}, 2},
        {"never good: the last stays", {-2, -2, -2, -2}, 0, {1, 1, 1, 1}, 4},
        {"silence needs no second try", {-2}, 0.7, {0}, 1},
        {"repetitive speech, though no_speech is high", {-0.1, -0.1}, 0.7, {1, 0}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        window_script script[4];
        for (int k = 0; k < 4; k++) {
            size_t n = 1, words = cases[i].repetitive[k] ? REPEATED : 1;
            script[k] = (window_script){{T(0)},
                                        .avg_logprob = cases[i].avg_logprob[k],
                                        .no_speech_prob = cases[i].no_speech_prob};
            while (n <= words)
                script[k].tokens[n++] = A;
            script[k].tokens[n++] = T(100);
            script[k].tokens[n] = END;
        }
        fake f = {.script = script, .n_script = 4};
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.n_temperatures = 4;
        options.best_of = 5;
        cara_result *r = transcribe(&f, &options, 400);
        print_message("%s\n", cases[i].what);
        assert_int_equal(f.n_decoded, cases[i].tries);
        assert_int_equal(f.n_encoded, 1);
        for (size_t k = 0; k < f.n_decoded; k++)
            assert_int_equal(f.asked[k].candidates, k ? 5 : 1);
        if (r->n_segments) {
            const cara_segment *s = &r->segments[0];
            assert_true(fabs(s->temperature - 0.2 * (double)(f.n_decoded - 1)) < 1e-12);
            assert_true(fabs(s->avg_logprob - cases[i].avg_logprob[f.n_decoded - 1]) < 1e-4);
            assert_true((s->compression_ratio > 2.4) == cases[i].repetitive[f.n_decoded - 1]);
        }
        cara_result_free(r);
    }
}

static void previous_text_is_the_prompt(void **state) {
    (void)state;
    const window_script script[] = {{{T(0), A, T(200), T(200), B, END}, .avg_logprob = -0.1},
                                    {{T(0), B, T(200), T(200), END}, .avg_logprob = -0.1},
                                    {{T(0), C, T(200), T(200), END}, .avg_logprob = -0.1},
                                    {{T(0), A, T(100), END}, .avg_logprob = -0.1}};
    static const struct {
        const char *what;
        int condition;
        double temperature;
        const char *initial;
        int carry;
        size_t n_prompt[4];
        int32_t last[6]; /* the prompt of the last window */
    } cases[] = {
        {"on", 1, 0, NULL, 0, {0, 3, 6, 9}, {T(0), A, T(200), T(0), B, T(200)}},
        {"off", 0, 0, NULL, 0, {0, 0, 0, 0}, {0}},
        {"0.5 is still trusted", 1, 0.5, NULL, 0, {0, 3, 6, 9}, {T(0), A, T(200)}},
        {"0.6 is not", 1, 0.6, NULL, 0, {0, 0, 0, 0}, {0}},
        {"an initial prompt goes first",
         1,
         0,
         "~",
         0,
         {2, 5, 8, 11},
         {SPACE, TILDE, T(0), A, T(200)}},
        {"and is dropped with the rest", 0, 0, "~", 0, {2, 0, 0, 0}, {0}},
        {"unless carried", 0, 0, "~", 1, {2, 2, 2, 2}, {SPACE, TILDE}},
        {"carried before the rest", 1, 0, "~", 1, {2, 5, 8, 11}, {SPACE, TILDE, T(0), A, T(200)}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake f = {.script = script, .n_script = 4};
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.n_temperatures = 1;
        options.temperature[0] = cases[i].temperature;
        options.condition_on_previous_text = cases[i].condition;
        options.initial_prompt = cases[i].initial;
        options.carry_initial_prompt = cases[i].carry;
        cara_result *r = transcribe(&f, &options, 800);
        print_message("%s\n", cases[i].what);
        assert_int_equal(f.n_decoded, 4);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(f.asked[k].n_prompt, cases[i].n_prompt[k]);
        for (size_t k = 0; k < 6 && k < f.asked[3].n_prompt && cases[i].last[k]; k++)
            assert_int_equal(f.asked[3].prompt[k], cases[i].last[k]);
        assert_string_equal(r->text, "abca"); /* the initial prompt is no part of it */
        cara_result_free(r);
    }
}

/* tokens[ignored:][-room:] of Python, where room = 223 less the initial prompt's length. The
 * decoder is fed the last 223 of both. */
static void a_long_carried_prompt_leaves_less_room(void **state) {
    (void)state;
    static const int32_t first[] = {T(0), A, T(200)}; /* tokens of the first window */
    static const struct {
        size_t initial,
            kept; /* tokens of the initial prompt; of the first window's, from its end */
    } cases[] = {
        {220, 3}, /* room 3 */
        {222, 1}, /* room 1 */
        {223, 3}, /* room 0: [-0:] is all of them */
        {224, 2}, /* room -1: [1:] */
        {230, 0}, /* room -7: none is left */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const window_script script[] = {{{T(0), A, T(200), T(200), B, END}, .avg_logprob = -0.1},
                                        {{T(0), C, T(100), END}, .avg_logprob = -0.1}};
        fake f = {.script = script, .n_script = 2};
        char prompt[512];
        size_t at = 0;
        for (size_t k = 0; k < cases[i].initial / 2; k++)
            at += (size_t)snprintf(prompt + at, sizeof prompt - at, "%s~", k ? " " : "");
        if (cases[i].initial % 2)
            snprintf(prompt + at, sizeof prompt - at, "~");
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.initial_prompt = prompt;
        options.carry_initial_prompt = 1;
        cara_result *r = transcribe(&f, &options, 400);
        size_t n = f.asked[0].n_prompt, kept = cases[i].kept;
        assert_int_equal(n, cases[i].initial < 223 ? cases[i].initial : 223);
        assert_int_equal(f.asked[0].prompt[n - 1], TILDE);
        n = f.asked[1].n_prompt;
        assert_int_equal(n, 223);
        if (kept)
            assert_memory_equal(f.asked[1].prompt + n - kept, first + 3 - kept,
                                kept * sizeof *first);
        assert_int_equal(f.asked[1].prompt[n - kept - 1], TILDE);
        cara_result_free(r);
    }
}

static void clips_are_transcribed_alone(void **state) {
    (void)state;
    static const struct {
        const char *clips;
        int64_t frames;
        size_t n;
        struct {
            int64_t seek, size;
        } encoded[4];
    } cases[] = {
        {"0", 4500, 2, {{0, 3000}, {3000, 1500}}},
        {"1,4", 4500, 1, {{100, 300}}},
        {"1,4,10", 4500, 3, {{100, 300}, {1000, 3000}, {4000, 500}}},
        {"10,12,1,2", 4500, 2, {{1000, 200}, {100, 100}}}, /* back in time, as asked */
        {"4,1", 4500, 0, {{0, 0}}},
        {"1,400", 500, 1, {{100, 400}}}, /* cut to the audio */
        {"6", 500, 0, {{0, 0}}},
        {"0", 0, 0, {{0, 0}}},
        {"0", 1, 1, {{0, 1}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        window_script script[4];
        for (int k = 0; k < 4; k++)
            script[k] = (window_script){{A, END}, .avg_logprob = -0.1};
        fake f = {.script = script, .n_script = 4};
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.clip_timestamps = cases[i].clips;
        cara_result *r = transcribe(&f, &options, cases[i].frames);
        print_message("%s of %d frames\n", cases[i].clips, (int)cases[i].frames);
        assert_int_equal(f.n_encoded, cases[i].n);
        for (size_t k = 0; k < f.n_encoded; k++) {
            assert_int_equal(f.encoded[k].seek, cases[i].encoded[k].seek);
            assert_int_equal(f.encoded[k].size, cases[i].encoded[k].size);
            assert_int_equal(r->segments[k].seek, cases[i].encoded[k].seek);
            assert_true(r->segments[k].start == (double)cases[i].encoded[k].seek / 100);
        }
        cara_result_free(r);
    }
}

static void stopping_keeps_what_is_finished(void **state) {
    (void)state;
    window_script script[] = {{{T(0), A, T(200), T(200), END}, .avg_logprob = -0.1},
                              {{T(0), B, T(200), T(200), END}, .avg_logprob = -0.1},
                              {{T(0), C, T(100), END}, .avg_logprob = -0.1}};
    /* in the midst of a window */
    for (size_t at = 0; at < 3; at++) {
        script[at].cancel = 1;
        fake f = {.script = script, .n_script = 3};
        cara_options options;
        cara_options_default(&options, sizeof options);
        cara_result *r = transcribe(&f, &options, 600);
        assert_int_equal(r->cut_short, 1);
        assert_int_equal(r->n_segments, at);
        static const char *const texts[] = {"", "a", "ab"};
        assert_string_equal(r->text, texts[at]);
        assert_int_equal(r->no_speech, at == 0);
        assert_int_equal(strlen(f.committed), at);
        cara_result_free(r);
        script[at].cancel = 0;
    }
    /* between windows; after the last there is nothing to stop */
    for (size_t at = 1; at <= 3; at++) {
        fake f = {.script = script, .n_script = 3, .stop_at = at};
        cara_options options;
        cara_options_default(&options, sizeof options);
        cara_result *r = transcribe(&f, &options, 600);
        assert_int_equal(r->cut_short, at < 3);
        assert_int_equal(r->n_segments, at);
        cara_result_free(r);
    }
}

static void callbacks_follow_the_windows(void **state) {
    (void)state;
    const window_script script[] = {
        {{T(0), A, T(200), T(200), B, T(400), T(400), END}, .avg_logprob = -0.1},
        {{END}, .avg_logprob = -2, .no_speech_prob = 0.9},
        {{T(0), C, T(2980), END}, .avg_logprob = -0.1}};
    fake f = {.script = script, .n_script = 3};
    cara_options options;
    cara_options_default(&options, sizeof options);
    cara_result *r = transcribe(&f, &options, 5000);
    assert_string_equal(f.committed, "012");
    assert_int_equal(f.n_progress, 3);
    assert_int_equal(f.progress[0], 400);
    assert_int_equal(f.progress[1], 3400);
    assert_int_equal(f.progress[2], 5000);
    assert_int_equal(r->n_segments, 3);
    assert_int_equal(r->segments[2].seek, 3400);
    assert_true(fabs(r->segments[2].end - 63.8) < 1e-9);
    cara_result_free(r);
}

static void the_language_is_detected_on_padded_audio(void **state) {
    (void)state;
    const window_script script[] = {{{T(0), A, T(100), END}, .avg_logprob = -0.1},
                                    {{T(0), B, T(100), END}, .avg_logprob = -0.1}};
    for (int64_t frames = 500; frames <= 3500; frames += 3000) {
        fake f = {.script = script, .n_script = 2};
        cara_result *r = NULL;
        cara_options options;
        cara_options_default(&options, sizeof options);
        assert_int_equal(transcribe_within(&f, &options, frames, 1 << 20, &r), CARA_OK);
        assert_int_equal(f.languages, 1);
        assert_string_equal(r->language, "es");
        assert_true(r->language_probability > 0.99); /* of the language tokens alone */
        /* Full windows are encoded once for both. */
        assert_int_equal(f.n_encoded, 2);
        assert_int_equal(f.encoded[0].seek, 0);
        assert_int_equal(f.encoded[0].size, 3000);
        assert_int_equal(f.encoded[1].seek, frames == 500 ? 0 : 3000);
        assert_int_equal(f.encoded[1].size, 500);
        cara_result_free(r);
    }
}

static int64_t bad_read(void *ctx, float *dst, size_t n, cara_error *err) {
    (void)dst, (void)n, (void)err;
    return *(const int64_t *)ctx;
}

static int rewind_nothing(void *ctx, cara_error *err) {
    (void)ctx, (void)err;
    return CARA_OK;
}

/* A source fails with its code and a sentence, whether it gives one or not. */
static void bad_sources_are_errors(void **state) {
    (void)state;
    static const struct {
        int64_t returns;
        int rc;
    } cases[] = {{CARA_ERR_IO, CARA_ERR_IO},
                 {CARA_ERR_AUDIO_CORRUPT, CARA_ERR_AUDIO_CORRUPT},
                 {-12345, CARA_ERR_INTERNAL},
                 {INT64_MIN, CARA_ERR_INTERNAL},
                 {INT64_MAX, CARA_ERR_USAGE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake f = {.backend = {&fake_ops}};
        int64_t returns = cases[i].returns;
        cara_session session = session_over(&f);
        cara_pcm_source source = {.read = bad_read, .rewind = rewind_nothing, .ctx = &returns};
        cara_options options;
        cara_result *r = NULL;
        cara_error err;
        memset(&err, 0xFF, sizeof err);
        cara_options_default(&options, sizeof options);
        assert_int_equal(cara_transcribe(&session, source, &options, &r, &err), cases[i].rc);
        assert_null(r);
        assert_int_equal(err.code, cases[i].rc);
        assert_int_equal(err.position, -1);
        assert_non_null(memchr(err.text, 0, sizeof err.text));
        assert_true(*err.text);
        free(session.mel);
    }
}

static cara_gaps two_gaps(void *ctx) {
    (void)ctx;
    return (cara_gaps){.count = 2, .seconds = 0.75};
}

/* What was missing in the audio is in the result; a source that does not know it has no gaps. */
static void gaps_of_the_source_are_in_the_result(void **state) {
    (void)state;
    for (int knows = 0; knows < 2; knows++) {
        fake f = {.backend = {&fake_ops}};
        cara_session session = session_over(&f);
        int64_t returns = 0; /* no samples */
        cara_pcm_source source = {.read = bad_read, .rewind = rewind_nothing, .ctx = &returns};
        source.gaps = knows ? two_gaps : NULL;
        cara_options options;
        cara_result *r = NULL;
        cara_error err;
        cara_options_default(&options, sizeof options);
        options.language = "es";
        assert_int_equal(cara_transcribe(&session, source, &options, &r, &err), CARA_OK);
        assert_int_equal(r->audio_gaps.count, knows ? 2 : 0);
        assert_true(r->audio_gaps.seconds == (knows ? 0.75 : 0));
        cara_result_free(r);
        free(session.mel);
    }
}

static void a_transcript_above_the_limit_is_an_error(void **state) {
    (void)state;
    const window_script script[] = {
        {{T(0), A, T(200), T(200), B, T(400), T(400), END}, .avg_logprob = -0.1}};
    fake f = {.script = script, .n_script = 1};
    cara_options options;
    cara_options_default(&options, sizeof options);
    options.language = "es";
    cara_result *r = NULL;
    assert_int_equal(transcribe_within(&f, &options, 400, 32, &r), CARA_ERR_AUDIO_LIMIT);
    assert_null(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_cut_at_their_timestamps),
        cmocka_unit_test(the_no_speech_rule),
        cmocka_unit_test(fallback_thresholds),
        cmocka_unit_test(temperatures_are_tried_in_turn),
        cmocka_unit_test(previous_text_is_the_prompt),
        cmocka_unit_test(a_long_carried_prompt_leaves_less_room),
        cmocka_unit_test(clips_are_transcribed_alone),
        cmocka_unit_test(stopping_keeps_what_is_finished),
        cmocka_unit_test(callbacks_follow_the_windows),
        cmocka_unit_test(the_language_is_detected_on_padded_audio),
        cmocka_unit_test(bad_sources_are_errors),
        cmocka_unit_test(gaps_of_the_source_are_in_the_result),
        cmocka_unit_test(a_transcript_above_the_limit_is_an_error),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}

/* The session over a real model: sampling, stopping, reuse, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "npy.h"

#include <caracola/caracola.h>

static cara_model *model;
static cara_session *session;
static npy pcm;

static int open_all(void **state) {
    (void)state;
    cara_error err;
    char vocab[4096];
    snprintf(vocab, sizeof vocab, "%s", fixture("nano/nano.tiktoken"));
    if (cara_model_open(fixture("nano/nano.pt"), vocab, &model, &err) ||
        cara_session_new(model, NULL, &session, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    pcm = npy_read("golden/stages/es-01.pcm.npy");
    return 0;
}

static int close_all(void **state) {
    (void)state;
    npy_free(&pcm);
    cara_session_free(session);
    cara_model_close(model);
    return 0;
}

static cara_result *transcribe(cara_session *with, const cara_options *options) {
    cara_error err = {0};
    cara_result *result = NULL;
    cara_pcm_memory memory = {.pcm = pcm.data, .n = pcm.count};
    if (cara_transcribe(with, cara_pcm_memory_source(&memory), options, &result, &err))
        fail_msg("%s", err.text);
    return result;
}

static void plain(cara_options *options) {
    cara_options_default(options, sizeof *options);
    options->language = "es";
    options->n_temperatures = 1;
}

static void same(const cara_result *a, const cara_result *b) {
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->n_segments, b->n_segments);
    for (size_t i = 0; i < a->n_segments; i++) {
        assert_true(a->segments[i].start == b->segments[i].start);
        assert_true(a->segments[i].end == b->segments[i].end);
        assert_true(a->segments[i].avg_logprob == b->segments[i].avg_logprob);
    }
}

static void sampling_is_decided_by_the_seed(void **state) {
    (void)state;
    cara_options options;
    plain(&options);
    options.temperature[0] = 2.5; /* the model is sure of itself */
    options.best_of = 2;
    options.sample_len = 24;
    int differ = 0;
    char first[1024] = "";
    for (uint64_t seed = 0; seed < 4; seed++) {
        options.seed = seed;
        cara_result *a = transcribe(session, &options), *b = transcribe(session, &options);
        same(a, b);
        assert_true(a->segments[0].temperature == 2.5);
        if (seed == 0)
            snprintf(first, sizeof first, "%s", a->text);
        differ += strcmp(first, a->text) != 0;
        cara_result_free(a);
        cara_result_free(b);
    }
    assert_true(differ > 0);
}

static void more_candidates_are_likelier(void **state) {
    (void)state;
    cara_options options;
    plain(&options);
    options.temperature[0] = 2.5; /* the model is sure of itself */
    options.sample_len = 24;
    options.without_timestamps = 1; /* one window: its score is the score */
    double mean[2] = {0};
    for (int many = 0; many < 2; many++) {
        options.best_of = many ? 8 : 0;
        for (uint64_t seed = 0; seed < 5; seed++) {
            options.seed = seed;
            cara_result *r = transcribe(session, &options);
            assert_int_equal(r->n_segments, 1);
            mean[many] += r->segments[0].avg_logprob / 5;
            cara_result_free(r);
        }
    }
    print_message("mean log-probability: one %.3f, best of eight %.3f\n", mean[0], mean[1]);
    assert_true(mean[1] > mean[0] + 0.05);
}

static void a_session_keeps_nothing_between_audios(void **state) {
    (void)state;
    cara_options options;
    plain(&options);
    cara_result *before = transcribe(session, &options);
    assert_true(isnan(before->language_probability));
    options.temperature[0] = 0.7;
    options.best_of = 6; /* the decoder grows */
    options.sample_len = 24;
    cara_result_free(transcribe(session, &options));
    plain(&options);
    options.language = NULL;
    cara_result *after = transcribe(session, &options);
    same(before, after);
    assert_string_equal(after->language, "es");
    assert_true(after->language_probability > 0.5 && after->language_probability <= 1);
    assert_true(fabs(after->duration_s - (double)pcm.count / 16000) < 1e-9);
    assert_true(after->timings.encode_s > 0 && after->timings.decode_s > 0);
    assert_true(after->timings.mel_s > 0 && after->timings.audio_s >= 0);
    assert_true(after->timings.total_s >= after->timings.encode_s + after->timings.decode_s);

    /* Threads change the speed alone. */
    cara_session_options one = {.struct_size = sizeof one, .threads = 1};
    cara_session *single;
    assert_int_equal(cara_session_new(model, &one, &single, NULL), CARA_OK);
    cara_result *alone = transcribe(single, &options);
    same(alone, after);
    cara_result_free(alone);
    cara_session_free(single);
    cara_result_free(before);
    cara_result_free(after);
}

/* All positions are the whole window; fewer change what is computed, but hardly the words. */
static void a_short_note_is_cut_on_demand(void **state) {
    (void)state;
    cara_options options;
    plain(&options);
    cara_result *whole = transcribe(session, &options);
    options.audio_ctx = 1500;
    cara_result *all = transcribe(session, &options);
    same(whole, all);
    options.audio_ctx = CARA_AUDIO_CTX_AUTO;
    cara_result *cut = transcribe(session, &options);
    assert_string_equal(cut->text, whole->text);
    assert_true(cut->segments[0].avg_logprob != whole->segments[0].avg_logprob);
    options.language = NULL; /* detected from the same window */
    cara_result *detected = transcribe(session, &options);
    same(cut, detected);
    assert_string_equal(detected->language, "es");
    plain(&options);
    cara_result *after = transcribe(session, &options);
    same(whole, after);
    cara_result_free(whole);
    cara_result_free(all);
    cara_result_free(cut);
    cara_result_free(detected);
    cara_result_free(after);
}

typedef struct counting {
    int64_t calls, stop_at, last, total;
    int rising;
    size_t segments;
} counting;

static int count(void *cookie, int64_t done, int64_t total) {
    counting *c = cookie;
    c->rising &= done >= c->last && done <= total;
    c->last = done;
    c->total = total;
    return ++c->calls == c->stop_at;
}

static void count_segment(void *cookie, const cara_segment *segment) {
    counting *c = cookie;
    assert_int_equal(segment->id, c->segments);
    c->segments++;
}

static void stopping_keeps_the_finished_segments(void **state) {
    cara_options options;
    plain(&options);
    options.beam_size = *(const int *)*state;
    options.word_timestamps = options.beam_size > 0;
    options.language = NULL;
    options.progress = count;
    options.on_segment = count_segment;
    counting all = {.rising = 1};
    options.cookie = &all;
    cara_result *whole = transcribe(session, &options);
    assert_int_equal(whole->cut_short, 0);
    assert_true(all.calls > 20); /* each layer, each token */
    assert_true(all.rising);
    assert_int_equal(all.last, all.total);
    assert_int_equal(all.total, pcm.count / 160);
    assert_int_equal(all.segments, whole->n_segments);
    assert_true(whole->n_segments >= 2);

    size_t last = 0;
    for (int64_t stop = 1; stop < all.calls; stop += stop < 4 ? 1 : 7) {
        counting c = {.stop_at = stop, .rising = 1};
        options.cookie = &c;
        cara_error err = {.code = CARA_OK, .text = "untouched"};
        cara_result *r = NULL;
        cara_pcm_memory memory = {.pcm = pcm.data, .n = pcm.count};
        assert_int_equal(
            cara_transcribe(session, cara_pcm_memory_source(&memory), &options, &r, &err), CARA_OK);
        assert_string_equal(err.text, "untouched");
        assert_int_equal(r->cut_short, 1);
        assert_int_equal(c.calls, stop); /* never called again once it said stop */
        assert_true(r->n_segments >= last && r->n_segments < whole->n_segments + 1);
        assert_int_equal(c.segments, r->n_segments);
        for (size_t i = 0; i < r->n_segments; i++)
            assert_string_equal(r->segments[i].text, whole->segments[i].text);
        last = r->n_segments;
        cara_result_free(r);
    }
    assert_true(last >= 1);
    cara_result_free(whole);
}

static int64_t broken_read(void *ctx, float *dst, size_t n, cara_error *err) {
    (void)ctx, (void)dst, (void)n;
    return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, 77, "the stream broke");
}

static int broken_rewind(void *ctx, cara_error *err) {
    (void)ctx, (void)err;
    return CARA_OK;
}

static void error_texts_name_the_cause(void **state) {
    (void)state;
    cara_error err = {0};
    cara_result *result = (cara_result *)&err;
    cara_pcm_source broken = {.read = broken_read, .rewind = broken_rewind};
    assert_int_equal(cara_transcribe(session, broken, NULL, &result, &err), CARA_ERR_AUDIO_CORRUPT);
    assert_null(result);
    assert_string_equal(err.text, "the stream broke");
    assert_int_equal(err.position, 77);

    cara_options options;
    cara_options_default(&options, sizeof options);
    options.beam_size = -5;
    cara_pcm_memory memory = {.pcm = pcm.data, .n = pcm.count};
    assert_int_equal(
        cara_transcribe(session, cara_pcm_memory_source(&memory), &options, &result, &err),
        CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "beam_size"));
    assert_int_equal(memory.at, 0); /* the audio was not touched */

    cara_session *none;
    cara_session_options bad = {.struct_size = sizeof bad, .cpu_level = "mmx"};
    assert_int_equal(cara_session_new(model, &bad, &none, &err), CARA_ERR_CPU);
    assert_null(none);
    assert_non_null(strstr(err.text, "mmx"));
    bad = (cara_session_options){.struct_size = sizeof(cara_session_options), .threads = -1};
    assert_int_equal(cara_session_new(model, &bad, &none, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "-1"));

    assert_int_equal(setenv("CARACOLA_CPU", "mmx", 1), 0);
    assert_int_equal(cara_session_new(model, NULL, &none, &err), CARA_ERR_CPU);
    assert_int_equal(setenv("CARACOLA_CPU", "scalar", 1), 0);
    assert_int_equal(cara_session_new(model, NULL, &none, &err), CARA_OK);
    assert_string_equal(cara_session_cpu_level(none), "scalar");
    cara_session_free(none);
    assert_int_equal(setenv("CARACOLA_CPU", "", 1), 0); /* empty is unset */
    assert_int_equal(cara_session_new(model, NULL, &none, &err), CARA_OK);
    assert_string_equal(cara_session_cpu_level(none), cara_session_cpu_level(session));
    cara_session_free(none);
    cara_session_free(NULL);

    /* after all that it still transcribes */
    plain(&options);
    cara_result *r = transcribe(session, &options);
    assert_non_null(strstr(r->text, "totoaba"));
    cara_result_free(r);
}

int main(void) {
    static const int greedy = 0, beams = 5;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampling_is_decided_by_the_seed),
        cmocka_unit_test(more_candidates_are_likelier),
        cmocka_unit_test(a_session_keeps_nothing_between_audios),
        cmocka_unit_test(a_short_note_is_cut_on_demand),
        {"stopping greedy decoding keeps the finished segments",
         stopping_keeps_the_finished_segments, NULL, NULL, (void *)&greedy},
        {"stopping beam search and word times keeps the finished segments",
         stopping_keeps_the_finished_segments, NULL, NULL, (void *)&beams},
        cmocka_unit_test(error_texts_name_the_cause),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}

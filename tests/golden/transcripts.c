#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "npy.h"
#include "transcripts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void golden_open(golden *g, const char *cpu_level) {
    char vocab[4096];
    cara_error err = {0};
    snprintf(vocab, sizeof vocab, "%s", fixture("nano/nano.tiktoken"));
    if (cara_model_open(fixture("nano/nano.pt"), vocab, &g->model, &err))
        fail_msg("%s", err.text);
    cara_session_options options = {.struct_size = sizeof options, .cpu_level = cpu_level};
    if (cara_session_new(g->model, &options, &g->session, &err))
        fail_msg("%s", err.text);
    assert_string_equal(cara_session_cpu_level(g->session), cpu_level);
}

void golden_close(golden *g) {
    cara_session_free(g->session);
    cara_model_close(g->model);
}

json_t *golden_json(const char *path) {
    char name[256];
    snprintf(name, sizeof name, "golden/%s.json", path);
    json_error_t error;
    json_t *json = json_load_file(fixture(name), 0, &error);
    if (!json)
        fail_msg("%s: %s", name, error.text);
    return json;
}

void golden_options(const json_t *given, cara_options *options) {
    cara_options_default(options, sizeof *options);
    options->n_temperatures = 1; /* temperature=0.0, as all goldens were made */
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)given, name, value) {
        if (!strcmp(name, "language"))
            options->language = json_string_value(value);
        else if (!strcmp(name, "initial_prompt"))
            options->initial_prompt = json_string_value(value);
        else if (!strcmp(name, "carry_initial_prompt"))
            options->carry_initial_prompt = json_is_true(value);
        else if (!strcmp(name, "condition_on_previous_text"))
            options->condition_on_previous_text = json_is_true(value);
        else if (!strcmp(name, "without_timestamps"))
            options->without_timestamps = json_is_true(value);
        else if (!strcmp(name, "clip_timestamps"))
            options->clip_timestamps = json_string_value(value);
        else if (!strcmp(name, "suppress_tokens"))
            options->suppress_tokens = json_string_value(value);
        else if (!strcmp(name, "word_timestamps"))
            options->word_timestamps = json_is_true(value);
        else if (!strcmp(name, "hallucination_silence_threshold"))
            options->hallucination_silence_threshold = json_number_value(value);
        else if (!strcmp(name, "beam_size"))
            options->beam_size = (int)json_integer_value(value);
        else if (!strcmp(name, "patience"))
            options->patience = json_number_value(value);
        else if (!strcmp(name, "length_penalty"))
            options->length_penalty = json_number_value(value);
        else if (!strcmp(name, "max_initial_timestamp"))
            options->max_initial_timestamp = json_number_value(value);
        else
            fail_msg("the goldens have an option that this test does not know: %s", name);
    }
}

int golden_has_samples(const char *note) {
    char name[256];
    snprintf(name, sizeof name, "golden/stages/%s.pcm.npy", note);
    return access(fixture(name), R_OK) == 0;
}

cara_result *golden_transcribe(golden *g, const char *note, const cara_options *options,
                               int from_ogg) {
    char name[256];
    cara_error err = {0};
    cara_result *result = NULL;
    if (!from_ogg) {
        snprintf(name, sizeof name, "golden/stages/%s.pcm.npy", note);
        npy pcm = npy_read(name);
        cara_pcm_memory memory = {.pcm = pcm.data, .n = pcm.count};
        if (cara_transcribe(g->session, cara_pcm_memory_source(&memory), options, &result, &err))
            fail_msg("%s: %s", note, err.text);
        npy_free(&pcm);
        return result;
    }
    snprintf(name, sizeof name, "nano/voices/%s.ogg", note);
    cara_audio *audio;
    if (cara_audio_open_file(fixture(name), NULL, &audio, &err))
        fail_msg("%s: %s", note, err.text);
    if (cara_transcribe(g->session, cara_audio_source(audio), options, &result, &err))
        fail_msg("%s: %s", note, err.text);
    cara_audio_close(audio);
    return result;
}

/* Prints a difference and counts it. */
static int differs(const char *name, size_t segment, const char *field, double got, double expected,
                   double tolerance) {
    if (fabs(got - expected) <= tolerance || (isnan(got) && isnan(expected)))
        return 0;
    printf("%s: segment %zu: %s is %.6g, expected %.6g\n", name, segment, field, got, expected);
    return 1;
}

static double number(const json_t *object, const char *field) {
    const json_t *value = json_object_get(object, field);
    return value ? json_number_value(value) : NAN;
}

static int compare_text(const char *name, const char *field, const char *got,
                        const json_t *expected) {
    const char *text = json_string_value(json_object_get(expected, field));
    if (text && !strcmp(got, text))
        return 0;
    printf("%s: %s is \"%s\", expected \"%s\"\n", name, field, got, text ? text : "(none)");
    return 1;
}

/* The scores are those of the whole window. From another decoder's samples, which differ by up to
 * 2e-3, they differ by more than from the same samples. */
static int compare_scores(const char *name, size_t i, const cara_segment *got,
                          const json_t *expected, int from_ogg) {
    double logprob = from_ogg ? 0.05 : 1e-3, probability = from_ogg ? 0.01 : 1e-3;
    return differs(name, i, "avg_logprob", got->avg_logprob, number(expected, "avg_logprob"),
                   logprob) +
           differs(name, i, "no_speech_prob", got->no_speech_prob,
                   number(expected, "no_speech_prob"), probability) +
           differs(name, i, "compression_ratio", got->compression_ratio,
                   number(expected, "compression_ratio"), 1e-9);
}

static int compare_words(const char *name, size_t i, const cara_segment *got,
                         const json_t *expected, int from_ogg) {
    int bad = differs(name, i, "words", (double)got->n_words, (double)json_array_size(expected), 0);
    for (size_t k = 0; k < got->n_words && k < json_array_size(expected); k++) {
        const json_t *word = json_array_get(expected, k);
        bad += compare_text(name, "word", got->words[k].word, word);
        bad +=
            differs(name, i, "a word's start", got->words[k].start, number(word, "start"), 0.0401);
        bad += differs(name, i, "a word's end", got->words[k].end, number(word, "end"), 0.0401);
        bad += differs(name, i, "a word's probability", got->words[k].probability,
                       number(word, "probability"), from_ogg ? 0.02 : 1e-3);
    }
    return bad;
}

static int compare_segment(const char *name, size_t i, const cara_segment *got,
                           const json_t *expected, int from_ogg) {
    double time = from_ogg ? 0.0201 : 1e-9;
    int bad = compare_text(name, "text", got->text, expected);
    bad += differs(name, i, "id", got->id, number(expected, "id"), 0);
    bad += differs(name, i, "seek", got->seek, number(expected, "seek"), from_ogg ? 2 : 0);
    bad += differs(name, i, "start", got->start, number(expected, "start"), time);
    bad += differs(name, i, "end", got->end, number(expected, "end"), time);
    bad += differs(name, i, "temperature", got->temperature, number(expected, "temperature"), 0);
    const json_t *words = json_object_get(expected, "words");
    if (got->words)
        bad += compare_words(name, i, got, words, from_ogg);
    else
        bad += differs(name, i, "cleared", got->cleared, words != NULL, 0);
    const json_t *tokens = json_object_get(expected, "tokens");
    bad += differs(name, i, "tokens", (double)got->n_tokens, (double)json_array_size(tokens), 0);
    for (size_t k = 0; k < got->n_tokens && k < json_array_size(tokens); k++) {
        int64_t token = json_integer_value(json_array_get(tokens, k));
        int is_time = token >= 50364 && got->tokens[k] >= 50364;
        bad += differs(name, i, "a token", got->tokens[k], (double)token, from_ogg && is_time);
    }
    return bad;
}

int golden_compare(const char *name, const cara_result *result, const json_t *expected,
                   int from_ogg, size_t most) {
    const json_t *segments = json_object_get(expected, "segments");
    size_t n = json_array_size(segments);
    int bad = compare_text(name, "language", result->language, expected);
    if (most >= n)
        bad += compare_text(name, "text", result->text, expected);
    if (result->n_segments != n && (most >= n || result->n_segments < most)) {
        printf("%s: %zu segments, expected %zu\n", name, result->n_segments, n);
        bad++;
    }
    n = most < n ? most : n;
    for (size_t i = 0; i < n && i < result->n_segments; i++) {
        const cara_segment *got = &result->segments[i];
        bad += compare_segment(name, i, got, json_array_get(segments, i), from_ogg);
        /* The window in which the tie falls has scores of its own. */
        int tied = most < result->n_segments && got->seek == result->segments[most].seek;
        if (!tied)
            bad += compare_scores(name, i, got, json_array_get(segments, i), from_ogg);
    }
    return bad;
}

/* Subtitles from word times against those of whisper/utils.py; see tests/data/subtitles/make.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transcript/transcript.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS = 16, WORDS = 128 };

typedef struct made {
    cara_result result;
    cara_segment segments[SEGMENTS];
    cara_word words[SEGMENTS][WORDS];
} made;

static double number(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void read_result(const json_t *given, made *out) {
    const json_t *segments = json_object_get(given, "segments"), *segment, *word;
    size_t i, k;
    memset(out, 0, sizeof *out);
    json_array_foreach((json_t *)segments, i, segment) {
        assert_true(i < SEGMENTS);
        cara_segment *s = &out->segments[i];
        *s = (cara_segment){.start = number(segment, "start"),
                            .end = number(segment, "end"),
                            .text = json_string_value(json_object_get(segment, "text")),
                            .words = out->words[i]};
        const json_t *words = json_object_get(segment, "words");
        json_array_foreach((json_t *)words, k, word) {
            assert_true(k < WORDS);
            out->words[i][k] = (cara_word){.word = json_string_value(json_object_get(word, "word")),
                                           .start = number(word, "start"),
                                           .end = number(word, "end")};
        }
        s->n_words = k;
        out->result.n_segments++;
    }
    out->result.segments = out->segments;
}

static size_t or_none(const json_t *options, const char *name) {
    const json_t *value = json_object_get(options, name);
    return json_is_integer(value) ? (size_t)json_integer_value(value) : 0;
}

static void check(const cara_result *result, cara_transcript_format format,
                  const cara_transcript_options *options, const json_t *output) {
    cara_buf out;
    cara_buf_init(&out, 1 << 20);
    assert_int_equal(
        cara_transcript_write(result, format, options, cara_transcript_to_buf, &out, NULL),
        CARA_OK);
    assert_string_equal(
        out.data ? out.data : "",
        json_string_value(json_object_get(output, cara_transcript_format_name(format))));
    cara_buf_free(&out);
}

static void cues_are_those_of_openai_whisper(void **state) {
    (void)state;
    static made m;
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/data/subtitles/cases.json",
             getenv("CARACOLA_SOURCE_DIR"));
    json_t *cases = json_load_file(path, 0, NULL), *c, *output;
    assert_non_null(cases);
    size_t i, k, n = 0;
    json_array_foreach(cases, i, c) {
        read_result(json_object_get(c, "result"), &m);
        json_array_foreach(json_object_get(c, "outputs"), k, output) {
            const json_t *given = json_object_get(output, "options");
            cara_transcript_options options;
            cara_transcript_options_default(&options, sizeof options);
            options.highlight_words = json_is_true(json_object_get(given, "highlight_words"));
            options.max_line_width = or_none(given, "max_line_width");
            options.max_line_count = or_none(given, "max_line_count");
            options.max_words_per_line = or_none(given, "max_words_per_line");
            check(&m.result, CARA_TRANSCRIPT_VTT, &options, output);
            check(&m.result, CARA_TRANSCRIPT_SRT, &options, output);
            n++;
        }
    }
    assert_true(n > 60);
    json_decref(cases);
}

/* "-->" would end a cue's times; a time that no file can hold is an error. */
static void words_cannot_break_the_file(void **state) {
    (void)state;
    cara_word words[] = {{.word = " -->", .start = 0, .end = 1, .probability = 1},
                         {.word = " x-->", .start = 1, .end = 2, .probability = 1}};
    const cara_segment segment = {.end = 2, .text = " --> x-->", .words = words, .n_words = 2};
    const cara_result result = {.segments = &segment, .n_segments = 1};
    cara_buf out;
    cara_error err = {0};
    cara_buf_init(&out, 1 << 10);
    assert_int_equal(cara_transcript_write(&result, CARA_TRANSCRIPT_VTT, NULL,
                                           cara_transcript_to_buf, &out, NULL),
                     CARA_OK);
    assert_string_equal(out.data, "WEBVTT\n\n00:00.000 --> 00:02.000\n-> x->\n\n");
    words[1].end = NAN;
    assert_int_equal(cara_transcript_write(&result, CARA_TRANSCRIPT_VTT, NULL,
                                           cara_transcript_to_buf, &out, &err),
                     CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "word"));
    cara_buf_free(&out);
    cara_buf_init(&out, 20);
    words[1].end = 2;
    assert_int_equal(cara_transcript_write(&result, CARA_TRANSCRIPT_VTT, NULL,
                                           cara_transcript_to_buf, &out, &err),
                     CARA_ERR_MEMORY);
    cara_buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cues_are_those_of_openai_whisper),
        cmocka_unit_test(words_cannot_break_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

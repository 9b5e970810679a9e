#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transcript/result.h"
#include "transcript/result_json.h"
#include "transcript/timestamp.h"
#include "transcript/transcript.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int32_t some_tokens[] = {50364, 843, 50414};

/* What the files below are written from; the expected bytes are those of whisper/utils.py. */
static const cara_segment sample_segments[] = {
    {.id = 0,
     .seek = 0,
     .start = 0.0,
     .end = 4.0200000000000005,
     .text = " Tres lanchas, ni\xC3\xB1o --> \"norte\"\t\\ \xF0\x9F\x90\x9A ",
     .tokens = some_tokens,
     .n_tokens = 3,
     .temperature = 0.2,
     .avg_logprob = -0.17370476041521346,
     .compression_ratio = 0.8939393939393939,
     .no_speech_prob = 1.0114683846040862e-06},
    {.id = 1,
     .seek = 402,
     .start = 4.02,
     .end = 59.9996,
     .text = "",
     .temperature = 1.0,
     .avg_logprob = NAN,
     .no_speech_prob = -INFINITY,
     .cleared = 1},
    {.id = 2,
     .seek = 366000,
     .start = 3661.0005,
     .end = 360000.0015,
     .text = "\xC2\xA0"
             "a\x01\n\r\b\f\x7F---->",
     .tokens = some_tokens,
     .n_tokens = 1,
     .temperature = 0.0,
     .avg_logprob = -1.0,
     .compression_ratio = 1e16,
     .no_speech_prob = 1.0},
};

static const cara_result sample = {.text = " Tres lanchas, \"a\"\n",
                                   .language = "es",
                                   .segments = sample_segments,
                                   .n_segments = 3};

static const cara_segment cleared_segment = {.end = 5.0, .text = "", .cleared = 1};
static const cara_result silence = {
    .text = "", .language = "es", .segments = &cleared_segment, .n_segments = 1};
static const cara_result nothing = {.text = "", .language = ""};

#define SEGMENTS_JSON                                                                              \
    "[{\"id\": 0, \"seek\": 0, \"start\": 0.0, \"end\": 4.0200000000000005, \"text\": "            \
    "\" Tres lanchas, ni\xC3\xB1o --> \\\"norte\\\"\\t\\\\ \xF0\x9F\x90\x9A \", "                  \
    "\"tokens\": [50364, 843, 50414], \"temperature\": 0.2, \"avg_logprob\": "                     \
    "-0.17370476041521346, \"compression_ratio\": 0.8939393939393939, \"no_speech_prob\": "        \
    "1.0114683846040862e-06}, {\"id\": 1, \"seek\": 402, \"start\": 4.02, \"end\": 59.9996, "      \
    "\"text\": \"\", \"tokens\": [], \"temperature\": 1.0, \"avg_logprob\": null, "                \
    "\"compression_ratio\": 0.0, \"no_speech_prob\": null, \"words\": []}, {\"id\": 2, "           \
    "\"seek\": 366000, \"start\": 3661.0005, \"end\": 360000.0015, \"text\": "                     \
    "\"\xC2\xA0"                                                                                   \
    "a\\u0001\\n\\r\\b\\f\x7F---->\", \"tokens\": [50364], \"temperature\": 0.0, "                 \
    "\"avg_logprob\": -1.0, \"compression_ratio\": 1e+16, \"no_speech_prob\": 1.0}]"

static void files_equal_those_of_openai_whisper(void **state) {
    (void)state;
    static const struct {
        const cara_result *result;
        cara_transcript_format format;
        const char *expected;
    } cases[] = {
        {&sample, CARA_TRANSCRIPT_TXT,
         "Tres lanchas, ni\xC3\xB1o --> \"norte\"\t\\ \xF0\x9F\x90\x9A\n\n"
         "a\x01\n\r\b\f\x7F---->\n"},
        {&sample, CARA_TRANSCRIPT_VTT,
         "WEBVTT\n\n"
         "00:00.000 --> 00:04.020\n"
         "Tres lanchas, ni\xC3\xB1o -> \"norte\"\t\\ \xF0\x9F\x90\x9A\n\n"
         "00:04.020 --> 01:00.000\n\n\n"
         "01:01:01.000 --> 100:00:00.002\na\x01\n\r\b\f\x7F--->\n\n"},
        {&sample, CARA_TRANSCRIPT_SRT,
         "1\n00:00:00,000 --> 00:00:04,020\n"
         "Tres lanchas, ni\xC3\xB1o -> \"norte\"\t\\ \xF0\x9F\x90\x9A\n\n"
         "2\n00:00:04,020 --> 00:01:00,000\n\n\n"
         "3\n01:01:01,000 --> 100:00:00,002\na\x01\n\r\b\f\x7F--->\n\n"},
        {&sample, CARA_TRANSCRIPT_TSV,
         "start\tend\ttext\n"
         "0\t4020\tTres lanchas, ni\xC3\xB1o --> \"norte\" \\ \xF0\x9F\x90\x9A\n"
         "4020\t60000\t\n"
         "3661000\t360000002\ta\x01\n\r\b\f\x7F---->\n"},
        {&sample, CARA_TRANSCRIPT_JSON,
         "{\"text\": \" Tres lanchas, \\\"a\\\"\\n\", \"segments\": " SEGMENTS_JSON
         ", \"language\": \"es\"}"},
        {&silence, CARA_TRANSCRIPT_TXT, "\n"},
        {&silence, CARA_TRANSCRIPT_VTT, "WEBVTT\n\n"},
        {&silence, CARA_TRANSCRIPT_SRT, ""},
        {&silence, CARA_TRANSCRIPT_TSV, "start\tend\ttext\n0\t5000\t\n"},
        {&silence, CARA_TRANSCRIPT_JSON,
         "{\"text\": \"\", \"segments\": [{\"id\": 0, \"seek\": 0, \"start\": 0.0, \"end\": 5.0, "
         "\"text\": \"\", \"tokens\": [], \"temperature\": 0.0, \"avg_logprob\": 0.0, "
         "\"compression_ratio\": 0.0, \"no_speech_prob\": 0.0, \"words\": []}], "
         "\"language\": \"es\"}"},
        {&nothing, CARA_TRANSCRIPT_TXT, ""},
        {&nothing, CARA_TRANSCRIPT_VTT, "WEBVTT\n\n"},
        {&nothing, CARA_TRANSCRIPT_SRT, ""},
        {&nothing, CARA_TRANSCRIPT_TSV, "start\tend\ttext\n"},
        {&nothing, CARA_TRANSCRIPT_JSON, "{\"text\": \"\", \"segments\": [], \"language\": \"\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_buf out;
        cara_buf_init(&out, 1 << 16);
        assert_int_equal(cara_transcript_write(cases[i].result, cases[i].format, NULL,
                                               cara_transcript_to_buf, &out, NULL),
                         0);
        assert_string_equal(out.data ? out.data : "", cases[i].expected);
        assert_int_equal(out.len, strlen(cases[i].expected));
        cara_buf_free(&out);
    }
}

/* One table in CSV of all `n` results, whose files are `names` (NULL: no such column). */
static void write_table(const cara_result *const *results, const char *const *names, size_t n,
                        int allow_formulas, cara_buf *out) {
    cara_transcript_options options;
    cara_transcript_options_default(&options, sizeof options);
    assert_int_equal(options.header, 1);
    assert_int_equal(options.allow_formulas, 0);
    options.allow_formulas = allow_formulas;
    options.file = names ? names[0] : NULL;
    assert_int_equal(cara_transcript_write_header(CARA_TRANSCRIPT_CSV, &options,
                                                  cara_transcript_to_buf, out, NULL),
                     0);
    options.header = 0;
    for (size_t i = 0; i < n; i++) {
        options.file = names ? names[i] : NULL;
        assert_int_equal(cara_transcript_write(results[i], CARA_TRANSCRIPT_CSV, &options,
                                               cara_transcript_to_buf, out, NULL),
                         0);
    }
}

static const cara_segment spoken[] = {
    {.start = 0.0,
     .end = 1.5,
     .text = " Hola, \"Mar\xC3\xAD"
             "a\" "},
    {.start = 1.5, .end = 1.5, .text = "", .cleared = 1},
    {.start = 1.5, .end = 2.0004, .text = "=HYPERLINK(\"http://x\")"},
    {.start = 2, .end = 3, .text = " - S\xC3\xAD"},
    {.start = 3,
     .end = 4,
     .text = "\xEF\xBC\x8B"
             "52 612"},
    {.start = 4, .end = 5, .text = "two\r\nlines\tx"},
    {.start = 5, .end = 6, .text = "a - b = c + @"},
};
static const cara_result speech = {
    .text = "", .language = "es", .segments = spoken, .n_segments = 7, .duration_s = 6.5};

/* As Python's csv.writer writes them, but for the apostrophes. */
static void tables_are_csv(void **state) {
    (void)state;
    cara_result silent = silence;
    silent.duration_s = 5.25;
    const cara_result *const results[] = {&speech, &silent, &nothing};
    static const char *const names[] = {"notes, old/a.ogg", "@b.ogg", "\xFF \"c\".ogg"};
    cara_buf out;
    cara_buf_init(&out, 1 << 16);
    write_table(results, names, 3, 0, &out);
    assert_string_equal(out.data,
                        "file,start,end,text\r\n"
                        "\"notes, old/a.ogg\",0,1500,\"Hola, \"\"Mar\xC3\xAD"
                        "a\"\"\"\r\n"
                        "\"notes, old/a.ogg\",1500,2000,\"'=HYPERLINK(\"\"http://x\"\")\"\r\n"
                        "\"notes, old/a.ogg\",2000,3000,'- S\xC3\xAD\r\n"
                        "\"notes, old/a.ogg\",3000,4000,'\xEF\xBC\x8B"
                        "52 612\r\n"
                        "\"notes, old/a.ogg\",4000,5000,\"two\r\nlines\tx\"\r\n"
                        "\"notes, old/a.ogg\",5000,6000,a - b = c + @\r\n"
                        "'@b.ogg,0,5250,\r\n"
                        "\"\xEF\xBF\xBD \"\"c\"\".ogg\",0,0,\r\n");
    cara_buf_clear(&out);
    write_table(results, NULL, 2, 1, &out);
    assert_string_equal(out.data, "start,end,text\r\n"
                                  "0,1500,\"Hola, \"\"Mar\xC3\xAD"
                                  "a\"\"\"\r\n"
                                  "1500,2000,\"=HYPERLINK(\"\"http://x\"\")\"\r\n"
                                  "2000,3000,- S\xC3\xAD\r\n"
                                  "3000,4000,\xEF\xBC\x8B"
                                  "52 612\r\n"
                                  "4000,5000,\"two\r\nlines\tx\"\r\n"
                                  "5000,6000,a - b = c + @\r\n"
                                  "0,5250,\r\n");
    cara_buf_free(&out);
}

static void headers_stand_before_the_first_segment(void **state) {
    (void)state;
    cara_transcript_options options;
    cara_transcript_options_default(&options, sizeof options);
    options.header = 0;
    for (int f = 0; f < CARA_TRANSCRIPT_FORMATS; f++) {
        cara_buf whole, parts;
        cara_buf_init(&whole, 1 << 16);
        cara_buf_init(&parts, 1 << 16);
        assert_int_equal(cara_transcript_write(&speech, (cara_transcript_format)f, NULL,
                                               cara_transcript_to_buf, &whole, NULL),
                         0);
        assert_int_equal(cara_transcript_write_header((cara_transcript_format)f, NULL,
                                                      cara_transcript_to_buf, &parts, NULL),
                         0);
        assert_int_equal(parts.len > 0, f == CARA_TRANSCRIPT_VTT || f == CARA_TRANSCRIPT_TSV ||
                                            f == CARA_TRANSCRIPT_CSV);
        assert_int_equal(cara_transcript_write(&speech, (cara_transcript_format)f, &options,
                                               cara_transcript_to_buf, &parts, NULL),
                         0);
        assert_string_equal(parts.data, whole.data);
        cara_buf_free(&whole);
        cara_buf_free(&parts);
    }
}

/* Counts its calls, and fails with `code` at call `fail_at`. */
typedef struct taker {
    int calls, fail_at, code;
    const char *sentence;
    size_t bytes, largest;
} taker;

static int take(void *cookie, const char *bytes, size_t n, cara_error *err) {
    taker *t = cookie;
    assert_true(n > 0 && bytes[0]);
    t->bytes += n;
    if (n > t->largest)
        t->largest = n;
    if (++t->calls != t->fail_at)
        return CARA_OK;
    if (t->sentence) {
        *err = (cara_error){.code = (cara_code)t->code, .position = 7};
        snprintf(err->text, sizeof err->text, "%s", t->sentence);
    }
    return t->code;
}

static void long_transcripts_come_in_pieces(void **state) {
    (void)state;
    enum { N = 20000 };
    cara_segment *many = calloc(N, sizeof *many);
    assert_non_null(many);
    for (int i = 0; i < N; i++)
        many[i] = (cara_segment){.start = i, .end = i + 1, .text = " ten bytes."};
    const cara_result result = {.text = "", .language = "", .segments = many, .n_segments = N};
    taker t = {0};
    assert_int_equal(cara_transcript_write(&result, CARA_TRANSCRIPT_TXT, NULL, take, &t, NULL), 0);
    assert_int_equal(t.bytes, 11 * N);
    assert_int_equal(t.calls, 4);
    assert_true(t.largest < 66000);
    /* A failure ends it at once, with the sentence of the function or one of our own. */
    static const struct {
        int code;
        const char *sentence;
        int expected;
        const char *text;
    } cases[] = {
        {CARA_ERR_IO, "the disk is full", CARA_ERR_IO, "the disk is full"},
        {CARA_ERR_IO, NULL, CARA_ERR_IO, "failed with \"io\""},
        {CARA_ERR_CANCELLED, NULL, CARA_ERR_CANCELLED, "failed with \"cancelled\""},
        {1, NULL, CARA_ERR_INTERNAL, "returned 1, which is no error code"},
        {-1000, NULL, CARA_ERR_INTERNAL, "returned -1000, which is no error code"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_error err;
        t = (taker){.fail_at = 2, .code = cases[i].code, .sentence = cases[i].sentence};
        assert_int_equal(cara_transcript_write(&result, CARA_TRANSCRIPT_TXT, NULL, take, &t, &err),
                         cases[i].expected);
        assert_int_equal(err.code, cases[i].expected);
        assert_int_equal(err.position, cases[i].sentence ? 7 : -1);
        assert_non_null(strstr(err.text, cases[i].text));
        assert_int_equal(t.calls, 2);
        t = (taker){.fail_at = 2, .code = cases[i].code, .sentence = cases[i].sentence};
        assert_int_equal(cara_transcript_write(&result, CARA_TRANSCRIPT_TXT, NULL, take, &t, NULL),
                         cases[i].expected);
    }
    free(many);
}

static void segments_as_json(void **state) {
    (void)state;
    cara_buf out;
    cara_buf_init(&out, 1 << 16);
    json_t *transcript = cara_transcript_json(&sample);
    const json_t *segments = json_object_get(transcript, "segments");
    assert_int_equal(cara_json_write(segments, CARA_JSON_PYTHON, &out), 0);
    assert_string_equal(out.data, SEGMENTS_JSON);
    cara_buf_free(&out);
    /* One segment is the same except for the "words" that a file adds to cleared ones. */
    for (size_t i = 0; i < sample.n_segments; i++) {
        json_t *segment = cara_segment_json(&sample.segments[i]);
        json_t *in_file = json_array_get(segments, i);
        assert_int_equal(json_object_del(in_file, "words"), sample.segments[i].cleared ? 0 : -1);
        assert_int_equal(json_object_size(segment), 10);
        assert_true(json_equal(segment, in_file));
        json_decref(segment);
    }
    json_decref(transcript);
}

static void timestamps_round_as_python_does(void **state) {
    (void)state;
    static const struct {
        double seconds;
        int always_hours;
        char marker;
        const char *expected; /* NULL: refused */
    } cases[] = {
        {0, 0, '.', "00:00.000"},
        {0, 1, ',', "00:00:00,000"},
        {0.0004, 0, '.', "00:00.000"},
        {0.0005, 0, '.', "00:00.000"}, /* a tie goes to the even neighbour */
        {0.0015, 0, '.', "00:00.002"},
        {0.9996, 0, '.', "00:01.000"},
        {59.9996, 0, '.', "01:00.000"},
        {3599.9996, 0, '.', "01:00:00.000"},
        {3600, 0, '.', "01:00:00.000"},
        {86400.5, 0, '.', "24:00:00.500"},
        {360000, 1, ',', "100:00:00,000"},
        {-0.001, 0, '.', NULL},
        {NAN, 0, '.', NULL},
        {INFINITY, 0, '.', NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_buf out;
        cara_buf_init(&out, 100);
        int rc = cara_transcript_timestamp(cases[i].seconds, cases[i].always_hours, cases[i].marker,
                                           &out);
        assert_int_equal(rc, cases[i].expected ? 0 : -1);
        if (cases[i].expected)
            assert_string_equal(out.data, cases[i].expected);
        else
            assert_int_equal(out.len, 0);
        cara_buf_free(&out);
    }
}

static void bad_times_and_small_buffers_are_errors(void **state) {
    (void)state;
    cara_error err;
    cara_segment bad = {.start = -1, .end = 2, .text = "x"};
    cara_result result = {.text = "x", .language = "en", .segments = &bad, .n_segments = 1};
    for (int format = 0; format < CARA_TRANSCRIPT_FORMATS; format++) {
        cara_buf out;
        cara_buf_init(&out, 1000);
        int timeless = format == CARA_TRANSCRIPT_TXT || format == CARA_TRANSCRIPT_JSON;
        assert_int_equal(cara_transcript_write(&result, (cara_transcript_format)format, NULL,
                                               cara_transcript_to_buf, &out, &err),
                         timeless ? CARA_OK : CARA_ERR_USAGE);
        cara_buf_free(&out);
        for (size_t limit = 0; limit < 40; limit++) {
            cara_buf_init(&out, limit);
            assert_int_equal(cara_transcript_write(&sample, (cara_transcript_format)format, NULL,
                                                   cara_transcript_to_buf, &out, &err),
                             CARA_ERR_MEMORY);
            assert_non_null(strstr(err.text, "bytes that are allowed"));
            cara_buf_free(&out);
        }
    }
    cara_buf out;
    cara_buf_init(&out, 1000);
    static const int no_formats[] = {CARA_TRANSCRIPT_FORMATS, -1};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(cara_transcript_write(&sample, (cara_transcript_format)no_formats[i], NULL,
                                               cara_transcript_to_buf, &out, &err),
                         CARA_ERR_USAGE);
        assert_int_equal(cara_transcript_write_header((cara_transcript_format)no_formats[i], NULL,
                                                      cara_transcript_to_buf, &out, &err),
                         CARA_ERR_USAGE);
    }
    cara_buf_free(&out);
}

static void formats_have_names(void **state) {
    (void)state;
    static const char *const names[] = {"txt", "vtt", "srt", "tsv", "json", "csv"};
    for (int i = 0; i < CARA_TRANSCRIPT_FORMATS; i++) {
        assert_string_equal(cara_transcript_format_name((cara_transcript_format)i), names[i]);
        assert_int_equal(cara_transcript_format_find(names[i]), i);
    }
    assert_int_equal(cara_transcript_format_find("all"), -1);
    assert_int_equal(cara_transcript_format_find(""), -1);
    assert_string_equal(cara_transcript_format_name(CARA_TRANSCRIPT_FORMATS), "");
}

static void results_grow_and_keep_their_segments(void **state) {
    (void)state;
    cara_result_owner *owner = cara_result_new(1 << 20);
    assert_non_null(owner);
    assert_string_equal(owner->result.text, "");
    for (int i = 0; i < 100; i++) {
        cara_segment segment = {.id = 77, .seek = i, .text = ""};
        cara_segment *kept = cara_result_add(owner, &segment);
        assert_non_null(kept);
        assert_int_equal(kept->id, i);
    }
    assert_int_equal(owner->result.n_segments, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(owner->result.segments[i].seek, i);
    cara_result_free(&owner->result);
    cara_result_free(NULL);

    owner = cara_result_new(64);
    assert_null(cara_result_add(owner, &sample_segments[0]));
    assert_int_equal(owner->result.n_segments, 0);
    cara_result_free(&owner->result);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_equal_those_of_openai_whisper),
        cmocka_unit_test(tables_are_csv),
        cmocka_unit_test(headers_stand_before_the_first_segment),
        cmocka_unit_test(long_transcripts_come_in_pieces),
        cmocka_unit_test(segments_as_json),
        cmocka_unit_test(timestamps_round_as_python_does),
        cmocka_unit_test(bad_times_and_small_buffers_are_errors),
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(results_grow_and_keep_their_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

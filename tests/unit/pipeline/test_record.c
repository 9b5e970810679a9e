#include "fixture.h"

#include "pipeline/record/record.h"

#include <caracola/version.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *finish(cara_record *record) {
    cara_buf buf;
    cara_buf_init(&buf, 1 << 20);
    assert_int_equal(cara_record_write(record, &buf, NULL), CARA_OK);
    json_t *json = json_loadb(buf.data, buf.len, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    assert_int_equal(buf.data[buf.len - 1], '\n');
    cara_buf_free(&buf);
    cara_record_free(record);
    return json;
}

static void the_message_cannot_overwrite_our_members(void **state) {
    json_t *message =
        json_loads("{\"id\":\"a\",\"new\":{\"x\":[1,null]},\"transcription\":{\"ok\":true,"
                   "\"text\":\"forged\"},\"caracola\":5,\"z\":27.12}",
                   0, NULL);
    cara_inbox_message m = {
        .message = message, .id = "a", .profile_name = "Luc\xC3\xAD\xFF", .waba_id = "9"};
    cara_record record;
    cara_record_init(&record, &m);
    json_t *json = finish(&record);
    assert_int_equal(
        json_integer_value(json_array_get(json_object_get(json_object_get(json, "new"), "x"), 0)),
        1);
    assert_null(json_object_get(json, "transcription"));
    assert_string_equal(fixture_at(json, "caracola.received.transcription.text"), "forged");
    assert_string_equal(fixture_at(json, "caracola.profile_name"), "Luc\xC3\xAD\xEF\xBF\xBD");
    assert_string_equal(fixture_at(json, "caracola.waba_id"), "9");
    assert_null(fixture_at(json, "caracola.group_id"));
    assert_string_equal(fixture_at(json, "caracola.version"), CARA_VERSION);
    const char *at = fixture_at(json, "caracola.handled_at");
    assert_int_equal(strlen(at), 20);
    assert_int_equal(at[19], 'Z');
    assert_int_equal(json_object_size(message), 5); /* the inbox's own is untouched */
    json_decref(json);
    json_decref(message);
}

static void results_have_the_ten_fields(void **state) {
    static const int32_t tokens[] = {50364, 7, 50464};
    cara_segment segments[2] = {{.id = 0,
                                 .seek = 0,
                                 .start = 0.4,
                                 .end = 4.02,
                                 .text = " s\xC3\xAD",
                                 .tokens = tokens,
                                 .n_tokens = 3,
                                 .temperature = 0.2,
                                 .avg_logprob = NAN,
                                 .compression_ratio = INFINITY,
                                 .no_speech_prob = 0.5},
                                {.id = 1, .seek = 402, .text = "", .cleared = 1}};
    cara_result result = {
        .text = " s\xC3\xAD",
        .language = "es",
        .segments = segments,
        .n_segments = 2,
        .duration_s = 4.8811,
        .audio_gaps = {.count = 1, .seconds = 3},
        .cut_short = 1,
        .timings = {
            .audio_s = 0.1, .mel_s = 0.2, .encode_s = 0.3, .decode_s = NAN, .total_s = 1.23456}};
    json_t *message = json_loads("{\"id\":\"a\"}", 0, NULL);
    cara_inbox_message m = {.message = message, .id = "a"};
    cara_record record;
    cara_record_init(&record, &m);
    cara_record_audio_file(&record, "2025-10-15/1.ogg");
    cara_record_result(&record, &result, "tiny");
    cara_record_times_set(&record, &(cara_record_times){.media = 0.5, .model = -1, .total = 2});
    json_t *json = finish(&record);
    json_t *t = json_object_get(json, "transcription");
    static const char *const ten[] = {"id",
                                      "seek",
                                      "start",
                                      "end",
                                      "text",
                                      "tokens",
                                      "temperature",
                                      "avg_logprob",
                                      "compression_ratio",
                                      "no_speech_prob"};
    for (size_t k = 0; k < 2; k++) {
        json_t *s = json_array_get(json_object_get(t, "segments"), k);
        assert_int_equal(json_object_size(s), 10);
        const char *name;
        json_t *value;
        size_t i = 0;
        json_object_foreach(s, name, value) assert_string_equal(name, ten[i++]);
    }
    json_t *s = json_array_get(json_object_get(t, "segments"), 0);
    assert_true(json_is_null(json_object_get(s, "avg_logprob")));
    assert_true(json_is_null(json_object_get(s, "compression_ratio")));
    assert_true(json_real_value(json_object_get(s, "end")) == 4.02);
    assert_int_equal(json_array_size(json_object_get(s, "tokens")), 3);
    assert_true(json_is_true(json_object_get(t, "ok")));
    assert_true(json_is_true(json_object_get(t, "cut_short")));
    assert_true(json_is_false(json_object_get(t, "no_speech")));
    assert_string_equal(fixture_at(json, "audio_file"), "2025-10-15/1.ogg");
    assert_string_equal(fixture_at(json, "caracola.model"), "tiny");
    json_t *gaps = json_object_get(json_object_get(json, "caracola"), "audio_gaps");
    assert_int_equal(json_object_size(gaps), 2);
    assert_int_equal(json_integer_value(json_object_get(gaps, "count")), 1);
    assert_true(json_real_value(json_object_get(gaps, "seconds")) == 3);
    json_t *times = json_object_get(json_object_get(json, "caracola"), "times");
    assert_true(json_real_value(json_object_get(times, "transcribe_s")) == 1.235);
    assert_null(json_object_get(times, "decode_s"));
    assert_null(json_object_get(times, "model_s"));
    json_decref(json);
    json_decref(message);
}

static void states_are_read_back(void **state) {
    static const struct {
        const char *json;
        cara_record_state state;
    } cases[] = {
        {"", CARA_RECORD_DAMAGED},
        {"{", CARA_RECORD_DAMAGED},
        {"[]", CARA_RECORD_DAMAGED},
        {"{}", CARA_RECORD_DAMAGED},
        {"{\"id\":\"a\",\"caracola\":{}}", CARA_RECORD_COMPLETE},
        {"{\"id\":\"a\",\"caracola\":{},\"transcription\":{\"ok\":true}}", CARA_RECORD_COMPLETE},
        {"{\"id\":\"a\",\"caracola\":{},\"transcription\":{\"ok\":true,\"cut_short\":true}}",
         CARA_RECORD_PARTIAL},
        {"{\"id\":\"a\",\"caracola\":{},\"transcription\":{\"ok\":false,\"error\":\"pending\"}}",
         CARA_RECORD_PENDING},
        {"{\"id\":\"a\",\"caracola\":{},\"transcription\":{\"ok\":false,\"error\":\"not_found\"}}",
         CARA_RECORD_PENDING},
        {"{\"id\":\"a\",\"caracola\":{},\"transcription\":{\"ok\":false,\"error\":\"audio_module\"}"
         "}",
         CARA_RECORD_PENDING},
        {"{\"id\":\"a\",\"caracola\":{},\"transcription\":{\"ok\":false,\"error\":\"audio_format\"}"
         "}",
         CARA_RECORD_FAILED},
        {"{\"id\":\"a\",\"caracola\":{},\"transcription\":{\"ok\":false,\"error\":\"audio_"
         "corrupt\"}}",
         CARA_RECORD_FAILED},
        {"{\"id\":\"a\",\"caracola\":{},\"transcription\":{\"ok\":false,\"error\":\"event\"}}",
         CARA_RECORD_FAILED},
        {"{\"id\":\"a\",\"caracola\":{},\"transcription\":7}", CARA_RECORD_PENDING},
        /* Of members with one name the last counts. */
        {"{\"id\":\"b\",\"id\":\"a\",\"caracola\":{},\"caracola\":{}}", CARA_RECORD_COMPLETE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_record_state found;
        char *id = NULL;
        assert_int_equal(cara_record_read(cases[i].json, strlen(cases[i].json), &found, &id, NULL),
                         CARA_OK);
        assert_int_equal(found, cases[i].state);
        if (found == CARA_RECORD_DAMAGED)
            assert_null(id);
        else
            assert_string_equal(id, "a");
        free(id);
    }
}

/* As deep as jansson reads: what counts as damaged is overwritten. */
static void deep_records_are_read(void **state) {
    static const struct {
        int depth;
        cara_record_state state;
    } cases[] = {{63, CARA_RECORD_COMPLETE},
                 {64, CARA_RECORD_COMPLETE},
                 {2047, CARA_RECORD_COMPLETE},
                 {2048, CARA_RECORD_DAMAGED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_buf text;
        cara_buf_init(&text, 1 << 16);
        cara_buf_str(&text, "{\"caracola\":{},\"deep\":"); /* one level */
        for (int depth = 0; depth < cases[i].depth; depth++)
            cara_buf_char(&text, '[');
        for (int depth = 0; depth < cases[i].depth; depth++)
            cara_buf_char(&text, ']');
        assert_int_equal(cara_buf_char(&text, '}'), 0);
        cara_record_state found;
        assert_int_equal(cara_record_read(text.data, text.len, &found, NULL, NULL), CARA_OK);
        assert_int_equal(found, cases[i].state);
        cara_buf_free(&text);
    }
}

static void quarantined_bytes_come_back(void **state) {
    cara_buf buf;
    cara_buf_init(&buf, 1 << 20);
    assert_int_equal(cara_record_quarantine("a\0\xC3\xB1", 4, 0, "because", &buf, NULL), CARA_OK);
    json_t *json = json_loadb(buf.data, buf.len, JSON_ALLOW_NUL, NULL);
    assert_string_equal(fixture_at(json, "reason"), "because");
    assert_int_equal(json_string_length(json_object_get(json, "received")), 4);
    assert_null(json_object_get(json, "cut_short"));
    json_decref(json);
    cara_buf_clear(&buf);
    assert_int_equal(cara_record_quarantine("\xFF\xFE", 2, 1, "bytes", &buf, NULL), CARA_OK);
    json = json_loadb(buf.data, buf.len, 0, NULL);
    assert_string_equal(fixture_at(json, "received_base64"), "//4=");
    assert_true(json_is_true(json_object_get(json, "cut_short")));
    json_decref(json);
    /* Zeros are valid UTF-8, and six times as large in JSON. */
    cara_buf_clear(&buf);
    assert_int_equal(cara_record_quarantine("\0\0x", 3, 0, "zeros", &buf, NULL), CARA_OK);
    json = json_loadb(buf.data, buf.len, 0, NULL);
    assert_string_equal(fixture_at(json, "received_base64"), "AAB4");
    json_decref(json);
    cara_buf_free(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_message_cannot_overwrite_our_members),
        cmocka_unit_test(results_have_the_ten_fields),
        cmocka_unit_test(states_are_read_back),
        cmocka_unit_test(deep_records_are_read),
        cmocka_unit_test(quarantined_bytes_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

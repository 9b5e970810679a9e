/* A session over a model whose weights are still being fetched: it waits for each before it reads
 * it, so that the transcript equals that of the whole model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/files/file.h"
#include "model/model.h"
#include "npy.h"

#include <caracola/caracola.h>
#include <stdlib.h>
#include <string.h>

/* Everything comes only when it is asked for, and what has not come reads as noise. */
typedef struct stream {
    cara_mapping file;
    uint8_t *memory; /* [file.size] */
    int asked;
    int fails_at; /* which question is answered with a failure; -1: none */
    uint64_t end; /* of the last piece asked for */
    int backward; /* questions that went back before it */
} stream;

static npy pcm;

static int open_pcm(void **state) {
    (void)state;
    pcm = npy_read("golden/stages/es-01.pcm.npy");
    return 0;
}

static int close_pcm(void **state) {
    (void)state;
    npy_free(&pcm);
    return 0;
}

static int wait_for(void *cookie, uint64_t offset, uint64_t n, cara_error *err) {
    stream *s = cookie;
    if (s->asked++ == s->fails_at)
        return cara_fail(err, CARA_ERR_NETWORK, -1, "the line went dead");
    assert_true(offset <= s->file.size && n <= s->file.size - offset);
    memcpy(s->memory + offset, s->file.data + offset, n);
    s->backward += offset < s->end;
    s->end = offset + n;
    return CARA_OK;
}

static void begin(stream *s, int fails_at, cara_model **model) {
    cara_error err;
    if (cara_map_file(fixture("../../models/demo.cara"), &s->file, &err))
        fail_msg("%s", err.text);
    *s = (stream){.file = s->file, .fails_at = fails_at};
    s->memory = aligned_alloc(4096, (s->file.size + 4095) / 4096 * 4096);
    assert_non_null(s->memory);
    memset(s->memory, 0x7b, s->file.size);
    int64_t head = cara_cara_head_size(cara_slice_of(s->file.data, 256));
    assert_true(head > 256 && (uint64_t)head < s->file.size);
    memcpy(s->memory, s->file.data, (size_t)head);
    if (cara_model_open_bytes(cara_slice_of(s->memory, s->file.size), NULL, model, &err) ||
        cara_model_find_vocab(*model, "demo.cara", NULL, &err))
        fail_msg("%s", err.text);
    cara_model_set_arrival(*model, (cara_arrival){wait_for, s});
}

static void end(stream *s, cara_model *model) {
    cara_model_close(model);
    free(s->memory);
    cara_unmap(&s->file);
}

static int transcribe(cara_session *session, cara_result **result, cara_error *err) {
    cara_pcm_memory memory = {.pcm = pcm.data, .n = pcm.count};
    cara_options options;
    cara_options_default(&options, sizeof options);
    return cara_transcribe(session, cara_pcm_memory_source(&memory), &options, result, err);
}

static char *text_of(cara_session *session) {
    cara_result *result;
    cara_error err;
    if (transcribe(session, &result, &err))
        fail_msg("%s", err.text);
    char *text = strdup(result->text);
    assert_non_null(text);
    cara_result_free(result);
    return text;
}

static char *text_of_whole(const char *type) {
    cara_model *model = NULL;
    cara_session *session = NULL;
    cara_error err;
    cara_session_options options = {.struct_size = sizeof options, .compute_type = type};
    if (cara_model_open(fixture("../../models/demo.cara"), NULL, &model, &err) ||
        cara_session_new(model, &options, &session, &err))
        fail_msg("%s", err.text);
    char *text = text_of(session);
    cara_session_free(session);
    cara_model_close(model);
    return text;
}

static void transcription_waits_for_arriving_weights(void **state) {
    (void)state;
    static const char *const types[] = {"default", "int8"};
    for (size_t i = 0; i < 2; i++) {
        stream s;
        cara_model *model;
        cara_session *session;
        cara_error err;
        cara_session_options options = {.struct_size = sizeof options, .compute_type = types[i]};
        begin(&s, -1, &model);
        int rc = cara_session_new(model, &options, &session, &err);
        assert_int_equal(rc, CARA_OK);
        if (i == 0)
            assert_int_equal(s.asked, 0); /* a session needs no weight before its first window */
        char *text = text_of(session), *want = text_of_whole(types[i]);
        assert_string_equal(text, want);
        assert_true(strlen(text) > 20);
        assert_true((size_t)s.asked >= model->n_entries);
        /* In the file's order, except the decoder's tensors outside its layers. */
        assert_true(s.backward <= 2);
        int asked = s.asked;
        char *again = text_of(session);
        assert_string_equal(again, want);
        assert_int_equal(s.asked, asked);
        free(again);
        free(text);
        free(want);
        cara_session_free(session);
        end(&s, model);
    }
}

static void a_failed_wait_fails_only_that_call(void **state) {
    (void)state;
    char *want = text_of_whole("default");
    static const int fails_at[] = {0, 1, 4, 40, 71, 100, 160};
    for (size_t i = 0; i < sizeof fails_at / sizeof *fails_at; i++) {
        stream s;
        cara_model *model;
        cara_session *session;
        cara_result *result;
        cara_error err = {0};
        begin(&s, fails_at[i], &model);
        assert_int_equal(cara_session_new(model, NULL, &session, &err), CARA_OK);
        assert_int_equal(transcribe(session, &result, &err), CARA_ERR_NETWORK);
        assert_null(result);
        assert_string_equal(err.text, "the line went dead");
        char *text = text_of(session);
        assert_string_equal(text, want);
        free(text);
        cara_session_free(session);
        end(&s, model);
    }
    free(want);
}

static void head_size_needs_a_valid_header(void **state) {
    (void)state;
    uint8_t bytes[256];
    cara_mapping file;
    cara_error err;
    assert_int_equal(cara_map_file(fixture("../../models/demo.cara"), &file, &err), CARA_OK);
    memcpy(bytes, file.data, sizeof bytes);
    cara_unmap(&file);
    assert_true(cara_cara_head_size(cara_slice_of(bytes, 256)) % 4096 == 0);
    assert_int_equal(cara_cara_head_size(cara_slice_of(bytes, 255)), -1);
    assert_int_equal(cara_cara_head_size(cara_slice_of(bytes, 0)), -1);
    static const uint64_t wrong[] = {0, 255, CARA_HEAD_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        for (int b = 0; b < 8; b++)
            bytes[216 + b] = (uint8_t)(wrong[i] >> (8 * b));
        assert_int_equal(cara_cara_head_size(cara_slice_of(bytes, 256)), -1);
    }
    bytes[0] = 'P';
    assert_int_equal(cara_cara_head_size(cara_slice_of(bytes, 256)), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transcription_waits_for_arriving_weights),
        cmocka_unit_test(a_failed_wait_fails_only_that_call),
        cmocka_unit_test(head_size_needs_a_valid_header),
    };
    return cmocka_run_group_tests(tests, open_pcm, close_pcm);
}

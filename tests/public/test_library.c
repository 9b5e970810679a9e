/* The library as others use it: only its public headers and the one archive. */
#include <caracola/caracola.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *in_source(const char *name, char path[4096]) {
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    assert_non_null(root);
    snprintf(path, 4096, "%s/%s", root, name);
    return path;
}

/* The example of caracola.h. */
static void speech_becomes_text(void **state) {
    (void)state;
    cara_model *model = NULL;
    cara_session *session = NULL;
    cara_audio *audio = NULL;
    cara_result *result = NULL;
    cara_error err = {.text = ""};
    cara_options options;
    char path[4096];
    cara_options_default(&options, sizeof options);
    if (cara_model_open(in_source("models/demo.cara", path), NULL, &model, &err) ||
        cara_session_new(model, NULL, &session, &err) ||
        cara_audio_open_file(in_source("samples/blue-panga.ogg", path), NULL, &audio, &err) ||
        cara_transcribe(session, cara_audio_source(audio), &options, &result, &err))
        fail_msg("%s", err.text);
    assert_string_equal(result->text,
                        " Tonight the captain were fishing inside the reserve inside Cabo Pulmo."
                        " There is a blue panga taking sea cucumber in front of the lighthouse.");
    assert_string_equal(result->language, "en");
    assert_true(result->n_segments >= 2);
    assert_true(fabs(result->duration_s - 8.947) < 0.01);
    assert_false(result->no_speech);
    assert_string_equal(cara_audio_format(audio), "ogg/opus");
    cara_result_free(result);
    cara_audio_close(audio);
    cara_session_free(session);
    cara_model_close(model);
}

static void samples_in_memory(void **state) {
    (void)state;
    static const float silence[16000];
    cara_pcm_memory cursor = {.pcm = silence, .n = 16000};
    cara_model *model = NULL;
    cara_session *session = NULL;
    cara_result *result = NULL;
    cara_error err = {.text = ""};
    cara_options options;
    char path[4096];
    cara_options_default(&options, sizeof options);
    cara_session_options one_thread = {.struct_size = sizeof one_thread, .threads = 1};
    if (cara_model_open(in_source("models/demo.cara", path), NULL, &model, &err) ||
        cara_session_new(model, &one_thread, &session, &err) ||
        cara_transcribe(session, cara_pcm_memory_source(&cursor), &options, &result, &err))
        fail_msg("%s", err.text);
    assert_true(result->no_speech);
    assert_string_equal(result->text, "");
    cara_result_free(result);
    cara_session_free(session);
    cara_model_close(model);
}

static void failures_say_why_and_leave_nothing(void **state) {
    (void)state;
    cara_model *model = (cara_model *)1;
    cara_audio *audio = (cara_audio *)1;
    cara_error err = {.text = ""};
    char path[4096];
    assert_int_equal(cara_model_open("/no/such.cara", NULL, &model, &err), CARA_ERR_NOT_FOUND);
    assert_null(model);
    assert_non_null(strstr(err.text, "/no/such.cara"));
    assert_int_equal(cara_audio_open_memory("not audio", 9, NULL, &audio, &err),
                     CARA_ERR_AUDIO_FORMAT);
    assert_null(audio);
    assert_string_equal(cara_code_name(err.code), "audio_format");
    assert_int_equal(
        cara_model_open(in_source("models/demo.cara", path), "/no/such.tiktoken", &model, &err),
        CARA_ERR_VOCAB);
    assert_null(model);
    assert_int_equal(cara_model_open(in_source("models/demo.cara", path), NULL, &model, &err),
                     CARA_OK);
    cara_session *sessions[2] = {(cara_session *)1, (cara_session *)2};
    cara_session_options options;
    cara_session_options_default(&options, sizeof options);
    options.threads = -1;
    assert_int_equal(cara_sessions_new(model, &options, 2, sessions, &err), CARA_ERR_USAGE);
    assert_null(sessions[0]);
    assert_null(sessions[1]);
    sessions[0] = (cara_session *)1;
    options.threads = 1;
    options.struct_size = sizeof options + 8; /* of a newer header */
    assert_int_equal(cara_session_new(model, &options, &sessions[0], &err), CARA_ERR_USAGE);
    assert_null(sessions[0]);
    cara_model_close(model);
    const cara_audio_limits unset = {.max_bytes = 1}; /* struct_size was forgotten */
    assert_int_equal(cara_audio_open_memory("not audio", 9, &unset, &audio, &err), CARA_ERR_USAGE);
    assert_null(audio);
    assert_non_null(strstr(err.text, "cara_audio_limits_default()"));
    cara_model_close(NULL);
    cara_audio_close(NULL);
    cara_session_free(NULL);
    cara_result_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech_becomes_text),
        cmocka_unit_test(samples_in_memory),
        cmocka_unit_test(failures_say_why_and_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

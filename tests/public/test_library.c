/* The library as others use it: only its public headers and the one archive. */
#include <caracola/caracola.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *in_source(const char *name, char path[4096]) {
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    assert_non_null(root);
    snprintf(path, 4096, "%s/%s", root, name);
    return path;
}

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
    const cara_audio_options unset = {.max_bytes = 1}; /* struct_size was forgotten */
    assert_int_equal(cara_audio_open_memory("not audio", 9, &unset, &audio, &err), CARA_ERR_USAGE);
    assert_null(audio);
    assert_non_null(strstr(err.text, "cara_audio_options_default()"));
    cara_model_close(NULL);
    cara_audio_close(NULL);
    cara_session_free(NULL);
    cara_result_free(NULL);
}

static int count(void *cookie, int64_t done, int64_t total) {
    assert_true(done >= 0 && done <= total);
    return ++*(int *)cookie < 0;
}

static int stop_at_once(void *cookie, int64_t done, int64_t total) {
    (void)cookie;
    (void)done;
    (void)total;
    return 1;
}

static void models_are_converted(void **state) {
    (void)state;
    cara_model *model = NULL, *written = NULL;
    cara_error err = {.text = ""};
    char path[4096], folder[] = "/tmp/caracola-convert-XXXXXX", out[4096];
    assert_non_null(mkdtemp(folder));
    snprintf(out, sizeof out, "%s/nano.cara", folder);
    if (cara_model_open(in_source("tests/data/nano/nano.pt", path), NULL, &model, &err))
        fail_msg("%s", err.text);
    int calls = 0;
    cara_convert_options options;
    cara_convert_options_default(&options, sizeof options);
    options.compute_type = "int8";
    options.name = "small-boat";
    options.progress = count;
    options.cookie = &calls;
    if (cara_model_convert(model, out, &options, &err) ||
        cara_model_open(out, NULL, &written, &err))
        fail_msg("%s", err.text);
    assert_true(calls > 0);
    assert_string_equal(cara_model_name(written), "small-boat");
    assert_memory_equal(cara_model_dims(written), cara_model_dims(model), sizeof(cara_dims));
    /* Its weights are int8, which float32 sessions refuse. */
    cara_session *session;
    cara_session_options floats;
    cara_session_options_default(&floats, sizeof floats);
    floats.compute_type = "float32";
    assert_int_equal(cara_session_new(written, &floats, &session, &err), CARA_ERR_USAGE);
    cara_model_close(written);

    options.progress = stop_at_once;
    assert_int_equal(cara_model_convert(model, out, &options, &err), CARA_ERR_CONFLICT);
    options.replace = 1;
    assert_int_equal(cara_model_convert(model, out, &options, &err), CARA_ERR_CANCELLED);
    options.progress = NULL;
    options.compute_type = "int4";
    assert_int_equal(cara_model_convert(model, out, &options, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "int4"));
    options.compute_type = "default";
    options.threads = 100000;
    assert_int_equal(cara_model_convert(model, out, &options, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "threads"));
    options.threads = 1;
    options.name = "two words";
    assert_int_equal(cara_model_convert(model, out, &options, &err), CARA_ERR_USAGE);
    options.name = NULL;
    options.struct_size = sizeof options + 8;
    assert_int_equal(cara_model_convert(model, out, &options, &err), CARA_ERR_USAGE);
    options.struct_size = sizeof options;
    assert_int_equal(cara_model_convert(model, out, &options, &err), CARA_OK);
    assert_int_equal(cara_model_convert(model, "/no/such/folder/a.cara", &options, &err),
                     CARA_ERR_NOT_FOUND);
    unlink(out);
    rmdir(folder);
    cara_model_close(model);
}

/* A source that a program leaves half empty is refused before it is used. */
static void sources_need_both_functions(void **state) {
    (void)state;
    static const float silence[160];
    cara_pcm_memory cursor = {.pcm = silence, .n = 160}, empty = {.n = 160};
    cara_model *model = NULL;
    cara_session *session = NULL;
    cara_result *result;
    cara_error err = {.text = ""};
    char path[4096];
    if (cara_model_open(in_source("tests/data/nano/nano.pt", path), NULL, &model, &err) ||
        cara_session_new(model, NULL, &session, &err))
        fail_msg("%s", err.text);
    cara_pcm_source source = cara_pcm_memory_source(&cursor);
    for (size_t i = 0; i < sizeof source.reserved / sizeof *source.reserved; i++)
        assert_null(source.reserved[i]);
    source.rewind = NULL;
    assert_int_equal(cara_transcribe(session, source, NULL, &result, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "source.rewind"));
    source = cara_pcm_memory_source(&cursor);
    source.read = NULL;
    assert_int_equal(cara_transcribe(session, source, NULL, &result, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "source.read"));
    assert_int_equal(cara_transcribe(session, cara_pcm_memory_source(&empty), NULL, &result, &err),
                     CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "pcm of cara_pcm_memory is NULL"));
    assert_int_equal(cara_transcribe(session, cara_audio_source(NULL), NULL, &result, &err),
                     CARA_ERR_USAGE);
    /* What a caller forgot to set does not stay there. */
    memset(&err, 0x5A, sizeof err);
    assert_int_equal(cara_transcribe(NULL, source, NULL, &result, &err), CARA_ERR_USAGE);
    for (size_t i = 0; i < sizeof err.reserved / sizeof *err.reserved; i++)
        assert_int_equal(err.reserved[i], 0);
    cara_session_free(session);
    cara_model_close(model);
}

static void versions_agree(void **state) {
    (void)state;
    char text[40];
    snprintf(text, sizeof text, "%d.%d.%d", CARA_VERSION_MAJOR, CARA_VERSION_MINOR,
             CARA_VERSION_PATCH);
    assert_string_equal(text, CARA_VERSION);
    assert_string_equal(cara_version(), CARA_VERSION);
    assert_string_equal(cara_version(), getenv("CARACOLA_VERSION"));
    assert_int_equal(cara_version_number(), CARA_VERSION_NUMBER);
    assert_int_equal(CARA_VERSION_NUMBER / 1000000, CARA_VERSION_MAJOR);
    assert_int_equal(CARA_VERSION_NUMBER / 1000 % 1000, CARA_VERSION_MINOR);
    assert_int_equal(CARA_VERSION_NUMBER % 1000, CARA_VERSION_PATCH);
#if CARA_VERSION_NUMBER < 1000
#error "the preprocessor cannot compare versions"
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech_becomes_text),
        cmocka_unit_test(samples_in_memory),
        cmocka_unit_test(failures_say_why_and_leave_nothing),
        cmocka_unit_test(models_are_converted),
        cmocka_unit_test(sources_need_both_functions),
        cmocka_unit_test(versions_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

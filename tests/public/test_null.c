/* Every public function with each of its pointers NULL in turn; null_calls.py writes the calls. */
#include <caracola/caracola.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char model_path[4096], audio_path[4096], new_path[] = "/tmp/caracola-null-XXXXXX";
static const char *vocab_path; /* NULL: the one beside the model */
static char *audio_bytes;
static size_t audio_size;
static cara_model *model;
static cara_session *session;
static cara_audio *audio;
static cara_result *result;
static cara_error err;
static const float silence[1600];
static cara_pcm_memory samples = {.pcm = silence, .n = 1600};

static int take(void *cookie, const char *bytes, size_t n, cara_error *why) {
    (void)cookie;
    (void)why;
    return bytes && n ? CARA_OK : CARA_ERR_INTERNAL;
}

/* Of no file. */
static const char *fresh_path(void) {
    unlink(new_path);
    return new_path;
}

/* At the beginning of the audio; one at a time. */
static int fresh_fd(void) {
    static int fd = -1;
    if (fd < 0)
        fd = open(audio_path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void is_refused(int rc, const char *function, const char *argument) {
    char expected[200];
    snprintf(expected, sizeof expected, "%s() was given NULL as %s", function, argument);
    assert_string_equal(err.text, expected);
    assert_int_equal(rc, CARA_ERR_USAGE);
    assert_int_equal(err.code, CARA_ERR_USAGE);
    assert_int_equal(err.position, -1);
    memset(&err, 0, sizeof err);
}

static void is_done(int rc) {
    assert_string_equal(err.text, "");
    assert_int_equal(rc, CARA_OK);
}

static void is_no_source(cara_pcm_source source) {
    float sample;
    assert_int_equal(source.read(source.ctx, &sample, 1, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "NULL"));
    assert_int_equal(source.rewind(source.ctx, NULL), CARA_ERR_USAGE);
    memset(&err, 0, sizeof err);
}

#include "null_calls.h"

static void read_audio(void) {
    FILE *file = fopen(audio_path, "rb");
    assert_non_null(file);
    audio_bytes = malloc(1 << 20);
    assert_non_null(audio_bytes);
    audio_size = fread(audio_bytes, 1, 1 << 20, file);
    assert_true(audio_size > 0);
    fclose(file);
}

static int set_up(void **state) {
    (void)state;
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    assert_non_null(root);
    snprintf(model_path, sizeof model_path, "%s/tests/data/nano/nano.pt", root);
    snprintf(audio_path, sizeof audio_path, "%s/tests/data/audio/speech.ogg", root);
    int fd = mkstemp(new_path);
    assert_true(fd >= 0);
    close(fd);
    read_audio();
    if (cara_model_open(model_path, NULL, &model, &err) ||
        cara_session_new(model, NULL, &session, &err) ||
        cara_audio_open_file(audio_path, NULL, &audio, &err) ||
        cara_transcribe(session, cara_pcm_memory_source(&samples), NULL, &result, &err))
        fail_msg("%s", err.text);
    memset(&err, 0, sizeof err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(new_path);
    cara_result_free(result);
    cara_audio_close(audio);
    cara_session_free(session);
    cara_model_close(model);
    free(audio_bytes);
    return 0;
}

int main(void) {
    return cmocka_run_group_tests(null_calls, set_up, tear_down);
}

/* What the engine gives to the audio room. There is no model: the audio is opened before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/files/file.h"
#include "pipeline/transcriber/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int stop_at_once(void *cookie) {
    ++*(int *)cookie;
    return 1;
}

static int transcribe_bytes(const void *bytes, size_t n, const char *ext, cara_stop_fn stop,
                            void *cookie) {
    const cara_engine_options options = {.model_path = "/nowhere/model.cara"};
    cara_engine *engine = cara_engine_new(&options);
    assert_non_null(engine);
    const cara_transcriber t = cara_engine_transcriber(engine, 0);
    const cara_encoded_audio encoded = {bytes, n, ext};
    cara_resume resume = {0};
    cara_result *result = NULL;
    cara_error err = {.code = CARA_OK};
    int rc = t.transcribe(t.ctx, &encoded, stop, cookie, &resume, &result, &err);
    assert_null(result);
    assert_int_equal(rc, err.code);
    cara_engine_free(engine);
    return rc;
}

/* Hours may pass while a header is read: the deadline is asked there, too. */
static void opening_is_stopped(void **state) {
    (void)state;
    char path[512], *bytes = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/tests/data/audio/speech.mp3", getenv("CARACOLA_SOURCE_DIR"));
    assert_int_equal(cara_read_file(path, 1 << 20, &bytes, &n, NULL), CARA_OK);
    int asked = 0;
    assert_int_equal(transcribe_bytes(bytes, n, "mp3", stop_at_once, &asked), CARA_ERR_CANCELLED);
    assert_int_equal(asked, 1);
    free(bytes);
}

static void the_ending_tells_what_the_bytes_do_not(void **state) {
    (void)state;
    static const uint8_t bytes[800] = {1, 2, 0xFE};
    assert_int_equal(transcribe_bytes(bytes, sizeof bytes, "ogg", NULL, NULL),
                     CARA_ERR_AUDIO_FORMAT);
    /* This is audio, and it is the model that is missing. */
    assert_int_equal(transcribe_bytes(bytes, sizeof bytes, "ulaw", NULL, NULL), CARA_ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_is_stopped),
        cmocka_unit_test(the_ending_tells_what_the_bytes_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

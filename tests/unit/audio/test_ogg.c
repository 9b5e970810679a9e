#include "audio_test.h"

/* Float32 C-order .npy, header of 128 bytes or as its header says. */
static samples npy(const char *name) {
    blob b = fixture(name);
    assert_true(b.n >= 10 && !memcmp(b.data, "\x93NUMPY\x01", 7));
    size_t header = 10 + b.data[8] + 256U * b.data[9];
    samples s = {.n = (b.n - header) / sizeof(float)};
    s.pcm = malloc(b.n);
    assert_non_null(s.pcm);
    memcpy(s.pcm, b.data + header, s.n * sizeof(float));
    free(b.data);
    return s;
}

static void voice_notes_match_openai_whisper(void **state) {
    (void)state;
    static const char *const notes[] = {"en-00", "en-03", "es-01", "es-02"};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        char name[128];
        snprintf(name, sizeof name, "nano/voices/%s.ogg", notes[i]);
        blob b = fixture(name);
        snprintf(name, sizeof name, "golden/stages/%s.pcm.npy", notes[i]);
        samples want = npy(name);
        decoded d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_string_equal(d.format, "ogg/opus");
        assert_int_equal(d.truncated, 0);
        assert_int_equal(d.got.n, want.n);
        double most = worst(d.got.pcm, want.pcm, want.n);
        print_message("%s: %zu samples, largest difference %.6f\n", notes[i], want.n, most);
        assert_true(most < 2e-3);
        free(d.got.pcm);
        free(want.pcm);
        free(b.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voice_notes_match_openai_whisper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

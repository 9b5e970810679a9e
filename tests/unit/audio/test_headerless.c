/* Sound without a header, and what of it the name decides. */
#include "audio_test.h"

#include <unistd.h>

static cara_audio_options named(const char *input_format) {
    cara_audio_options options;
    cara_audio_options_default(&options, sizeof options);
    options.input_format = input_format;
    return options;
}

static void put(uint8_t *p, uint32_t x, size_t n) {
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

/* The same bytes behind a WAV header of one channel. */
static decoded decode_as_wav(const uint8_t *bytes, size_t n, uint32_t codec, uint32_t width,
                             uint32_t rate) {
    uint8_t *wav = malloc(44 + n);
    assert_non_null(wav);
    memcpy(wav, "RIFF....WAVEfmt \x10\0\0\0", 20);
    put(wav + 4, (uint32_t)(36 + n), 4);
    put(wav + 20, codec, 2);
    put(wav + 22, 1, 2);
    put(wav + 24, rate, 4);
    put(wav + 28, rate * width, 4);
    put(wav + 32, width, 2);
    put(wav + 34, 8 * width, 2);
    memcpy(wav + 36, "data", 4);
    put(wav + 40, (uint32_t)n, 4);
    memcpy(wav + 44, bytes, n);
    decoded d = decode(wav, 44 + n, NULL, 4096);
    free(wav);
    return d;
}

static void pcm_is_read_by_its_name(void **state) {
    (void)state;
    static const struct {
        const char *name, *format;
        uint32_t codec, width, rate;
    } cases[] = {
        {"ulaw", "ulaw", 7, 1, 8000},       {"ul", "ulaw", 7, 1, 8000},
        {"UL", "ulaw", 7, 1, 8000},         {"mulaw", "ulaw", 7, 1, 8000},
        {"pcmu", "ulaw", 7, 1, 8000},       {"basic", "ulaw", 7, 1, 8000},
        {"alaw", "alaw", 6, 1, 8000},       {"al", "alaw", 6, 1, 8000},
        {"pcma", "alaw", 6, 1, 8000},       {"sln", "sln", 1, 2, 8000},
        {"sln12", "sln12", 1, 2, 12000},    {"sln16", "sln16", 1, 2, 16000},
        {"sln24", "sln24", 1, 2, 24000},    {"sln32", "sln32", 1, 2, 32000},
        {"sln44", "sln44", 1, 2, 44100},    {"sln48", "sln48", 1, 2, 48000},
        {"sln192", "sln192", 1, 2, 192000},
    };
    uint8_t bytes[8001]; /* an odd byte at the end is no sample */
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)((x = x * 1103515245 + 12345) >> 24);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        cara_audio_options options = named(cases[k].name);
        size_t n = cases[k].width == 2 ? sizeof bytes - 1 : sizeof bytes;
        decoded d = decode(bytes, sizeof bytes, &options, 4096),
                wav = decode_as_wav(bytes, n, cases[k].codec, cases[k].width, cases[k].rate);
        if (d.code || strcmp(d.format, cases[k].format) != 0 || d.truncated ||
            d.got.n != wav.got.n || worst(d.got.pcm, wav.got.pcm, d.got.n) > 0)
            fail_msg("%s: code %d (%s), format %s, %zu samples of %zu", cases[k].name, d.code,
                     d.err.text, d.format, d.got.n, wav.got.n);
        free(d.got.pcm);
        free(wav.got.pcm);
    }
}

/* Silence is all zeros in sln, and would be no audio without the name. */
static void silence_is_read_by_its_name(void **state) {
    (void)state;
    static const uint8_t zeros[3200];
    cara_audio_options options = named("sln16");
    decoded d = decode(zeros, sizeof zeros, &options, 64);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.got.n, 1600);
    free(d.got.pcm);
    options = named(NULL);
    assert_int_equal(decode(zeros, sizeof zeros, &options, 64).code, CARA_ERR_AUDIO_FORMAT);
    options = named("sln8"); /* no such name */
    assert_int_equal(decode(zeros, sizeof zeros, &options, 64).code, CARA_ERR_AUDIO_FORMAT);
    assert_false(cara_audio_is_input_format("sln8"));
    assert_false(cara_audio_is_input_format("ogg"));
    assert_false(cara_audio_is_input_format(NULL));
    assert_true(cara_audio_is_input_format("AL"));
}

/* A wrong name does no harm where the bytes tell what they are. */
static void what_the_bytes_tell_goes_before_the_name(void **state) {
    (void)state;
    cara_audio_options options = named("ulaw");
    blob b = fixture("audio/speech.ogg");
    decoded d = decode(b.data, b.n, &options, 4096);
    assert_int_equal(d.code, CARA_OK);
    assert_string_equal(d.format, "ogg/opus");
    free(d.got.pcm);
    free(b.data);
    static const char page[] =
        "<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>"
        "</body></html>";
    d = decode(page, sizeof page - 1, &options, 64);
    assert_int_equal(d.code, CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(d.err.text, "HTML"));
    d = decode("", 0, &options, 64);
    assert_int_equal(d.code, CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(d.err.text, "is empty"));
}

static void write_file(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void a_file_is_read_by_its_ending(void **state) {
    (void)state;
    char folder[] = "/tmp/caracola-headerless-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/voice.mail.ALAW", folder);
    uint8_t bytes[800];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    write_file(path, bytes, sizeof bytes);
    cara_audio *audio;
    cara_error err;
    assert_int_equal(cara_audio_open_file(path, NULL, &audio, &err), CARA_OK);
    assert_string_equal(cara_audio_format(audio), "alaw");
    cara_audio_close(audio);
    cara_audio_options options = named("ulaw"); /* goes before the ending */
    assert_int_equal(cara_audio_open_file(path, &options, &audio, &err), CARA_OK);
    assert_string_equal(cara_audio_format(audio), "ulaw");
    cara_audio_close(audio);
    unlink(path);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcm_is_read_by_its_name),
        cmocka_unit_test(silence_is_read_by_its_name),
        cmocka_unit_test(what_the_bytes_tell_goes_before_the_name),
        cmocka_unit_test(a_file_is_read_by_its_ending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "audio_test.h"

#include <math.h>

static void each_format_is_decoded_as_openai_whisper_does(void **state) {
    (void)state;
    static const struct {
        const char *file, *format;
        double tolerance; /* 0: through the same decoder, so the same bits */
    } cases[] = {
        {"speech.mp3", "mp3", 0},
        {"bare.mp3", "mp3", 0},
        {"speech.m4a", "m4a", 0},
        {"fragmented.m4a", "m4a", 0},
        {"speech.aac", "aac", 0},
        {"speech.amr", "amr", 0},
        {"speech.flac", "flac", 0},
        {"flac.ogg", "ogg/flac", 0},
        {"vorbis.ogg", "ogg/vorbis", 0},
        {"speex.ogg", "ogg/speex", 0},
        {"speech.webm", "webm", 0},
        {"speech.mka", "matroska", 0},
        {"video.mp4", "mp4", 0},
        {"video.mov", "mov", 0},
        {"speech.wma", "asf/wma", 0},
        {"adpcm.wav", "wav with a compressed codec", 0},
        /* Here by libopus: silence and the low band agree, the rest is the filters' edges. */
        {"speech.ogg", "ogg/opus", 2e-3},
        {"hybrid.ogg", "ogg/opus", 0.006},
        {"celt.ogg", "ogg/opus", 0.015},
    };
    int bad = 0;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", cases[k].file);
        blob b = fixture(name);
        reference h = reference_of(cases[k].file);
        decoded d = decode(b.data, b.n, NULL, 4096);
        double most = 0, noise = 0, power = 0;
        for (size_t i = 0; i < d.got.n && i < h.n; i += 8) {
            double diff = (double)d.got.pcm[i] - (double)reference_at(&h, i);
            most = fmax(most, fabs(diff));
            noise += diff * diff;
            power += (double)reference_at(&h, i) * (double)reference_at(&h, i);
        }
        print_message("%-15s %s: %zu samples, off by %.6f, %.1f dB\n", cases[k].file, d.format,
                      d.got.n, most, noise > 0 ? 10 * log10(power / noise) : 999);
        if (d.code || strcmp(d.format, cases[k].format) != 0 || d.truncated || d.got.n != h.n ||
            power < 1 || most > cases[k].tolerance) {
            print_error("%s: code %d (%s), format %s, truncated %d, %zu samples of %zu\n",
                        cases[k].file, d.code, d.err.text, d.format, d.truncated, d.got.n, h.n);
            bad++;
        }
        free(d.got.pcm);
        free(b.data);
        free(h.b.data);
    }
    assert_int_equal(bad, 0);
}

static void a_missing_sound_track_is_reported(void **state) {
    (void)state;
    blob b = fixture("audio/mute.mp4");
    decoded d = decode(b.data, b.n, NULL, 64);
    assert_int_equal(d.code, CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(d.err.text, "no sound track"));
    free(b.data);
}

/* Cut in the middle: what is there is decoded, and the cut is noticed where the container shows it.
 */
static void cut_files_give_what_they_hold(void **state) {
    (void)state;
    static const struct {
        const char *file;
        size_t keep; /* in 16ths */
        int notices;
    } cases[] = {{"speech.mp3", 9, 1},     {"bare.mp3", 9, 0},   {"speech.aac", 9, 0},
                 {"speech.flac", 9, 1},    {"speech.amr", 9, 0}, {"speech.webm", 9, 1},
                 {"fragmented.m4a", 9, 0}, {"speech.mka", 9, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", cases[k].file);
        blob b = fixture(name);
        decoded d = decode(b.data, b.n * cases[k].keep / 16, NULL, 4096);
        if (d.code || d.got.n < 5000 || d.got.n > 24000 || (cases[k].notices && !d.truncated))
            fail_msg("%s: code %d, %zu samples, truncated %d, %s", cases[k].file, d.code, d.got.n,
                     d.truncated, d.err.text);
        free(d.got.pcm);
        free(b.data);
    }
    /* An index at the end is lost with the end. */
    blob b = fixture("audio/speech.m4a");
    decoded d = decode(b.data, b.n / 2, NULL, 4096);
    assert_int_equal(d.code, CARA_ERR_AUDIO_CORRUPT);
    free(b.data);
}

static void damaged_streams_do_not_crash(void **state) {
    (void)state;
    static const char *const files[] = {"speech.mp3", "speech.m4a",  "fragmented.m4a", "speech.aac",
                                        "speech.amr", "speech.flac", "flac.ogg",       "vorbis.ogg",
                                        "speex.ogg",  "speech.webm", "video.mp4",      "adpcm.wav"};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", files[k]);
        blob b = fixture(name);
        for (size_t n = 0; n < b.n; n += n < 64 ? 3 : 611) {
            decoded d = decode(b.data, n, NULL, 4096);
            free(d.got.pcm);
        }
        for (size_t at = 0; at < b.n; at += at < 64 ? 5 : 911) {
            uint8_t was = b.data[at];
            b.data[at] ^= (uint8_t)(1 << at % 8);
            decoded d = decode(b.data, b.n, NULL, 4096);
            free(d.got.pcm);
            b.data[at] = was;
        }
        free(b.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_is_decoded_as_openai_whisper_does),
        cmocka_unit_test(a_missing_sound_track_is_reported),
        cmocka_unit_test(cut_files_give_what_they_hold),
        cmocka_unit_test(damaged_streams_do_not_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

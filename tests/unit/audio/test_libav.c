#include "audio_test.h"

#include <math.h>

/* Defaults, with the ending of the file as its format. */
static const cara_audio_options *options_for(const char *file, cara_audio_options *options) {
    cara_audio_options_default(options, sizeof *options);
    options->input_format = strrchr(file, '.') + 1;
    return options;
}

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
        {"g726.wav", "wav with a compressed codec", 0},
        {"gsm.wav", "wav with a compressed codec", 0},
        {"speech.awb", "amr-wb", 0},
        {"speech.wv", "wavpack", 0},
        {"speech.mpc", "musepack", 0},
        {"speech.tta", "tta", 0},
        {"speech.ac3", "ac-3", 0},
        {"speech.eac3", "e-ac-3", 0},
        {"speech.voc", "voc", 0},
        {"two.mka", "matroska", 0},
        {"two-default.mka", "matroska", 0},
        {"speech.gsm", "gsm", 0},
        {"speech.g722", "g722", 0},
        {"speech.caf", "caf", 0},
        {"speech.au", "au", 0},
        {"speech.aifc", "aiff", 0},
        {"speech.w64", "w64", 0},
        {"speech.flv", "flv", 0},
        {"speech.mpg", "mpeg", 0},
        {"speech.ts", "mpeg-ts", 0},
        {"speech.m2ts", "mpeg-ts", 0},
        {"video.avi", "avi", 0},
        {"video.wmv", "asf/wma", 0}, /* longer than its sound */
        {"two-codecs.ogg", "ogg", 0},
        /* Here by libopus: silence and the low band agree, the rest is the filters' edges. */
        {"speech.ogg", "ogg/opus", 2e-3},
        {"hybrid.ogg", "ogg/opus", 0.006},
        {"celt.ogg", "ogg/opus", 0.015},
    };
    int bad = 0;
    cara_audio_options options;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", cases[k].file);
        blob b = fixture(name);
        reference h = reference_of(cases[k].file);
        decoded d = decode(b.data, b.n, options_for(cases[k].file, &options), 4096);
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

/* Sound of another track is other sound. */
static void a_track_is_taken_by_its_number(void **state) {
    (void)state;
    blob b = fixture("audio/two.mka");
    cara_audio_options options;
    cara_audio_options_default(&options, sizeof options);
    decoded by_choice[3];
    for (options.track = 0; options.track < 3; options.track++) {
        decoded d = decode(b.data, b.n, &options, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.got.n, 8000);
        by_choice[options.track] = d;
    }
    /* ffmpeg takes the one with more channels. */
    assert_true(worst(by_choice[0].got.pcm, by_choice[2].got.pcm, 8000) == 0);
    assert_true(worst(by_choice[0].got.pcm, by_choice[1].got.pcm, 8000) > 0.01);
    for (size_t k = 0; k < 3; k++)
        free(by_choice[k].got.pcm);
    options.track = 3;
    decoded d = decode(b.data, b.n, &options, 64);
    assert_int_equal(d.code, CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(d.err.text, "no sound track 2: it has 2"));
    free(b.data);
    /* Formats that hold one track. */
    static const char *const single[] = {"speech.mp3", "speech.ogg", "adpcm.wav", "speech.g722"};
    for (size_t k = 0; k < sizeof single / sizeof *single; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", single[k]);
        b = fixture(name);
        for (options.track = 1; options.track <= 2; options.track++) {
            options.input_format = strrchr(name, '.') + 1;
            d = decode(b.data, b.n, &options, 4096);
            if (options.track == 1 ? d.code != CARA_OK
                                   : d.code != CARA_ERR_AUDIO_FORMAT ||
                                         !strstr(d.err.text, "no sound track 1: it has 1"))
                fail_msg("%s, track %d: code %d, %s", name, options.track, d.code, d.err.text);
            free(d.got.pcm);
        }
        free(b.data);
    }
}

static void missing_codecs_are_named(void **state) {
    (void)state;
    static const struct {
        const char *file, *says;
    } cases[] = {
        {"dts.mka", "DTS"},
        {"truehd.mka", "TrueHD"},
        {"als.m4a", "(ALS)"},
        {"dts-flac.mka", "sound track 1, counted from 0, can be"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", cases[k].file);
        blob b = fixture(name);
        decoded d = decode(b.data, b.n, NULL, 64);
        if (d.code != CARA_ERR_AUDIO_FORMAT || !strstr(d.err.text, cases[k].says) ||
            !strstr(d.err.text, "not decoded here"))
            fail_msg("%s: code %d, %s", name, d.code, d.err.text);
        free(b.data);
    }
    /* Any other track can still be asked for. */
    cara_audio_options options;
    cara_audio_options_default(&options, sizeof options);
    options.track = 2;
    blob b = fixture("audio/dts-flac.mka");
    decoded d = decode(b.data, b.n, &options, 64);
    assert_int_equal(d.code, CARA_OK);
    assert_true(d.got.n >= 1600);
    free(d.got.pcm);
    free(b.data);
}

/* An ID3 tag of 30 bytes before the file. */
static void an_id3_tag_before_other_formats_is_skipped(void **state) {
    (void)state;
    static const char *const files[] = {"speech.wv",   "speech.mpc", "speech.tta",
                                        "speech.flac", "speech.mp3", "speech.aac",
                                        "speech.ac3",  "adpcm.wav",  "speech.m4a"};
    static const uint8_t tag[30] = {'I', 'D', '3', 4, 0, 0, 0, 0, 0, 20};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", files[k]);
        blob b = fixture(name);
        uint8_t *tagged = malloc(sizeof tag + b.n);
        assert_non_null(tagged);
        memcpy(tagged, tag, sizeof tag);
        memcpy(tagged + sizeof tag, b.data, b.n);
        decoded plain = decode(b.data, b.n, NULL, 4096),
                d = decode(tagged, sizeof tag + b.n, NULL, 4096);
        if (d.code || strcmp(d.format, plain.format) != 0 || d.got.n != plain.got.n ||
            worst(d.got.pcm, plain.got.pcm, d.got.n) > 0)
            fail_msg("%s: code %d (%s), format %s, %zu samples", name, d.code, d.err.text, d.format,
                     d.got.n);
        free(plain.got.pcm);
        free(d.got.pcm);
        free(tagged);
        free(b.data);
    }
}

/* Monkey's Audio 3.99: one frame of silence, which takes no bytes of sound. */
static void ape_is_decoded(void **state) {
    (void)state;
    enum { BLOCKS = 5000, HEADERS = 52 + 24 + 4 };
    uint8_t tagged[30 + HEADERS + 64] = {'I', 'D', '3', 4, 0, 0, 0, 0, 0, 20}, *ape = tagged + 30;
    static const uint32_t words[] = {3990, 52, 24, 4, 0, 0, 0};
    memcpy(ape, "MAC ", 4);
    for (size_t i = 0; i < 7; i++)
        for (size_t k = 0; k < 4; k++)
            ape[4 + 4 * i + k] = (uint8_t)(words[i] >> 8 * k);
    static const uint16_t header[] = {1000, 0, 0x2000, 1, BLOCKS, 0, 1, 0, 16, 1, 16000, 0};
    for (size_t i = 0; i < 12; i++) {
        ape[52 + 2 * i] = (uint8_t)header[i];
        ape[53 + 2 * i] = (uint8_t)(header[i] >> 8);
    }
    ape[52 + 24] = HEADERS;    /* where the frame is */
    ape[HEADERS + 3] = 1 << 7; /* its CRC, whose upper bit says that flags follow */
    ape[HEADERS + 4] = 1;      /* silence; words are stored with their bytes turned round */
    for (size_t skip = 0; skip <= 30; skip += 30) {
        decoded d = decode(tagged + skip, sizeof tagged - skip, NULL, 4096);
        if (d.code || strcmp(d.format, "ape") != 0 || d.got.n != BLOCKS)
            fail_msg("code %d (%s), format %s, %zu samples", d.code, d.err.text, d.format, d.got.n);
        free(d.got.pcm);
    }
}

/* Says stop when it is asked for the n-th time. */
static int stop_later(void *cookie) {
    int *left = cookie;
    return --*left < 0;
}

/* Wherever the reading is, it can be stopped, and it can go on after that. */
static void opening_and_reading_can_be_stopped(void **state) {
    (void)state;
    static const char *const files[] = {"speech.m4a", "speech.mp3", "speech.mka", "speech.amr"};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", files[k]);
        blob b = fixture(name);
        decoded whole = decode(b.data, b.n, NULL, 4096);
        int opened = 0, read = 0;
        for (int at = 0; at < 60; at++) {
            int left = at;
            cara_audio_options options;
            cara_audio_options_default(&options, sizeof options);
            options.stop = stop_later;
            options.stop_cookie = &left;
            cara_audio *audio;
            cara_error err = {0};
            int rc = cara_audio_open_memory(b.data, b.n, &options, &audio, &err);
            if (rc) {
                assert_int_equal(rc, CARA_ERR_CANCELLED);
                assert_non_null(strstr(err.text, "stopped"));
                opened++;
                continue;
            }
            cara_pcm_source source = cara_audio_source(audio);
            samples s = drain(source, 4096, &err);
            if (s.code) {
                assert_int_equal(s.code, CARA_ERR_CANCELLED);
                read++;
            }
            free(s.pcm);
            left = 1 << 30;
            assert_int_equal(source.rewind(source.ctx, &err), CARA_OK);
            s = drain(source, 4096, &err);
            assert_int_equal(s.code, CARA_OK);
            assert_int_equal(s.n, whole.got.n);
            free(s.pcm);
            cara_audio_close(audio);
        }
        assert_true(opened > 0 && read > 0);
        free(whole.got.pcm);
        free(b.data);
    }
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
        cmocka_unit_test(a_track_is_taken_by_its_number),
        cmocka_unit_test(missing_codecs_are_named),
        cmocka_unit_test(an_id3_tag_before_other_formats_is_skipped),
        cmocka_unit_test(ape_is_decoded),
        cmocka_unit_test(opening_and_reading_can_be_stopped),
        cmocka_unit_test(cut_files_give_what_they_hold),
        cmocka_unit_test(damaged_streams_do_not_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "audio_test.h"
#include "ogg_test.h"

#include <math.h>

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

/* How many samples later than `want` (every eighth sample) `got` is, for small differences: by
 * least squares, since a(t - s) is a(t) - s a'(t). */
static double lateness(const float *got, const reference *want, size_t from, size_t to) {
    double with_slope = 0, slopes = 0;
    for (size_t i = (from / 8 + 1) * 8; i + 3 < to; i += 8) {
        const float *a = got + i;
        double slope = (45.0 * (double)(a[1] - a[-1]) - 9.0 * (double)(a[2] - a[-2]) +
                        (double)(a[3] - a[-3])) /
                       60;
        with_slope += ((double)reference_at(want, i) - (double)a[0]) * slope;
        slopes += slope * slope;
    }
    assert_true(slopes > 0);
    return with_slope / slopes;
}

/* Streams whose first sample, or whose link, lies a third or two thirds of a sample beside those
 * that libopus gives at 16 kHz: aligned with ffmpeg's to a hundredth of a sample all the same. */
static void samples_are_where_ffmpeg_has_them(void **state) {
    (void)state;
    static const struct {
        const char *file;
        int parts; /* of equal length, each with a third of its own */
        double tolerance;
    } cases[] = {
        {"speech.ogg", 1, 2e-3},
        {"whatsapp.ogg", 1, 2e-3}, /* pre-skip 104 */
        {"preskip.ogg", 1, 2e-3},  /* pre-skip 313 */
        {"chained.ogg", 3, 0.015}, /* the middle one is CELT */
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", cases[k].file);
        blob b = fixture(name);
        reference want = reference_of(cases[k].file);
        decoded d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.truncated, 0);
        assert_int_equal(d.gaps.count, 0);
        assert_int_equal(d.got.n, want.n);
        double most = 0;
        for (size_t i = 0; i < want.n; i += 8)
            most = fmax(most, fabs((double)(d.got.pcm[i] - reference_at(&want, i))));
        assert_true(most < cases[k].tolerance);
        size_t part = want.n / (size_t)cases[k].parts;
        for (int i = 0; i < cases[k].parts; i++) {
            size_t from = (size_t)i * part + 400, to = from + part - 800;
            double late = lateness(d.got.pcm, &want, from, to);
            print_message("%s, part %d: %.4f samples late\n", cases[k].file, i, late);
            assert_true(fabs(late) < 0.01);
            /* The measure itself: all a tenth of a sample later. */
            for (size_t n = to + 4; n > from; n--)
                d.got.pcm[n] = 0.9F * d.got.pcm[n] + 0.1F * d.got.pcm[n - 1];
            assert_true(fabs(lateness(d.got.pcm, &want, from, to) - 0.1) < 0.02);
        }
        free(d.got.pcm);
        free(b.data);
        free(want.b.data);
    }
}

static void chained_streams_are_read_through(void **state) {
    (void)state;
    blob one = fixture("audio/speech.ogg"), three = fixture("audio/chained.ogg");
    decoded a = decode(one.data, one.n, NULL, 4096), b = decode(three.data, three.n, NULL, 4096);
    assert_int_equal(b.code, CARA_OK);
    assert_int_equal(b.truncated, 0);
    assert_int_equal(a.got.n, 29227);
    assert_int_equal(b.got.n, 3 * 29227); /* mono, stereo, mono */
    assert_memory_equal(a.got.pcm, b.got.pcm, (a.got.n - 16) * sizeof(float));
    /* The second stream ends a third of a sample beside our grid. */
    reference want = reference_of("chained.ogg");
    for (size_t i = 2 * 29232; i < b.got.n; i += 8)
        assert_true(fabs((double)(b.got.pcm[i] - reference_at(&want, i))) < 2e-3);
    free(want.b.data);
    free(a.got.pcm);
    free(b.got.pcm);
    free(one.data);
    free(three.data);
}

static void an_empty_recording_gives_no_samples_and_no_error(void **state) {
    (void)state;
    blob b = fixture("audio/zero.ogg");
    decoded d = decode(b.data, b.n, NULL, 64);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.got.n, 0);
    assert_int_equal(d.truncated, 0);
    free(d.got.pcm);
    free(b.data);
}

static void streams_without_sound_are_errors(void **state) {
    (void)state;
    blob b = fixture("audio/speech.ogg");
    decoded d = decode(b.data, page_at(&b, 2), NULL, 64); /* both headers and no more */
    assert_int_equal(d.code, CARA_ERR_AUDIO_CORRUPT);
    assert_int_equal(d.opened, 0);
    assert_non_null(strstr(d.err.text, "cut short"));
    d = decode(b.data, page_at(&b, 1), NULL, 64);
    assert_int_equal(d.code, CARA_ERR_AUDIO_CORRUPT);
    b.data[page_at(&b, 0) + 28 + 8] = 0xF0; /* a version from the future */
    seal(&b, 0, page_at(&b, 1));
    d = decode(b.data, b.n, NULL, 64);
    assert_int_equal(d.code, CARA_ERR_AUDIO_CORRUPT);
    assert_non_null(strstr(d.err.text, "version"));
    free(b.data);
}

static void every_prefix_gives_what_it_holds(void **state) {
    (void)state;
    blob b = fixture("audio/speech.ogg");
    decoded whole = decode(b.data, b.n, NULL, 4096);
    size_t sound = page_at(&b, 3); /* two headers, one page of sound */
    size_t before = 0;
    for (size_t n = 0; n < b.n; n += n < sound + 64 ? 1 : 37) {
        decoded d = decode(b.data, n, NULL, 4096);
        if (n < 36)
            assert_int_equal(d.code, CARA_ERR_AUDIO_FORMAT);
        else if (n < sound)
            assert_int_equal(d.code, CARA_ERR_AUDIO_CORRUPT);
        else {
            assert_int_equal(d.code, CARA_OK);
            assert_int_equal(d.truncated, 1);
            assert_true(d.got.n >= before && d.got.n < whole.got.n);
            before = d.got.n;
            assert_memory_equal(d.got.pcm, whole.got.pcm, (d.got.n - 16) * sizeof(float));
        }
        free(d.got.pcm);
    }
    assert_true(before > 10000);
    free(whole.got.pcm);
    free(b.data);
}

/* With the checksum as it was (the page is dropped) and corrected (the damage reaches the decoder).
 */
static void flipped_bits_are_survived(void **state) {
    (void)state;
    blob b = fixture("audio/speech.ogg");
    size_t pages[8];
    int n_pages = 0;
    while (n_pages < 8 && (n_pages == 0 || pages[n_pages - 1] < b.n)) {
        pages[n_pages] = page_at(&b, n_pages);
        n_pages++;
    }
    for (size_t at = 0; at < b.n; at += at < 200 ? 1 : 53) {
        int page = 0;
        while (page + 2 < n_pages && pages[page + 1] <= at)
            page++;
        uint8_t was = b.data[at], crc[4];
        memcpy(crc, b.data + pages[page] + 22, 4);
        b.data[at] ^= (uint8_t)(1 << at % 8);
        for (int mended = 0; mended < 2; mended++) {
            if (mended)
                seal(&b, pages[page], pages[page + 1] - pages[page]);
            decoded d = decode(b.data, b.n, NULL, 4096);
            free(d.got.pcm);
        }
        memcpy(b.data + pages[page] + 22, crc, 4);
        b.data[at] = was;
    }
    decoded d = decode(b.data, b.n, NULL, 4096);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.got.n, 29227);
    free(d.got.pcm);
    free(b.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voice_notes_match_openai_whisper),
        cmocka_unit_test(samples_are_where_ffmpeg_has_them),
        cmocka_unit_test(chained_streams_are_read_through),
        cmocka_unit_test(an_empty_recording_gives_no_samples_and_no_error),
        cmocka_unit_test(streams_without_sound_are_errors),
        cmocka_unit_test(every_prefix_gives_what_it_holds),
        cmocka_unit_test(flipped_bits_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

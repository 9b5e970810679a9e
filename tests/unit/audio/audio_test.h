/* What the tests of the audio room share. */
#ifndef AUDIO_TEST_H
#define AUDIO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <caracola/audio.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct blob {
    uint8_t *data; /* malloc'd */
    size_t n;
} blob;

/* A file under tests/data; a missing one fails the test. */
static inline blob fixture(const char *name) {
    char path[1024];
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    if (!root)
        fail_msg("CARACOLA_SOURCE_DIR is not set");
    snprintf(path, sizeof path, "%s/tests/data/%s", root, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("no fixture %s", path);
    blob b = {0};
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    b.n = (size_t)ftell(f);
    rewind(f);
    b.data = malloc(b.n + 1);
    assert_non_null(b.data);
    assert_int_equal(fread(b.data, 1, b.n, f), b.n);
    fclose(f);
    return b;
}

/* tests/data/audio/decoded: how many samples openai/whisper decodes, and every eighth of them. */
typedef struct reference {
    size_t n;
    blob b;
} reference;

static inline reference reference_of(const char *file) {
    char name[128];
    snprintf(name, sizeof name, "audio/decoded/%s.s16", file);
    reference h = {.b = fixture(name)};
    assert_true(h.b.n >= 4);
    h.n = h.b.data[0] | (size_t)h.b.data[1] << 8 | (size_t)h.b.data[2] << 16;
    return h;
}

static inline float reference_at(const reference *h, size_t i) {
    const uint8_t *p = h->b.data + 4 + 2 * (i / 8);
    return (float)(int16_t)(p[0] | p[1] << 8) / 32768;
}

typedef struct samples {
    float *pcm; /* [n], malloc'd */
    size_t n;
    int code; /* the negative code that ended it, or CARA_OK */
} samples;

/* Reads to the end in blocks of `block`. */
static inline samples drain(cara_pcm_source source, size_t block, cara_error *err) {
    samples s = {0};
    size_t cap = 0;
    for (;;) {
        if (s.n + block > cap) {
            cap = (s.n + block) * 2;
            s.pcm = realloc(s.pcm, cap * sizeof(float));
            assert_non_null(s.pcm);
        }
        int64_t got = source.read(source.ctx, s.pcm + s.n, block, err);
        if (got <= 0) {
            s.code = (int)got;
            return s;
        }
        assert_true((size_t)got <= block);
        s.n += (size_t)got;
    }
}

typedef struct decoded {
    int code; /* of opening or of reading */
    int opened, truncated;
    cara_gaps gaps;
    char format[32];
    samples got;
    cara_error err;
} decoded;

/* Opens exactly n malloc'd bytes (so that a sanitizer sees any step beyond) and reads all. */
static inline decoded decode(const void *bytes, size_t n, const cara_audio_options *limits,
                             size_t block) {
    decoded d = {0};
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n)
        memcpy(copy, bytes, n);
    cara_audio *audio;
    d.code = cara_audio_open_memory(copy, n, limits, &audio, &d.err);
    if (d.code) {
        assert_null(audio);
        assert_true(strlen(d.err.text) > 10);
        free(copy);
        return d;
    }
    d.opened = 1;
    snprintf(d.format, sizeof d.format, "%s", cara_audio_format(audio));
    d.got = drain(cara_audio_source(audio), block, &d.err);
    d.code = d.got.code;
    d.truncated = cara_audio_truncated(audio);
    d.gaps = cara_audio_gaps(audio);
    for (size_t i = 0; i < d.got.n; i++)
        assert_true(d.got.pcm[i] >= -1 && d.got.pcm[i] < 1);
    /* Read again after a rewind: the same samples, whatever the block. */
    cara_pcm_source source = cara_audio_source(audio);
    assert_int_equal(source.rewind(source.ctx, &d.err), CARA_OK);
    samples again = drain(source, block == 777 ? 4096 : 777, &d.err);
    assert_int_equal(again.code, d.code);
    assert_int_equal(again.n, d.got.n);
    if (again.n)
        assert_memory_equal(again.pcm, d.got.pcm, again.n * sizeof(float));
    free(again.pcm);
    assert_int_equal(cara_audio_truncated(audio), d.truncated);
    assert_int_equal(source.gaps(source.ctx).count, d.gaps.count); /* not counted twice */
    assert_true(source.gaps(source.ctx).seconds == d.gaps.seconds);
    cara_audio_close(audio);
    free(copy);
    return d;
}

/* The largest difference. */
static inline double worst(const float *a, const float *b, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double diff = (double)a[i] - (double)b[i];
        most = diff > most ? diff : -diff > most ? -diff : most;
    }
    return most;
}

#endif

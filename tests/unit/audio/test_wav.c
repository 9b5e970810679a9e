#include "audio_test.h"

#include <math.h>

#define TAU 6.283185307179586

static void put(blob *b, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) {
        if ((b->n & (b->n - 1)) == 0) { /* full: the room is the next power of two */
            b->data = realloc(b->data, b->n ? 2 * b->n : 1);
            assert_non_null(b->data);
        }
        b->data[b->n++] = (uint8_t)(v >> (8 * i));
    }
}

static void put_id(blob *b, const char *id) {
    for (int i = 0; i < 4; i++)
        put(b, (uint8_t)id[i], 1);
}

typedef struct shape {
    unsigned codec, bits, channels, rate;
    int extensible;
} shape;

static unsigned linear_to_mulaw(int x) { /* by search: slow and plainly right */
    unsigned best = 0;
    int least = 1 << 30;
    for (unsigned code = 0; code < 256; code++) {
        unsigned u = ~code & 255;
        int m = (int)((((u & 15) * 2 + 33) << (u >> 4 & 7)) - 33) * 4;
        int value = u & 128 ? -m : m;
        if (abs(value - x) < least)
            least = abs(value - x), best = code;
    }
    return best;
}

static unsigned linear_to_alaw(int x) {
    unsigned best = 0;
    int least = 1 << 30;
    for (unsigned code = 0; code < 256; code++) {
        unsigned a = code ^ 0x55, e = a >> 4 & 7;
        int m = (int)(e ? ((a & 15) * 2 + 33) << (e - 1) : (a & 15) * 2 + 1) * 8;
        int value = a & 128 ? m : -m;
        if (abs(value - x) < least)
            least = abs(value - x), best = code;
    }
    return best;
}

static void put_sample(blob *b, const shape *s, double x) {
    if (s->codec == 3 && s->bits == 32) {
        float f = (float)x;
        uint32_t u;
        memcpy(&u, &f, 4);
        put(b, u, 4);
    } else if (s->codec == 3) {
        uint64_t u;
        memcpy(&u, &x, 8);
        put(b, u, 8);
    } else if (s->codec == 6) {
        put(b, linear_to_alaw((int)lrint(x * 32767)), 1);
    } else if (s->codec == 7) {
        put(b, linear_to_mulaw((int)lrint(x * 32767)), 1);
    } else if (s->bits == 8) {
        put(b, (uint64_t)(lrint(x * 127) + 128), 1);
    } else {
        double top = ldexp(1, (int)s->bits - 1) - 1;
        put(b, (uint64_t)llrint(x * top), (int)s->bits / 8);
    }
}

static void put_header(blob *b, const shape *s) {
    put_id(b, "RIFF");
    put(b, 0, 4); /* the reader does not need it */
    put_id(b, "WAVE");
    put_id(b, "fmt ");
    put(b, s->extensible ? 40 : 16, 4);
    put(b, s->extensible ? 0xFFFE : s->codec, 2);
    put(b, s->channels, 2);
    put(b, s->rate, 4);
    put(b, (uint64_t)s->rate * s->channels * s->bits / 8, 4);
    put(b, s->channels * s->bits / 8, 2);
    put(b, s->bits, 2);
    if (s->extensible) {
        put(b, 22, 2);
        put(b, s->bits, 2);
        put(b, 0, 4);
        put(b, s->codec, 2);
        put(b, 0x1000000000ULL, 6);
        put(b, 0x719b3800aa000080ULL, 8);
    }
}

static double tone(unsigned rate, size_t i) {
    return 0.5 * sin(TAU * 300 * (double)i / rate);
}

/* Half a second of a 300 Hz tone on the even channels and its negative half on the odd ones. */
static blob tone_wav(const shape *s, size_t frames) {
    blob b = {0};
    put_header(&b, s);
    put_id(&b, "data");
    put(&b, frames * s->channels * s->bits / 8, 4);
    for (size_t i = 0; i < frames; i++)
        for (unsigned c = 0; c < s->channels; c++)
            put_sample(&b, s, tone(s->rate, i) * (c % 2 ? -0.5 : 1));
    return b;
}

static void every_sample_type_is_read(void **state) {
    (void)state;
    static const struct {
        shape s;
        double tolerance;
    } cases[] = {
        {{1, 8, 1, 16000, 0}, 0.009},  {{1, 16, 1, 16000, 0}, 5e-5},
        {{1, 24, 1, 16000, 0}, 2e-5},  {{1, 32, 1, 16000, 0}, 2e-5},
        {{3, 32, 1, 16000, 0}, 2e-5},  {{3, 64, 1, 16000, 0}, 2e-5},
        {{6, 8, 1, 16000, 0}, 0.02},   {{7, 8, 1, 16000, 0}, 0.02},
        {{1, 24, 2, 16000, 1}, 2e-5},  {{3, 32, 2, 16000, 1}, 2e-5},
        {{1, 16, 7, 16000, 0}, 5e-5},  {{1, 16, 300, 16000, 1}, 5e-5},
        {{1, 16, 1, 8000, 0}, 2e-3},   {{1, 16, 1, 11025, 0}, 2e-3},
        {{1, 16, 2, 22050, 0}, 2e-3},  {{1, 16, 1, 44100, 0}, 2e-3},
        {{1, 16, 2, 48000, 0}, 2e-3},  {{3, 32, 1, 96000, 0}, 2e-3},
        {{1, 16, 1, 192000, 0}, 2e-3}, {{1, 16, 1, 384000, 0}, 2e-3},
        {{1, 16, 1, 1000, 0}, 0.01},   {{1, 16, 1, 15999, 0}, 2e-3},
        {{1, 16, 1, 44101, 0}, 2e-3},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const shape *s = &cases[k].s;
        size_t frames = s->rate / 2;
        blob b = tone_wav(s, frames);
        decoded d = decode(b.data, b.n, NULL, 1000);
        assert_int_equal(d.code, CARA_OK);
        assert_string_equal(d.format, "wav");
        assert_int_equal(d.truncated, 0);
        assert_int_equal(d.got.n, (frames * 16000 + s->rate - 1) / s->rate);
        double odd = s->channels / 2, gain = (s->channels - odd - 0.5 * odd) / s->channels;
        double most = 0;
        /* A filter rings where the tone starts and stops. */
        size_t edge = s->rate == 16000 ? 0 : 800;
        for (size_t i = edge; i + edge < d.got.n; i++)
            most = fmax(most, fabs((double)d.got.pcm[i] - gain * tone(16000, i)));
        if (most >= cases[k].tolerance)
            fail_msg("codec %u, %u bits, %u channels, %u Hz: off by %g", s->codec, s->bits,
                     s->channels, s->rate, most);
        free(d.got.pcm);
        free(b.data);
    }
}

static void sizes_in_the_header_are_not_trusted(void **state) {
    (void)state;
    static const struct {
        uint32_t claim;
        size_t bytes;
        int trailer; /* a LIST chunk follows */
        size_t want;
        int truncated;
    } cases[] = {
        {2000, 2000, 0, 1000, 0}, {2000, 2000, 1, 1000, 0},       {2000, 1000, 0, 500, 1},
        {2000, 1001, 0, 500, 1},  {0, 2000, 0, 1000, 0},          {0, 0, 0, 0, 0},
        {0, 0, 1, 0, 0},          {0xFFFFFFFF, 2000, 0, 1000, 0}, {0x7FFFFFFF, 2000, 0, 1000, 0},
        {0x80000000, 0, 0, 0, 0}, {2001, 2001, 1, 1000, 0},       {1, 1, 0, 0, 0},
    };
    static const shape s = {1, 16, 1, 16000, 0};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        blob b = {0};
        put_header(&b, &s);
        put_id(&b, "data");
        put(&b, cases[k].claim, 4);
        for (size_t i = 0; i < cases[k].bytes; i++)
            put(&b, 3 + i % 2, 1);
        if (cases[k].trailer) {
            if (b.n % 2)
                put(&b, 0, 1);
            put_id(&b, "LIST");
            put(&b, 4, 4);
            put_id(&b, "INFO");
        }
        decoded d = decode(b.data, b.n, NULL, 333);
        if (d.code || d.got.n != cases[k].want || d.truncated != cases[k].truncated)
            fail_msg("case %zu: code %d, %zu samples, truncated %d", k, d.code, d.got.n,
                     d.truncated);
        free(d.got.pcm);
        free(b.data);
    }
}

/* Odd chunks before the sound, with and without the padding byte. */
static void other_wav_chunks_are_skipped(void **state) {
    (void)state;
    static const shape s = {1, 16, 1, 16000, 0};
    for (int padded = 0; padded < 2; padded++) {
        blob b = {0};
        put_header(&b, &s);
        put_id(&b, "note");
        put(&b, 5, 4);
        for (int i = 0; i < 5 + padded; i++)
            put(&b, 0, 1);
        put_id(&b, "data");
        put(&b, 200, 4);
        for (int i = 0; i < 100; i++)
            put(&b, 0x2000, 2);
        decoded d = decode(b.data, b.n, NULL, 64);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.got.n, 100);
        assert_true(d.got.pcm[99] == 0.25F);
        free(d.got.pcm);
        free(b.data);
    }
}

static void non_finite_and_huge_floats_are_clamped(void **state) {
    (void)state;
    static const double values[] = {NAN, INFINITY, -INFINITY, 1e300, -7, 0.25, -0.25, 1, -1, 1e-9};
    static const float want[] = {0,  0, 0, 32767 / 32768.0F, -1, 0.25F, -0.25F, 32767 / 32768.0F,
                                 -1, 0};
    static const shape types[] = {{3, 64, 1, 16000, 0}, {3, 32, 1, 16000, 0}};
    for (int t = 0; t < 2; t++) {
        blob b = {0};
        put_header(&b, &types[t]);
        put_id(&b, "data");
        put(&b, 10 * types[t].bits / 8, 4);
        for (int i = 0; i < 10; i++)
            put_sample(&b, &types[t], i == 3 && t ? 1e30 : values[i]);
        decoded d = decode(b.data, b.n, NULL, 3);
        assert_int_equal(d.got.n, 10);
        for (int i = 0; i < 10; i++)
            assert_true(d.got.pcm[i] == want[i]);
        free(d.got.pcm);
        free(b.data);
    }
}

static void bad_headers_are_refused(void **state) {
    (void)state;
    static const struct {
        shape s;
        const char *says;
    } cases[] = {
        {{1, 16, 0, 16000, 0}, "0 channels"},   {{1, 16, 1, 0, 0}, "0 samples a second"},
        {{1, 16, 1, 999, 0}, "1000 to 384000"}, {{1, 16, 1, 400000, 0}, "1000 to 384000"},
        {{1, 40, 1, 16000, 0}, "5 bytes"},      {{3, 16, 1, 16000, 0}, "floats"},
        {{6, 16, 1, 16000, 0}, "A-law"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        blob b = {0};
        put_header(&b, &cases[k].s);
        put_id(&b, "data");
        put(&b, 8, 4);
        put(&b, 0, 8);
        decoded d = decode(b.data, b.n, NULL, 64);
        assert_int_equal(d.code, CARA_ERR_AUDIO_CORRUPT);
        if (!strstr(d.err.text, cases[k].says))
            fail_msg("\"%s\" does not say \"%s\"", d.err.text, cases[k].says);
        free(b.data);
    }
}

/* Each prefix gives an error or what it holds; each flipped bit never a crash. */
static void prefixes_and_flips_are_survived(void **state) {
    (void)state;
    static const shape s = {1, 16, 2, 22050, 1};
    blob b = tone_wav(&s, 50);
    for (size_t n = 0; n < b.n; n++) {
        decoded d = decode(b.data, n, NULL, 512);
        if (n < 12)
            assert_int_equal(d.code, CARA_ERR_AUDIO_FORMAT);
        else if (n < 68)
            assert_int_equal(d.code, CARA_ERR_AUDIO_CORRUPT);
        else
            assert_true(d.code == CARA_OK && d.truncated == 1);
        free(d.got.pcm);
    }
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        decoded d = decode(b.data, b.n, NULL, 512);
        free(d.got.pcm);
        b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(b.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_type_is_read),
        cmocka_unit_test(sizes_in_the_header_are_not_trusted),
        cmocka_unit_test(other_wav_chunks_are_skipped),
        cmocka_unit_test(non_finite_and_huge_floats_are_clamped),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(prefixes_and_flips_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

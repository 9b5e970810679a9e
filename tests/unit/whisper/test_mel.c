/* The mel stream against the plain definition: a DFT by sums in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "whisper/mel/mel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846
#define N_MELS 80
#define WINDOW (N_MELS * CARA_N_FRAMES)

typedef struct fake {
    const float *pcm;
    size_t n, at, most; /* gives at most `most` samples a read */
    int rewinds;
    size_t fail_at; /* fails once so many samples were read, in the pass fail_pass */
    int fail_pass, lie;
} fake;

static int64_t fake_read(void *ctx, float *dst, size_t n, cara_error *err) {
    fake *f = ctx;
    if (f->fail_pass == f->rewinds && f->at >= f->fail_at) {
        f->fail_pass = -1;
        err->code = CARA_ERR_AUDIO_CORRUPT;
        return CARA_ERR_AUDIO_CORRUPT;
    }
    if (f->lie)
        return (int64_t)n + 1;
    size_t left = f->n - f->at;
    n = n < left ? n : left;
    n = n < f->most ? n : f->most;
    if (n)
        memcpy(dst, f->pcm + f->at, n * sizeof *dst);
    f->at += n;
    return (int64_t)n;
}

static int fake_rewind(void *ctx, cara_error *err) {
    (void)err;
    ((fake *)ctx)->at = 0;
    ((fake *)ctx)->rewinds++;
    return CARA_OK;
}

static float *noise(size_t n, double level) {
    float *x = malloc(n * sizeof *x + 1);
    assert_non_null(x);
    uint64_t seed = 7;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(level * ((double)(seed >> 33) / 1073741824.0 - 1));
    }
    return x;
}

static cara_mel_stream *open_stream(const cara_mel_tables *tables, fake *f, cara_pool *pool) {
    cara_mel_stream *stream;
    cara_error err;
    cara_pcm_source source = {.read = fake_read, .rewind = fake_rewind, .ctx = f};
    assert_int_equal(cara_mel_stream_open(tables, source, pool, &stream, &err), CARA_OK);
    return stream;
}

static cara_mel_tables *tables_of(int n_mels) {
    cara_mel_tables *tables;
    cara_error err;
    assert_int_equal(cara_mel_tables_new(n_mels, &tables, &err), CARA_OK);
    return tables;
}

static double mel_to_hz(double mel) {
    return mel < 15 ? mel * 200 / 3 : 1000 * exp(log(6.4) / 27 * (mel - 15));
}

/* Weight of bin `b` in filter `m`, as librosa.filters.mel(sr=16000, n_fft=400) defines it. */
static double filter(int n_mels, int m, int b) {
    const double top = 15 + log(8000.0 / 1000) / (log(6.4) / 27);
    double hz[3], f = b * 16000.0 / CARA_N_FFT;
    for (int i = 0; i < 3; i++)
        hz[i] = mel_to_hz(top * (m + i) / (n_mels + 1));
    double up = (f - hz[0]) / (hz[1] - hz[0]), down = (hz[2] - f) / (hz[2] - hz[1]);
    return fmax(0, fmin(up, down)) * 2 / (hz[2] - hz[0]);
}

/* log10 of the mel energies of one frame of the audio, 30 s of zeros behind it. */
static void plain_frame(int n_mels, const float *pcm, size_t n, int64_t frame, double *out) {
    double x[CARA_N_FFT], power[201];
    for (int i = 0; i < CARA_N_FFT; i++) {
        int64_t at = frame * CARA_HOP_LENGTH + i - CARA_N_FFT / 2;
        at = at < 0 ? -at : at;
        x[i] = (0.5 - 0.5 * cos(2 * PI * i / CARA_N_FFT)) * ((size_t)at < n ? pcm[at] : 0);
    }
    for (int b = 0; b <= CARA_N_FFT / 2; b++) {
        double re = 0, im = 0;
        for (int i = 0; i < CARA_N_FFT; i++) {
            re += x[i] * cos(2 * PI * (b * i % CARA_N_FFT) / CARA_N_FFT);
            im -= x[i] * sin(2 * PI * (b * i % CARA_N_FFT) / CARA_N_FFT);
        }
        power[b] = re * re + im * im;
    }
    for (int m = 0; m < n_mels; m++) {
        double sum = 0;
        for (int b = 0; b <= CARA_N_FFT / 2; b++)
            sum += filter(n_mels, m, b) * power[b];
        out[m] = log10(fmax(sum, 1e-10));
    }
}

static void check_short_audio(size_t n_mels) {
    static const size_t lengths[] = {0,   1,   2,   159, 160, 161,  199,  200,
                                     201, 399, 400, 401, 777, 1600, 3200, 4801};
    cara_mel_tables *tables = tables_of((int)n_mels);
    float *ours = malloc(n_mels * CARA_N_FRAMES * sizeof *ours);
    assert_non_null(ours);
    for (size_t c = 0; c < sizeof lengths / sizeof *lengths; c++) {
        size_t n = lengths[c], n_frames = n / CARA_HOP_LENGTH + 3;
        float *pcm = noise(n, 0.5);
        double *want = malloc(n_frames * n_mels * sizeof *want), top = -10;
        assert_non_null(want);
        for (size_t f = 0; f < n_frames; f++) {
            plain_frame((int)n_mels, pcm, n, (int64_t)f, want + f * n_mels);
            for (size_t m = 0; m < n_mels; m++)
                top = fmax(top, want[f * n_mels + m]);
        }
        fake f = {.pcm = pcm, .n = n, .most = SIZE_MAX};
        cara_mel_stream *stream = open_stream(tables, &f, NULL);
        cara_error err;
        assert_int_equal(cara_mel_stream_samples(stream), n);
        assert_int_equal(cara_mel_stream_content_frames(stream), n / 160);
        assert_int_equal(cara_mel_stream_window(stream, 0, CARA_N_FRAMES, ours, &err), CARA_OK);
        for (size_t m = 0; m < n_mels; m++)
            for (size_t t = 0; t < CARA_N_FRAMES; t++) {
                double log = t < n_frames ? want[t * n_mels + m] : -10;
                double y = (fmax(log, top - 8) + 4) / 4;
                if (!(fabs(y - ours[m * CARA_N_FRAMES + t]) <= 2e-5))
                    fail_msg("%zu samples, bin %zu, frame %zu: %g for %g", n, m, t,
                             (double)ours[m * CARA_N_FRAMES + t], y);
            }
        /* The silence behind the audio has frames of its own; what follows it has none. */
        int64_t end = (int64_t)(n / CARA_HOP_LENGTH) + CARA_N_FRAMES;
        assert_int_equal(cara_mel_stream_window(stream, end - 2, 500, ours, &err), CARA_OK);
        assert_true(ours[0] != 0 && ours[1] != 0 && ours[2] == 0);
        assert_int_equal(cara_mel_stream_window(stream, end + 9, 500, ours, &err), CARA_OK);
        assert_true(ours[0] == 0);
        assert_int_equal(f.rewinds, 1); /* a short audio is read once */
        cara_mel_stream_close(stream);
        free(pcm);
        free(want);
    }
    free(ours);
    cara_mel_tables_free(tables);
}

static void short_audio_matches_the_definition(void **state) {
    (void)state;
    check_short_audio(80);
    check_short_audio(128);
}

/* For any order of seeks, any block size of the source and any number of threads, a window has the
 * same bits. */
static void windows_do_not_depend_on_earlier_seeks(void **state) {
    (void)state;
    static const int64_t seeks[][2] = {{0, 3000},    {2800, 3000}, {2801, 100},  {5801, 3000},
                                       {9000, 3000}, {100, 3000},  {12000, 600}, {12001, 3000},
                                       {0, 1},       {7000, 0}};
    size_t n = 120 * 16000 + 77;
    float *pcm = noise(n, 0.2), *a = malloc(WINDOW * sizeof *a), *b = malloc(WINDOW * sizeof *b);
    assert_non_null(a);
    assert_non_null(b);
    cara_mel_tables *tables = tables_of(N_MELS);
    cara_pool *pool = cara_pool_new(3);
    cara_error err;
    fake odd = {.pcm = pcm, .n = n, .most = 1601};
    cara_mel_stream *walking = open_stream(tables, &odd, pool);
    for (size_t i = 0; i < sizeof seeks / sizeof *seeks; i++) {
        fake whole = {.pcm = pcm, .n = n, .most = SIZE_MAX};
        cara_mel_stream *fresh = open_stream(tables, &whole, NULL);
        memset(a, 0xff, WINDOW * sizeof *a);
        memset(b, 0xff, WINDOW * sizeof *b);
        assert_int_equal(cara_mel_stream_window(walking, seeks[i][0], seeks[i][1], a, &err),
                         CARA_OK);
        assert_int_equal(cara_mel_stream_window(fresh, seeks[i][0], seeks[i][1], b, &err), CARA_OK);
        assert_memory_equal(a, b, WINDOW * sizeof *a);
        for (int64_t t = seeks[i][1]; t < CARA_N_FRAMES; t++)
            assert_true(a[t] == 0);
        cara_mel_stream_close(fresh);
    }
    assert_true(odd.rewinds <= 4); /* one for the second pass, one for each way back */
    cara_mel_stream_close(walking);
    cara_mel_tables_free(tables);
    cara_pool_free(pool);
    free(pcm);
    free(a);
    free(b);
}

static void the_loudest_of_all_sets_the_floor(void **state) {
    (void)state;
    size_t n = 100 * 16000;
    float *pcm = noise(n, 1e-4), *early = malloc(WINDOW * sizeof *early);
    assert_non_null(early);
    pcm[n - 8000] = 1; /* a click in the last second */
    fake f = {.pcm = pcm, .n = n, .most = SIZE_MAX};
    cara_mel_tables *tables = tables_of(N_MELS);
    cara_mel_stream *stream = open_stream(tables, &f, NULL);
    cara_error err;
    double frame[N_MELS], top = -10;
    for (int64_t t = (int64_t)(n - 8000) / 160 - 2; t < (int64_t)(n - 8000) / 160 + 3; t++) {
        plain_frame(N_MELS, pcm, n, t, frame);
        for (size_t m = 0; m < N_MELS; m++)
            top = fmax(top, frame[m]);
    }
    assert_int_equal(cara_mel_stream_window(stream, 0, CARA_N_FRAMES, early, &err), CARA_OK);
    float low = INFINITY;
    for (size_t i = 0; i < WINDOW; i++)
        low = early[i] < low ? early[i] : low;
    assert_true(fabs((top - 8 + 4) / 4 - low) < 1e-5);
    cara_mel_stream_close(stream);
    cara_mel_tables_free(tables);
    free(pcm);
    free(early);
}

static void errors_of_the_pcm_source_are_returned(void **state) {
    (void)state;
    size_t n = 90 * 16000;
    float *pcm = noise(n, 0.1), *a = malloc(WINDOW * sizeof *a), *b = malloc(WINDOW * sizeof *b);
    assert_non_null(a);
    assert_non_null(b);
    cara_mel_tables *tables = tables_of(N_MELS);
    cara_mel_stream *stream;
    cara_error err;
    fake f = {.pcm = pcm, .n = n, .most = 5000, .fail_pass = 1, .fail_at = 700000};
    cara_pcm_source source = {.read = fake_read, .rewind = fake_rewind, .ctx = &f};
    assert_int_equal(cara_mel_stream_open(tables, source, NULL, &stream, &err),
                     CARA_ERR_AUDIO_CORRUPT);
    assert_null(stream);
    f = (fake){.pcm = pcm, .n = n, .most = 5000, .lie = 1, .fail_pass = -1};
    assert_int_equal(cara_mel_stream_open(tables, source, NULL, &stream, &err), CARA_ERR_USAGE);
    /* A fault in the second pass fails that window; the next try goes on. */
    f = (fake){.pcm = pcm, .n = n, .most = 5000, .fail_pass = 2, .fail_at = 1200000};
    stream = open_stream(tables, &f, NULL);
    assert_int_equal(cara_mel_stream_window(stream, 6000, 3000, a, &err), CARA_ERR_AUDIO_CORRUPT);
    assert_int_equal(cara_mel_stream_window(stream, 6000, 3000, a, &err), CARA_OK);
    assert_int_equal(cara_mel_stream_window(stream, -1, 3000, b, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_mel_stream_window(stream, 0, -3, b, &err), CARA_ERR_USAGE);
    cara_mel_stream_close(stream);
    f = (fake){.pcm = pcm, .n = n, .most = SIZE_MAX, .fail_pass = -1};
    stream = open_stream(tables, &f, NULL);
    assert_int_equal(cara_mel_stream_window(stream, 6000, 3000, b, &err), CARA_OK);
    assert_memory_equal(a, b, WINDOW * sizeof *a);
    cara_mel_stream_close(stream);
    cara_mel_tables_free(tables);
    cara_mel_tables *none;
    assert_int_equal(cara_mel_tables_new(81, &none, &err), CARA_ERR_USAGE);
    assert_null(none);
    free(pcm);
    free(a);
    free(b);
}

/* The definition above has librosa's values, which whisper ships as mel_filters.npz. */
static void filters_are_librosas(void **state) {
    (void)state;
    static const struct {
        int n_mels, mel, bin;
        float value;
    } known[] = {{80, 0, 1, 0.0248625949f},
                 {80, 0, 2, 0},
                 {80, 1, 1, 0.00199082191f},
                 {80, 1, 2, 0.0228717718f},
                 {80, 1, 3, 0},
                 {80, 7, 7, 0.0139357522f},
                 {80, 7, 8, 0.0109268408f},
                 {80, 7, 9, 0},
                 {80, 25, 24, 0.0208740104f},
                 {80, 25, 25, 0.00404042564f},
                 {80, 25, 26, 0},
                 {80, 40, 42, 0.00541110476f},
                 {80, 40, 43, 0.0147355665f},
                 {80, 40, 44, 0.0065181898f},
                 {80, 40, 45, 0},
                 {80, 78, 179, 0.000384981191f},
                 {80, 78, 186, 0.00313276309f},
                 {80, 78, 192, 0.000225250114f},
                 {80, 78, 193, 0},
                 {80, 79, 186, 0.000366741675f},
                 {80, 79, 193, 0.00314131333f},
                 {80, 79, 199, 0.000448759005f},
                 {80, 79, 200, 0},
                 {128, 0, 1, 0.0123739867f},
                 {128, 0, 2, 0},
                 {128, 1, 1, 0.0303925648f},
                 {128, 1, 2, 0},
                 {128, 7, 5, 0.0191033799f},
                 {128, 7, 6, 0},
                 {128, 25, 15, 0.0282229595f},
                 {128, 25, 16, 0},
                 {128, 64, 42, 0.00674968259f},
                 {128, 64, 43, 0.0180915184f},
                 {128, 64, 44, 0},
                 {128, 126, 187, 0.00114698056f},
                 {128, 126, 191, 0.00495198462f},
                 {128, 126, 195, 0.000274636812f},
                 {128, 126, 196, 0},
                 {128, 127, 191, 0.000475695095f},
                 {128, 127, 195, 0.0050416016f},
                 {128, 127, 199, 0.0011142802f},
                 {128, 127, 200, 0}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double ours = filter(known[i].n_mels, known[i].mel, known[i].bin);
        assert_true(fabs(ours - (double)known[i].value) <= 1e-8);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_are_librosas),
        cmocka_unit_test(short_audio_matches_the_definition),
        cmocka_unit_test(windows_do_not_depend_on_earlier_seeks),
        cmocka_unit_test(the_loudest_of_all_sets_the_floor),
        cmocka_unit_test(errors_of_the_pcm_source_are_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* PCM to log-mel against openai/whisper's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "npy.h"
#include "whisper/mel/mel.h"

typedef struct memory {
    const npy *pcm;
    size_t at, most; /* gives at most `most` samples a read */
} memory;

static int64_t read_some(void *ctx, float *dst, size_t n, cara_error *err) {
    memory *m = ctx;
    (void)err;
    size_t left = m->pcm->count - m->at;
    n = n < left ? n : left;
    n = n < m->most ? n : m->most;
    if (n)
        memcpy(dst, m->pcm->data + m->at, n * sizeof *dst);
    m->at += n;
    return (int64_t)n;
}

static int rewind_it(void *ctx, cara_error *err) {
    (void)err;
    ((memory *)ctx)->at = 0;
    return CARA_OK;
}

static void compare(const char *pcm_name, const char *mel_name, int n_mels, size_t most,
                    int threads) {
    npy pcm = npy_read(pcm_name), mel = npy_read(mel_name);
    assert_int_equal(mel.n_dims, 2);
    assert_int_equal(mel.shape[0], n_mels);
    assert_int_equal(mel.shape[1], CARA_N_FRAMES);
    float *ours = malloc(mel.count * sizeof *ours);
    assert_non_null(ours);
    memory m = {.pcm = &pcm, .most = most};
    cara_pcm_source source = {.read = read_some, .rewind = rewind_it, .ctx = &m};
    cara_mel_tables *tables;
    cara_mel_stream *stream;
    cara_error err;
    cara_pool *pool = cara_pool_new(threads);
    assert_int_equal(cara_mel_tables_new(n_mels, &tables, &err), CARA_OK);
    assert_int_equal(cara_mel_stream_open(tables, source, pool, &stream, &err), CARA_OK);
    assert_int_equal(cara_mel_stream_samples(stream), pcm.count);
    assert_int_equal(cara_mel_stream_window(stream, 0, CARA_N_FRAMES, ours, &err), CARA_OK);
    double mean, apart = most_apart(ours, mel.data, mel.count, &mean);
    print_message("%s: mel max %.2g mean %.2g\n", mel_name, apart, mean);
    assert_true(apart <= 1e-4);
    cara_mel_stream_close(stream);
    cara_mel_tables_free(tables);
    cara_pool_free(pool);
    free(ours);
    npy_free(&pcm);
    npy_free(&mel);
}

static void mel_of_80_bins(void **state) {
    (void)state;
    static const char *const notes[] = {"en-00", "en-03", "es-01", "es-02"};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        char pcm[64], mel[64];
        snprintf(pcm, sizeof pcm, "golden/stages/%s.pcm.npy", notes[i]);
        snprintf(mel, sizeof mel, "golden/stages/%s.mel.npy", notes[i]);
        compare(pcm, mel, 80, SIZE_MAX, 1);
        compare(pcm, mel, 80, 777, 2);
    }
}

static void mel_of_other_shapes(void **state) {
    (void)state;
    compare("golden/stages/es-01.pcm.npy", "golden/shapes/micro-v3.mel.npy", 128, SIZE_MAX, 1);
    compare("golden/stages/es-01.pcm.npy", "golden/shapes/micro-en.mel.npy", 80, SIZE_MAX, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(mel_of_80_bins),
                                       cmocka_unit_test(mel_of_other_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Opening a model, windows of it, and the memory that they take. */
#include "base/clock.h"
#include "bench/bench.h"
#include "whisper/network/decoder.h"
#include "whisper/network/encoder.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 32 /* decoded a run, after a prompt of 4 */
#define BEAMS 5
#define OPENS 5

/* A line of /proc/self/status in 10^6 bytes. */
static double status_mb(const char *field) {
    char line[128];
    double mb = NAN;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0)
            mb = strtod(line + strlen(field), NULL) * 1024 / 1e6;
    if (f)
        fclose(f);
    return mb;
}

/* Begins the peak again, so that making a random model does not count, nor the memory that it
 * left. */
static void reset_peak(void) {
    malloc_trim(0);
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f)
        return;
    fputs("5", f);
    fclose(f);
}

static int measure_open(const cara_bench_run *run, double *out, cara_error *err) {
    double took[OPENS];
    for (int i = 0; i < OPENS; i++) {
        cara_model *model;
        double start = cara_clock_monotonic();
        int rc = cara_model_open(run->path, NULL, &model, err);
        took[i] = 1e3 * (cara_clock_monotonic() - start);
        if (rc)
            return rc;
        cara_model_close(model);
    }
    *out = cara_bench_median(took, OPENS);
    return CARA_OK;
}

/* One window: *out gets its times. */
static int measure_window(cara_encoder *encoder, cara_decoder *decoder, const cara_model *model,
                          const float *mel, float *states, float *logits, cara_bench_times *out,
                          cara_error *err) {
    const cara_special_tokens *s = cara_tokenizer_special(cara_model_tokenizer(model));
    const int32_t start[4] = {s->sot, s->sot + 1, s->transcribe, s->no_timestamps};
    const int32_t tokens[BEAMS] = {11, 12, 13, 14, 15};
    static const int source[BEAMS] = {0, 0, 1, 2, 4}; /* as beams do */
    static const size_t wanted[BEAMS] = {0, 1, 2, 3, 4};
    cara_run runs[BEAMS];
    size_t last = 3;
    for (int i = 0; i < BEAMS; i++)
        runs[i] = (cara_run){i, tokens + i, 1};
    double t0 = cara_clock_monotonic();
    int rc = cara_encoder_run(encoder, mel, states, err);
    if (!rc)
        rc = cara_decoder_set_audio(decoder, 0, states, err);
    double t1 = cara_clock_monotonic();
    if (!rc)
        rc = cara_decoder_forward(decoder, &(cara_run){0, start, 4}, 1, &last, 1, logits, err);
    double t2 = cara_clock_monotonic();
    for (int i = 0; i < TOKENS && !rc; i++)
        rc = cara_decoder_forward(decoder, runs, 1, wanted, 1, logits, err);
    double t3 = cara_clock_monotonic();
    if (!rc)
        cara_decoder_fork(decoder, 0, 0, BEAMS);
    double t4 = cara_clock_monotonic();
    for (int i = 0; i < TOKENS && !rc; i++) {
        rc = cara_decoder_forward(decoder, runs, BEAMS, wanted, BEAMS, logits, err);
        if (!rc)
            cara_decoder_reorder(decoder, 0, source, BEAMS);
    }
    double t5 = cara_clock_monotonic();
    out->encode = 1e3 * (t1 - t0);
    out->prompt = 1e3 * (t2 - t1);
    out->token = 1e3 * (t3 - t2) / TOKENS;
    out->beam5 = 1e3 * (t5 - t4) / TOKENS;
    return rc;
}

static int measure_windows(const cara_bench_run *run, const cara_model *model, const float *mel,
                           cara_bench_times *out, cara_error *err) {
    const cara_dims *d = cara_model_dims(model);
    cara_compute compute = {
        .model = model, .kernels = cara_kernels_for(run->level), .pool = run->pool};
    cara_encoder *encoder = NULL;
    cara_decoder *decoder = NULL;
    size_t n_states = (size_t)d->n_audio_ctx * (size_t)d->n_audio_state, runs = (size_t)run->runs;
    float *states = malloc(sizeof *states * n_states);
    float *logits = malloc(sizeof *logits * BEAMS * (size_t)d->n_vocab);
    double *took = malloc(4 * runs * sizeof *took);
    int rc = states && logits && took
                 ? CARA_OK
                 : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a window");
    if (!rc)
        rc = cara_encoder_new(&compute, &encoder, err);
    if (!rc)
        rc = cara_decoder_new(&compute, 1, BEAMS, &decoder, err);
    if (!rc)
        rc = cara_decoder_reserve(decoder, 0, BEAMS, err);
    /* The first window warms caches and clocks, and is not counted. */
    for (int i = -1; i < run->runs && !rc; i++) {
        cara_bench_times t = {0};
        rc = measure_window(encoder, decoder, model, mel, states, logits, &t, err);
        if (!rc && run->interrupted && run->interrupted())
            rc = cara_fail(err, CARA_ERR_CANCELLED, -1, "interrupted");
        if (i < 0)
            continue;
        took[i] = t.encode;
        took[runs + (size_t)i] = t.prompt;
        took[2 * runs + (size_t)i] = t.token;
        took[3 * runs + (size_t)i] = t.beam5;
    }
    if (!rc) {
        out->encode = cara_bench_median(took, run->runs);
        out->prompt = cara_bench_median(took + runs, run->runs);
        out->token = cara_bench_median(took + 2 * runs, run->runs);
        out->beam5 = cara_bench_median(took + 3 * runs, run->runs);
    }
    cara_encoder_free(encoder);
    cara_decoder_free(decoder);
    free(states);
    free(logits);
    free(took);
    return rc;
}

int cara_bench_measure_windows(const cara_bench_run *run, cara_model **model, cara_bench_times *out,
                               cara_error *err) {
    *model = NULL;
    *out = (cara_bench_times){0};
    int rc = measure_open(run, &out->open, err);
    if (rc)
        return rc;
    reset_peak();
    rc = cara_model_open(run->path, NULL, model, err);
    if (rc)
        return rc;
    cara_error failure = {.code = CARA_OK, .position = -1};
    float *mel = cara_bench_mel(cara_model_dims(*model)->n_mels, run->pool, out, &failure);
    rc = mel ? measure_windows(run, *model, mel, out, &failure) : (int)failure.code;
    if (rc && err)
        *err = failure;
    out->peak_rss_mb = status_mb("VmHWM:");
    free(mel);
    if (rc) {
        cara_model_close(*model);
        *model = NULL;
    }
    return rc;
}

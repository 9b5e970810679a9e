/* The measurements of `caracola bench`. */
#include "base/clock.h"
#include "cli/bench.h"
#include "whisper/mel/mel.h"
#include "whisper/network/decoder.h"
#include "whisper/network/encoder.h"

#include <caracola/audio.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 32 /* decoded a run, after a prompt of 4 */
#define BEAMS 5
#define SECONDS 30
#define OPENS 5

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

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

/* Begins the peak anew, so that making a random model does not count, nor what it left behind. */
static void forget_peak(void) {
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
    *out = median(took, OPENS);
    return CARA_OK;
}

/* 30 s of sound as a note; decoding, resampling, and the mel of the window. */
static int measure_sound(int n_mels, cara_pool *pool, float *mel, cara_bench_times *out,
                         cara_error *err) {
    double audio_ms[OPENS], mel_ms[OPENS];
    size_t bytes = 0, room = SECONDS * CARA_SAMPLE_RATE + CARA_SAMPLE_RATE, n = 0;
    unsigned char *note = cara_bench_note(&bytes);
    float *pcm = malloc(room * sizeof *pcm);
    cara_mel_tables *tables = NULL;
    int rc = note && pcm ? cara_mel_tables_new(n_mels, &tables, err)
                         : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for 30 s of audio");
    for (int i = 0; i < OPENS && !rc; i++) {
        double start = cara_clock_monotonic();
        cara_audio *audio;
        rc = cara_audio_open_memory(note, bytes, NULL, &audio, err);
        if (rc)
            break;
        cara_pcm_source source = cara_audio_source(audio);
        int64_t got;
        n = 0;
        while ((got = source.read(source.ctx, pcm + n, room - n, err)) > 0)
            n += (size_t)got;
        rc = got < 0 ? (int)got : CARA_OK;
        cara_audio_close(audio);
        audio_ms[i] = 1e3 * (cara_clock_monotonic() - start);
    }
    for (int i = 0; i < OPENS && !rc; i++) {
        cara_pcm_memory cursor = {pcm, n, 0};
        cara_mel_stream *stream;
        double start = cara_clock_monotonic();
        rc = cara_mel_stream_open(tables, cara_pcm_memory_source(&cursor), pool, &stream, err);
        if (rc)
            break;
        rc = cara_mel_stream_window(stream, 0, CARA_N_FRAMES, mel, err);
        mel_ms[i] = 1e3 * (cara_clock_monotonic() - start);
        cara_mel_stream_close(stream);
    }
    if (!rc && out) {
        out->audio = median(audio_ms, OPENS);
        out->mel = median(mel_ms, OPENS);
    }
    cara_mel_tables_free(tables);
    free(pcm);
    free(note);
    return rc;
}

float *cara_bench_mel(int n_mels, cara_pool *pool, cara_bench_times *out, cara_error *err) {
    float *mel = malloc(sizeof *mel * (size_t)n_mels * CARA_N_FRAMES);
    if (!mel) {
        cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a window");
        return NULL;
    }
    if (measure_sound(n_mels, pool, mel, out, err)) {
        free(mel);
        return NULL;
    }
    return mel;
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
        out->encode = median(took, run->runs);
        out->prompt = median(took + runs, run->runs);
        out->token = median(took + 2 * runs, run->runs);
        out->beam5 = median(took + 3 * runs, run->runs);
    }
    cara_encoder_free(encoder);
    cara_decoder_free(decoder);
    free(states);
    free(logits);
    free(took);
    return rc;
}

int cara_bench_measure(const cara_bench_run *run, cara_model **model, cara_bench_times *out,
                       cara_error *err) {
    *model = NULL;
    *out = (cara_bench_times){0};
    int rc = measure_open(run, &out->open, err);
    if (rc)
        return rc;
    forget_peak();
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

/* 30 s of sound: decoding it, and its mel. */
#include "base/clock.h"
#include "bench/bench.h"
#include "whisper/mel/mel.h"

#include <caracola/audio.h>
#include <stdlib.h>

#define SECONDS 30
#define OPENS 5

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
        cara_pcm_memory cursor = {.pcm = pcm, .n = n};
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
        out->audio = cara_bench_median(audio_ms, OPENS);
        out->mel = cara_bench_median(mel_ms, OPENS);
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

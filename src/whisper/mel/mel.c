#include "whisper/mel/mel.h"

#include "whisper/mel/fft.h"

#include <caracola/audio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF (CARA_N_FFT / 2)
#define PAD_FRAMES CARA_N_FRAMES /* the 30 s of silence that follow the audio */
#define LANES CARA_FFT_LANES
#define MAX_MELS 128
#define FLOOR 1e-10f       /* of mel energies */
#define SILENT_LOG (-10.f) /* log10(FLOOR) */
#define BLOCK_FRAMES 1024  /* computed at a time */
#define KEPT_FRAMES (2 * CARA_N_FRAMES)

struct cara_mel_tables {
    int n_mels;
    float window[CARA_N_FFT];              /* periodic Hann */
    float filter[MAX_MELS][CARA_FFT_BINS]; /* [n_mels, 201] */
    short first[MAX_MELS], end[MAX_MELS];  /* bins where a filter is not zero */
    cara_fft_tables fft;
};

struct cara_mel_stream {
    const cara_mel_tables *tables;
    cara_pcm_source source;
    cara_pool *pool;
    int64_t samples;
    float top; /* largest log10 of the whole audio */

    /* Position in the source: frame `next` takes pcm[0 .. N_FFT), and pcm_n samples are there. */
    float *pcm; /* [BLOCK_FRAMES * HOP + N_FFT] */
    size_t pcm_n;
    int64_t next;
    int ended; /* the source has no more */

    /* Logarithms, not yet clamped, of frames [kept_at, kept_at + kept_n). */
    float *kept; /* [KEPT_FRAMES, n_mels] */
    int64_t kept_at;
    size_t kept_n;
};

/* ---- tables ---- */

/* Slaney's scale: linear to 1 kHz, logarithmic above. */
static double mel_to_hz(double mel) {
    const double step = 200.0 / 3, min_log_hz = 1000, min_log_mel = min_log_hz / step;
    return mel < min_log_mel ? step * mel : min_log_hz * exp(log(6.4) / 27 * (mel - min_log_mel));
}

static double hz_to_mel(double hz) {
    const double step = 200.0 / 3, min_log_hz = 1000;
    return hz < min_log_hz ? hz / step : min_log_hz / step + log(hz / min_log_hz) / (log(6.4) / 27);
}

/* Triangles between neighbouring mel points, each of the same area (norm="slaney"). */
static void make_filters(cara_mel_tables *t) {
    double hz[MAX_MELS + 2];
    double top = hz_to_mel(CARA_SAMPLE_RATE / 2.0);
    for (int i = 0; i < t->n_mels + 2; i++)
        hz[i] = mel_to_hz(top * i / (t->n_mels + 1));
    for (int m = 0; m < t->n_mels; m++) {
        t->first[m] = t->end[m] = 0;
        for (int b = 0; b < CARA_FFT_BINS; b++) {
            double f = (double)b * CARA_SAMPLE_RATE / CARA_N_FFT;
            double up = (f - hz[m]) / (hz[m + 1] - hz[m]);
            double down = (hz[m + 2] - f) / (hz[m + 2] - hz[m + 1]);
            double height = up < down ? up : down;
            if (height <= 0)
                continue;
            /* librosa rounds to f32 before and after it scales. */
            t->filter[m][b] = (float)((float)height * (2.0 / (hz[m + 2] - hz[m])));
            if (!t->end[m])
                t->first[m] = (short)b;
            t->end[m] = (short)(b + 1);
        }
    }
}

int cara_mel_tables_new(int n_mels, cara_mel_tables **out, cara_error *err) {
    *out = NULL;
    if (n_mels != 80 && n_mels != 128)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "a model of %d mel bins is not supported; expected 80 or 128", n_mels);
    cara_mel_tables *t = calloc(1, sizeof *t);
    if (!t)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the mel tables");
    t->n_mels = n_mels;
    for (int i = 0; i < CARA_N_FFT; i++)
        t->window[i] =
            (float)(0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / (double)CARA_N_FFT));
    make_filters(t);
    cara_fft_tables_init(&t->fft);
    *out = t;
    return CARA_OK;
}

void cara_mel_tables_free(cara_mel_tables *tables) {
    free(tables);
}

/* ---- frames ---- */

typedef struct frame_job {
    const cara_mel_tables *tables;
    const float *pcm; /* frame i takes pcm[i * HOP .. + N_FFT) */
    size_t frames;
    float *dst; /* [frames, n_mels] */
} frame_job;

static void frame_task(void *ctx, size_t task, int thread) {
    const frame_job *job = ctx;
    const cara_mel_tables *t = job->tables;
    size_t f0 = task * LANES, n = job->frames - f0 < LANES ? job->frames - f0 : LANES;
    cara_fft_lanes x[CARA_N_FFT], power[CARA_FFT_BINS];
    (void)thread;
    for (size_t i = 0; i < CARA_N_FFT; i++)
        for (size_t l = 0; l < LANES; l++)
            x[i][l] = l < n ? t->window[i] * job->pcm[(f0 + l) * CARA_HOP_LENGTH + i] : 0;
    cara_fft_power(&t->fft, x, power);
    for (int m = 0; m < t->n_mels; m++) {
        cara_fft_lanes sum = {0};
        for (int b = t->first[m]; b < t->end[m]; b++)
            for (size_t l = 0; l < LANES; l++)
                sum[l] += t->filter[m][b] * power[b][l];
        for (size_t l = 0; l < n; l++)
            job->dst[(f0 + l) * (size_t)t->n_mels + (size_t)m] =
                log10f(sum[l] > FLOOR ? sum[l] : FLOOR);
    }
}

/* Fills pcm up to `want` samples; shorter only where the source has ended. */
static int fill(cara_mel_stream *s, size_t want, cara_error *err) {
    while (s->pcm_n < want && !s->ended) {
        int64_t got = s->source.read(s->source.ctx, s->pcm + s->pcm_n, want - s->pcm_n, err);
        if (got < 0)
            return got >= CARA_ERR_INTERNAL
                       ? (int)got
                       : cara_fail(err, CARA_ERR_INTERNAL, -1,
                                   "the source returned %lld, which is no error code",
                                   (long long)got);
        if ((uint64_t)got > want - s->pcm_n)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "the source returned more samples than requested");
        if (got == 0)
            s->ended = 1;
        s->pcm_n += (size_t)got;
    }
    return CARA_OK;
}

/* Makes `frames` (at most BLOCK_FRAMES) frames from `next` on. Where dst is NULL they are skipped.
 * Counts the samples read in *read. */
static int make_frames(cara_mel_stream *s, size_t frames, float *dst, int64_t *read,
                       cara_error *err) {
    size_t want = (frames - 1) * CARA_HOP_LENGTH + CARA_N_FFT, before;
    int code;
    if (s->next == 0) {
        /* torch.stft(center=True) mirrors around the first sample: x[200] ... x[1], x[0], x[1] ...
         * What the audio lacks is the silence that follows it. */
        if ((code = fill(s, HALF + 1, err)) != CARA_OK)
            return code;
        *read += (int64_t)s->pcm_n;
        memset(s->pcm + s->pcm_n, 0, (HALF + 1 - s->pcm_n) * sizeof *s->pcm);
        size_t real = s->pcm_n;
        memmove(s->pcm + HALF, s->pcm, (HALF + 1) * sizeof *s->pcm);
        for (size_t i = 0; i < HALF; i++)
            s->pcm[i] = s->pcm[CARA_N_FFT - i];
        s->pcm_n = HALF + real;
    }
    before = s->pcm_n;
    if ((code = fill(s, want, err)) != CARA_OK)
        return code;
    *read += (int64_t)(s->pcm_n - before);
    if (dst) {
        if (s->pcm_n < want)
            memset(s->pcm + s->pcm_n, 0, (want - s->pcm_n) * sizeof *s->pcm);
        frame_job job = {s->tables, s->pcm, frames, dst};
        cara_pool_run(s->pool, frame_task, &job, (frames + LANES - 1) / LANES);
    }
    size_t used = frames * CARA_HOP_LENGTH;
    if (used < s->pcm_n)
        memmove(s->pcm, s->pcm + used, (s->pcm_n - used) * sizeof *s->pcm);
    s->pcm_n -= used < s->pcm_n ? used : s->pcm_n;
    s->next += (int64_t)frames;
    return CARA_OK;
}

/* ---- the stream ---- */

static int rewind_source(cara_mel_stream *s, cara_error *err) {
    s->pcm_n = 0;
    s->next = 0;
    s->ended = 0;
    return s->source.rewind(s->source.ctx, err);
}

/* Finds the loudest value. A voice note's frames all fit in `kept`: it is not read again. */
static int first_pass(cara_mel_stream *s, float *block, cara_error *err) {
    size_t n_mels = (size_t)s->tables->n_mels;
    int code = rewind_source(s, err);
    if (code)
        return code;
    s->top = SILENT_LOG; /* of the silence at the end, which is always there */
    while (!s->ended || s->pcm_n > 0) {
        if ((code = make_frames(s, BLOCK_FRAMES, block, &s->samples, err)) != CARA_OK)
            return code;
        for (size_t i = 0; i < BLOCK_FRAMES * n_mels; i++)
            s->top = block[i] > s->top ? block[i] : s->top;
        size_t room = KEPT_FRAMES - s->kept_n, n = room < BLOCK_FRAMES ? room : BLOCK_FRAMES;
        memcpy(s->kept + s->kept_n * n_mels, block, n * n_mels * sizeof *block);
        s->kept_n += n;
    }
    return CARA_OK;
}

int cara_mel_stream_open(const cara_mel_tables *tables, cara_pcm_source source, cara_pool *pool,
                         cara_mel_stream **out, cara_error *err) {
    *out = NULL;
    size_t n_mels = (size_t)tables->n_mels;
    int code;
    cara_mel_stream *s = calloc(1, sizeof *s);
    float *block = malloc(BLOCK_FRAMES * n_mels * sizeof *block);
    if (s) {
        s->tables = tables;
        s->source = source;
        s->pool = pool;
        s->pcm = malloc((BLOCK_FRAMES * CARA_HOP_LENGTH + CARA_N_FFT) * sizeof *s->pcm);
        s->kept = malloc(KEPT_FRAMES * n_mels * sizeof *s->kept);
    }
    if (!s || !block || !s->pcm || !s->kept)
        code = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the mel spectrogram");
    else
        code = first_pass(s, block, err);
    free(block);
    if (code)
        cara_mel_stream_close(s);
    else
        *out = s;
    return code;
}

int64_t cara_mel_stream_samples(const cara_mel_stream *s) {
    return s->samples;
}

int64_t cara_mel_stream_content_frames(const cara_mel_stream *s) {
    return s->samples / CARA_HOP_LENGTH;
}

/* Makes `kept` hold [seek, end), end - seek <= CARA_N_FRAMES. */
static int keep_frames(cara_mel_stream *s, int64_t seek, int64_t end, cara_error *err) {
    size_t n_mels = (size_t)s->tables->n_mels;
    int64_t drop = seek - s->kept_at, unused = 0;
    int code;
    if (drop >= 0 && s->kept_at + (int64_t)s->kept_n >= end)
        return CARA_OK;
    if (drop < 0 || drop >= (int64_t)s->kept_n) {
        s->kept_n = 0;
    } else if (drop > 0) {
        s->kept_n -= (size_t)drop;
        memmove(s->kept, s->kept + (size_t)drop * n_mels, s->kept_n * n_mels * sizeof *s->kept);
    }
    s->kept_at = seek;
    int64_t at = seek + (int64_t)s->kept_n;
    if (s->next > at && (code = rewind_source(s, err)) != CARA_OK)
        return code;
    while (s->next < end) {
        int64_t stop = s->next < at ? at : end;
        size_t n = (size_t)(stop - s->next < BLOCK_FRAMES ? stop - s->next : BLOCK_FRAMES);
        float *dst = s->next < at ? NULL : s->kept + s->kept_n * n_mels;
        if ((code = make_frames(s, n, dst, &unused, err)) != CARA_OK)
            return code;
        s->kept_n += dst ? n : 0;
    }
    return CARA_OK;
}

int cara_mel_stream_window(cara_mel_stream *s, int64_t seek, int64_t n_frames, float *dst,
                           cara_error *err) {
    size_t n_mels = (size_t)s->tables->n_mels;
    int64_t total = cara_mel_stream_content_frames(s) + PAD_FRAMES;
    if (seek < 0 || n_frames < 0)
        return cara_fail(err, CARA_ERR_USAGE, -1, "a window cannot begin before frame 0");
    seek = seek < total ? seek : total;
    n_frames = n_frames < CARA_N_FRAMES ? n_frames : CARA_N_FRAMES;
    n_frames = n_frames < total - seek ? n_frames : total - seek;
    if (n_frames > 0) {
        int code = keep_frames(s, seek, seek + n_frames, err);
        if (code)
            return code;
    }
    const float *src = n_frames ? s->kept + (size_t)(seek - s->kept_at) * n_mels : NULL;
    float low = s->top - 8;
    for (size_t m = 0; m < n_mels; m++) {
        float *row = dst + m * CARA_N_FRAMES;
        for (size_t f = 0; f < (size_t)n_frames; f++) {
            float x = src[f * n_mels + m];
            row[f] = ((x > low ? x : low) + 4) / 4;
        }
        memset(row + n_frames, 0, (size_t)(CARA_N_FRAMES - n_frames) * sizeof *row);
    }
    return CARA_OK;
}

void cara_mel_stream_close(cara_mel_stream *s) {
    if (!s)
        return;
    free(s->pcm);
    free(s->kept);
    free(s);
}

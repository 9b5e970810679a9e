/* Other rates to 16 kHz, by libsoxr. Why this one: docs/audio.md. */
#include "audio/audio_decoder.h"

#include <soxr.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096
#define QUALITY SOXR_MQ /* as close to ffmpeg's resampler as the higher ones */

typedef struct resampler {
    cara_audio_decoder base;
    cara_audio_decoder *inner;
    soxr_t soxr;
    float in[BLOCK];
    size_t at, have;
    int64_t taken, given; /* samples in, samples out */
    int ended;
} resampler;

/* ceil(taken * 16000 / rate), without overflow for any count that fits in memory. */
static int64_t samples_due(const resampler *r) {
    int64_t whole = r->taken / r->inner->rate, rest = r->taken % r->inner->rate;
    return whole * CARA_SAMPLE_RATE +
           (rest * CARA_SAMPLE_RATE + r->inner->rate - 1) / r->inner->rate;
}

static int64_t resample_read(cara_audio_decoder *self, float *dst, size_t n, cara_error *err) {
    resampler *r = (resampler *)self;
    size_t filled = 0;
    if (!r->soxr) /* a rewind that failed */
        return cara_fail(err, CARA_ERR_INTERNAL, -1, "the resampler is not there");
    while (filled < n) {
        if (r->at == r->have && !r->ended) {
            int64_t got = r->inner->read(r->inner, r->in, BLOCK, err);
            if (got < 0)
                return got;
            r->at = 0;
            r->have = (size_t)got;
            r->taken += got;
            r->ended = got == 0;
        }
        if (r->at == r->have) { /* the filter's tail: silence pushes it out */
            memset(r->in, 0, sizeof r->in);
            r->at = 0;
            r->have = BLOCK;
        }
        size_t want = n - filled;
        if (r->ended) {
            int64_t due = samples_due(r) - r->given;
            if (due <= 0)
                break;
            if ((int64_t)want > due)
                want = (size_t)due;
        }
        size_t used = 0, made = 0;
        if (soxr_process(r->soxr, r->in + r->at, r->have - r->at, &used, dst + filled, want, &made))
            return cara_fail(err, CARA_ERR_INTERNAL, -1, "the resampler failed");
        r->at += used;
        filled += made;
        r->given += made;
    }
    if (filled == 0)
        r->base.truncated = r->inner->truncated;
    return (int64_t)filled;
}

/* Makes the resampler, or makes it again. */
static int start(resampler *r, cara_error *err) {
    soxr_quality_spec_t quality = soxr_quality_spec(QUALITY, 0);
    soxr_runtime_spec_t runtime = soxr_runtime_spec(1); /* one thread: ours */
    soxr_error_t status = NULL;
    if (r->soxr)
        soxr_delete(r->soxr);
    r->soxr = soxr_create(r->inner->rate, CARA_SAMPLE_RATE, 1, &status, NULL, &quality, &runtime);
    if (!r->soxr || status)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to resample %d Hz audio",
                         r->inner->rate);
    r->at = r->have = 0;
    r->taken = r->given = 0;
    r->ended = 0;
    return CARA_OK;
}

static int resample_rewind(cara_audio_decoder *self, cara_error *err) {
    resampler *r = (resampler *)self;
    int rc = r->inner->rewind(r->inner, err);
    return rc ? rc : start(r, err);
}

static void resample_close(cara_audio_decoder *self) {
    resampler *r = (resampler *)self;
    r->inner->close(r->inner);
    soxr_delete(r->soxr);
    free(r);
}

int cara_resample_wrap(cara_audio_decoder *inner, cara_audio_decoder **out, cara_error *err) {
    *out = NULL;
    resampler *r = calloc(1, sizeof *r);
    if (!r)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to resample %d Hz audio",
                         inner->rate);
    r->base = (cara_audio_decoder){.read = resample_read,
                                   .rewind = resample_rewind,
                                   .close = resample_close,
                                   .format = inner->format,
                                   .rate = CARA_SAMPLE_RATE};
    r->inner = inner;
    int rc = start(r, err);
    if (rc) {
        soxr_delete(r->soxr);
        free(r);
        return rc;
    }
    *out = &r->base;
    return CARA_OK;
}

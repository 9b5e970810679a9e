/* openai/whisper reads Opus through ffmpeg, whose decoder lifts the 16 kHz speech layer to 48 kHz
 * (16 taps), drops the pre-skip there, and whose resampler then brings 48 kHz back to 16 kHz (32
 * taps, cutoff 0.97). Up by three and down by three is a linear filter at 16 kHz: -0.1 dB at 6 kHz,
 * -1.8 dB at 7 kHz, -5.8 dB at 7.5 kHz. We decode at 16 kHz in the first place and apply the filter
 * alone. Where the pre-skip is no multiple of three, our samples lie a third or two thirds beside
 * ffmpeg's; the same filter taken there moves them. These are its taps, the response of the two
 * resamplers to one unit sample, faded out (half a cosine) from the eighth to the twelfth sample:
 * docs/audio.md says why there. */
#include "audio/ogg/rolloff.h"

#include <string.h>

#define HALF 11 /* samples at 16 kHz before a sample that it changes; behind it one more */
#define REACH 36

static const float taps[REACH + 1] = {
    /* at 0, 1, 2, ... samples at 48 kHz */
    0.931848645F,
    0.788834333F,
    0.438692868F,
    0.065843977F,
    -0.158486195F,
    -0.176579326F,
    -0.059415109F,
    0.063809812F,
    0.101473961F,
    0.050250322F,
    -0.026487878F,
    -0.062644258F,
    -0.040077418F,
    0.008985062F,
    0.039040886F,
    0.030422505F,
    -0.000874538F,
    -0.024153943F,
    -0.022240131F,
    -0.002476030F,
    0.014780512F,
    0.015842177F,
    0.003522294F,
    -0.008898654F,
    -0.011073193F,
    -0.003483375F,
    0.004842091F,
    0.006478917F,
    0.002364059F,
    -0.001779564F,
    -0.002519434F,
    -0.000957556F,
    0.000339876F,
    0.000466806F,
    0.000131293F,
    -0.000008775F,
    0,
};

void cara_rolloff_start(cara_rolloff *filter) {
    *filter = (cara_rolloff){.first = -HALF};
}

void cara_rolloff_add(cara_rolloff *filter, int64_t at, const float *src, size_t n) {
    int third = (int)(at % 3);
    float *sums = filter->sums + (at / 3 - HALF - filter->first);
    for (int k = 0; k < CARA_ROLLOFF_TAPS; k++) {
        int distance = 3 * (k - HALF) - third;
        float tap = taps[distance < 0 ? -distance : distance];
        for (size_t i = 0; i < n; i++)
            sums[(size_t)k + i] += tap * src[i];
    }
}

/* Gives the outputs before `next`; those before the beginning of the audio are dropped. */
static size_t give(cara_rolloff *filter, int64_t next, float *dst) {
    const size_t all = sizeof filter->sums / sizeof *filter->sums;
    size_t n = next > filter->first ? (size_t)(next - filter->first) : 0;
    size_t early = filter->first < 0 ? (size_t)-filter->first : 0;
    if (early > n)
        early = n;
    memcpy(dst, filter->sums + early, (n - early) * sizeof *dst);
    memmove(filter->sums, filter->sums + n, (all - n) * sizeof *dst);
    memset(filter->sums + (all - n), 0, n * sizeof *dst);
    filter->first += (int64_t)n;
    return n - early;
}

size_t cara_rolloff_take(cara_rolloff *filter, int64_t end, float *dst) {
    return give(filter, end / 3 - HALF, dst);
}

size_t cara_rolloff_finish(cara_rolloff *filter, int64_t end, float *dst) {
    return give(filter, (end + 1) / 3, dst);
}

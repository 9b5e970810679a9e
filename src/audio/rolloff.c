/* openai/whisper reads Opus through ffmpeg, whose decoder lifts the 16 kHz speech layer to 48 kHz
 * (16 taps) and whose resampler then brings 48 kHz back to 16 kHz (32 taps, cutoff 0.97). Up by
 * three and down by three is a linear filter at 16 kHz: -0.1 dB at 6 kHz, -1.8 dB at 7 kHz, -5.8 dB
 * at 7.5 kHz. We decode at 16 kHz in the first place and apply the slope alone. These are its taps,
 * the response of the two resamplers to one unit sample, faded out (half a cosine) from the eighth
 * to the twelfth: docs/audio.md says why there. */
#include "audio/rolloff.h"

#include <string.h>

static const float taps[CARA_ROLLOFF_HALF + 1] = {
    0.931848645F,  0.065843977F, -0.059415109F, 0.050250322F, -0.040077418F, 0.030422505F,
    -0.022240131F, 0.015842177F, -0.011073193F, 0.006478917F, -0.002519434F, 0.000466806F,
};

void cara_rolloff_start(cara_rolloff *filter) {
    memset(filter->line, 0, CARA_ROLLOFF_HALF * sizeof(float));
    filter->have = CARA_ROLLOFF_HALF;
}

size_t cara_rolloff_push(cara_rolloff *filter, const float *src, size_t n, float *dst) {
    memcpy(filter->line + filter->have, src, n * sizeof(float));
    filter->have += n;
    if (filter->have <= 2 * CARA_ROLLOFF_HALF)
        return 0;
    size_t ready = filter->have - 2 * CARA_ROLLOFF_HALF;
    for (size_t i = 0; i < ready; i++) {
        const float *c = filter->line + i + CARA_ROLLOFF_HALF;
        float sum = taps[0] * c[0];
        for (int k = 1; k <= CARA_ROLLOFF_HALF; k++)
            sum += taps[k] * (c[-k] + c[k]);
        dst[i] = sum;
    }
    memmove(filter->line, filter->line + ready, 2 * CARA_ROLLOFF_HALF * sizeof(float));
    filter->have = 2 * CARA_ROLLOFF_HALF;
    return ready;
}

size_t cara_rolloff_finish(cara_rolloff *filter, float *dst) {
    static const float silence[CARA_ROLLOFF_HALF];
    size_t n = cara_rolloff_push(filter, silence, CARA_ROLLOFF_HALF, dst);
    cara_rolloff_start(filter);
    return n;
}

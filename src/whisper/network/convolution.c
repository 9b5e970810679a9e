#include "whisper/network/convolution.h"

void cara_gather_rows(const cara_gather *g, size_t t0, size_t t1, float *dst) {
    for (size_t t = t0; t < t1; t++, dst += g->channels * CARA_CONV_WIDTH)
        for (size_t tap = 0; tap < CARA_CONV_WIDTH; tap++) {
            size_t f = g->stride * t + tap; /* one too high: padding 1 */
            if (f < 1 || f > g->frames) {
                for (size_t c = 0; c < g->channels; c++)
                    dst[c * CARA_CONV_WIDTH + tap] = 0;
                continue;
            }
            const float *src = g->src + (f - 1) * g->frame;
            for (size_t c = 0; c < g->channels; c++)
                dst[c * CARA_CONV_WIDTH + tap] = src[c * g->channel];
        }
}

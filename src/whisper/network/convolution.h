/* The encoder's convolutions as products: the frames that an output position sees become a row. */
#ifndef WHISPER_CONVOLUTION_H
#define WHISPER_CONVOLUTION_H

#include <stddef.h>

#define CARA_CONV_WIDTH 3 /* of both convolutions, padding 1 */

/* Row t holds, for each channel, the frames stride * t - 1, + 0, + 1 (zero outside), which is the
 * order of the weight [out, in, 3]. */
typedef struct cara_gather {
    const float *src;      /* channel c, frame f at src[c * channel + f * frame] */
    size_t channel, frame; /* steps in floats */
    size_t channels, frames, stride;
} cara_gather;

/* Of a mel [n_mels, row] whose first 2 * n_ctx frames count, for conv1: 2 * n_ctx rows. */
static inline cara_gather cara_gather_mel(const float *mel, size_t row, size_t n_mels,
                                          size_t n_ctx) {
    return (cara_gather){mel, row, 1, n_mels, 2 * n_ctx, 1};
}

/* Of conv1's output [2 * n_ctx, n_state], for conv2: n_ctx rows. */
static inline cara_gather cara_gather_conv1(const float *conv1, size_t n_state, size_t n_ctx) {
    return (cara_gather){conv1, 1, n_state, n_state, 2 * n_ctx, 2};
}

/* Rows [t0, t1) to dst [t1 - t0, channels * CARA_CONV_WIDTH]. */
void cara_gather_rows(const cara_gather *g, size_t t0, size_t t1, float *dst);

#endif

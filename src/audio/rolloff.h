/* The slope below 8 kHz that openai/whisper's own audio chain has, as a short symmetric filter. */
#ifndef AUDIO_ROLLOFF_H
#define AUDIO_ROLLOFF_H

#include <stddef.h>

#define CARA_ROLLOFF_HALF 11
#define CARA_ROLLOFF_BLOCK 2048

typedef struct cara_rolloff {
    float line[2 * CARA_ROLLOFF_HALF + CARA_ROLLOFF_BLOCK]; /* samples not yet left behind */
    size_t have;
} cara_rolloff;

/* Silence before the first sample. */
void cara_rolloff_start(cara_rolloff *filter);

/* Takes n <= CARA_ROLLOFF_BLOCK samples at 16 kHz and writes the filtered ones that are ready, at
 * most n + CARA_ROLLOFF_HALF, to dst; returns how many. The output lags by CARA_ROLLOFF_HALF
 * samples and is otherwise not delayed. */
size_t cara_rolloff_push(cara_rolloff *filter, const float *src /* [n] */, size_t n, float *dst);

/* The last samples, as if silence followed; at most CARA_ROLLOFF_HALF. */
size_t cara_rolloff_finish(cara_rolloff *filter, float *dst);

#endif

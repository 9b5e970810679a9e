/* Opus decoded at 16 kHz onto the samples that openai/whisper has: shifted by thirds of a sample
 * where a stream asks for it, and with the slope below 8 kHz of whisper's own audio chain. */
#ifndef AUDIO_OGG_ROLLOFF_H
#define AUDIO_OGG_ROLLOFF_H

#include <stddef.h>
#include <stdint.h>

#define CARA_ROLLOFF_BLOCK 1920 /* samples at 16 kHz that may come at once: 120 ms */
#define CARA_ROLLOFF_TAPS 24

/* Positions are in samples at 48 kHz from the beginning of the audio. */
typedef struct cara_rolloff {
    int64_t first;                                          /* the output sample of sums[0] */
    float sums[CARA_ROLLOFF_BLOCK + 2 * CARA_ROLLOFF_TAPS]; /* outputs that may still grow */
} cara_rolloff;

/* Silence before the first sample. */
void cara_rolloff_start(cara_rolloff *filter);

/* Adds n <= CARA_ROLLOFF_BLOCK samples, the first at `at`, each 3 behind the one before. `at` is at
 * most 2 behind the `end` of the last cara_rolloff_take(), and not before it. */
void cara_rolloff_add(cara_rolloff *filter, int64_t at, const float *src /* [n] */, size_t n);

/* Writes the outputs that no sample from `end` on can change, at most CARA_ROLLOFF_BLOCK + 12 where
 * `end` is at most 3 * CARA_ROLLOFF_BLOCK behind the last one; returns how many. */
size_t cara_rolloff_take(cara_rolloff *filter, int64_t end, float *dst);

/* The last outputs, at most 12, as if silence followed; with them there are as many as ffmpeg's
 * resampler makes: end / 3, rounded to the nearest. */
size_t cara_rolloff_finish(cara_rolloff *filter, int64_t end, float *dst);

#endif

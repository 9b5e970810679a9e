/* What int8 costs the encoder, layer by layer, beside what rounding alone would. */
#ifndef BENCH_ACCURACY_H
#define BENCH_ACCURACY_H

#include "whisper/network/compute.h"

/* Root mean squares over [n_audio_ctx, n_audio_state]. */
typedef struct cara_layer_accuracy {
    double states;   /* of the float encoder's numbers themselves */
    double int8;     /* of the int8 encoder's distance from them */
    double rounding; /* of the distance of a float encoder whose weights, by output channel, and
                      * inputs, by row, are rounded to the nearest of 255 steps */
} cara_layer_accuracy;

/* Runs the three encoders over mel [n_mels, 2 * n_audio_ctx] and fills layers
 * [n_audio_layer + 1]: the residual stream behind each block, and the states that come out. Takes
 * memory for the encoder's weights in f32 and in int8, and for all layers' states.
 * USAGE where the model's weights are int8 already, MEMORY, CANCELLED. */
int cara_accuracy_measure(const cara_compute *compute, const float *mel,
                          cara_layer_accuracy *layers, cara_error *err);

#endif

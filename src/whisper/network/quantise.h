/* A float model's weights in int8, made in memory. */
#ifndef WHISPER_QUANTISE_H
#define WHISPER_QUANTISE_H

#include "whisper/network/compute.h"

typedef struct cara_quantised cara_quantised;

/* 1 where any of the model's linear layers is stored in int8. */
int cara_weights_have_i8(const cara_model *model);

/* The weights of every linear layer, of the second convolution and of the token embedding; what is
 * int8 already, and all else, is the model's own. The first convolution stays as it is: it is 0.1 %
 * of the work, and its inputs are the mel itself. Uses the compute's kernels and pool. MEMORY. */
int cara_quantise(const cara_compute *compute, cara_quantised **out, cara_error *err);

const cara_weights *cara_quantised_weights(const cara_quantised *q); /* lives as long as q */
void cara_quantised_free(cara_quantised *q);

#endif

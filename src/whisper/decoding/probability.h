/* Probabilities of logits. Forbidden tokens hold -INFINITY, which these functions carry through:
 * where all are forbidden the results are NaN, as PyTorch's are. */
#ifndef WHISPER_PROBABILITY_H
#define WHISPER_PROBABILITY_H

#include "kernels/kernels.h"

#include <stddef.h>

/* The largest of x [n]; -INFINITY where n is 0. NaN is passed over. */
float cara_max(const float *x, size_t n);

/* Index of the first largest of x [n], n > 0; 0 where all are -INFINITY. */
size_t cara_argmax(const float *x, size_t n);

/* log(sum(exp(x))) of x [n]; -INFINITY where all are. */
float cara_log_sum_exp(const cara_kernels *kernels, const float *x, size_t n);

/* softmax(x / temperature) of x [n] to p [n], temperature > 0. Returns 0 where that is no
 * distribution: all are -INFINITY, or one is INFINITY or NaN; p is undefined then. */
int cara_softmax(const cara_kernels *kernels, const float *x, size_t n, double temperature,
                 float *p);

#endif

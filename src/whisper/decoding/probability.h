/* Probabilities of logits. Forbidden tokens hold -INFINITY, which these functions carry through:
 * where all are forbidden the outcomes are NaN, as PyTorch's are. */
#ifndef WHISPER_PROBABILITY_H
#define WHISPER_PROBABILITY_H

#include <stddef.h>

/* The largest of x [n]; -INFINITY where n is 0. */
float cara_max(const float *x, size_t n);

/* Index of the first largest of x [n], n > 0; 0 where all are -INFINITY. */
size_t cara_argmax(const float *x, size_t n);

/* log(sum(exp(x))) of x [n]; -INFINITY where all are. */
float cara_log_sum_exp(const float *x, size_t n);

#endif

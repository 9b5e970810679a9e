/* Which encoder position each token of a window belongs to: the arithmetic of find_alignment() of
 * whisper/timing.py (softmax, normalisation, median filter, dynamic time warping). */
#ifndef WHISPER_ALIGNMENT_H
#define WHISPER_ALIGNMENT_H

#include "base/memory/arena.h"
#include "kernels/kernels.h"

#include <stddef.h>
#include <stdint.h>

#define CARA_ALIGNMENT_SCRATCH(n_used) (3 * (n_used) + 6) /* floats */

/* Adds to sum [n_tokens, n_used] what each of n_heads heads says: of scores [n_heads, n_tokens,
 * n_positions], cross-attention before its softmax, the first n_used positions are normalised over
 * the tokens and filtered. The scores are overwritten. `scratch` is
 * [CARA_ALIGNMENT_SCRATCH(n_used)]. */
void cara_alignment_add(const cara_kernels *kernels, float *scores, size_t n_heads, size_t n_tokens,
                        size_t n_positions, size_t n_used, float *scratch, float *sum);

/* dtw() of -matrix [n_tokens, n_positions], both at least 1: the path along which the matrix is
 * highest, from its first element to its last. starts [n_tokens]: the first position on it of each
 * token. -1 where the arena has no memory. */
int cara_alignment_path(const float *matrix, size_t n_tokens, size_t n_positions, cara_arena *arena,
                        size_t *starts);

#endif

/* Beam search: BeamSearchDecoder of whisper/decoding.py, as a cara_strategy. */
#ifndef WHISPER_BEAMS_H
#define WHISPER_BEAMS_H

#include "base/memory/arena.h"
#include "whisper/decoding/strategy.h"

/* Most sequences that a window gives to rank: where so many as patience times beam_size (rounded,
 * at least 1: max_candidates of the reference) have ended, it is completed; where fewer than the
 * beams ended, finalize() adds others. */
size_t cara_beams_most(int beam_size, double patience);

/* Beam search for one window whose sequences have room for `cap` tokens each. All that it needs is
 * allocated here, in the arena; its rows are as many as beam_size. -1 where there is no memory. */
int cara_strategy_beams(const cara_kernels *kernels, int32_t n_vocab, int32_t eot, int beam_size,
                        double patience, size_t cap, cara_arena *arena, cara_strategy *out);

#endif

/* Several threads that share one pool, encoder and decoder. One of them computes at a time; what
 * they would feed to the decoder at the same time goes through it in one pass, so that its weights
 * are read once for all. */
#ifndef WHISPER_PASSES_H
#define WHISPER_PASSES_H

#include "whisper/network/decoder.h"

typedef struct cara_passes cara_passes;

/* NULL on no memory. */
cara_passes *cara_passes_new(void);
void cara_passes_free(cara_passes *passes);

/* Waits until nobody computes; nobody else does until leave(). */
void cara_passes_enter(cara_passes *passes);
void cara_passes_leave(cara_passes *passes);

/* From join() to part() the calling thread comes again and again with a forward(), and a pass waits
 * for it. In between it may enter(), and must not do what takes long. */
void cara_passes_join(cara_passes *passes);
void cara_passes_part(cara_passes *passes);

/* As cara_decoder_forward(), for a thread that has joined and not entered. All use one decoder, and
 * slots of their own. */
int cara_passes_forward(cara_passes *passes, cara_decoder *decoder, const cara_run *runs,
                        size_t n_runs, const size_t *wanted, size_t n_wanted, float *logits,
                        size_t n_vocab, cara_error *err);

#endif

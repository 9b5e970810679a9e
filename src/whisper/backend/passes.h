/* Several sessions over one backend. One of them computes at a time; tokens that several decode at
 * the same time go through the decoder in one pass, so that its weights are read once for all.
 *
 * A pass begins when all sessions between start() and finish() have called forward(); the last
 * caller runs it. No session waits for one that reads audio or encodes a window; those have
 * priority, so that they soon share passes. A pass that fails is run again for each session alone,
 * so that no session fails because of another. */
#ifndef WHISPER_PASSES_H
#define WHISPER_PASSES_H

#include "whisper/backend/backend.h"

typedef struct cara_passes cara_passes;

/* For n sessions over `backend`, which has n audios and n * n_slots slots, and is freed with this;
 * on failure it stays the caller's. NULL on no memory. */
cara_passes *cara_passes_new(cara_backend *backend, int n, int n_slots, size_t n_vocab);
void cara_passes_free(cara_passes *passes);

/* The backend of session `index`, 0 to n - 1: audio 0 and slots 0 to n_slots - 1 of its own. It may
 * be used by one thread while the others are used by others. Borrowed; ops->free does nothing. */
cara_backend *cara_passes_session(cara_passes *passes, int index);

#endif

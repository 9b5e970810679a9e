/* A Whisper model as the decoding code sees it: the encoder and the text decoder with its caches
 * (Inference and PyTorchInference of whisper/decoding.py, AudioEncoder and TextDecoder of
 * whisper/model.py). The CPU implements it (cpu.h); passes.h wraps it, so that several sessions
 * share one pass over the weights; tests implement it with fixed logits.
 *
 * An *audio* is one encoded window. A *slot* holds the self-attention cache of one sequence of
 * tokens, and names the audio that it attends to. The calls for one window:
 *
 *     encode_window(b, audio, mel, audio_ctx)
 *     reserve_slots(b, slot, n)             once, before the first use of a slot
 *     start(b, slot, audio)                 empties the slot
 *     forward(b, {slot, prompt, n}, ...)    the logits of the wanted tokens
 *     fork(b, slot, slot, n)                candidates: slots [slot, slot + n) become copies
 *     forward(b, n runs of one token)       a step of all of them
 *     reorder(b, slot, source, n)           beams: each continues another one's tokens
 *     forward(b, {slot, draft tokens, k})   k tokens at once, all their logits
 *     truncate(b, slot, length)             removes those that were rejected
 *     finish(b, slot)                       no more forward() for this window
 *
 * A backend is used by one thread at a time. Functions that return int give CARA_OK or the error's
 * code. */
#ifndef WHISPER_BACKEND_H
#define WHISPER_BACKEND_H

#include "base/error.h"
#include "whisper/network/decoder.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cara_backend cara_backend;

/* Polled per layer and per token; non-zero cancels the work. fn may be NULL: nothing cancels it. */
typedef struct cara_backend_stop {
    int (*fn)(void *cookie);
    void *cookie;
} cara_backend_stop;

typedef struct cara_backend_ops {
    /* From now on `stop` is polled. A call that it cancels fails with CANCELLED. */
    void (*set_stop)(cara_backend *b, cara_backend_stop stop);

    /* Encodes mel [n_mels, CARA_N_FRAMES], of which the first audio_ctx positions count (1 to
     * n_audio_ctx, two frames each), and keeps the cross-attention keys and values as `audio`.
     * Empties the slots that attend to it. Errors: CANCELLED and those of cara_model_await(); the
     * audio then counts as never set. */
    int (*encode_window)(cara_backend *b, int audio, const float *mel, size_t audio_ctx,
                         cara_error *err);

    /* Slots [first, first + n) have memory from now on. USAGE (no such slots), MEMORY. */
    int (*reserve_slots)(cara_backend *b, int first, int n, cara_error *err);

    /* Empties a slot, which then attends to `audio`. Until finish() the caller calls forward()
     * repeatedly, and does nothing slow in between. */
    void (*start)(cara_backend *b, int slot, int audio);
    void (*finish)(cara_backend *b, int slot);

    /* Keeps only the slot's first `length` tokens; does nothing where it has no more. */
    void (*truncate)(cara_backend *b, int slot, size_t length);

    /* Slots [first, first + n) become copies of `from`, which may be one of them. */
    void (*fork)(cara_backend *b, int from, int first, int n);

    /* Slot first + i continues what slot first + source[i] held, 0 <= source[i] < n
     * (rearrange_kv_cache of decoding.py). */
    void (*reorder)(cara_backend *b, int first, const int *source, int n);

    /* Feeds all runs and writes logits [n_wanted, n_vocab]: those after the tokens at the indices
     * `wanted`, which ascend and count over all runs in order. A run's logits never depend on the
     * other runs of the call; runs of up to CARA_FEW_ROWS tokens give the same bits as single
     * steps. On failure the slots are as before. USAGE (a slot that would exceed n_text_ctx, an
     * audio that was never set), CANCELLED, errors of cara_model_await(). */
    int (*forward)(cara_backend *b, const cara_run *runs, size_t n_runs, const size_t *wanted,
                   size_t n_wanted, float *logits, cara_error *err);

    /* forward() of one run, which also gives the cross-attention scores of some heads
     * (find_alignment() of timing.py); its logits are the same. NULL where the backend has no
     * scores. Errors as forward(), and USAGE where there is no such head. */
    int (*align)(cara_backend *b, const cara_run *run, const size_t *wanted, size_t n_wanted,
                 float *logits, const cara_alignment *alignment, cara_error *err);

    /* Frees the backend. */
    void (*free)(cara_backend *b);
} cara_backend_ops;

struct cara_backend { /* the first member of every implementation */
    const cara_backend_ops *ops;
};

static inline void cara_backend_free(cara_backend *b) {
    if (b)
        b->ops->free(b);
}

#endif

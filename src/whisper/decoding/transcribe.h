/* transcribe() of whisper/transcribe.py: windows in, segments out. */
#ifndef WHISPER_TRANSCRIBE_H
#define WHISPER_TRANSCRIBE_H

#include "base/error.h"
#include "transcript/result.h"
#include "whisper/decoding/decoding.h"
#include "whisper/decoding/settings.h"

/* What hears: mel, encoder and decoder behind three calls, so that the loop can be told handmade
 * windows by tests. Each may fail with CANCELLED, which ends the work early and well. */
typedef struct cara_listener {
    /* Turns to the n_frames mel frames from `seek` on; the rest of the 30 s is silence. */
    int (*turn_to)(void *ctx, int64_t seek, int64_t n_frames, cara_error *err);
    /* decode() of the window at hand; the outcome is in the arena. */
    int (*decode)(void *ctx, const cara_attempt *attempt, cara_arena *arena, cara_decoding *out,
                  cara_error *err);
    /* All before frame `done` is finished. */
    int (*progress)(void *ctx, int64_t done, cara_error *err);
    void *ctx;
} cara_listener;

/* Appends segments to the result and sets its text, no_speech and cut_short. On failure the result
 * holds the segments so far, without text. Errors: MEMORY, and those of the listener. */
int cara_listen(const cara_settings *settings, int64_t content_frames,
                const cara_listener *listener, cara_result_owner *result, cara_error *err);

#endif

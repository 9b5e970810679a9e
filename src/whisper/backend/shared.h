/* What sessions have in common: one, or several that take turns (cara_sessions_new()). */
#ifndef WHISPER_SHARED_H
#define WHISPER_SHARED_H

#include "whisper/backend/passes.h"
#include "whisper/mel/mel.h"
#include "whisper/network/decoder.h"
#include "whisper/network/encoder.h"
#include "whisper/network/quantise.h"

#include <caracola/transcribe.h>

/* Candidates that a session may decode in the common decoder; for more it has one of its own. */
#define CARA_SHARED_SLOTS 5

typedef struct cara_shared {
    int n; /* sessions that were made */
    int left;
    cara_cpu_level level;
    /* `poll` asks the session that computes; where several share a pass, each asks before it. */
    cara_compute compute;
    cara_session *current;     /* who computes, or NULL; one alone always does */
    cara_quantised *quantised; /* or NULL */
    cara_mel_tables *tables;
    cara_encoder *encoder;
    cara_decoder *decoder; /* with n > 1: n audios, n * CARA_SHARED_SLOTS slots */
    cara_passes *passes;
} cara_shared;

/* For n sessions. `poll` is called with the cara_shared. Errors as cara_session_new(). */
int cara_shared_new(const cara_model *model, const cara_session_options *options, int n,
                    int (*poll)(void *cookie), cara_shared **out, cara_error *err);

/* Between these, the session alone computes. */
void cara_shared_enter(cara_shared *shared, cara_session *session);
void cara_shared_leave(cara_shared *shared);

/* Makes the common decoder where there is none yet; within enter(). */
int cara_shared_decoder(cara_shared *shared, cara_error *err);

/* One session less; frees all with the last one. NULL is allowed. */
void cara_shared_release(cara_shared *shared);

#endif

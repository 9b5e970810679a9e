/* The inside of a cara_session: the backend that it transcribes with, and memory that is reused
 * from audio to audio. */
#ifndef WHISPER_SESSION_H
#define WHISPER_SESSION_H

#include "tokenizer/tokenizer.h"
#include "whisper/backend/backend.h"
#include "whisper/decoding/draft.h"
#include "whisper/mel/mel.h"

#include <caracola/transcribe.h>

/* What the sessions of one cara_sessions_new() have in common. */
typedef struct cara_session_group cara_session_group;

struct cara_session {
    cara_session_group *group;
    /* Borrowed from the group. */
    const cara_dims *dims;
    const cara_tokenizer *tokenizer;
    const cara_kernels *kernels;
    const cara_mel_tables *mel_tables;
    cara_pool *mel_pool;   /* threads for the mel, or NULL: the session's own thread */
    cara_backend *backend; /* audio 0 and slots 0 to CARA_MAX_CANDIDATES - 1 are the session's */

    cara_draft *draft; /* or NULL */
    float *mel;        /* [n_mels, CARA_N_FRAMES], the window */
    float *logits;     /* [logit_rows, n_vocab], made at the first window */
    size_t logit_rows;
    const cara_alignment_head *heads; /* [n_heads] of the model, borrowed */
    size_t n_heads;
    size_t result_limit; /* most bytes of a result */
};

#endif

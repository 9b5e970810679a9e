/* When each word of a window was said: find_alignment() and add_word_timestamps() of
 * whisper/timing.py. */
#ifndef WHISPER_WORD_TIMES_H
#define WHISPER_WORD_TIMES_H

#include "whisper/backend/backend.h"
#include "whisper/decoding/settings.h"
#include "whisper/words/placing.h"

#include <caracola/result.h>

/* Rows of logits [n_vocab] that are wanted at a time. */
#define CARA_WORD_LOGIT_ROWS 32

/* A window that was encoded as audio 0 of the backend, and decoded; slot 0 is free. */
typedef struct cara_word_window {
    const cara_settings *settings;
    cara_backend *backend;
    const cara_alignment_head *heads; /* [n_heads] */
    size_t n_heads;
    float *logits; /* scratch [CARA_WORD_LOGIT_ROWS, n_vocab] */
    int64_t seek;  /* its first mel frame */
    int64_t segment_size;
    size_t n_positions;           /* that the encoder computed */
    double last_speech_timestamp; /* seconds: the end of the words before */
} cara_word_window;

/* Sets the words of each segment, in the arena, and moves the segments' starts and ends to them.
 * Errors: MEMORY, and those of the backend (CANCELLED). */
int cara_add_word_timestamps(const cara_word_window *window, cara_cut *cut, cara_arena *arena,
                             cara_error *err);

#endif

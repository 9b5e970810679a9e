/* How a window's tokens are cut into segments, and where the next window begins: the part of
 * transcribe() of whisper/transcribe.py that needs neither audio nor text. */
#ifndef WHISPER_SEGMENTS_H
#define WHISPER_SEGMENTS_H

#include "base/memory/arena.h"
#include "whisper/decoding/decoding.h"

#include <caracola/result.h>

/* One segment of a window that is cut, not yet committed to the result. */
typedef struct cara_cut_segment {
    double start, end;     /* seconds of the audio */
    const int32_t *tokens; /* [n_tokens], borrowed from the decoding */
    size_t n_tokens;
    const cara_word *words; /* [n_words]; none yet */
    size_t n_words;
} cara_cut_segment;

typedef struct cara_cut {
    cara_cut_segment *segments; /* [n_segments], in the arena */
    size_t n_segments;
    int64_t advance;             /* mel frames from this window's start to the next one's */
    int single_timestamp_ending; /* no speech follows the last segment in this window */
} cara_cut;

/* The window that was decoded. */
typedef struct cara_cut_window {
    int64_t seek;            /* its first mel frame */
    int64_t segment_size;    /* its mel frames that hold audio */
    int64_t input_stride;    /* mel frames for each step of a timestamp: 2 */
    int32_t timestamp_begin; /* the token <|0.00|> */
} cara_cut_window;

/* Cuts at pairs of timestamps. MEMORY. */
int cara_cut_segments(const cara_cut_window *window, const cara_decoding *decoding,
                      cara_arena *arena, cara_cut *out, cara_error *err);

#endif

/* Words with their times to a window's segments: merge_punctuations() and the arithmetic of
 * add_word_timestamps() of whisper/timing.py. */
#ifndef WHISPER_PLACING_H
#define WHISPER_PLACING_H

#include "whisper/decoding/segments.h"

/* WordTiming */
typedef struct cara_word_timing {
    const char *word; /* "" where it became part of another */
    size_t n_tokens;
    double start, end; /* seconds from the window's start */
    double probability;
} cara_word_timing;

/* Sets the words of each segment, in the arena, and moves the segments' starts and ends to them.
 * `timings` [n], which are changed, are the words of all segments in order; n_texts [n_segments]
 * are the text tokens of each segment, and together those of all words. `prepended` and `appended`
 * are punctuation that belongs to the next word, or to the one before. `seek` is the window's first
 * mel frame, last_speech_timestamp the end of the words before it, in seconds. -1 where the arena
 * has no memory. */
int cara_place_words(cara_word_timing *timings, size_t n, const size_t *n_texts,
                     const char *prepended, const char *appended, int64_t seek,
                     double last_speech_timestamp, cara_cut *cut, cara_arena *arena);

/* get_end() of whisper/utils.py: the end of the last word, else of the last segment; -1 where there
 * is none. */
double cara_words_end(const cara_cut *cut);

#endif

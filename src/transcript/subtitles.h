/* Cues of VTT and SRT from the times of words: SubtitlesWriter.iterate_result() of
 * whisper/utils.py. */
#ifndef TRANSCRIPT_SUBTITLES_H
#define TRANSCRIPT_SUBTITLES_H

#include "base/memory/buf.h"

#include <caracola/writers.h>

/* Appends "START --> END", a line of text and an empty line; SRT also has the cue's number before
 * it, from 1 on. Failures stay in out->failed. */
void cara_subtitle_cue(cara_transcript_format format, size_t number, double start, double end,
                       const char *text, size_t n, cara_buf *out);

/* Appends the cues of a result whose segments have words. Words without text do not count. Failures
 * stay in out->failed. */
void cara_subtitles_of_words(const cara_result *result, cara_transcript_format format,
                             const cara_transcript_options *options, cara_buf *out);

#endif

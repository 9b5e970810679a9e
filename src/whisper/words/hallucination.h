/* Where the next window begins by the words of this one, and which of them the model may have
 * invented in silence: the part of transcribe() of whisper/transcribe.py that follows
 * add_word_timestamps(). */
#ifndef WHISPER_HALLUCINATION_H
#define WHISPER_HALLUCINATION_H

#include "whisper/words/word_times.h"

/* Sets cut->advance by the words of the window's segments. With `threshold` seconds (NaN: none),
 * segments of unlikely words with so much silence around them are removed, and the next window
 * begins where speech may. `content_frames` are the mel frames of the whole audio. Returns 1 where
 * nothing of this window counts. */
int cara_advance_by_words(const cara_word_window *window, double threshold, int64_t content_frames,
                          cara_cut *cut);

#endif

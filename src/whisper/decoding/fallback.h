/* Whether a window's result is good enough: the thresholds of decode_with_fallback() and of
 * transcribe() in whisper/transcribe.py. */
#ifndef WHISPER_FALLBACK_H
#define WHISPER_FALLBACK_H

#include "whisper/decoding/decoding.h"

#include <caracola/transcribe.h>

/* needs_fallback of decode_with_fallback(): 1 where the next temperature is to be tried. In each
 * comparison a threshold of NaN (None) and a value of NaN are false. */
int cara_needs_fallback(const cara_options *options, const cara_decoding *decoding);

/* should_skip: 1 where the window is likely silent and was not decoded with confidence. */
int cara_should_skip(const cara_options *options, const cara_decoding *decoding);

#endif

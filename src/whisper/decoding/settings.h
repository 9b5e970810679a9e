/* A caller's options, checked, with all that can be computed without the audio. */
#ifndef WHISPER_SETTINGS_H
#define WHISPER_SETTINGS_H

#include "base/error.h"
#include "base/memory/arena.h"
#include "tokenizer/tokenizer.h"
#include "whisper/decoding/decoding.h"

#include <caracola/model.h>
#include <caracola/transcribe.h>

typedef struct cara_settings {
    cara_options options; /* a copy; its pointers are the caller's */
    cara_dims dims;
    const cara_tokenizer *tokenizer;
    cara_decode_task task; /* sot_sequence is set by cara_settings_language() */
    int language;          /* index for cara_language_code(), or -1: to be detected */
    const int32_t *prompt; /* initial_prompt as tokens, [n_prompt] */
    size_t n_prompt;
    int has_prompt;
    const int64_t
        *clips; /* frames: start, end, start, ...; [n_clips], an odd one ends with the audio */
    size_t n_clips;
} cara_settings;

/* Checks `options` (NULL: the defaults) for a model with these dims, decoded with these kernels.
 * What it allocates is in the arena. Errors: USAGE, which name the option, its value and what it
 * takes; MEMORY. */
int cara_settings_check(const cara_options *options, const cara_dims *dims,
                        const cara_tokenizer *tokenizer, const cara_kernels *kernels,
                        cara_arena *arena, cara_settings *out, cara_error *err);

/* Positions of the encoder to compute for a window that holds n_frames mel frames of the audio. */
int64_t cara_settings_audio_ctx(const cara_settings *settings, int64_t n_frames);

/* Fixes the language, and with it the sot sequence. */
void cara_settings_language(cara_settings *settings, int language);

#endif

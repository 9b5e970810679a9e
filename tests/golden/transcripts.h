/* Transcribes a note with the nano model and compares with openai/whisper's transcript of it. */
#ifndef TESTS_GOLDEN_TRANSCRIPTS_H
#define TESTS_GOLDEN_TRANSCRIPTS_H

#include "base/error.h"

#include <caracola/caracola.h>

#include <jansson.h>

/* The model and one session at a CPU level, for a whole test program. */
typedef struct golden {
    cara_model *model;
    cara_session *session;
} golden;

void golden_open(golden *g, const char *cpu_level);
void golden_close(golden *g);

/* tests/data/golden/<path>, parsed; fails the test where it is missing. */
json_t *golden_json(const char *path);

/* Sets the options that openai/whisper was called with, beside temperature 0. Strings are borrowed
 * from the JSON. */
void golden_options(const json_t *given, cara_options *options);

/* Whether the goldens hold the very samples that openai/whisper was given of a note. */
int golden_has_samples(const char *note);

/* Transcribes a note, from those samples or from its Ogg file. The result is the caller's. */
cara_result *golden_transcribe(golden *g, const char *note, const cara_options *options,
                               int from_ogg);

/* How many fields differ beyond the tolerances of tests/data/golden/README.md; prints each. Only
 * the first `most` segments count where there are more, and then not the whole text. */
int golden_compare(const char *name, const cara_result *result, const json_t *expected,
                   int from_ogg, size_t most);

#endif

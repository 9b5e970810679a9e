/* Where transcripts go: standard output, or files named after the audio. */
#ifndef CLI_TRANSCRIBE_OUTPUT_H
#define CLI_TRANSCRIBE_OUTPUT_H

#include "cli/transcribe/flags.h"

#include <caracola/result.h>

/* "standard input" for "-", else the name itself. */
const char *cara_output_shown_name(const char *name);

/* Before any work: makes --output_dir, and refuses inputs that would write over each other or over
 * themselves. Says why; returns an exit status. */
int cara_output_check(const cara_transcribe_flags *flags, int n, char **names);

/* "[00:00.000 --> 00:02.000]  text" on standard output. */
void cara_output_segment(const cara_segment *segment);

/* Writes one result where the flags say. Errors of files; standard output's show when flushed. */
int cara_output_result(const cara_transcribe_flags *flags, const char *name,
                       const cara_result *result, cara_error *err);

/* The line that --json gives for a file that failed. */
void cara_output_json_error(const char *name, const cara_error *err);

#endif

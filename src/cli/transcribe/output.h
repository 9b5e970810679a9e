/* What `transcribe` prints on standard output. */
#ifndef CLI_TRANSCRIBE_OUTPUT_H
#define CLI_TRANSCRIBE_OUTPUT_H

#include "cli/transcribe/inputs.h"

#include <caracola/result.h>

/* "[00:00.000 --> 00:02.000]  text". `label` is put before each line of text, "LABEL: ", where
 * there are several files; else it is NULL. */
void cara_output_segment(const char *label, const cara_segment *segment);

/* "LABEL:" alone: of a file without any text. */
void cara_output_silence(const char *label);

/* The text, a segment a line. With a label, a file without any text has a line of its own. Errors
 * of standard output show when it is flushed. USAGE, MEMORY. */
int cara_output_text(const char *label, const cara_result *result, cara_error *err);

/* The lines of --json: of a result, and of a file that failed. */
int cara_output_json(const cara_transcribe_flags *flags, const cara_input *input,
                     const cara_result *result, cara_error *err);
void cara_output_json_error(const cara_input *input, const cara_error *err);

#endif

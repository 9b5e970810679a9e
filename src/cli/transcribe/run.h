/* Transcribes files, one after the other or several at once. */
#ifndef CLI_TRANSCRIBE_RUN_H
#define CLI_TRANSCRIBE_RUN_H

#include "cli/transcribe/inputs.h"
#include "cli/transcribe/table.h"

/* Transcribes all files and reports each in their order: standard output and files as the flags
 * say, remarks and failures on standard error. `options` are the flags' for this model. With
 * n_sessions > 1 that many are transcribed at once. `table` may be NULL. Returns the command's exit
 * status. */
int cara_transcribe_files(const cara_transcribe_flags *flags, const cara_options *options,
                          cara_session **sessions, int n_sessions, const cara_inputs *inputs,
                          cara_table *table);

#endif

/* The files that transcripts are written to: DIR/NAME.txt, .vtt, .srt, .tsv and .json.
 *
 * A transcript that was cut short replaces nothing but one that was cut short earlier. NAME.json
 * says of which kind the files of that name are: it has "cut_short" where they are cut, and is
 * written with them in that case even if no JSON was wanted. */
#ifndef CLI_TRANSCRIBE_FILES_H
#define CLI_TRANSCRIBE_FILES_H

#include "cli/transcribe/inputs.h"

#include <caracola/result.h>

typedef enum cara_written {
    CARA_WRITTEN,         /* as wanted */
    CARA_WRITTEN_EARLIER, /* a cut transcript: what an earlier run wrote stays */
    CARA_WRITTEN_NOTHING, /* a cut transcript without a segment, and none was there */
} cara_written;

/* Before any work: refuses inputs that would write over each other or over an input, and names that
 * are too long; makes the folders and tries to write into them. Says why; an exit status. */
int cara_files_check(const cara_transcribe_flags *flags, const cara_inputs *inputs);

/* 1 where all files that are wanted of an input are there, and are not cut short. */
int cara_files_are_whole(const cara_transcribe_flags *flags, const cara_input *input);

/* Writes the files of one result. IO, MEMORY; USAGE for what a format cannot express. */
int cara_files_write(const cara_transcribe_flags *flags, const cara_input *input,
                     const cara_result *result, cara_written *how, cara_error *err);

#endif

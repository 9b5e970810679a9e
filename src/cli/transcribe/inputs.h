/* The files to transcribe: operands, and what lies in folders. */
#ifndef CLI_TRANSCRIBE_INPUTS_H
#define CLI_TRANSCRIBE_INPUTS_H

#include "cli/transcribe/flags.h"

#include <stddef.h>

typedef struct cara_input {
    char *path;   /* as given, or found below a folder that was given; "-" is standard input */
    char *output; /* what its files are called below --output_dir, without an extension: NAME, or
                   * FOLDER/NAME where it was found in a folder */
} cara_input;

typedef struct cara_inputs {
    cara_input *at; /* [n], in the order of the operands; what is in a folder, by name */
    size_t n, cap;
    int named;        /* 1: text names its file, as there are several or a folder was given */
    size_t n_skipped; /* taken out again, as they are transcribed already */
    size_t n_unread;  /* folders, or parts of them, that could not be read; said already */
    size_t n_other;   /* files in folders that are no audio */
    char *other;      /* one of these, or NULL */
} cara_inputs;

/* "standard input" for "-", else the path itself. */
const char *cara_input_name(const cara_input *input);

/* Collects the files. With --recursive a folder stands for the audio in it and below it; without,
 * it stays an operand, which fails as such. Says what is wrong; returns an exit status. Free the
 * inputs in any case. */
int cara_inputs_collect(const cara_transcribe_flags *flags, int n, char **operands,
                        cara_inputs *inputs);

/* What one input points to. */
void cara_input_free(cara_input *input);
void cara_inputs_free(cara_inputs *inputs);

#endif

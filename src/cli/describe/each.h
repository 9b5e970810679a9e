/* Walks over commands and words, for the writers of this folder. */
#ifndef CLI_DESCRIBE_EACH_H
#define CLI_DESCRIBE_EACH_H

#include "cli/command.h"

/* The i-th command that can be run, those of groups in their place; NULL behind the last one. */
const cara_cli_command *cara_each_command(const cara_cli_command *const *commands, int i);
/* The last word of its name: "convert" of "model convert". */
const char *cara_each_own_name(const cara_cli_command *command);

/* 1 where a value is one of some words: choices, languages or commands. */
int cara_each_has_words(const cara_cli_value *value);
/* Writes those words, each behind `before`. */
void cara_each_word(const cara_cli_command *const *commands, const cara_cli_value *value,
                    const char *before, FILE *out);

/* Writes text for a place between single quotes of a shell: a line break is a blank, "'" ends the
 * quotes for a moment, and a character of `escaped` gets a backslash. */
void cara_each_escaped(const char *text, size_t n, const char *escaped, FILE *out);

/* Writes a template up to `marker`; returns what is behind it. */
const char *cara_each_before(const char *text, const char *marker, FILE *out);

#endif

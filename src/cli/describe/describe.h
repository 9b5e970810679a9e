/* Writes what shells and man know of the commands, from the commands' own tables. */
#ifndef CLI_DESCRIBE_DESCRIBE_H
#define CLI_DESCRIBE_DESCRIBE_H

#include "cli/command.h"

/* A completion script. `commands` ends with NULL. */
void cara_describe_bash(const cara_cli_command *const *commands, FILE *out);
void cara_describe_zsh(const cara_cli_command *const *commands, FILE *out);
void cara_describe_fish(const cara_cli_command *const *commands, FILE *out);

/* The man page of a command, or caracola(1) where it is NULL. `prose` is roff written by hand: what
 * stands before its first .SH ends the description, the rest comes after the exit status. `date` is
 * that of the page, "2026-11-24". */
void cara_describe_man(const cara_cli_command *const *commands, const cara_cli_command *command,
                       const char *prose, const char *date, FILE *out);

#endif

/* Names things in messages as the user of a command can change them. */
#ifndef CLI_NAMED_H
#define CLI_NAMED_H

#include "base/error.h"
#include "cli/command.h"

/* Which command runs: cara_cli_args_init() says it. */
void cara_cli_running(const cara_cli_command *command);

/* For commands whose settings come from variables, which flags replace: sets the variable, and
 * remembers that it was a flag. 0, or -1 where there is no memory. */
int cara_cli_set_variable(const char *variable, const char *value);

/* In an error's text:
 * - an option of libcaracola becomes the flag of the command, or its clause is left out
 *   (cara_error_name_options());
 * - CARACOLA_STORE becomes "--store" where that flag was given, "--store or CARACOLA_STORE" where
 *   neither was, and stays where the variable was set or the command has no such flag. */
void cara_cli_name(cara_error *err);

#endif

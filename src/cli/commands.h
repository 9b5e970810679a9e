/* All commands. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

/* In the order of `caracola help`; ends with NULL. */
extern const cara_cli_command *const cara_cli_commands[];

/* Runs the command that argv[1] names; returns an exit status. */
int cara_cli_run(int argc, char **argv);

#endif

/* What `setup` and `teardown` share: flags that name the place, and how progress is shown. */
#ifndef CLI_SETUP_SHARED_H
#define CLI_SETUP_SHARED_H

#include "cli/cli.h"
#include "deploy/deploy.h"

#define CARA_FLAG_STACK                                                                            \
    { "stack", 0, "NAME", "of the stack; default caracola" }
#define CARA_FLAG_AWS                                                                              \
    { "aws", 0, "PATH", "the AWS CLI, 2.9 or newer; without it the one in PATH" }
#define CARA_FLAG_YES                                                                              \
    { "yes", 'y', NULL, "ask nothing" }
#define CARA_FLAG_DRY_RUN                                                                          \
    { "dry-run", 'n', NULL, "change nothing, say what would be done" }

/* Lines on standard error; on a terminal also what is going on now. */
cara_progress cara_setup_progress(int dry);
/* `dst` gets a stack's name; -1 after saying what it may be. */
int cara_setup_stack(const char *value, const char **dst);
/* 1 once the user asks for an end. */
int cara_setup_stop(void *cookie);
/* Adds a word to a command line for a shell, in quotes where it needs some. 0, or -1 on no memory.
 */
int cara_setup_add_word(cara_buf *out, const char *word);

#endif

/* What `setup` is asked to do: by flags, by a file of answers, by answers on a terminal. */
#ifndef CLI_SETUP_REQUEST_H
#define CLI_SETUP_REQUEST_H

#include "cli/cli.h"
#include "cli/setup/ask.h"
#include "deploy/deploy.h"

typedef struct cara_setup {
    cara_awscli_options cli;
    cara_deploy_request request;
    int yes, dry, named;      /* named: something to be deployed was */
    const char *answers_file; /* --answers, or NULL */
    const char *write_file;   /* --write-answers, or NULL */
    const char *tags;         /* as --tags takes them, or NULL */
    json_t *file;             /* of the file of answers: owns texts above */
    char region[64];          /* that was asked for */
    cara_ask_answers answers;
} cara_setup;

/* The flags before those of the settings; ends with a NULL name. */
extern const cara_cli_option cara_setup_options[];
/* The settings of the template are flags too: more_options() of the command. */
int cara_setup_setting_option(int i, cara_cli_option *option, cara_cli_value *value);

/* Reads the file of answers, where --answers names one, and the flags, which win over it.
 * CARA_CLI_END, or what the process is to exit with, after saying why. */
int cara_setup_read(cara_setup *s, const cara_cli_command *command, int argc, char **argv);
void cara_setup_free(cara_setup *s);

/* Each flag that would ask for the same without any question: those that were given, in a file too,
 * and what was answered; without --yes, --dry-run, --answers and --write-answers. `value` is NULL
 * for a switch. Non-zero from `each` ends it and is returned. */
typedef int (*cara_setup_each_fn)(void *ctx, const char *name, const char *value);
int cara_setup_each(const cara_setup *s, const cara_deploy *d, cara_setup_each_fn each, void *ctx);

#endif

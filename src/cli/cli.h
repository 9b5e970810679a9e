/* What the commands share: exit codes, flags, messages, the terminal.
 *
 * The rules that users may rely on: results go to standard output, everything else to standard
 * error; an error is one line that starts with "caracola: "; the exit status is one of the table.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/error.h"
#include "cli/command.h"
#include "json/json.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The one table of exit codes; docs/cli.md and the README say the same (a test compares). */
typedef enum cara_exit {
    CARA_EXIT_OK = 0,
    CARA_EXIT_SOME = 1,          /* some inputs failed, the others were done */
    CARA_EXIT_USAGE = 2,         /* a flag, value or command that does not exist or fit */
    CARA_EXIT_AUDIO = 3,         /* audio could not be read */
    CARA_EXIT_MODEL = 4,         /* the model or its vocabulary could not be used */
    CARA_EXIT_FILES = 5,         /* a file, folder, store or standard output failed */
    CARA_EXIT_EVENT = 6,         /* an event could not be understood */
    CARA_EXIT_REMOTE = 7,        /* the network or a remote service failed */
    CARA_EXIT_DOCTOR = 8,        /* doctor found a failure */
    CARA_EXIT_INTERNAL = 70,     /* a defect of ours, or no memory */
    CARA_EXIT_INTERRUPTED = 130, /* SIGINT or SIGTERM; what was finished is kept */
} cara_exit;

/* What each means, for `caracola help` and the man page. */
extern const cara_cli_status cara_cli_statuses[];

/* The exit status for a cara_code; CARA_OK gives 0. */
cara_exit cara_cli_exit_for(int code);

/* Prints "caracola: <sentence>" to standard error and returns `status`. */
cara_exit cara_cli_fail(cara_exit status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for a filled error: prints its text, as cara_cli_name() words it, and returns its exit
 * status. */
cara_exit cara_cli_fail_error(const cara_error *err);
/* A remark that changes no status: "caracola: <sentence>" on standard error. */
void cara_cli_remark(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Flags that several commands have, as entries of their tables. */
#define CARA_FLAG_REGION                                                                           \
    { "region", 0, "NAME", "as us-east-1; without it $AWS_REGION or the profile's" }
#define CARA_FLAG_PROFILE                                                                          \
    { "profile", 0, "NAME", "of ~/.aws; without it $AWS_PROFILE, else default" }

/* ---- the model to use ---- */

/* The model's file: --model if given, else $CARACOLA_MODEL, else the demo model (a line on standard
 * error says so unless `quiet`). *out is malloc'd and the caller's. USAGE for s3://bucket/key,
 * NOT_FOUND where the demo model is missing. */
int cara_cli_model_file(const char *flag, int quiet, char **out, cara_error *err);
/* Prints that line. */
void cara_cli_remark_demo(void);

/* ---- the terminal ---- */

/* 1 where `stream` is a terminal, NO_COLOR is unset or empty, and TERM is not "dumb". */
int cara_cli_colours(FILE *stream);

/* Set by SIGINT and SIGTERM after cara_cli_catch_signals(); a second one ends the process. */
int cara_cli_interrupted(void);
void cara_cli_catch_signals(void);

/* Prints paragraphs, wrapped at 80 columns, and a newline. The first line begins at `column`, where
 * the caller has left the cursor; the others are put behind as many blanks. '\n' is a blank, but
 * keeps an empty line, and a line that begins with a blank, as they are. */
void cara_cli_print_wrapped(const char *text, int column, FILE *out);

/* Prints `value` and a newline on standard output. The reference is taken over; NULL is what could
 * not be built for lack of memory. Returns 0, or -1 where there was no memory; errors of standard
 * output are left to cara_cli_flush_stdout(). */
int cara_cli_print_json(json_t *value, cara_json_style style);

/* Flushes standard output. CARA_EXIT_OK, or CARA_EXIT_FILES after saying what failed (a full disk,
 * a closed pipe). */
cara_exit cara_cli_flush_stdout(void);

/* ---- the commands ---- */

extern const cara_cli_command cara_command_transcribe, cara_command_handle, cara_command_worker,
    cara_command_setup, cara_command_teardown, cara_command_model, cara_command_bench,
    cara_command_doctor;

/* 1 where the process was started as a Lambda function (docs/aws.md); then it runs this. */
int cara_cli_is_lambda(int argc, char **argv);
int cara_cmd_lambda(void);

#endif

/* The tables of commands and flags, and the parser that reads them.
 *
 * One table a command says everything: the parser, --help, the shells' completions and the man
 * pages all read it, so that none of them can miss a flag.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- what a command is ---- */

typedef enum cara_cli_kind {
    CARA_CLI_TEXT,     /* anything */
    CARA_CLI_NUMBER,   /* a number; `choices` are words that are taken too */
    CARA_CLI_FILE,     /* a file whose name ends as one of `suffixes` says; without them, any */
    CARA_CLI_FOLDER,   /* a folder, or one of `choices` */
    CARA_CLI_CHOICE,   /* one of `choices` */
    CARA_CLI_LIST,     /* some of `choices`, joined by commas */
    CARA_CLI_LANGUAGE, /* a language's code or name, or one of `choices` */
    CARA_CLI_COMMAND   /* the name of a command */
} cara_cli_kind;

/* What the word means that stands for a value or an operand in --help. */
typedef struct cara_cli_value {
    const char *word; /* "FILE" */
    cara_cli_kind kind;
    const char *choices;  /* "True False", with a blank between; NULL: none */
    const char *suffixes; /* ".cara .pt"; NULL: any name */
} cara_cli_value;

typedef struct cara_cli_option {
    const char *name;  /* with hyphens; the spelling with underscores is taken too */
    char letter;       /* short form, or 0 */
    const char *value; /* the word for what it takes ("FILE"), or NULL for a bare switch */
    const char *help;  /* wrapped where it is shown; '\n' is a blank */
} cara_cli_option;

/* What to write in the place of a flag that other programs have; or of a command. */
typedef struct cara_cli_advice {
    const char *name;    /* "--output_srt", with underscores; NULL ends the list */
    const char *another; /* "-osrt", or NULL */
    const char *advice;  /* "-f srt writes it" */
} cara_cli_advice;

/* One line of a command's "Exit status". */
typedef struct cara_cli_status {
    int status;          /* a cara_exit */
    const char *meaning; /* wrapped where it is shown; '\n' is a blank. NULL ends the list */
} cara_cli_status;

typedef struct cara_cli_command {
    const char *name;                  /* "transcribe", "model convert" */
    const char *summary;               /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is its name; returns an exit status */
    const char *operands;              /* "FILE...", words of `values`; NULL for none */
    const char *details;               /* paragraphs of --help and the man page, or NULL */
    const cara_cli_option *options; /* ends with a NULL name, or NULL; --help is added by itself */
    /* Flags behind those of `options` that are read from elsewhere, or NULL: fills in the i-th and
     * what its word means; returns 0, or -1 where there is none. */
    int (*more_options)(int i, cara_cli_option *option, cara_cli_value *value);
    const cara_cli_value *values;    /* its own words; ends with a NULL word, or NULL */
    const cara_cli_advice *advice;   /* ends with a NULL name, or NULL */
    const cara_cli_status *statuses; /* what it may end with, or NULL for a group */
    /* Of a group such as "model", which has no `run`: its commands, ending with NULL. */
    const struct cara_cli_command *const *commands;
} cara_cli_command;

/* ---- what the table says, resolved ---- */

#define CARA_CLI_MAX_OPTIONS 64

typedef struct cara_cli_flag {
    cara_cli_option option;
    cara_cli_value value; /* a NULL word for a bare switch */
    char shown[64];       /* "--output_format" */
    char hyphens[64];     /* "--output-format"; the same where there is one word */
} cara_cli_flag;

/* All flags of a command with --help as the last; returns how many. */
int cara_cli_flags(const cara_cli_command *command, cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1]);

/* What a word means for a command: its own words first, then those that commands share. A word
 * that is in no table has no kind: `known` (may be NULL) then is 0, and the word is taken as text.
 */
cara_cli_value cara_cli_word(const cara_cli_command *command, const char *word, size_t n,
                             int *known);

/* The i-th operand's word, without brackets and "..."; `many` is 1 where more of it may follow.
 * Returns 0, or -1 where the command has no such operand. */
int cara_cli_operand(const cara_cli_command *command, int i, cara_cli_value *value, int *many);

/* The next of words with blanks between, from *at on, which is moved behind it; its length, or 0
 * at the end. */
size_t cara_cli_next_word(const char **at, const char **word);

/* Prints what --help shows. */
void cara_cli_print_help(const cara_cli_command *command, FILE *out);

/* ---- the parser ---- */

enum { CARA_CLI_END = -1, CARA_CLI_HELP = -2, CARA_CLI_BAD = -3 };

typedef struct cara_cli_args {
    const cara_cli_command *command;
    int argc;
    char **argv;       /* operands are moved behind the flags */
    int operands;      /* after CARA_CLI_END: argv[operands .. argc) are the operands */
    const char *value; /* of the flag just returned, or NULL */
    const char *flag;  /* the flag just returned as it should be shown: "--output_format" */
    int n_flags;       /* with --help */
    int at;            /* the flag just returned */
    cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1];
} cara_cli_args;

/* argv[0] is the command's own name and is skipped. */
void cara_cli_args_init(cara_cli_args *args, const cara_cli_command *command, int argc,
                        char **argv);

/* The next flag as its index in command->options, behind them those of more_options();
 * CARA_CLI_END after the last one; CARA_CLI_HELP where --help was given (printed already: exit with
 * 0); CARA_CLI_BAD where a flag is unknown or lacks its value (reported already: exit with
 * CARA_EXIT_USAGE). */
int cara_cli_args_next(cara_cli_args *args);

/* Values of the flag just returned. Each returns 0, or -1 after saying which flag, what it got and
 * what it takes. `none` (may be NULL) says whether "None" is taken; it then is set to 1 or 0. */
int cara_cli_int(const cara_cli_args *args, int64_t min, int64_t max, int *none, int64_t *out);
int cara_cli_double(const cara_cli_args *args, double min, double max, int *none, double *out);
int cara_cli_bool(const cara_cli_args *args, int *out); /* True or False, as openai's command */
/* One of the choices of the flag's word; *out is its index. */
int cara_cli_choice(const cara_cli_args *args, int *out);
/* For a command's own checks: prints `--flag takes <takes>, got "value"` and returns -1. */
int cara_cli_bad_value(const cara_cli_args *args, const char *takes);

/* ---- what was meant ---- */

/* The nearest of `names` (ends with NULL) to what was typed, or NULL where none is near: about one
 * slip in four letters, of a letter that is missing, too much, another or in its neighbour's place.
 * Hyphens before a name do not count as letters. */
const char *cara_cli_nearest(const char *typed, const char *const *names);
/* The advice for a name, or NULL. `list` may be NULL. */
const char *cara_cli_advice_for(const cara_cli_advice *list, const char *name);
/* The same for a long flag as it was typed: with hyphens, and with its value behind "=". */
const char *cara_cli_advice_for_long(const cara_cli_advice *list, const char *typed);
/* What to say of a flag that a command does not have, "did you mean --x?", in dst. `typed` is the
 * argument as it was given. */
void cara_cli_suggest_flag(const cara_cli_args *args, const char *typed, char *dst, size_t size);

#endif

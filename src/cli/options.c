/* The parser of flags: one table a command, read by getopt_long under both spellings. */
#include "cli/cli.h"

#include <getopt.h>
#include <string.h>

enum { HELP = 1000, FIRST = 2000 }; /* val of --help and of the first flag */

void cara_cli_args_init(cara_cli_args *args, const cara_cli_command *command, int argc,
                        char **argv) {
    memset(args, 0, sizeof *args);
    args->command = command;
    args->argc = argc;
    args->argv = argv;
    args->n_flags = cara_cli_flags(command, args->flags);
    optind = 0; /* GNU: start over */
    opterr = 0; /* errors are printed here */
}

static int unknown_flag(cara_cli_args *args, const char *typed) {
    const char *list[CARA_CLI_MAX_OPTIONS + 2] = {NULL};
    for (int i = 0; i < args->n_flags; i++)
        list[i] = args->flags[i].shown;
    char flag[64];
    snprintf(flag, sizeof flag, "%.*s", (int)strcspn(typed, "="), typed);
    for (char *p = flag; *p; p++)
        if (*p == '-' && p > flag + 1)
            *p = '_';
    const char *near = cara_cli_nearest(flag, list);
    if (near)
        cara_cli_fail(CARA_EXIT_USAGE, "%s has no flag %s; did you mean %s?", args->command->name,
                      flag, near);
    else
        cara_cli_fail(CARA_EXIT_USAGE, "%s has no flag %s; `caracola help %s` lists its flags",
                      args->command->name, flag, args->command->name);
    return CARA_CLI_BAD;
}

/* Both spellings of every flag as getopt_long wants them. */
typedef struct getopt_tables {
    struct option longs[2 * CARA_CLI_MAX_OPTIONS + 3];
    char shorts[2 * CARA_CLI_MAX_OPTIONS + 8];
} getopt_tables;

static void fill_tables(const cara_cli_args *args, getopt_tables *t) {
    size_t n_longs = 0, n_shorts = 0;
    t->shorts[n_shorts++] = ':';
    for (int i = 0; i < args->n_flags; i++) {
        const cara_cli_flag *flag = &args->flags[i];
        int takes = flag->option.value ? required_argument : no_argument;
        int val = i == args->n_flags - 1 ? HELP : FIRST + i;
        t->longs[n_longs++] = (struct option){flag->shown + 2, takes, NULL, val};
        if (strcmp(flag->shown, flag->hyphens) != 0)
            t->longs[n_longs++] = (struct option){flag->hyphens + 2, takes, NULL, val};
        if (flag->option.letter) {
            t->shorts[n_shorts++] = flag->option.letter;
            if (takes == required_argument)
                t->shorts[n_shorts++] = ':';
        }
    }
    t->shorts[n_shorts] = '\0';
    t->longs[n_longs] = (struct option){NULL, 0, NULL, 0};
}

int cara_cli_args_next(cara_cli_args *args) {
    getopt_tables tables;
    fill_tables(args, &tables);
    int n = args->n_flags - 1; /* without --help */
    int before = optind > 0 ? optind : 1;
    int got = getopt_long(args->argc, args->argv, tables.shorts, tables.longs, NULL);
    if (got == -1) {
        args->operands = optind;
        return CARA_CLI_END;
    }
    if (got == 'h' || got == HELP) {
        cara_cli_print_help(args->command, stdout);
        return CARA_CLI_HELP;
    }
    const char *typed = optind > before ? args->argv[optind - 1] : args->argv[before];
    int at = got - FIRST;
    if (got < FIRST || at >= n)
        for (at = 0; at < n; at++)
            if (args->flags[at].option.letter &&
                args->flags[at].option.letter == (got == ':' ? optopt : got))
                break;
    if (got == ':') {
        if (optopt >= FIRST)
            at = optopt - FIRST;
        int known = at >= 0 && at < n;
        cara_cli_fail(CARA_EXIT_USAGE, "%s takes a value (%s), got none",
                      known ? args->flags[at].shown : "a flag",
                      known ? args->flags[at].option.value : "see --help");
        return CARA_CLI_BAD;
    }
    if (got == '?') {
        if (optopt >= HELP) { /* a bare switch that was given a value */
            const char *flag = optopt == HELP ? "--help" : args->flags[optopt - FIRST].shown;
            cara_cli_fail(CARA_EXIT_USAGE, "%s takes no value, got \"%s\"", flag,
                          strchr(typed, '=') ? strchr(typed, '=') + 1 : typed);
            return CARA_CLI_BAD;
        }
        if (optopt != 0 && typed[0] == '-' && typed[1] != '-') {
            char letter[3] = {'-', (char)optopt, '\0'};
            return unknown_flag(args, letter);
        }
        return unknown_flag(args, typed);
    }
    args->at = at;
    args->flag = args->flags[at].shown;
    args->value = args->flags[at].option.value ? optarg : NULL;
    return at;
}

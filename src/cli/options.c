/* The parser of flags: one table a command, read by getopt_long under both spellings. */
#include "cli/cli.h"
#include "cli/named.h"

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
    cara_cli_running(command);
    optind = 0; /* GNU: start over */
    opterr = 0; /* errors are printed here */
}

static int unknown_flag(const cara_cli_args *args, const char *typed) {
    char meant[512];
    cara_cli_suggest_flag(args, typed, meant, sizeof meant);
    cara_cli_fail(CARA_EXIT_USAGE, "%s has no flag %.*s%s", args->command->name,
                  (int)strcspn(typed, "="), typed, meant);
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

/* Index of the flag with a letter; there is one. */
static int find_letter(const cara_cli_args *args, int letter) {
    int at = 0;
    while (args->flags[at].option.letter != letter)
        at++;
    return at;
}

static int lacks_value(const cara_cli_args *args) {
    const cara_cli_flag *flag =
        &args->flags[optopt >= FIRST ? optopt - FIRST : find_letter(args, optopt)];
    cara_cli_fail(CARA_EXIT_USAGE, "%s takes a value (%s), got none", flag->shown,
                  flag->option.value);
    return CARA_CLI_BAD;
}

/* After getopt_long() gave '?'; `typed` is the argument where it is a long flag. */
static int is_no_flag(const cara_cli_args *args, const char *typed) {
    if (optopt >= HELP) { /* a bare switch that was given a value */
        const char *flag = optopt == HELP ? "--help" : args->flags[optopt - FIRST].shown;
        cara_cli_fail(CARA_EXIT_USAGE, "%s takes no value, got \"%s\"", flag,
                      strchr(typed, '=') ? strchr(typed, '=') + 1 : typed);
        return CARA_CLI_BAD;
    }
    if (optopt == 0)
        return unknown_flag(args, typed);
    /* One of several letters in a word: the word is still the next one, unless it was the last. */
    for (int i = optind; i >= optind - 1; i--) {
        const char *word = i < args->argc ? args->argv[i] : "";
        if (word[0] == '-' && word[1] != '-' && strchr(word + 1, optopt) &&
            cara_cli_advice_for(args->command->advice, word))
            return unknown_flag(args, word);
    }
    const char letter[3] = {'-', (char)optopt, '\0'};
    return unknown_flag(args, letter);
}

/* The long flag that getopt_long() read, as it was typed. */
static const char *long_word(const cara_cli_args *args) {
    const char *last = args->argv[optind - 1];
    return optarg && optarg == last ? args->argv[optind - 2] : last;
}

int cara_cli_args_next(cara_cli_args *args) {
    getopt_tables tables;
    fill_tables(args, &tables);
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
    int at = got - FIRST;
    if (got == ':')
        return lacks_value(args);
    if (got == '?')
        return is_no_flag(args, optind > before ? args->argv[optind - 1] : args->argv[before]);
    if (got < FIRST) {
        at = find_letter(args, got);
        /* "-osrt" is -o with a folder "srt", but not for those who come from whisper.cpp. */
        const char *word = args->argv[optind - 1];
        if (optarg == word + 2 && cara_cli_advice_for(args->command->advice, word))
            return unknown_flag(args, word);
    } else if (cara_cli_advice_for_long(args->command->advice, long_word(args))) {
        /* "--input" is short for --input_format, but not for those who come from elsewhere. */
        return unknown_flag(args, long_word(args));
    }
    args->at = at;
    args->flag = args->flags[at].shown;
    args->value = args->flags[at].option.value ? optarg : NULL;
    return at;
}

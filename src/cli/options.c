/* Flags: one table a command, read by getopt_long under both spellings, shown by --help. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HELP = 1000, FIRST = 2000 }; /* val of --help and of options[0] */

static int count(const cara_cli_option *options) {
    int n = 0;
    while (options && options[n].name)
        n++;
    return n;
}

/* openai's command shows its flags with underscores, and so do our messages. */
static void shown_name(const char *name, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "--%s", name);
    for (size_t i = 2; i < n && i < size; i++)
        if (out[i] == '-')
            out[i] = '_';
}

void cara_cli_args_init(cara_cli_args *args, const cara_cli_command *command, int argc,
                        char **argv) {
    memset(args, 0, sizeof *args);
    args->command = command;
    args->argc = argc;
    args->argv = argv;
    optind = 0; /* GNU: start over */
    opterr = 0; /* errors are printed here */
}

static int unknown_flag(cara_cli_args *args, const char *typed) {
    const cara_cli_option *options = args->command->options;
    char names[CARA_CLI_MAX_OPTIONS][64];
    const char *list[CARA_CLI_MAX_OPTIONS + 1] = {NULL};
    int n = count(options);
    for (int i = 0; i < n && i < CARA_CLI_MAX_OPTIONS; i++) {
        shown_name(options[i].name, names[i], sizeof names[i]);
        list[i] = names[i];
    }
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

static void print_help(const cara_cli_command *command, FILE *out) {
    fprintf(out, "caracola %s: %s\n\nUsage: caracola %s [FLAG]...%s%s\n\nFlags:\n", command->name,
            command->summary, command->name, command->operands ? " " : "",
            command->operands ? command->operands : "");
    static const cara_cli_option help = {"help", 'h', NULL, "show this"};
    int n = count(command->options);
    for (int i = 0; i <= n; i++) {
        const cara_cli_option *option = i < n ? &command->options[i] : &help;
        char flag[64], left[128];
        shown_name(option->name, flag, sizeof flag);
        char letter[8] = "    ";
        if (option->letter)
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        snprintf(left, sizeof left, "  %s%s%s%s", letter, flag, option->value ? " " : "",
                 option->value ? option->value : "");
        enum { COLUMN = 34 };
        if (strlen(left) >= COLUMN)
            fprintf(out, "%s\n%*s", left, COLUMN, "");
        else
            fprintf(out, "%-*s", COLUMN, left);
        for (const char *p = option->help; *p; p++) {
            fputc(*p, out);
            if (*p == '\n')
                fprintf(out, "%*s", COLUMN, "");
        }
        fputc('\n', out);
    }
    if (command->details && *command->details)
        fprintf(out, "\n%s%s", command->details,
                command->details[strlen(command->details) - 1] == '\n' ? "" : "\n");
}

int cara_cli_args_next(cara_cli_args *args) {
    const cara_cli_option *options = args->command->options;
    struct option longs[2 * CARA_CLI_MAX_OPTIONS + 2];
    char names[CARA_CLI_MAX_OPTIONS][64];
    char shorts[2 * CARA_CLI_MAX_OPTIONS + 8] = ":h";
    size_t n_longs = 0, n_shorts = strlen(shorts);
    int n = count(options);
    if (n > CARA_CLI_MAX_OPTIONS) {
        cara_cli_fail(CARA_EXIT_INTERNAL, "%s has too many flags", args->command->name);
        return CARA_CLI_BAD;
    }
    for (int i = 0; i < n; i++) {
        int takes = options[i].value ? required_argument : no_argument;
        longs[n_longs++] = (struct option){options[i].name, takes, NULL, FIRST + i};
        if (strchr(options[i].name, '-')) {
            snprintf(names[i], sizeof names[i], "%s", options[i].name);
            for (char *p = names[i]; *p; p++)
                if (*p == '-')
                    *p = '_';
            longs[n_longs++] = (struct option){names[i], takes, NULL, FIRST + i};
        }
        if (options[i].letter) {
            shorts[n_shorts++] = options[i].letter;
            if (takes == required_argument)
                shorts[n_shorts++] = ':';
        }
    }
    shorts[n_shorts] = '\0';
    longs[n_longs++] = (struct option){"help", no_argument, NULL, HELP};
    longs[n_longs] = (struct option){NULL, 0, NULL, 0};

    int before = optind > 0 ? optind : 1;
    int got = getopt_long(args->argc, args->argv, shorts, longs, NULL);
    if (got == -1) {
        args->operands = optind;
        return CARA_CLI_END;
    }
    if (got == 'h' || got == HELP) {
        print_help(args->command, stdout);
        return CARA_CLI_HELP;
    }
    const char *typed = optind > before ? args->argv[optind - 1] : args->argv[before];
    int at = got - FIRST;
    if (got < FIRST || at >= n)
        for (at = 0; at < n; at++)
            if (options[at].letter && options[at].letter == (got == ':' ? optopt : got))
                break;
    if (got == ':') {
        if (optopt >= FIRST)
            at = optopt - FIRST;
        char flag[64] = "a flag";
        if (at >= 0 && at < n)
            shown_name(options[at].name, flag, sizeof flag);
        cara_cli_fail(CARA_EXIT_USAGE, "%s takes a value (%s), got none", flag,
                      at >= 0 && at < n ? options[at].value : "see --help");
        return CARA_CLI_BAD;
    }
    if (got == '?') {
        if (optopt >= FIRST) { /* a bare switch that was given a value */
            char flag[64];
            shown_name(options[optopt - FIRST].name, flag, sizeof flag);
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
    shown_name(options[at].name, args->flag_text, sizeof args->flag_text);
    args->flag = args->flag_text;
    args->value = options[at].value ? optarg : NULL;
    return at;
}

int cara_cli_bad_value(const cara_cli_args *args, const char *takes) {
    cara_cli_fail(CARA_EXIT_USAGE, "%s takes %s, got \"%s\"", args->flag, takes, args->value);
    return -1;
}

static int is_none(const cara_cli_args *args, int *none) {
    if (!none)
        return 0;
    *none = strcmp(args->value, "None") == 0 || strcmp(args->value, "none") == 0;
    return *none;
}

int cara_cli_int(const cara_cli_args *args, int64_t min, int64_t max, int *none, int64_t *out) {
    if (is_none(args, none))
        return 0;
    char *end = NULL;
    errno = 0;
    long long value = strtoll(args->value, &end, 10);
    if (args->value[0] == '\0' || *end != '\0' || errno != 0 || value < min || value > max) {
        char takes[128];
        if (max == INT64_MAX)
            snprintf(takes, sizeof takes, "a whole number from %lld%s", (long long)min,
                     none ? ", or None" : "");
        else
            snprintf(takes, sizeof takes, "a whole number from %lld to %lld%s", (long long)min,
                     (long long)max, none ? ", or None" : "");
        return cara_cli_bad_value(args, takes);
    }
    *out = value;
    return 0;
}

int cara_cli_double(const cara_cli_args *args, double min, double max, int *none, double *out) {
    if (is_none(args, none))
        return 0;
    char *end = NULL;
    errno = 0;
    double value = strtod(args->value, &end);
    if (args->value[0] == '\0' || *end != '\0' || errno != 0 || !isfinite(value) || value < min ||
        value > max) {
        char takes[128];
        const char *or_none = none ? ", or None" : "";
        if (min == -HUGE_VAL && max == HUGE_VAL)
            snprintf(takes, sizeof takes, "a number%s", or_none);
        else if (max == HUGE_VAL)
            snprintf(takes, sizeof takes, "a number from %g%s", min, or_none);
        else
            snprintf(takes, sizeof takes, "a number from %g to %g%s", min, max, or_none);
        return cara_cli_bad_value(args, takes);
    }
    *out = value;
    return 0;
}

int cara_cli_bool(const cara_cli_args *args, int *out) {
    if (strcmp(args->value, "True") == 0 || strcmp(args->value, "true") == 0) {
        *out = 1;
        return 0;
    }
    if (strcmp(args->value, "False") == 0 || strcmp(args->value, "false") == 0) {
        *out = 0;
        return 0;
    }
    return cara_cli_bad_value(args, "True or False");
}

int cara_cli_choice(const cara_cli_args *args, const char *const *choices, int *out) {
    char takes[256] = "one of";
    for (int i = 0; choices[i]; i++) {
        if (strcmp(args->value, choices[i]) == 0) {
            *out = i;
            return 0;
        }
        size_t n = strlen(takes);
        snprintf(takes + n, sizeof takes - n, "%s %s", i ? "," : "", choices[i]);
    }
    return cara_cli_bad_value(args, takes);
}

/* Edits between two words (Levenshtein), for words of ordinary length. */
static size_t distance(const char *a, const char *b) {
    enum { MOST = 48 };
    size_t n = strlen(a), m = strlen(b), row[MOST + 1];
    if (n > MOST || m > MOST)
        return MOST;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *cara_cli_nearest(const char *typed, const char *const *names) {
    const char *best = NULL;
    size_t least = strlen(typed) / 3 + 1; /* about one typo in three letters */
    for (; *names; names++) {
        size_t d = distance(typed, *names);
        if (d <= least) {
            if (d < least || !best)
                best = *names;
            least = d;
        }
    }
    return best;
}

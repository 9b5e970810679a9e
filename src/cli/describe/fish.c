/* The completion for fish: a `complete` for each flag and command. */
#include "cli/describe/describe.h"
#include "cli/describe/each.h"
#include "cli/describe/templates.h"

#include <string.h>

/* What a value takes: " -r -F", " -x -a 'True False'". */
static void print_kind(const cara_cli_command *const *commands, const cara_cli_value *value,
                       FILE *out) {
    switch (value->kind) {
    case CARA_CLI_FILE:
        if (value->suffixes)
            fprintf(out, " -a '(__caracola_files %s)'", value->suffixes);
        else
            fputs(" -F", out);
        return;
    case CARA_CLI_FOLDER:
        fputs(" -a '(__fish_complete_directories)", out);
        cara_each_word(commands, value, " ", out);
        fputc('\'', out);
        return;
    case CARA_CLI_LIST:
        fputs(" -a '(__fish_append , ", out);
        cara_each_word(commands, value, " ", out);
        fputs(")'", out);
        return;
    case CARA_CLI_TEXT:
    case CARA_CLI_NUMBER:
    case CARA_CLI_CHOICE:
    case CARA_CLI_LANGUAGE:
    case CARA_CLI_COMMAND:
        break;
    }
    if (cara_each_has_words(value)) {
        fputs(" -a '", out);
        cara_each_word(commands, value, " ", out);
        fputc('\'', out);
    }
}

static void print_flag(const cara_cli_command *const *commands, const cara_cli_command *command,
                       const cara_cli_flag *flag, int hyphens, FILE *out) {
    fprintf(out, "complete -c caracola -n '__caracola_in %s%s' -l %s", command->name,
            hyphens ? "; and __caracola_hyphens" : "", (hyphens ? flag->hyphens : flag->shown) + 2);
    if (flag->option.letter && !hyphens)
        fprintf(out, " -s %c", flag->option.letter);
    if (flag->option.value) {
        fputs(flag->value.kind == CARA_CLI_FILE && !flag->value.suffixes ? " -r" : " -x", out);
        print_kind(commands, &flag->value, out);
    }
    fputs(" -d '", out);
    cara_each_escaped(flag->option.help, strlen(flag->option.help), "", out);
    fputs("'\n", out);
}

static void print_command(const cara_cli_command *const *commands, const cara_cli_command *command,
                          FILE *out) {
    cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1];
    int n = cara_cli_flags(command, flags), many = 0;
    for (int i = 0; i < n; i++) {
        print_flag(commands, command, &flags[i], 0, out);
        if (strcmp(flags[i].shown, flags[i].hyphens) != 0)
            print_flag(commands, command, &flags[i], 1, out);
    }
    /* fish does not number operands: the kinds of all are offered for each. */
    cara_cli_value value;
    for (int i = 0; !many && cara_cli_operand(command, i, &value, &many) == 0; i++) {
        fprintf(out, "complete -c caracola -n '__caracola_in %s'", command->name);
        print_kind(commands, &value, out);
        fputc('\n', out);
    }
}

static void print_names(const char *within, const cara_cli_command *const *commands, FILE *out) {
    for (; *commands; commands++) {
        fprintf(out, "complete -c caracola -n '__caracola_at%s%s' -a %s -d '", *within ? " " : "",
                within, cara_each_own_name(*commands));
        cara_each_escaped((*commands)->summary, strlen((*commands)->summary), "", out);
        fputs("'\n", out);
    }
}

void cara_describe_fish(const cara_cli_command *const *commands, FILE *out) {
    const cara_cli_command *command;
    const char *rest = cara_each_before(cara_completion_fish, "@TABLE@\n", out);
    print_names("", commands, out);
    fputs("complete -c caracola -n '__caracola_at' -s h -l help -d 'show the commands'\n"
          "complete -c caracola -n '__caracola_at' -s V -l version -d 'show the version'\n",
          out);
    for (const cara_cli_command *const *c = commands; *c; c++)
        if ((*c)->commands)
            print_names((*c)->name, (*c)->commands, out);
    for (int i = 0; (command = cara_each_command(commands, i)); i++)
        print_command(commands, command, out);
    fputs(rest, out);
}

/* The completion for bash: the table of completion.bash. */
#include "cli/describe/describe.h"
#include "cli/describe/each.h"
#include "cli/describe/templates.h"

/* "words True False", "file .cara .pt", "folder aws", "list txt srt"; "text" completes nothing. */
static void print_kind(const cara_cli_command *const *commands, const cara_cli_value *value,
                       FILE *out) {
    switch (value->kind) {
    case CARA_CLI_FILE:
        fprintf(out, "file%s%s", value->suffixes ? " " : "",
                value->suffixes ? value->suffixes : "");
        return;
    case CARA_CLI_FOLDER:
        fputs("folder", out);
        break;
    case CARA_CLI_LIST:
        fputs("list", out);
        break;
    case CARA_CLI_TEXT:
    case CARA_CLI_NUMBER:
    case CARA_CLI_CHOICE:
    case CARA_CLI_LANGUAGE:
    case CARA_CLI_COMMAND:
        fputs(cara_each_has_words(value) ? "words" : "text", out);
        break;
    }
    cara_each_word(commands, value, " ", out);
}

static void print_operands(const cara_cli_command *const *commands, const cara_cli_command *command,
                           FILE *out) {
    cara_cli_value value;
    int many = 0;
    for (int i = 0; !many && cara_cli_operand(command, i, &value, &many) == 0; i++) {
        if (many)
            fputs("        [0-9]*) value='", out);
        else
            fprintf(out, "        %d) value='", i);
        print_kind(commands, &value, out);
        fputs("' ;;\n", out);
    }
}

static void print_command(const cara_cli_command *const *commands, const cara_cli_command *command,
                          FILE *out) {
    cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1];
    int n = cara_cli_flags(command, flags);
    fprintf(out, "    '%s')\n        flags='", command->name);
    for (int i = 0; i < n; i++)
        fprintf(out, "%s%s", i ? " " : "", flags[i].shown);
    fputs("'\n        case $2 in\n", out);
    for (int i = 0; i < n; i++) {
        const cara_cli_flag *flag = &flags[i];
        if (!flag->option.value)
            continue;
        fprintf(out, "        %s", flag->shown);
        if (flag->option.letter)
            fprintf(out, " | -%c", flag->option.letter);
        fputs(") value='", out);
        print_kind(commands, &flag->value, out);
        fputs("' ;;\n", out);
    }
    print_operands(commands, command, out);
    fputs("        esac\n        ;;\n", out);
}

static void print_group(const char *name, const char *flags,
                        const cara_cli_command *const *commands, FILE *out) {
    fprintf(out, "    '%s')\n        flags='%s'\n        commands='", name, flags);
    for (const cara_cli_command *const *c = commands; *c; c++)
        fprintf(out, "%s%s", c == commands ? "" : " ", cara_each_own_name(*c));
    fputs("'\n        ;;\n", out);
}

static void print_table(const cara_cli_command *const *commands, FILE *out) {
    const cara_cli_command *command;
    print_group("", "--help --version", commands, out);
    for (const cara_cli_command *const *c = commands; *c; c++)
        if ((*c)->commands)
            print_group((*c)->name, "--help", (*c)->commands, out);
    for (int i = 0; (command = cara_each_command(commands, i)); i++)
        print_command(commands, command, out);
}

void cara_describe_bash(const cara_cli_command *const *commands, FILE *out) {
    const char *rest = cara_each_before(cara_completion_bash, "@TABLE@\n", out);
    print_table(commands, out);
    fputs(rest, out);
}

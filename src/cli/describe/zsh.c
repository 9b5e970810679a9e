/* The completion for zsh: specifications for _arguments. */
#include "cli/describe/describe.h"
#include "cli/describe/each.h"
#include "cli/describe/templates.h"

#include <string.h>

/* ":FILE:_files", with which a specification ends, inside single quotes. */
static void print_action(const cara_cli_command *const *commands, const cara_cli_value *value,
                         FILE *out) {
    fputc(':', out);
    cara_each_escaped(value->word, strcspn(value->word, " ].."), ":", out);
    fputc(':', out);
    switch (value->kind) {
    case CARA_CLI_FILE:
        fputs("_files", out);
        if (value->suffixes) {
            const char *at = value->suffixes, *word, *before = "";
            fputs(" -g \"*.(", out);
            for (size_t n; (n = cara_cli_next_word(&at, &word)) > 0; before = "|")
                fprintf(out, "%s%.*s", before, (int)n - 1, word + 1);
            fputs(")(-.)\"", out);
        }
        return;
    case CARA_CLI_FOLDER:
        if (!value->choices) {
            fputs("_path_files -/", out);
            return;
        }
        fprintf(out, "{ compadd %s; _path_files -/ }", value->choices);
        return;
    case CARA_CLI_LIST:
        fputs("_sequence compadd -", out);
        cara_each_word(commands, value, " ", out);
        return;
    case CARA_CLI_TEXT:
    case CARA_CLI_NUMBER:
    case CARA_CLI_CHOICE:
    case CARA_CLI_LANGUAGE:
    case CARA_CLI_COMMAND:
        break;
    }
    if (!cara_each_has_words(value)) {
        fputc(' ', out);
        return;
    }
    fputc('(', out);
    cara_each_word(commands, value, " ", out);
    fputc(')', out);
}

static void print_spec(const cara_cli_command *const *commands, const cara_cli_flag *flag,
                       const char *before, const char *name, const char *end, FILE *out) {
    fprintf(out, "            %s'%s%s[", before, name, flag->option.value ? end : "");
    cara_each_escaped(flag->option.help, strlen(flag->option.help), "[]", out);
    fputc(']', out);
    if (flag->option.value)
        print_action(commands, &flag->value, out);
    fputs("'\n", out);
}

static void print_command(const cara_cli_command *const *commands, const cara_cli_command *command,
                          FILE *out) {
    cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1];
    int n = cara_cli_flags(command, flags);
    fprintf(out, "    '%s')\n        specs=(\n", command->name);
    for (int i = 0; i < n; i++) {
        const cara_cli_flag *flag = &flags[i];
        int both = strcmp(flag->shown, flag->hyphens) != 0;
        if (flag->option.letter) {
            char letter[3] = {'-', flag->option.letter, '\0'};
            print_spec(commands, flag, "", letter, "+", out);
        }
        print_spec(commands, flag, both ? "$underscores" : "", flag->shown, "=", out);
        if (both)
            print_spec(commands, flag, "$hyphens", flag->hyphens, "=", out);
    }
    cara_cli_value value;
    int many = 0;
    for (int i = 0; !many && cara_cli_operand(command, i, &value, &many) == 0; i++) {
        if (many)
            fputs("            '*", out);
        else
            fprintf(out, "            '%d", i + 1);
        print_action(commands, &value, out);
        fputs("'\n", out);
    }
    fputs("        )\n        ;;\n", out);
}

static void print_names(const cara_cli_command *const *commands, const char *indent, FILE *out) {
    fprintf(out, "%scommands=(\n", indent);
    for (; *commands; commands++) {
        fprintf(out, "%s    '%s:", indent, cara_each_own_name(*commands));
        cara_each_escaped((*commands)->summary, strlen((*commands)->summary), "", out);
        fputs("'\n", out);
    }
    fprintf(out, "%s)\n", indent);
}

static void print_group(const cara_cli_command *group, FILE *out) {
    fprintf(out, "        %s)\n            if ((CURRENT == 2)); then\n", group->name);
    print_names(group->commands, "                ", out);
    fputs("                _describe command commands\n"
          "                return\n"
          "            fi\n"
          "            command+=\" $words[2]\"\n"
          "            shift words\n"
          "            ((CURRENT--))\n"
          "            ;;\n",
          out);
}

void cara_describe_zsh(const cara_cli_command *const *commands, FILE *out) {
    const cara_cli_command *command;
    const char *rest = cara_each_before(cara_completion_zsh, "@TABLE@\n", out);
    for (int i = 0; (command = cara_each_command(commands, i)); i++)
        print_command(commands, command, out);
    rest = cara_each_before(rest, "@COMMANDS@\n", out);
    print_names(commands, "        ", out);
    rest = cara_each_before(rest, "@GROUPS@\n", out);
    for (const cara_cli_command *const *c = commands; *c; c++)
        if ((*c)->commands)
            print_group(*c, out);
    fputs(rest, out);
}

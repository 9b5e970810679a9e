/* What --help shows, from a command's table. */
#include "cli/cli.h"

#include <string.h>

enum { COLUMN = 30 }; /* where the text of a flag begins */

static void print_flag(const cara_cli_flag *flag, FILE *out) {
    char letter[8] = "    ", left[160];
    if (flag->option.letter)
        snprintf(letter, sizeof letter, "-%c, ", flag->option.letter);
    snprintf(left, sizeof left, "  %s%s%s%s", letter, flag->shown, flag->option.value ? " " : "",
             flag->option.value ? flag->option.value : "");
    if (strlen(left) >= COLUMN)
        fprintf(out, "%s\n%*s", left, COLUMN, "");
    else
        fprintf(out, "%-*s", COLUMN, left);
    cara_cli_print_wrapped(flag->option.help, COLUMN, out);
}

static void print_group(const cara_cli_command *group, FILE *out) {
    fprintf(out, "caracola %s: %s\n\n", group->name, group->summary);
    const char *before = "Usage:";
    for (const cara_cli_command *const *c = group->commands; *c; c++, before = "      ")
        fprintf(out, "%s caracola %s [FLAG]...%s%s\n", before, (*c)->name,
                (*c)->operands ? " " : "", (*c)->operands ? (*c)->operands : "");
    fprintf(out, "\n`caracola %s --help` and so on say more.\n", group->commands[0]->name);
}

void cara_cli_print_help(const cara_cli_command *command, FILE *out) {
    if (command->commands) {
        print_group(command, out);
        return;
    }
    fprintf(out, "caracola %s: %s\n\nUsage: caracola %s [FLAG]...%s%s\n\nFlags:\n", command->name,
            command->summary, command->name, command->operands ? " " : "",
            command->operands ? command->operands : "");
    cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1];
    int n = cara_cli_flags(command, flags);
    for (int i = 0; i < n; i++)
        print_flag(&flags[i], out);
    if (command->details && *command->details) {
        fputc('\n', out);
        cara_cli_print_wrapped(command->details, 0, out);
    }
    if (command->statuses)
        fputs("\nExit status:\n", out);
    for (const cara_cli_status *s = command->statuses; s && s->meaning; s++) {
        fprintf(out, "  %-5d", s->status);
        cara_cli_print_wrapped(s->meaning, 7, out);
    }
}

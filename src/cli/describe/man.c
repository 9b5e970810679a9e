/* Man pages of section 1. */
#include "cli/cli.h"
#include "cli/describe/describe.h"
#include "cli/describe/each.h"

#include <caracola/version.h>
#include <string.h>

/* One line of text; what roff would take for its own is escaped. */
static void print_text(const char *text, size_t n, FILE *out) {
    if (n && (*text == '.' || *text == '\''))
        fputs("\\&", out);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '-')
            fputc('\\', out);
        fputc(text[i], out);
        if (text[i] == '\\')
            fputc('e', out);
    }
}

/* Paragraphs: an empty line begins a new one, and lines that begin with blanks stay as they are. */
static void print_paragraphs(const char *text, FILE *out) {
    int verbatim = 0;
    while (text && *text) {
        size_t n = strcspn(text, "\n");
        int indented = *text == ' ';
        if (verbatim != indented && n > 0) {
            fputs(indented ? ".PP\n.nf\n" : ".fi\n", out);
            verbatim = indented;
        }
        if (n > 0) {
            print_text(text, n, out);
            fputc('\n', out);
        } else if (text[1] != ' ') {
            fputs(".PP\n", out);
        }
        text += n + (text[n] == '\n');
    }
    if (verbatim)
        fputs(".fi\n", out);
}

/* "caracola-model-convert" */
static void print_page_name(const cara_cli_command *command, FILE *out) {
    fputs("\\%caracola\\-", out); /* never divided */
    for (const char *p = command->name; *p; p++)
        fputs(*p == ' ' ? "\\-" : (char[2]){*p, '\0'}, out);
}

static void print_synopsis(const cara_cli_command *command, FILE *out) {
    fprintf(out, "\\fBcaracola %s\\fR", command->name);
    if (command->options || command->more_options)
        fputs(" [\\fIFLAG\\fR]...", out);
    if (command->operands) {
        fputs(" \\fI", out);
        print_text(command->operands, strlen(command->operands), out);
        fputs("\\fR", out);
    }
    fputc('\n', out);
}

static void print_options(const cara_cli_command *command, FILE *out) {
    cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1];
    int n = cara_cli_flags(command, flags);
    fputs(".SH OPTIONS\n"
          "Words in a flag are joined by underscores or hyphens.\n",
          out);
    for (int i = 0; i < n; i++) {
        const cara_cli_flag *flag = &flags[i];
        fputs(".TP\n", out);
        if (flag->option.letter)
            fprintf(out, "\\fB\\-%c\\fR, ", flag->option.letter);
        fputs("\\fB", out);
        print_text(flag->shown, strlen(flag->shown), out);
        fputs("\\fR", out);
        if (flag->option.value) {
            fputs(" \\fI", out);
            print_text(flag->option.value, strlen(flag->option.value), out);
            fputs("\\fR", out);
        }
        fputc('\n', out);
        print_paragraphs(flag->option.help, out);
    }
}

static void print_statuses(const cara_cli_status *statuses, FILE *out) {
    fputs(".SH EXIT STATUS\n", out);
    for (; statuses->meaning; statuses++) {
        fprintf(out, ".TP\n\\fB%d\\fR\n", statuses->status);
        print_paragraphs(statuses->meaning, out);
    }
}

static void print_commands(const cara_cli_command *const *commands, FILE *out) {
    fputs(".SH COMMANDS\n", out);
    for (; *commands; commands++) {
        fputs(".TP\n.BR ", out);
        print_page_name(*commands, out);
        fprintf(out, " (1)\n%s\n", (*commands)->summary);
    }
}

/* The pages of `commands` but that of `except`. */
static void print_see_also(const cara_cli_command *const *commands, const cara_cli_command *except,
                           FILE *out) {
    const char *before = except ? ".SH SEE ALSO\n.BR caracola (1)" : ".SH SEE ALSO\n";
    for (; *commands; commands++) {
        if (*commands == except)
            continue;
        fprintf(out, "%s%s.BR ", before, *before == '.' && except ? ",\n" : "");
        print_page_name(*commands, out);
        fputs(" (1)", out);
        before = ",\n";
    }
    if (!except)
        fputs(",\n.BR ffmpeg (1),\n.BR opusenc (1)", out);
    fputc('\n', out);
}

static void print_title(const cara_cli_command *command, const char *date, FILE *out) {
    fputs(".\\\" Written from the tables of the command; see man/ in the source.\n.TH CARACOLA",
          out);
    for (const char *p = command ? command->name : ""; *p; p++) {
        if (p == command->name || *p == ' ')
            fputs("\\-", out);
        if (*p != ' ')
            fputc(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p, out);
    }
    fprintf(out, " 1 \"%s\" \"caracola %s\" \"User Commands\"\n.SH NAME\n", date, CARA_VERSION);
    if (command)
        print_page_name(command, out);
    else
        fputs("caracola", out);
    fprintf(out, " \\- %s\n.SH SYNOPSIS\n",
            command ? command->summary : "turn WhatsApp voice notes into text");
}

void cara_describe_man(const cara_cli_command *const *commands, const cara_cli_command *command,
                       const char *prose, const char *date, FILE *out) {
    const cara_cli_command *const *within = command ? command->commands : commands;
    const char *sections = strncmp(prose, ".SH ", 4) == 0 ? prose : strstr(prose, "\n.SH ");
    size_t n = sections ? (size_t)(sections - prose) + (sections != prose) : strlen(prose);
    print_title(command, date, out);
    if (!within)
        print_synopsis(command, out);
    const cara_cli_command *one;
    for (int i = 0; within && (one = cara_each_command(within, i)); i++) {
        fputs(i ? ".br\n" : "", out);
        print_synopsis(one, out);
    }
    fputs(".SH DESCRIPTION\n", out);
    if (command)
        print_paragraphs(command->details, out);
    if (command && command->details && n)
        fputs(".PP\n", out);
    fwrite(prose, 1, n, out);
    if (within)
        print_commands(within, out);
    else
        print_options(command, out);
    if (!command)
        print_statuses(cara_cli_statuses, out);
    else if (command->statuses)
        print_statuses(command->statuses, out);
    fputs(prose + n, out);
    print_see_also(commands, command, out);
}

/* Writes a man page of section 1 from the tables of the commands and a file of prose.
 *
 * Usage: generate PAGE PROSE DATE     the page, such as caracola-model-convert, on standard output
 *        generate --list              the names of all pages
 */
#include "cli/commands.h"

#include "cli/describe/describe.h"

#include <stdlib.h>
#include <string.h>

static char *read_all(const char *path) {
    FILE *in = fopen(path, "rb");
    if (!in)
        return NULL;
    enum { MOST = 256 * 1024 };
    char *text = calloc(1, MOST);
    size_t n = text ? fread(text, 1, MOST - 1, in) : 0;
    if (ferror(in) || n == MOST - 1) {
        free(text);
        text = NULL;
    }
    fclose(in);
    return text;
}

static void page_name(const cara_cli_command *command, char *out, size_t size) {
    snprintf(out, size, "caracola-%s", command->name);
    for (char *p = out; *p; p++)
        if (*p == ' ')
            *p = '-';
}

typedef struct wanted {
    const char *page; /* NULL: print all names */
    const cara_cli_command *found;
} wanted;

static void visit(const cara_cli_command *const *commands, wanted *w) {
    char name[80];
    for (; *commands; commands++) {
        page_name(*commands, name, sizeof name);
        if (!w->page)
            puts(name);
        else if (strcmp(name, w->page) == 0)
            w->found = *commands;
        if ((*commands)->commands)
            visit((*commands)->commands, w);
    }
}

int main(int argc, char **argv) {
    wanted w = {NULL, NULL};
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        puts("caracola");
        visit(cara_cli_commands, &w);
        return 0;
    }
    if (argc != 4) {
        fputs("usage: generate PAGE PROSE DATE, or generate --list\n", stderr);
        return 2;
    }
    w.page = argv[1];
    visit(cara_cli_commands, &w);
    if (!w.found && strcmp(w.page, "caracola") != 0) {
        fprintf(stderr, "generate: there is no command for a page %s\n", w.page);
        return 1;
    }
    char *prose = read_all(argv[2]);
    if (!prose) {
        fprintf(stderr, "generate: %s cannot be read, or is too long\n", argv[2]);
        return 1;
    }
    cara_describe_man(cara_cli_commands, w.found, prose, argv[3], stdout);
    free(prose);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

#include "cli/setup/shared.h"

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/shown.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int has_line(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && term && *term && strcmp(term, "dumb") != 0;
}

static void print_step(void *cookie, const char *line) {
    FILE *out = cookie;
    char shown[4096];
    if (has_line())
        fputs("\r\033[K", stderr);
    cara_cli_shown(line, shown, sizeof shown);
    fprintf(out, "%s\n", shown);
}

static void print_status(void *cookie, const char *line) {
    (void)cookie;
    char shown[4096];
    if (!has_line())
        return;
    cara_cli_shown_within(line, cara_cli_terminal_columns() - 1, shown, sizeof shown);
    fprintf(stderr, "\r%s\033[K", shown);
}

cara_progress cara_setup_progress(int dry) {
    /* What a dry run says is its result. */
    return (cara_progress){
        .report = print_step, .status = print_status, .cookie = dry ? stdout : stderr, .dry = dry};
}

int cara_setup_stack(const char *value, const char **dst) {
    size_t n = strlen(value), ok = 0;
    while (isalnum((unsigned char)value[ok]) || value[ok] == '-')
        ok++;
    *dst = value;
    if (n > 0 && n <= 100 && ok == n && isalpha((unsigned char)value[0]))
        return 0;
    cara_cli_fail(CARA_EXIT_USAGE,
                  "--stack takes letters, digits and hyphens, a letter first, got \"%s\"", value);
    return -1;
}

int cara_setup_stop(void *cookie) {
    (void)cookie;
    return cara_cli_interrupted();
}

int cara_setup_add_word(cara_buf *out, const char *word) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_@%+=:,./-";
    int rc = cara_buf_char(out, ' ');
    if (word[0] && strspn(word, plain) == strlen(word))
        return rc || cara_buf_str(out, word) ? -1 : 0;
    rc = rc || cara_buf_char(out, '\'');
    for (; *word; word++)
        rc = rc || (*word == '\'' ? cara_buf_str(out, "'\\''") : cara_buf_char(out, *word));
    return rc || cara_buf_char(out, '\'') ? -1 : 0;
}

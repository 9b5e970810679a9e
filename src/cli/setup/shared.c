#include "cli/setup/shared.h"

#include "cli/cli.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

static void clear_line(void) {
    if (isatty(STDERR_FILENO) == 1)
        fputs("\r\033[K", stderr);
}

static void print_step(void *cookie, const char *line) {
    FILE *out = cookie;
    clear_line();
    for (const char *p = line; *p; p++)
        fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, out);
    fputc('\n', out);
}

static void print_status(void *cookie, const char *line) {
    (void)cookie;
    if (isatty(STDERR_FILENO) != 1)
        return;
    clear_line();
    for (int i = 0; line[i] && i < 78; i++)
        fputc((unsigned char)line[i] < 0x20 ? '?' : line[i], stderr);
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

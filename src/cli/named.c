#include "cli/named.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 };

static const cara_cli_command *running;
static const char *given[MOST]; /* variables that flags have set */
static int n_given;

void cara_cli_running(const cara_cli_command *command) {
    running = command;
}

int cara_cli_set_variable(const char *variable, const char *value) {
    if (n_given < MOST)
        given[n_given++] = variable;
    return setenv(variable, value, 1) == 0 ? 0 : -1;
}

/* The flag with that name, in dst; NULL where the command has none. */
static const char *flag_of(const char *name, size_t n, char *dst, size_t size) {
    cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1];
    int n_flags = running ? cara_cli_flags(running, flags) : 0;
    for (int i = 0; i < n_flags; i++)
        if (strlen(flags[i].shown) == n + 2 && strncmp(flags[i].shown + 2, name, n) == 0) {
            snprintf(dst, size, "%s", flags[i].shown);
            return dst;
        }
    return NULL;
}

static const char *name_option(void *cookie, const char *option) {
    char *dst = cookie;
    if (strcmp(option, "vocab_path") == 0)
        option = "vocab";
    return flag_of(option, strlen(option), dst, 80);
}

/* What to call the variable at name[0..n), which begins with CARACOLA_. */
static void name_variable(const char *name, size_t n, char *dst, size_t size) {
    char variable[64], lower[64], flag[80];
    snprintf(variable, sizeof variable, "%.*s", (int)n, name);
    snprintf(lower, sizeof lower, "%s", variable + strlen("CARACOLA_"));
    for (char *p = lower; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    snprintf(dst, size, "%s", variable);
    /* `model fetch` calls the digest of the model --sha256. */
    if (!flag_of(lower, strlen(lower), flag, sizeof flag) &&
        (strcmp(lower, "model_sha256") != 0 || !flag_of("sha256", 6, flag, sizeof flag)))
        return;
    const char *value = getenv(variable);
    for (int i = 0; i < n_given; i++)
        if (strcmp(given[i], variable) == 0) {
            snprintf(dst, size, "%s", flag);
            return;
        }
    if (!value || !*value)
        snprintf(dst, size, "%s or %s", flag, variable);
}

void cara_cli_name(cara_error *err) {
    static const char prefix[] = "CARACOLA_";
    char flag[80], text[sizeof err->text];
    cara_error_name_options(err, name_option, flag);
    size_t n = 0;
    for (const char *p = err->text; *p && n + 1 < sizeof text;) {
        size_t word = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        if (strncmp(p, prefix, sizeof prefix - 1) == 0 && word < 64) {
            char shown[160];
            name_variable(p, word, shown, sizeof shown);
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", shown);
            p += word;
        } else {
            text[n++] = *p++;
        }
    }
    text[n < sizeof text ? n : sizeof text - 1] = '\0';
    memcpy(err->text, text, sizeof text);
}

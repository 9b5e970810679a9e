/* Reads the values of flags, and says what is wrong with them. */
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
            snprintf(takes, sizeof takes, "a number of %g or more%s", min, or_none);
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

int cara_cli_choice(const cara_cli_args *args, int *out) {
    char takes[256] = "one of";
    const char *at = args->flags[args->at].value.choices, *word;
    size_t n;
    for (int i = 0; (n = cara_cli_next_word(&at, &word)) > 0; i++) {
        if (strlen(args->value) == n && memcmp(args->value, word, n) == 0) {
            *out = i;
            return 0;
        }
        size_t len = strlen(takes);
        snprintf(takes + len, sizeof takes - len, "%s %.*s", i ? "," : "", (int)n, word);
    }
    return cara_cli_bad_value(args, takes);
}

/* Finds what was meant by a name that does not exist. */
#include "cli/command.h"

#include <string.h>

#define MAX_FLAG 64

static size_t least_of(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Slips between two words: letters that are missing, too much, others, or have changed places with
 * their neighbours (Damerau and Levenshtein's distance, of words of ordinary length). */
static size_t distance(const char *a, const char *b) {
    enum { MOST = 48 };
    size_t n = strlen(a), m = strlen(b), rows[3][MOST + 1];
    if (n > MOST || m > MOST)
        return MOST;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] =
                least_of(least_of(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least_of(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *cara_cli_nearest(const char *typed, const char *const *names) {
    const char *best = NULL;
    typed += strspn(typed, "-");
    size_t least = strlen(typed) < 4 ? 2 : strlen(typed) / 4 + 1;
    for (; *names; names++) {
        size_t d = distance(typed, *names + strspn(*names, "-"));
        if (d < least) {
            best = *names;
            least = d;
        }
    }
    return best;
}

const char *cara_cli_advice_for(const cara_cli_advice *list, const char *name) {
    for (; list && list->name; list++)
        if (strcmp(list->name, name) == 0 || (list->another && strcmp(list->another, name) == 0))
            return list->advice;
    return NULL;
}

/* A flag as it was typed, without its value and with "_" between the words of a long one. */
static void plain_flag(const char *typed, char *flag, size_t size) {
    snprintf(flag, size, "%.*s", (int)strcspn(typed, "="), typed);
    for (char *p = flag + 2; typed[0] == '-' && typed[1] == '-' && *p; p++)
        if (*p == '-')
            *p = '_';
}

const char *cara_cli_advice_for_long(const cara_cli_advice *list, const char *typed) {
    char flag[MAX_FLAG];
    plain_flag(typed, flag, sizeof flag);
    return cara_cli_advice_for(list, flag);
}

/* 1 where each of the words of `some`, which "_" joins, is one of those of `all`. */
static int has_words(const char *all, const char *some) {
    while (*some) {
        size_t n = strcspn(some, "_");
        const char *word = all;
        while (*word && (strcspn(word, "_") != n || strncmp(word, some, n) != 0)) {
            word += strcspn(word, "_");
            word += *word == '_';
        }
        if (!*word)
            return 0;
        some += n;
        some += *some == '_';
    }
    return 1;
}

/* The one of `names` that has those words; NULL where none or several have. */
static const char *only_with_words(const char *const *names, const char *words) {
    const char *found = NULL;
    for (; *names; names++) {
        if (!has_words(*names + 2, words))
            continue;
        if (found)
            return NULL;
        found = *names;
    }
    return found;
}

/* ": it may be short for --x or --y" for those that begin with it, if it is more than one. */
static int several(const cara_cli_args *args, const char *flag, char *dst, size_t size) {
    size_t n = 0;
    int found = 0;
    for (int i = 0; i < args->n_flags; i++) {
        if (strncmp(args->flags[i].shown, flag, strlen(flag)) != 0)
            continue;
        n += (size_t)snprintf(dst + n, size - n, "%s%s", found ? " or " : ": it may be short for ",
                              args->flags[i].shown);
        if (n >= size)
            n = size - 1;
        found++;
    }
    return found > 1;
}

/* The advice for the nearest name of a list; NULL where none is near. */
static const char *near_advice(const cara_cli_advice *list, const char *flag, const char **near) {
    for (; list && list->name; list++) {
        const char *const names[] = {list->name, NULL};
        *near = cara_cli_nearest(flag, names);
        if (*near)
            return list->advice;
    }
    return NULL;
}

void cara_cli_suggest_flag(const cara_cli_args *args, const char *typed, char *dst, size_t size) {
    const cara_cli_command *command = args->command;
    char flag[MAX_FLAG];
    int is_long = typed[0] == '-' && typed[1] == '-';
    plain_flag(typed, flag, sizeof flag);
    const char *advice = cara_cli_advice_for(command->advice, flag), *near = NULL;
    if (advice) {
        snprintf(dst, size, ": %s", advice);
        return;
    }
    if (is_long && strlen(flag) > 3 && several(args, flag, dst, size))
        return;
    const char *names[CARA_CLI_MAX_OPTIONS + 2] = {NULL};
    for (int i = 0; i < args->n_flags; i++)
        names[i] = args->flags[i].shown;
    if (is_long)
        near = cara_cli_nearest(flag, names);
    if (is_long && !near)
        near = only_with_words(names, flag + 2);
    if (is_long && !near && (advice = near_advice(command->advice, flag, &near))) {
        snprintf(dst, size, ", nor %s: %s", near, advice);
        return;
    }
    if (near)
        snprintf(dst, size, "; did you mean %s?", near);
    else
        snprintf(dst, size, "; `caracola help %s` lists its flags", command->name);
}

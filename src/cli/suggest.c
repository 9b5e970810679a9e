/* Finds what was meant by a name that does not exist. */
#include "cli/command.h"

#include <string.h>

/* Edits between two words (Levenshtein), for words of ordinary length. */
static size_t distance(const char *a, const char *b) {
    enum { MOST = 48 };
    size_t n = strlen(a), m = strlen(b), row[MOST + 1];
    if (n > MOST || m > MOST)
        return MOST;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *cara_cli_nearest(const char *typed, const char *const *names) {
    const char *best = NULL;
    size_t least = strlen(typed) / 3 + 1; /* about one typo in three letters */
    for (; *names; names++) {
        size_t d = distance(typed, *names);
        if (d <= least) {
            if (d < least || !best)
                best = *names;
            least = d;
        }
    }
    return best;
}

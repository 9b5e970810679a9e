/* Colours and the progress bar, both only where a person is looking. */
#include "base/clock.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cara_cli_colours(FILE *stream) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if (no_color && *no_color)
        return 0;
    if (term && strcmp(term, "dumb") == 0)
        return 0;
    return isatty(fileno(stream)) == 1;
}

void cara_cli_progress_start(cara_cli_progress *progress, const char *label, int enabled) {
    memset(progress, 0, sizeof *progress);
    progress->enabled = enabled && isatty(STDERR_FILENO) == 1;
    progress->started = cara_clock_monotonic();
    progress->label = label;
}

void cara_cli_progress_clear(cara_cli_progress *progress) {
    if (progress->shown)
        fprintf(stderr, "\r%*s\r", progress->shown, "");
    progress->shown = 0;
}

/* "1:05" or "1:02:05" */
static void duration(double seconds, char *out, size_t size) {
    long s = seconds > 0 ? (long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

void cara_cli_progress_update(cara_cli_progress *progress, int64_t done, int64_t total) {
    if (!progress->enabled || total <= 0)
        return;
    double now = cara_clock_monotonic();
    if (now - progress->last < 0.1)
        return;
    progress->last = now;
    double part = (double)done / (double)total;
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    enum { WIDTH = 24 };
    char bar[WIDTH + 1], left[32] = "-:--", line[160];
    for (int i = 0; i < WIDTH; i++)
        bar[i] = (double)i < part * WIDTH ? '#' : '.';
    bar[WIDTH] = '\0';
    if (part > 0.01)
        duration((now - progress->started) * (1 - part) / part, left, sizeof left);
    int n = snprintf(line, sizeof line, "%.40s [%s] %3d%% %s left", progress->label, bar,
                     (int)(part * 100), left);
    if (n < 0)
        return;
    fprintf(stderr, "\r%s%*s", line, progress->shown > n ? progress->shown - n : 0, "");
    progress->shown = n > progress->shown ? n : progress->shown;
}

#include "deploy/commands/progress.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { LINE = 1000 };

void cara_progress_report(const cara_progress *progress, const char *format, ...) {
    char line[LINE];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    progress->report(progress->cookie, line);
}

void cara_progress_status(const cara_progress *progress, const char *format, ...) {
    char line[LINE];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    progress->status(progress->cookie, line);
}

double cara_progress_delay(int n) {
    double seconds = 0.5 * (1 + n);
    return seconds < 5 ? seconds : 5;
}

int cara_progress_wait(const cara_awscli *cli, double seconds, cara_error *err) {
    double until = cara_clock_monotonic() + seconds;
    while (cara_clock_monotonic() < until) {
        if (cli->options.stop && cli->options.stop(cli->options.cookie))
            return cara_fail(err, CARA_ERR_CANCELLED, -1, "interrupted");
        nanosleep(&(struct timespec){0, 50 * 1000 * 1000}, NULL);
    }
    return CARA_OK;
}

#include "cli/progress.h"

#include "base/clock.h"
#include "base/threads.h"
#include "cli/shown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INTERVAL_S 0.25

/* The one line of the one terminal. Two locks, so that work never waits for a terminal that was
 * stopped (Ctrl-S): `now` may be set while the terminal is being written to. */
static struct {
    pthread_mutex_t lock; /* of now, stop */
    pthread_cond_t wake;
    cara_cli_progress now;
    int stop;
    pthread_mutex_t terminal; /* of shown, held, and of writing */
    int shown, held;          /* held: how many want it away */
    /* Of the thread that starts and stops the line. */
    pthread_t timer;
    int running;
    double started;
} line = {.lock = PTHREAD_MUTEX_INITIALIZER, .terminal = PTHREAD_MUTEX_INITIALIZER};

int cara_cli_terminal_columns(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void write_all(const char *text, size_t n) {
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, text, n);
        if (done <= 0)
            return;
        text += done;
        n -= (size_t)done;
    }
}

/* With line.terminal held. */
static void wipe(void) {
    static const char text[] = "\r\033[K";
    if (line.shown)
        write_all(text, sizeof text - 1);
    line.shown = 0;
}

static void draw(const cara_cli_progress *now, unsigned tick) {
    char text[2048], out[2100];
    pthread_mutex_lock(&line.terminal);
    if (!line.held) {
        /* The size is asked for each time, so that no change of it is missed. */
        cara_cli_progress_line(now, cara_clock_monotonic() - line.started, tick,
                               cara_cli_terminal_columns(), text, sizeof text);
        int n = snprintf(out, sizeof out, "\r%s\033[K", text);
        if (*text || line.shown)
            write_all(out, (size_t)n);
        line.shown = *text != '\0';
    }
    pthread_mutex_unlock(&line.terminal);
}

static void *run(void *unused) {
    (void)unused;
    for (unsigned tick = 0;; tick++) {
        pthread_mutex_lock(&line.lock);
        double until = cara_clock_monotonic() + INTERVAL_S;
        for (double left = INTERVAL_S; !line.stop && left > 0;
             left = until - cara_clock_monotonic())
            cara_cond_wait(&line.wake, &line.lock, left);
        int stop = line.stop;
        cara_cli_progress now = line.now;
        pthread_mutex_unlock(&line.lock);
        if (stop)
            return NULL;
        draw(&now, tick);
    }
}

void cara_cli_progress_start(const char *label, int enabled) {
    const char *term = getenv("TERM");
    cara_cli_progress_stop();
    if (!enabled || isatty(STDERR_FILENO) != 1 || !term || !*term || strcmp(term, "dumb") == 0)
        return;
    memset(&line.now, 0, sizeof line.now);
    line.now.part = line.now.audio_s = -1;
    snprintf(line.now.label, sizeof line.now.label, "%s", label);
    line.stop = 0;
    line.started = cara_clock_monotonic();
    cara_cond_init(&line.wake);
    if (cara_thread_start(&line.timer, run, NULL) == 0)
        line.running = 1; /* else there is no line */
    else
        pthread_cond_destroy(&line.wake);
}

void cara_cli_progress_set(const cara_cli_progress *now) {
    pthread_mutex_lock(&line.lock);
    line.now = *now;
    pthread_mutex_unlock(&line.lock);
}

void cara_cli_progress_part(double done, double total) {
    pthread_mutex_lock(&line.lock);
    line.now.part = total > 0 ? done / total : -1;
    pthread_mutex_unlock(&line.lock);
}

void cara_cli_progress_stop(void) {
    if (!line.running)
        return;
    pthread_mutex_lock(&line.lock);
    line.stop = 1;
    pthread_cond_signal(&line.wake);
    pthread_mutex_unlock(&line.lock);
    pthread_join(line.timer, NULL);
    pthread_cond_destroy(&line.wake);
    line.running = 0;
    pthread_mutex_lock(&line.terminal);
    wipe();
    pthread_mutex_unlock(&line.terminal);
}

void cara_cli_progress_hold(void) {
    pthread_mutex_lock(&line.terminal);
    line.held++;
    wipe();
    pthread_mutex_unlock(&line.terminal);
}

void cara_cli_progress_release(void) {
    pthread_mutex_lock(&line.terminal);
    line.held--;
    pthread_mutex_unlock(&line.terminal);
}

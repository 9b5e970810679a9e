/* One line on a terminal that says how far the work is: drawn by a timer, so that it shows life
 * while a slow model computes. Where standard error is no terminal, or TERM is "dumb", there is
 * none. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stddef.h>

typedef struct cara_cli_progress {
    char label[256];      /* a file's name, or what is being done */
    int item, items;      /* "file 3 of 10"; items < 2: not shown */
    double part;          /* of the whole, 0 to 1; below 0: not known */
    double audio_s;       /* of audio that is done; below 0: the work is not about audio */
    double audio_total_s; /* 0: not known */
} cara_cli_progress;

/* Begins the line where it may be shown and `enabled` is 1; the time that has passed is counted
 * from here. Calls that follow do nothing where there is no line. */
void cara_cli_progress_start(const char *label, int enabled);
/* What the line says from now on. Cheap: it never waits for the terminal. */
void cara_cli_progress_set(const cara_cli_progress *now);
/* For work that is about no audio: `done` of `total`, 0 where that is not known. */
void cara_cli_progress_part(double done, double total);
/* Takes the line away for good. */
void cara_cli_progress_stop(void);

/* Takes the line away, and keeps it away until the other is called: around everything that is
 * written to the terminal. */
void cara_cli_progress_hold(void);
void cara_cli_progress_release(void);

/* The line for a terminal of so many columns, one of which stays free; in dst ([size]). */
void cara_cli_progress_line(const cara_cli_progress *now, double elapsed_s, unsigned tick,
                            int columns, char *dst, size_t size);

/* Columns of the terminal of standard error; 80 where it does not say. */
int cara_cli_terminal_columns(void);

#endif

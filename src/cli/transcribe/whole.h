/* How much of all files is done, for the line of progress: each file counts as its size in bytes,
 * as nobody knows how long the audio of a file is before it was opened. */
#ifndef CLI_TRANSCRIBE_WHOLE_H
#define CLI_TRANSCRIBE_WHOLE_H

#include "cli/progress.h"

#include <stdint.h>

typedef struct cara_whole_file {
    double weight, part;           /* of the whole; what of the file is done, 0 to 1 */
    double audio_s, audio_total_s; /* done, and all of it; 0: not known yet */
} cara_whole_file;

typedef struct cara_whole {
    cara_whole_file *files; /* [n]; NULL where there was no memory: nothing is counted */
    int n, n_known;         /* files whose length is known */
    double weights, done;   /* sums over the files */
    double audio_s, audio_total_s;
} cara_whole;

void cara_whole_init(cara_whole *whole, int n);
void cara_whole_free(cara_whole *whole);
/* What file i counts, from its path: before the others. */
void cara_whole_weigh(cara_whole *whole, int i, const char *path);

/* As cara_progress_fn: mel frames, `total` 0 while not known. */
void cara_whole_update(cara_whole *whole, int i, int64_t done, int64_t total);
/* File i is over; its length is what was done of it. */
void cara_whole_end(cara_whole *whole, int i);

/* Fills in part and audio times. */
void cara_whole_show(const cara_whole *whole, cara_cli_progress *now);

#endif

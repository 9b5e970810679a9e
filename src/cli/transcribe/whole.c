#include "cli/transcribe/whole.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FRAMES_PER_S 100.0 /* mel frames */

void cara_whole_init(cara_whole *whole, int n) {
    memset(whole, 0, sizeof *whole);
    whole->files = calloc((size_t)n, sizeof *whole->files);
    whole->n = whole->files ? n : 0;
}

void cara_whole_free(cara_whole *whole) {
    free(whole->files);
    whole->files = NULL;
    whole->n = 0;
}

void cara_whole_weigh(cara_whole *whole, int i, const char *path) {
    struct stat st;
    if (i >= whole->n)
        return;
    double bytes = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (double)st.st_size : 0;
    whole->files[i].weight = bytes + 1; /* pipes, and what is not there, take no time by this */
    whole->weights += bytes + 1;
}

/* Puts `now` in the place of a file's numbers, in the sums too. */
static void replace(cara_whole *whole, int i, cara_whole_file now) {
    cara_whole_file *file = &whole->files[i];
    whole->done += now.weight * now.part - file->weight * file->part;
    whole->audio_s += now.audio_s - file->audio_s;
    whole->audio_total_s += now.audio_total_s - file->audio_total_s;
    whole->n_known += (now.audio_total_s > 0) - (file->audio_total_s > 0);
    *file = now;
}

void cara_whole_update(cara_whole *whole, int i, int64_t done, int64_t total) {
    if (i >= whole->n || total <= 0)
        return;
    cara_whole_file now = whole->files[i];
    now.part = (double)done / (double)total;
    now.audio_s = (double)done / FRAMES_PER_S;
    now.audio_total_s = (double)total / FRAMES_PER_S;
    replace(whole, i, now);
}

void cara_whole_end(cara_whole *whole, int i) {
    if (i >= whole->n)
        return;
    cara_whole_file now = whole->files[i];
    now.part = 1;
    now.audio_total_s = now.audio_s;
    replace(whole, i, now);
}

void cara_whole_show(const cara_whole *whole, cara_cli_progress *now) {
    now->part = whole->weights > 0 && whole->audio_total_s > 0 ? whole->done / whole->weights : -1;
    now->audio_s = whole->audio_s;
    now->audio_total_s = whole->n_known == whole->n ? whole->audio_total_s : 0;
}

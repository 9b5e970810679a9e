/* What the line of progress says, in the columns that there are. */
#include "cli/progress.h"
#include "cli/shown.h"

#include <stdio.h>
#include <string.h>

/* "1:05" or "1:02:05" */
static void duration(double seconds, char *out, size_t size) {
    long s = seconds > 0 && seconds < 1e9 ? (long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

/* The parts as they stand in the line. */
enum { LIFE, LABEL, COUNT, BAR, PERCENT, AUDIO, ELAPSED, SPEED, LEFT, N_PARTS };
enum { PART = 512, SHORTEST_LABEL = 12, SHORTEST_BAR = 6, LONGEST_BAR = 24 };

/* What gets room first. */
static const int order[] = {ELAPSED, PERCENT, LIFE, COUNT, LABEL, LEFT, AUDIO, SPEED, BAR};

typedef struct parts {
    char text[N_PARTS][PART];
    int columns[N_PARTS]; /* 0: it is not there */
} parts;

static void fill(parts *p, const cara_cli_progress *now, double elapsed_s, unsigned tick) {
    char time[32], total[32];
    snprintf(p->text[LIFE], PART, "%c", "|/-\\"[tick % 4]);
    if (now->items > 1)
        snprintf(p->text[COUNT], PART, "%d of %d", now->item, now->items);
    duration(elapsed_s, time, sizeof time);
    snprintf(p->text[ELAPSED], PART, "%s elapsed", time);
    if (now->part >= 0)
        snprintf(p->text[PERCENT], PART, "%d%%", (int)(now->part * 100));
    if (now->part > 0.01 && now->part < 1 && elapsed_s >= 1) {
        duration(elapsed_s * (1 - now->part) / now->part, time, sizeof time);
        snprintf(p->text[LEFT], PART, "%s left", time);
    }
    if (now->audio_s >= 0) {
        duration(now->audio_s, time, sizeof time);
        duration(now->audio_total_s, total, sizeof total);
        if (now->audio_total_s > 0)
            snprintf(p->text[AUDIO], PART, "audio %s of %s", time, total);
        else
            snprintf(p->text[AUDIO], PART, "audio %s", time);
        if (now->audio_s > 0 && elapsed_s >= 1)
            snprintf(p->text[SPEED], PART, "%.*fx", now->audio_s < 10 * elapsed_s ? 1 : 0,
                     now->audio_s / elapsed_s);
    }
}

void cara_cli_progress_line(const cara_cli_progress *now, double elapsed_s, unsigned tick,
                            int columns, char *dst, size_t size) {
    parts p;
    memset(&p, 0, sizeof p);
    cara_cli_progress known = *now;
    known.part = now->part > 1 ? 1 : now->part;
    fill(&p, &known, elapsed_s, tick);
    int label = cara_cli_shown(now->label, p.text[LABEL], PART);
    int left = columns - 1, taken = 0;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        int part = order[i], least = (int)strlen(p.text[part]), gap = taken ? 2 : 0;
        if (part == LABEL)
            least = label < SHORTEST_LABEL ? label : SHORTEST_LABEL;
        if (part == BAR)
            least = known.part >= 0 ? SHORTEST_BAR + 2 : 0;
        if (least == 0 || gap + least > left)
            continue;
        p.columns[part] = least;
        left -= gap + least;
        taken++;
    }
    /* What is left goes to the label, then to the bar. */
    if (p.columns[LABEL]) {
        int more = label - p.columns[LABEL] < left ? label - p.columns[LABEL] : left;
        p.columns[LABEL] += more;
        left -= more;
        cara_cli_shown_within(now->label, p.columns[LABEL], p.text[LABEL], PART);
    }
    if (p.columns[BAR]) {
        int width = p.columns[BAR] - 2 + left;
        width = width > LONGEST_BAR ? LONGEST_BAR : width;
        p.text[BAR][0] = '[';
        for (int i = 0; i < width; i++)
            p.text[BAR][i + 1] = i < (int)(known.part * width + 0.5) ? '#' : '.';
        p.text[BAR][width + 1] = ']';
    }
    size_t n = 0;
    dst[0] = '\0';
    for (int part = 0; part < N_PARTS; part++)
        if (p.columns[part] && n < size)
            n += (size_t)snprintf(dst + n, size - n, "%s%s", n ? "  " : "", p.text[part]);
}

/* Progress that the user sees, and how the work waits. */
#ifndef DEPLOY_PROGRESS_H
#define DEPLOY_PROGRESS_H

#include "deploy/commands/awscli.h"

typedef struct cara_progress {
    /* One finished step, a line without newline. */
    void (*report)(void *cookie, const char *line);
    /* What is going on now, to be shown over the one before; "" takes it away. */
    void (*status)(void *cookie, const char *line);
    void *cookie;
    int dry; /* 1: nothing may be changed, and lines say what would be */
} cara_progress;

void cara_progress_report(const cara_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cara_progress_status(const cara_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Seconds to wait before the n-th check (from 0): half a second first, then more, at most five. */
double cara_progress_delay(int n);
/* Sleeps; CANCELLED where the user asks for an end. */
int cara_progress_wait(const cara_awscli *cli, double seconds, cara_error *err);

#endif

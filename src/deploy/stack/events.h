/* What a stack's operation does, event by event, as lines of progress. */
#ifndef DEPLOY_STACK_EVENTS_H
#define DEPLOY_STACK_EVENTS_H

#include "deploy/commands/progress.h"

typedef struct cara_stack_watch {
    const cara_awscli *cli;
    const cara_progress *progress;
    const char *name;
    char id[300];   /* the stack's ARN: its name finds nothing once it is deleted */
    char seen[200]; /* the newest event that was reported */
} cara_stack_watch;

/* Before an operation: remembers the newest event, so that only later ones are reported. `cli`,
 * `progress` and `name` are borrowed until the end. */
int cara_stack_watch_begin(cara_stack_watch *watch, const cara_awscli *cli,
                           const cara_progress *progress, const char *name, const char *id,
                           cara_error *err);

/* After it was started: reports what happens until the stack's operation has succeeded or failed. A
 * few calls in a row may fail. CANCELLED, or what the calls failed with. */
int cara_stack_watch_end(cara_stack_watch *watch, cara_error *err);

#endif

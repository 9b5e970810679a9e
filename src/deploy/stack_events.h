/* What a stack's operation does, event by event, as lines of progress. */
#ifndef DEPLOY_STACK_EVENTS_H
#define DEPLOY_STACK_EVENTS_H

#include "deploy/talk.h"

typedef struct cara_stack_watch {
    const cara_awscli *cli;
    const cara_talk *talk;
    const char *name;
    char id[300];   /* the stack's ARN: its name finds nothing once it is deleted */
    char seen[200]; /* the newest event that was told */
} cara_stack_watch;

/* Before an operation: remembers where the events are, so that only later ones are told. `cli`,
 * `talk` and `name` are borrowed until the end. */
int cara_stack_watch_begin(cara_stack_watch *watch, const cara_awscli *cli, const cara_talk *talk,
                           const char *name, const char *id, cara_error *err);

/* After it was started: tells what happens until the stack itself is done, well or not. A few looks
 * in a row may fail. CANCELLED, or what the looks failed with. */
int cara_stack_watch_end(cara_stack_watch *watch, cara_error *err);

#endif

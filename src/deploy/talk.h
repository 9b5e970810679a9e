/* What the work tells whoever watches, and how it waits. */
#ifndef DEPLOY_TALK_H
#define DEPLOY_TALK_H

#include "deploy/awscli.h"

typedef struct cara_talk {
    /* One finished step, a line without newline. */
    void (*say)(void *cookie, const char *line);
    /* What is going on now, to be shown over the one before; "" takes it away. */
    void (*now)(void *cookie, const char *line);
    void *cookie;
    int dry; /* 1: nothing may be changed, and lines say what would be */
} cara_talk;

void cara_talk_say(const cara_talk *talk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cara_talk_now(const cara_talk *talk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* How long to wait before the n-th look (from 0): half a second first, then more, at most five. */
double cara_talk_patience(int n);
/* Sleeps; CANCELLED where the user asks for an end. */
int cara_talk_wait(const cara_awscli *cli, double seconds, cara_error *err);

#endif

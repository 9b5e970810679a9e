/* Variables, clock, random numbers and sleep for the AWS client, set by the test. */
#ifndef FAKE_PLATFORM_H
#define FAKE_PLATFORM_H

#include "aws/settings/platform.h"

#include <string.h>

typedef struct fake_platform {
    const char *env[40][2]; /* name, value; ends at the first NULL name */
    int64_t now_ms;         /* sleeping moves it on */
    double random;
    double slept;
    int sleeps;
} fake_platform;

static const char *fake_env(void *ctx, const char *name) {
    fake_platform *f = ctx;
    for (size_t i = 0; i < 40 && f->env[i][0]; i++)
        if (strcmp(f->env[i][0], name) == 0)
            return f->env[i][1];
    return NULL;
}

static int64_t fake_now(void *ctx) {
    return ((fake_platform *)ctx)->now_ms;
}

static double fake_random(void *ctx) {
    return ((fake_platform *)ctx)->random;
}

static void fake_sleep(void *ctx, double seconds) {
    fake_platform *f = ctx;
    f->slept += seconds;
    f->now_ms += (int64_t)(seconds * 1000);
    f->sleeps++;
}

static inline cara_platform fake_platform_of(fake_platform *f) {
    return (cara_platform){fake_env, fake_now, fake_random, fake_sleep, f};
}

/* Adds or replaces. */
static inline void fake_set(fake_platform *f, const char *name, const char *value) {
    size_t i = 0;
    while (i < 39 && f->env[i][0] && strcmp(f->env[i][0], name) != 0)
        i++;
    f->env[i][0] = name;
    f->env[i][1] = value;
}

/* 2025-10-15T01:10:13Z */
#define FAKE_NOW INT64_C(1760490613000)

#endif

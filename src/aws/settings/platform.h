/* What the AWS client needs from its process and machine, so that tests can replace it. */
#ifndef AWS_PLATFORM_H
#define AWS_PLATFORM_H

#include <stdint.h>

typedef struct cara_platform {
    const char *(*env)(void *ctx, const char *name); /* NULL where unset */
    int64_t (*now_ms)(void *ctx);                    /* wall clock since 1970 UTC */
    double (*random)(void *ctx);                     /* in [0, 1) */
    void (*sleep)(void *ctx, double seconds);
    void *ctx;
} cara_platform;

/* The process's own. */
cara_platform cara_platform_real(void);

/* env(), with an empty value taken for none. */
const char *cara_platform_env(const cara_platform *platform, const char *name);
/* 1 where the variable is "true" in any case. */
int cara_platform_flag(const cara_platform *platform, const char *name);

#endif

#include "aws/settings/platform.h"

#include "base/clock.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *real_env(void *ctx, const char *name) {
    (void)ctx;
    return getenv(name);
}

static int64_t real_now(void *ctx) {
    (void)ctx;
    return cara_clock_wall_ms();
}

static double real_random(void *ctx) {
    (void)ctx;
    uint32_t bits = 0;
    /* Only spreads retries: no random number at all would still be right. */
    if (RAND_bytes((unsigned char *)&bits, sizeof bits) != 1)
        bits = (uint32_t)cara_clock_wall_ms() * 2654435761u;
    return bits / 4294967296.0;
}

static void real_sleep(void *ctx, double seconds) {
    (void)ctx;
    if (!(seconds > 0))
        return;
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

cara_platform cara_platform_real(void) {
    return (cara_platform){real_env, real_now, real_random, real_sleep, NULL};
}

const char *cara_platform_env(const cara_platform *platform, const char *name) {
    const char *value = platform->env(platform->ctx, name);
    return value && value[0] ? value : NULL;
}

int cara_platform_flag(const cara_platform *platform, const char *name) {
    const char *value = cara_platform_env(platform, name);
    return value && strcasecmp(value, "true") == 0;
}

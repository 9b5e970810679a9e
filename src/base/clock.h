/* Time, monotonic for measuring and wall for records; the wall clock can be set by tests. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Seconds since an arbitrary start; never goes back. */
double cara_clock_monotonic(void);

/* Milliseconds since 1970 UTC. */
int64_t cara_clock_wall_ms(void);

#endif

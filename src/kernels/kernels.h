/* Arithmetic, as a table of functions for one CPU level.
 *
 * Tables are filled from scalar upward; what a level does not have it inherits. A kernel never
 * makes threads: callers split rows or columns over a pool. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum cara_cpu_level {
    CARA_CPU_SCALAR = 0,
    CARA_CPU_AVX2, /* AVX2, FMA, F16C */
    CARA_CPU_LEVELS
} cara_cpu_level;

typedef struct cara_kernels cara_kernels;

const char *cara_cpu_level_name(cara_cpu_level level); /* "scalar", "avx2" */

/* The highest level of this machine (cpuid and XGETBV). */
cara_cpu_level cara_cpu_detect(void);

/* Picks a level by name; NULL means the best. Fails with CARA_ERR_CPU where the name is unknown or
 * the machine lacks it, naming those it has. */
int cara_cpu_pick(const char *name, cara_cpu_level *out, cara_error *err);

/* The table of a level that this machine has; static and read-only. */
const cara_kernels *cara_kernels_for(cara_cpu_level level);

#endif

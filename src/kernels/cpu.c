/* Which levels this machine has. */
#include "kernels/tables.h"

#include "base/buf.h"

#include <string.h>

#if defined(CARA_HAVE_AVX2)
#include <cpuid.h>

/* Register state that the operating system saves at a task switch; without OSXSAVE, none.
 * A CPU may have AVX while the system does not save its registers. */
static uint64_t saved_state(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int has_avx2(void) {
    unsigned a, b, c, d;
    if ((saved_state() & 6) != 6) /* XMM and the upper halves of YMM */
        return 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_FMA) || !(c & bit_F16C))
        return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}
#endif

int cara_cpu_has(cara_cpu_level level) {
    switch (level) {
    case CARA_CPU_SCALAR:
        return 1;
    case CARA_CPU_AVX2:
#ifdef CARA_HAVE_AVX2
        return has_avx2();
#else
        return 0;
#endif
    default:
        return 0;
    }
}

const char *cara_cpu_level_name(cara_cpu_level level) {
    static const char *const names[CARA_CPU_LEVELS] = {"scalar", "avx2"};
    return (unsigned)level < CARA_CPU_LEVELS ? names[level] : "unknown";
}

cara_cpu_level cara_cpu_detect(void) {
    int level = CARA_CPU_LEVELS - 1;
    while (level > CARA_CPU_SCALAR && !cara_cpu_has((cara_cpu_level)level))
        level--;
    return (cara_cpu_level)level;
}

int cara_cpu_pick(const char *name, cara_cpu_level *out, cara_error *err) {
    *out = cara_cpu_detect();
    if (!name || !*name)
        return CARA_OK;
    int known = 0;
    cara_buf have;
    cara_buf_init(&have, 256);
    for (int i = 0; i < CARA_CPU_LEVELS; i++) {
        cara_cpu_level level = (cara_cpu_level)i;
        const char *its = cara_cpu_level_name(level);
        int has = cara_cpu_has(level);
        if (!strcmp(name, its)) {
            known = 1;
            if (has) {
                *out = level;
                cara_buf_free(&have);
                return CARA_OK;
            }
        }
        if (has)
            cara_buf_printf(&have, "%s%s", have.len ? ", " : "", its);
    }
    int code = cara_fail(err, CARA_ERR_CPU, -1, "%s '%s'; this machine has: %s",
                         known ? "this machine lacks the CPU level" : "there is no CPU level", name,
                         have.data ? have.data : "scalar");
    cara_buf_free(&have);
    return code;
}

const cara_kernels *cara_kernels_for(cara_cpu_level level) {
#ifdef CARA_HAVE_AVX2
    if (level == CARA_CPU_AVX2)
        return &cara_kernels_avx2;
#endif
    return &cara_kernels_scalar;
}

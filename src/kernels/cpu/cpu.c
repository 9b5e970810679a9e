/* Which levels this machine has. */
#define _DEFAULT_SOURCE /* syscall */
#include "kernels/kernels.h"
#include "kernels/scalar/scalar.h"
#if defined(CARA_X86)
#include "kernels/amx/amx.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"
#elif defined(CARA_ARM64)
#include "kernels/neon/neon.h"
#endif

#include "base/memory/buf.h"

#include <string.h>

#if defined(CARA_X86)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* Bits of XCR0. */
#define STATE_AVX 0x6u     /* XMM and the upper halves of YMM */
#define STATE_AVX512 0xe6u /* and masks, ZMM */
#define STATE_AMX 0x600e6u /* and tile configuration and data */

static int saves_state(uint64_t state) {
    return (saved_state() & state) == state;
}

/* CPUID leaf 7 (Intel SDM volume 2, CPUID): bits by number. */
enum { EBX, ECX, EDX, EAX1 };
static int has_7(int reg, unsigned bits) {
    unsigned r[4] = {0}, a = 0, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &r[EBX], &r[ECX], &r[EDX]))
        return 0;
    if (a >= 1 && !__get_cpuid_count(7, 1, &r[EAX1], &b, &c, &d))
        return 0;
    return (r[reg] & bits) == bits;
}
#define BIT(n) (1u << (n))

static int has_avx2(void) {
    unsigned a, b, c, d;
    return saves_state(STATE_AVX) && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_FMA) &&
           (c & bit_F16C) && has_7(EBX, BIT(5));
}

static int has_avx512(void) {
    return has_avx2() && saves_state(STATE_AVX512) &&
           has_7(EBX, BIT(16) | BIT(17) | BIT(30) | BIT(31));
}

static int has_avx512vnni(void) {
    return has_avx512() && has_7(ECX, BIT(11));
}

/* Linux permits tile data only to processes that request it (Documentation/arch/x86/xstate.rst);
 * requesting it twice does no harm, and threads inherit it. */
static int has_amx(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return has_avx512vnni() && saves_state(STATE_AMX) && has_7(EDX, BIT(24) | BIT(25)) &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static int has(cara_cpu_level level) {
    switch (level) {
    case CARA_CPU_AVX2:
        return has_avx2();
    case CARA_CPU_AVXVNNI:
        return has_avx2() && has_7(EAX1, BIT(4));
    case CARA_CPU_AVX512:
        return has_avx512();
    case CARA_CPU_AVX512VNNI:
        return has_avx512vnni();
    case CARA_CPU_AMX:
        return has_amx();
    default:
        return 0;
    }
}

static const cara_kernels *table(cara_cpu_level level) {
    int bf16 = level >= CARA_CPU_AVX512VNNI && has_7(EAX1, BIT(5));
    switch (level) {
    case CARA_CPU_AVX2:
        return &cara_kernels_avx2;
    case CARA_CPU_AVXVNNI:
        return &cara_kernels_avxvnni;
    case CARA_CPU_AVX512:
        return &cara_kernels_avx512;
    case CARA_CPU_AVX512VNNI:
        return bf16 ? &cara_kernels_avx512vnni_bf16 : &cara_kernels_avx512vnni;
    case CARA_CPU_AMX:
        return bf16 && has_7(EDX, BIT(22)) ? &cara_kernels_amx_bf16 : &cara_kernels_amx;
    default:
        return &cara_kernels_scalar;
    }
}
#elif defined(CARA_ARM64)
#include <asm/hwcap.h>
#include <sys/auxv.h>

static int has(cara_cpu_level level) {
    return level == CARA_CPU_NEON && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP);
}

static const cara_kernels *table(cara_cpu_level level) {
    return level == CARA_CPU_NEON ? &cara_kernels_neon : &cara_kernels_scalar;
}
#else
static int has(cara_cpu_level level) {
    (void)level;
    return 0;
}

static const cara_kernels *table(cara_cpu_level level) {
    (void)level;
    return &cara_kernels_scalar;
}
#endif

int cara_cpu_has(cara_cpu_level level) {
    return level == CARA_CPU_SCALAR || has(level);
}

const char *cara_cpu_level_name(cara_cpu_level level) {
    static const char *const names[CARA_CPU_LEVELS] = {"scalar",     "avx2", "avxvnni", "avx512",
                                                       "avx512vnni", "amx",  "neon"};
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
    return table(level);
}

/* Ceilings: loops that only multiply, or only read. The loops are assembly, so that no compiler
 * makes them slower; registers hold zeros, which takes no less time. */
#define _GNU_SOURCE
#include "base/clock.h"
#include "base/limits.h"
#include "bench/bench.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REPEATS 40
#define READS 5
#define PIECES 3

typedef void (*loop_fn)(uint64_t rounds);

typedef struct loop {
    const char *level, *name;
    cara_bench_kind kind;
    double ops; /* of a round */
    loop_fn fn;
    int (*has)(void);
} loop;

#if defined(__x86_64__)
#include <cpuid.h>

#define CLOBBERS                                                                                   \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc"
#define ZERO_SSE(r) "pxor %%xmm" r ",%%xmm" r "\n\t"
#define ZERO_AVX(r) "vpxor %%xmm" r ",%%xmm" r ",%%xmm" r "\n\t"
/* clang-format 14 breaks the string of a long line in two, a little further at each run. */
/* clang-format off */
#define TWELVE(M) \
    M("0") M("1") M("2") M("3") M("4") M("5") M("6") M("7") M("8") M("9") M("10") M("11")
#define ALL(M) TWELVE(M) M("12") M("13") M("14") M("15")
/* clang-format on */
/* Twelve sums hide the latency; `zero` first, `end` last. */
#define LOOP(function, zero, body, end)                                                            \
    static void function(uint64_t n) {                                                             \
        __asm__ volatile(ALL(zero) ".balign 32\n1:\n\t" body "dec %0\n\tjnz 1b\n\t" end            \
                         : "+r"(n)::CLOBBERS);                                                     \
    }

#define F32_SSE(r) "movaps %%xmm12,%%xmm14\n\tmulps %%xmm13,%%xmm14\n\taddps %%xmm14,%%xmm" r "\n\t"
#define I8_SSE(r)                                                                                  \
    "movdqa %%xmm12,%%xmm14\n\tpmaddwd %%xmm13,%%xmm14\n\tpaddd %%xmm14,%%xmm" r "\n\t"
#define F32_YMM(r) "vfmadd231ps %%ymm12,%%ymm13,%%ymm" r "\n\t"
#define F32_ZMM(r) "vfmadd231ps %%zmm12,%%zmm13,%%zmm" r "\n\t"
#define I8_YMM(r)                                                                                  \
    "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n\tvpmaddwd %%ymm14,%%ymm15,%%ymm14\n\tvpaddd "            \
    "%%ymm14,%%ymm" r ",%%ymm" r "\n\t"
#define I8_ZMM(r)                                                                                  \
    "vpmaddubsw %%zmm12,%%zmm13,%%zmm14\n\tvpmaddwd %%zmm14,%%zmm15,%%zmm14\n\tvpaddd "            \
    "%%zmm14,%%zmm" r ",%%zmm" r "\n\t"
#define DOT_YMM(r) "%{vex%} vpdpbusd %%ymm12,%%ymm13,%%ymm" r "\n\t"
#define DOT_ZMM(r) "vpdpbusd %%zmm12,%%zmm13,%%zmm" r "\n\t"
#define BF16_ZMM(r) "vdpbf16ps %%zmm12,%%zmm13,%%zmm" r "\n\t"

LOOP(f32_sse, ZERO_SSE, TWELVE(F32_SSE), "")
LOOP(i8_sse, ZERO_SSE, TWELVE(I8_SSE), "")
LOOP(f32_ymm, ZERO_AVX, TWELVE(F32_YMM), "vzeroupper")
LOOP(i8_ymm, ZERO_AVX, TWELVE(I8_YMM), "vzeroupper")
LOOP(dot_ymm, ZERO_AVX, TWELVE(DOT_YMM), "vzeroupper")
LOOP(f32_zmm, ZERO_AVX, TWELVE(F32_ZMM), "vzeroupper")
LOOP(i8_zmm, ZERO_AVX, TWELVE(I8_ZMM), "vzeroupper")
LOOP(dot_zmm, ZERO_AVX, TWELVE(DOT_ZMM), "vzeroupper")
LOOP(bf16_zmm, ZERO_AVX, TWELVE(BF16_ZMM), "vzeroupper")

/* Eight tiles of 16 rows x 64 bytes; four sums hide the latency. */
#define TILES(function, op)                                                                        \
    static void function(uint64_t n) {                                                             \
        uint8_t config[64] = {1};                                                                  \
        for (int i = 0; i < 8; i++) {                                                              \
            config[16 + 2 * i] = 64;                                                               \
            config[48 + i] = 16;                                                                   \
        }                                                                                          \
        __asm__ volatile("ldtilecfg (%1)\n\t"                                                      \
                         "tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\t"               \
                         "tilezero %%tmm3\n\ttilezero %%tmm4\n\ttilezero %%tmm5\n\t"               \
                         "tilezero %%tmm6\n\ttilezero %%tmm7\n"                                    \
                         "1:\n\t" op " %%tmm4,%%tmm5,%%tmm0\n\t" op " %%tmm4,%%tmm6,%%tmm1\n\t" op \
                         " %%tmm7,%%tmm5,%%tmm2\n\t" op " %%tmm7,%%tmm6,%%tmm3\n\t"                \
                         "dec %0\n\tjnz 1b\n\ttilerelease"                                         \
                         : "+r"(n)                                                                 \
                         : "r"(config)                                                             \
                         : "memory", "cc");                                                        \
    }
TILES(i8_tiles, "tdpbusd")
TILES(bf16_tiles, "tdpbf16ps")

static uint64_t saved_state(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* One register (0 eax, 1 ebx, 2 ecx, 3 edx) of leaf 7. */
static unsigned leaf7(unsigned sub, int reg) {
    unsigned r[4] = {0};
    if (!__get_cpuid_count(7, sub, &r[0], &r[1], &r[2], &r[3]))
        return 0;
    return r[reg];
}

static int always(void) {
    return 1;
}
static int has_avx2(void) {
    unsigned a, b, c, d;
    return (saved_state() & 6) == 6 && __get_cpuid(1, &a, &b, &c, &d) && c & bit_FMA &&
           leaf7(0, 1) & bit_AVX2;
}
static int has_avxvnni(void) {
    return has_avx2() && leaf7(1, 0) >> 4 & 1;
}
static int has_avx512(void) {
    return has_avx2() && (saved_state() & 0xe6) == 0xe6 && leaf7(0, 1) & bit_AVX512F &&
           leaf7(0, 1) & bit_AVX512BW;
}
static int has_avx512vnni(void) {
    return has_avx512() && leaf7(0, 2) >> 11 & 1;
}
static int has_avx512bf16(void) {
    return has_avx512vnni() && leaf7(1, 0) >> 5 & 1;
}
/* The system gives tiles to a process that asks for them. */
static int has_tiles(unsigned bit) {
    return (saved_state() & 0x60000) == 0x60000 && leaf7(0, 3) >> 24 & 1 &&
           leaf7(0, 3) >> bit & 1 && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}
static int has_amx_int8(void) {
    return has_tiles(25);
}
static int has_amx_bf16(void) {
    return has_tiles(22);
}

static const loop loops[] = {
    {"scalar", "mulps, addps xmm", CARA_PEAK_F32, 12 * 8, f32_sse, always},
    {"scalar", "pmaddwd, paddd xmm", CARA_PEAK_INT8, 12 * 16, i8_sse, always},
    {"avx2", "vfmadd231ps ymm", CARA_PEAK_F32, 12 * 16, f32_ymm, has_avx2},
    {"avx2", "vpmaddubsw, vpmaddwd, vpaddd ymm", CARA_PEAK_INT8, 12 * 64, i8_ymm, has_avx2},
    {"avxvnni", "vpdpbusd ymm", CARA_PEAK_INT8, 12 * 64, dot_ymm, has_avxvnni},
    {"avx512", "vfmadd231ps zmm", CARA_PEAK_F32, 12 * 32, f32_zmm, has_avx512},
    {"avx512", "vpmaddubsw, vpmaddwd, vpaddd zmm", CARA_PEAK_INT8, 12 * 128, i8_zmm, has_avx512},
    {"avx512vnni", "vpdpbusd zmm", CARA_PEAK_INT8, 12 * 128, dot_zmm, has_avx512vnni},
    {"avx512vnni", "vdpbf16ps zmm", CARA_PEAK_BF16, 12 * 64, bf16_zmm, has_avx512bf16},
    {"amx", "tdpbusd", CARA_PEAK_INT8, 4 * 32768, i8_tiles, has_amx_int8},
    {"amx", "tdpbf16ps", CARA_PEAK_BF16, 4 * 16384, bf16_tiles, has_amx_bf16},
};

/* Reads n bytes, a multiple of 256. */
static void read_all(const char *p, size_t n) {
    __asm__ volatile("1:\n\t"
                     "movdqa (%0),%%xmm0\n\tmovdqa 16(%0),%%xmm1\n\tmovdqa 32(%0),%%xmm2\n\t"
                     "movdqa 48(%0),%%xmm3\n\tmovdqa 64(%0),%%xmm4\n\tmovdqa 80(%0),%%xmm5\n\t"
                     "movdqa 96(%0),%%xmm6\n\tmovdqa 112(%0),%%xmm7\n\tmovdqa 128(%0),%%xmm8\n\t"
                     "movdqa 144(%0),%%xmm9\n\tmovdqa 160(%0),%%xmm10\n\t"
                     "movdqa 176(%0),%%xmm11\n\tmovdqa 192(%0),%%xmm12\n\t"
                     "movdqa 208(%0),%%xmm13\n\tmovdqa 224(%0),%%xmm14\n\t"
                     "movdqa 240(%0),%%xmm15\n\t"
                     "add $256,%0\n\tsub $256,%1\n\tjnz 1b"
                     : "+r"(p), "+r"(n)::CLOBBERS, "memory");
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

#define CLOBBERS                                                                                   \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21",      \
        "v22", "v23", "v24", "v25", "cc"
#define SIXTEEN(M)                                                                                 \
    M("0")                                                                                         \
    M("1")                                                                                         \
    M("2")                                                                                         \
    M("3")                                                                                         \
    M("4") M("5") M("6") M("7") M("16") M("17") M("18") M("19") M("20") M("21") M("22") M("23")
#define ZERO(r) "movi v" r ".16b,#0\n\t"
#define LOOP(function, body)                                                                       \
    static void function(uint64_t n) {                                                             \
        __asm__ volatile(".arch_extension dotprod\n\t" SIXTEEN(ZERO) ZERO("24")                    \
                             ZERO("25") "1:\n\t" body "subs %0,%0,#1\n\tb.ne 1b"                   \
                         : "+r"(n)::CLOBBERS);                                                     \
    }
#define F32(r) "fmla v" r ".4s,v24.4s,v25.4s\n\t"
#define DOT(r) "sdot v" r ".4s,v24.16b,v25.16b\n\t"
LOOP(f32_neon, SIXTEEN(F32))
LOOP(dot_neon, SIXTEEN(DOT))

static int always(void) {
    return 1;
}
static int has_dotprod(void) {
    return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
}

static const loop loops[] = {
    {"scalar", "fmla v.4s", CARA_PEAK_F32, 16 * 8, f32_neon, always},
    {"neon", "sdot v.4s", CARA_PEAK_INT8, 16 * 32, dot_neon, has_dotprod},
};

static void read_all(const char *p, size_t n) {
    __asm__ volatile("1:\n\t"
                     "ldp q0,q1,[%0]\n\tldp q2,q3,[%0,#32]\n\tldp q4,q5,[%0,#64]\n\t"
                     "ldp q6,q7,[%0,#96]\n\tldp q16,q17,[%0,#128]\n\tldp q18,q19,[%0,#160]\n\t"
                     "ldp q20,q21,[%0,#192]\n\tldp q22,q23,[%0,#224]\n\t"
                     "add %0,%0,#256\n\tsubs %1,%1,#256\n\tb.ne 1b"
                     : "+r"(p), "+r"(n)::CLOBBERS, "memory");
}
#else
#error "bench needs a multiply loop for this architecture"
#endif

enum { N_LOOPS = sizeof loops / sizeof loops[0] };
_Static_assert(N_LOOPS <= CARA_BENCH_MAX_PEAKS, "more loops than room for peaks");

/* ---- all threads at once ---- */

typedef struct job {
    loop_fn fn;
    uint64_t rounds;
    const char *memory; /* to read instead, each thread its part */
    size_t part;
    int threads;
    atomic_int arrived;
    double start[CARA_LIMIT_THREADS], end[CARA_LIMIT_THREADS];
} job;

static void work(void *ctx, size_t task, int thread) {
    job *j = ctx;
    (void)thread;
    /* No thread takes a second task before each has one. */
    atomic_fetch_add(&j->arrived, 1);
    while (atomic_load(&j->arrived) < j->threads)
        ;
    j->start[task] = cara_clock_monotonic();
    if (j->memory)
        read_all(j->memory + task * j->part, j->part);
    else
        j->fn(j->rounds);
    j->end[task] = cara_clock_monotonic();
}

/* Seconds from the first start to the last end. */
static double run_once(job *j, cara_pool *pool) {
    atomic_store(&j->arrived, 0);
    cara_pool_run(pool, work, j, (size_t)j->threads);
    double first = j->start[0], last = j->end[0];
    for (int i = 1; i < j->threads; i++) {
        first = j->start[i] < first ? j->start[i] : first;
        last = j->end[i] > last ? j->end[i] : last;
    }
    return last > first ? last - first : 1e-9;
}

static double best_run(job *j, cara_pool *pool, int runs) {
    double best = run_once(j, pool);
    for (int i = 1; i < runs; i++)
        best = fmin(best, run_once(j, pool));
    return best;
}

static double measure_loop(const loop *l, cara_pool *pool, double seconds) {
    job j = {.fn = l->fn, .rounds = 1000, .threads = cara_pool_threads(pool)};
    double took;
    while ((took = run_once(&j, pool)) < seconds && j.rounds < UINT64_C(1) << 40)
        j.rounds = took < seconds / 16 ? j.rounds * 8
                                       : (uint64_t)((double)j.rounds * seconds / took * 1.1) + 1;
    double best = fmin(took, best_run(&j, pool, REPEATS - 1));
    return (double)j.threads * l->ops * (double)j.rounds / best / 1e9;
}

/* Of one piece: larger than the caches that matter; all are at most a quarter of the memory. */
static size_t memory_to_read(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t n = 512 * CARA_MIB, most = (size_t)(pages > 0 ? pages : 0) / 4 / PIECES;
    if (most > 0 && page > 0 && most * (size_t)page < n)
        n = most * (size_t)page;
    return n;
}

/* No two pages alike: a hypervisor may share equal ones, which are then read from a cache. */
static void fill(char *memory, size_t n) {
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i + sizeof x <= n; i += sizeof x) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(memory + i, &x, sizeof x);
    }
}

/* How fast memory is read depends on where its pages are: some are read nearly twice as fast as
 * most. Of three pieces that are there at once the one in the middle counts. */
static int measure_reading(cara_pool *pool, double *gbs, cara_error *err) {
    size_t threads = (size_t)cara_pool_threads(pool), part = memory_to_read() / threads / 256 * 256;
    size_t n = part * threads;
    char *memory =
        mmap(NULL, n * PIECES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to measure its bandwidth with");
    madvise(memory, n * PIECES, MADV_HUGEPAGE);
    fill(memory, n * PIECES);
    double took[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        job j = {.threads = (int)threads, .memory = memory + i * n, .part = part};
        took[i] = best_run(&j, pool, READS);
    }
    munmap(memory, n * PIECES);
    *gbs = (double)n / cara_bench_median(took, PIECES) / 1e9;
    return CARA_OK;
}

/* Whether a level may use what another one brings. */
static int level_allows(const char *is, const char *needs) {
    static const char *const order[] = {"scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "amx"};
    int at = -1, wants = -1;
    for (int i = 0; i < 6; i++) {
        if (strcmp(order[i], is) == 0)
            at = i;
        if (strcmp(order[i], needs) == 0)
            wants = i;
    }
    /* NEON stands alone above scalar; the first AVX-512 has no dot products of any width. */
    if (strcmp(is, "neon") == 0)
        return strcmp(needs, "neon") == 0 || strcmp(needs, "scalar") == 0;
    if (strcmp(is, "avx512") == 0 && strcmp(needs, "avxvnni") == 0)
        return 0;
    return wants >= 0 && at >= wants;
}

static const cara_bench_peak *best_of(const cara_bench_ceilings *c, const char *level,
                                      cara_bench_kind kind) {
    const cara_bench_peak *best = NULL;
    for (size_t i = 0; i < c->n_peaks; i++) {
        const cara_bench_peak *p = &c->peaks[i];
        if (p->kind == kind && p->gops > 0 && level_allows(level, p->level) &&
            (!best || p->gops > best->gops))
            best = p;
    }
    return best;
}

int cara_bench_measure_ceilings(const char *level, cara_pool *pool, double seconds,
                                cara_bench_ceilings *out, cara_error *err) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < N_LOOPS; i++)
        out->peaks[out->n_peaks++] =
            (cara_bench_peak){loops[i].level, loops[i].name, loops[i].kind,
                              loops[i].has() ? measure_loop(&loops[i], pool, seconds) : 0};
    out->int8 = best_of(out, level, CARA_PEAK_INT8);
    out->f32 = best_of(out, level, CARA_PEAK_F32);
    out->bf16 = best_of(out, level, CARA_PEAK_BF16);
    if (strcmp(level, "avx2") == 0 || strcmp(level, "avxvnni") == 0)
        out->int16 = best_of(out, "avx2", CARA_PEAK_INT8);
    return measure_reading(pool, &out->read_gbs, err);
}

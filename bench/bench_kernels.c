/* How close the kernels come to the processor's limit: products and attention of a medium window's
 * shapes at every level, beside loops of only the level's instruction.
 *
 *     build/bench/bench_kernels [RUNS]
 *
 * One thread. Rates are in Gop/s (a multiplication and an addition are two), best of RUNS, since
 * the limit is wanted and the machine may be shared; compare within one run only. */
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define M 1500
#define HEADS 4

/* Processor time of this thread: a shared machine takes turns. */
static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t seed = 1;

static float uniform(void) {
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 8388608.0f - 1.0f;
}

static void *block(size_t n) {
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);
    if (!p)
        exit(1);
    memset(p, 0, (n + 63) / 64 * 64);
    return p;
}

static float *floats(size_t n) {
    float *p = block(n * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = uniform();
    return p;
}

#if defined(CARA_X86)
/* Twelve independent sums, so that latency does not show. */
#define PEAK(name, isa, what, reg)                                                                 \
    __attribute__((target(isa))) static void name(size_t n) {                                      \
        for (; n; n--)                                                                             \
            __asm__ volatile(what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7)       \
                                 what(8) what(9) what(10) what(11)::                               \
                                     : reg "0", reg "1", reg "2", reg "3", reg "4", reg "5",       \
                                       reg "6", reg "7", reg "8", reg "9", reg "10", reg "11");    \
    }
#define FMA_256(i) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #i "\n"
#define FMA_512(i) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #i "\n"
#define DOT_256(i) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #i "\n"
#define DOT_512(i) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #i "\n"
#define BF16_512(i) "vdpbf16ps %%zmm12, %%zmm13, %%zmm" #i "\n"
/* AVX2 has no dot product: two instructions and an addition, were it not for saturation. */
#define MADD_256(i)                                                                                \
    "vpmaddubsw %%ymm12, %%ymm13, %%ymm15\n"                                                       \
    "vpmaddwd %%ymm15, %%ymm13, %%ymm15\nvpaddd %%ymm15, %%ymm" #i ", %%ymm" #i "\n"
PEAK(fma_256, "avx2", FMA_256, "xmm")
PEAK(fma_512, "avx512f", FMA_512, "xmm")
PEAK(madd_256, "avx2", MADD_256, "xmm")
PEAK(dot_256, "avx2", DOT_256, "xmm")
PEAK(dot_512, "avx512f", DOT_512, "xmm")
PEAK(bf16_512, "avx512f", BF16_512, "xmm")

static double peak(void (*loop)(size_t), double ops, int runs) {
    double best = 0;
    for (int r = 0; r < runs; r++) {
        double start = seconds();
        loop(1000000);
        best = fmax(best, 12e6 * ops / (seconds() - start));
    }
    return best / 1e9;
}

static void peaks(int runs) {
    printf("peak f32 256 bits %.0f, int8 maddubs 256 bits %.0f", peak(fma_256, 16, runs),
           peak(madd_256, 64, runs));
    if (cara_cpu_has(CARA_CPU_AVXVNNI))
        printf(", int8 vpdpbusd 256 bits %.0f", peak(dot_256, 64, runs));
    if (cara_cpu_has(CARA_CPU_AVX512))
        printf(", f32 512 bits %.0f", peak(fma_512, 32, runs));
    if (cara_cpu_has(CARA_CPU_AVX512VNNI))
        printf(", int8 vpdpbusd 512 bits %.0f", peak(dot_512, 128, runs));
    if (cara_cpu_has(CARA_CPU_AVX512VNNI) && cara_kernels_for(CARA_CPU_AVX512VNNI)->attend_coarse !=
                                                 cara_kernels_for(CARA_CPU_AVX512VNNI)->attend)
        printf(", bf16 512 bits %.0f", peak(bf16_512, 64, runs));
    printf(" Gop/s\n");
}
#else
static void peaks(int runs) {
    (void)runs;
}
#endif

static double product(const cara_kernels *k, size_t n, size_t depth, int gelu, int runs,
                      double *quantise) {
    size_t rows = M, tiles = (rows + k->i8->row_tile - 1) / k->i8->row_tile;
    float *x = floats(rows * depth), *y = block(rows * n * sizeof *y), *bias = floats(n);
    int8_t *packed = block(cara_i8_packed_size(n, depth));
    for (size_t i = 0; i < cara_i8_packed_size(n, depth); i++)
        packed[i] = (int8_t)(uniform() * 127);
    float *scale = floats(cara_i8_channels(n));
    int32_t *sum = block(4 * cara_i8_channels(n));
    void *q = block(k->i8->activation_size(rows, depth));
    cara_i8_product p = {.weights = {packed, scale, sum, n, depth},
                         .x = q,
                         .rows = rows,
                         .y = y,
                         .ldy = n,
                         .bias = bias,
                         .gelu = gelu};
    double best = 1e9;
    *quantise = 1e9;
    for (int r = 0; r < runs; r++) {
        double start = seconds();
        k->i8->quantise(x, depth, rows, depth, 0, tiles, q);
        double middle = seconds();
        k->i8->product(&p, 0, tiles, 0, cara_i8_panels(n));
        *quantise = fmin(*quantise, middle - start);
        best = fmin(best, seconds() - middle);
    }
    free(x), free(y), free(bias), free(packed), free(scale), free(sum), free(q);
    *quantise = (double)(rows * depth) / *quantise / 1e9;
    return 2.0 * (double)(rows * n * depth) / best / 1e9;
}

static double attention(const cara_kernels *k, int coarse, int runs) {
    size_t d = 64, ld = HEADS * d;
    float *q = floats(M * ld), *keys = floats(M * ld), *v = floats(M * ld), *o = floats(M * ld);
    void *scratch = block(k->attend_scratch);
    double best = 1e9;
    for (int r = 0; r < runs; r++) {
        double start = seconds();
        for (size_t h = 0; h < HEADS; h++) {
            cara_attend a = {M,  M,         d,  q + h * d, ld, keys + h * d, ld, v + h * d,
                             ld, o + h * d, ld, 0.125f,    0};
            (coarse ? k->attend_coarse : k->attend)(&a, scratch);
        }
        best = fmin(best, seconds() - start);
    }
    free(q), free(keys), free(v), free(o), free(scratch);
    return 4.0 * HEADS * M * M * (double)d / best / 1e9;
}

int main(int argc, char **argv) {
    int runs = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    peaks(runs);
    for (int i = CARA_CPU_AVX2; i < CARA_CPU_LEVELS; i++) {
        if (!cara_cpu_has((cara_cpu_level)i))
            continue;
        const cara_kernels *k = cara_kernels_for((cara_cpu_level)i);
        double quantise, wide, narrow, deep;
        narrow = product(k, 1024, 1024, 0, runs, &quantise);
        wide = product(k, 4096, 1024, 1, runs, &quantise);
        deep = product(k, 1024, 4096, 0, runs, &quantise);
        printf("%s: int8 1024x1024 %.0f, 4096x1024 with GELU %.0f, 1024x4096 %.0f Gop/s; quantise "
               "%.2f G/s; attention %.0f, coarse %.0f Gop/s\n",
               cara_cpu_level_name(k->level), narrow, wide, deep, quantise, attention(k, 0, runs),
               attention(k, 1, runs));
    }
    return 0;
}

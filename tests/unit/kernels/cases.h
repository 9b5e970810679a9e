/* What the kernels' tests share: inputs, outputs between guard bands, scratch, and the levels. */
#ifndef TESTS_KERNELS_CASES_H
#define TESTS_KERNELS_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/numbers/half.h"
#include "kernels/common/common.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GUARD 64
#define POISON 0x7fc0dead /* a NaN */

static uint64_t seed = 1;

static double uniform(void) { /* [-1, 1) */
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(seed >> 11) / 4503599627370496.0 - 1;
}

static float *floats(size_t n, double scale) {
    float *x = malloc(n * sizeof *x + 1);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * uniform());
    return x;
}

typedef struct out {
    float *memory, *data;
    size_t n;
} out;

static out out_new(size_t n, size_t shift) {
    out o = {.n = n, .memory = malloc((n + shift + 2 * GUARD) * sizeof(float))};
    assert_non_null(o.memory);
    const uint32_t poison = POISON;
    for (size_t i = 0; i < n + shift + 2 * GUARD; i++)
        memcpy(&o.memory[i], &poison, sizeof poison);
    o.data = o.memory + GUARD + shift;
    return o;
}

static int poisoned(const float *x) {
    const uint32_t poison = POISON;
    return memcmp(x, &poison, sizeof poison) == 0;
}

static void out_free(out *o) {
    for (size_t i = 0; i < GUARD; i++) {
        assert_true(poisoned(o->data - 1 - i));
        assert_true(poisoned(o->data + o->n + i));
    }
    free(o->memory);
}

static void *scratch_new(size_t n) {
    void *p = aligned_alloc(64, (n + 127) / 64 * 64);
    assert_non_null(p);
    memset(p, 0xff, (n + 127) / 64 * 64); /* NaN: what scratch holds before must not matter */
    return p;
}

typedef void (*level_test)(const cara_kernels *k);

#ifdef CARA_EMULATED
/* The AVX-512 files compiled a second time, for machines without the level. */
extern const cara_kernels emulated_avx512, emulated_avx512vnni, emulated_avx512vnni_bf16,
    emulated_amx, emulated_amx_bf16;
static const cara_kernels *const emulated[] = {&emulated_avx512, &emulated_avx512vnni_bf16,
                                               &emulated_amx_bf16};
#endif

static void at_every_level(level_test test) {
#ifdef CARA_EMULATED
    for (size_t i = 0; cara_cpu_has(CARA_CPU_AVX2) && i < sizeof emulated / sizeof *emulated; i++) {
        seed = 1;
        test(emulated[i]);
    }
#endif
    for (int level = 0; level < CARA_CPU_LEVELS; level++) {
        if (!cara_cpu_has((cara_cpu_level)level))
            continue;
        seed = 1;
        const cara_kernels *k = cara_kernels_for((cara_cpu_level)level);
        assert_int_equal(k->level, level);
        test(k);
    }
}

#endif

/* Every level of the int8 products against the scalar one, on ragged shapes, with the outputs
 * poisoned and fenced. Levels that the machine lacks run through SIMDe or an emulation; AMX beside
 * AVX-512 as it was compiled, too, its instructions trapped. */
#ifdef __x86_64__
#include "amx_traps.h"
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/i8.h"
#include "kernels/kernels.h"
#include "model/i8_pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POISON 0x7FC0DEADu /* a NaN that no sum produces */
#define FENCE 64

static uint32_t seed = 1;

static float uniform(void) {
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 8388608.0f - 1.0f;
}

static float *floats(size_t n) {
    float *p = aligned_alloc(64, (n * sizeof *p + 127) / 64 * 64);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = uniform();
    return p;
}

static void *zeroed(size_t n) {
    void *p = aligned_alloc(64, (n + 127) / 64 * 64);
    assert_non_null(p);
    return memset(p, 0, (n + 127) / 64 * 64);
}

typedef struct matrix {
    cara_i8_weights weights;
    int8_t *packed;
    float *scale;
    int32_t *sum;
} matrix;

static matrix pack(const float *w, size_t n, size_t k) {
    matrix m = {.packed = zeroed(cara_i8_packed_size(n, k)),
                .scale = zeroed(64 * cara_i8_panels(n)),
                .sum = zeroed(64 * cara_i8_panels(n))};
    for (size_t i = 0; i < n; i++)
        cara_i8_pack_row(w + i * k, k, i, m.packed, m.scale, m.sum);
    m.weights = (cara_i8_weights){m.packed, m.scale, m.sum, n, k};
    return m;
}

static void drop(matrix *m) {
    free(m->packed);
    free(m->scale);
    free(m->sum);
}

/* Runs in pieces: tiles and panels are split unevenly, as threads would. */
static float *run(const cara_i8_ops *ops, const matrix *m, const float *x, size_t rows, size_t ldy,
                  const float *bias, const float *residual, int gelu) {
    size_t k = m->weights.k, tiles = (rows + ops->row_tile - 1) / ops->row_tile;
    size_t size = ops->activation_size(rows, k), panels = cara_i8_panels(m->weights.n);
    uint8_t *q = aligned_alloc(64, (size + 127) / 64 * 64);
    memset(q, 0xEE, (size + 127) / 64 * 64);
    for (size_t t = tiles; t-- > 0;)
        ops->quantise(x, k, rows, k, t, t + 1, q);
    for (size_t i = size; i < (size + 127) / 64 * 64; i++)
        assert_int_equal(q[i], 0xEE);
    size_t total = rows * ldy + FENCE;
    float *y = aligned_alloc(64, (total * 4 + 63) / 64 * 64);
    for (size_t i = 0; i < total; i++)
        memcpy(y + i, &(uint32_t){POISON}, 4);
    cara_i8_product p = {.weights = m->weights,
                         .x = q,
                         .rows = rows,
                         .y = y,
                         .ldy = ldy,
                         .bias = bias,
                         .residual = residual,
                         .gelu = gelu};
#ifdef __x86_64__
    if (ops == &cara_i8_amx && !cara_cpu_has(CARA_CPU_AMX)) /* which requests the permission */
        amx_trap();
#endif
    size_t half = tiles / 2, third = panels / 3;
    ops->product(&p, half, tiles, 0, third);
    ops->product(&p, 0, half, 0, third);
    ops->product(&p, 0, half, third, panels);
    ops->product(&p, half, tiles, third, panels);
    free(q);
    return y;
}

#ifdef CARA_I8_SIMDE
/* The same sources compiled against SIMDe and the AMX emulation; the reference with 16 bits. */
extern const cara_i8_ops cara_i8_avx2_simde, cara_i8_avxvnni_simde, cara_i8_avx512vnni_simde,
    cara_i8_amx_emulated, cara_i8_scalar_wide;
#endif

/* What a level must equal. */
static const cara_i8_ops *reference_of(const cara_i8_ops *ops) {
#ifdef CARA_I8_SIMDE
    if (ops == &cara_i8_avx2 || ops == &cara_i8_avx2_simde)
        return &cara_i8_scalar_wide;
#endif
    (void)ops;
    return &cara_i8_scalar;
}

static const size_t shapes[][3] = {
    /* rows, channels, inputs */
    {1, 1, 1},      {1, 16, 64},   {2, 17, 63},   {3, 15, 65},    {4, 33, 128},  {5, 64, 192},
    {6, 65, 240},   {7, 80, 4},    {8, 31, 257},  {11, 48, 384},  {12, 128, 5},  {13, 96, 66},
    {16, 16, 64},   {17, 50, 130}, {31, 100, 64}, {32, 32, 320},  {33, 47, 96},  {37, 150, 1024},
    {1, 1003, 192}, {5, 515, 64},  {24, 33, 128}, {25, 16, 1088}, {100, 49, 65}, {201, 35, 2111},
};

static void compare(const cara_i8_ops *ops) {
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int variant = 0; variant < 8; variant++) {
            size_t rows = shapes[s][0], n = shapes[s][1], k = shapes[s][2], ldy = n + s % 3;
            float *w = floats(n * k), *x = floats(rows * k), *bias = floats(n),
                  *residual = floats(rows * ldy);
            if (variant == 5)
                memset(x, 0, k * sizeof *x); /* a row of zeros has no scale to divide by */
            if (variant == 6)
                for (size_t i = 0; i < rows * k; i++) /* lopsided, as behind a GELU */
                    x[i] = x[i] < 0 ? 0.1f * x[i] : 3 * x[i] * x[i];
            if (variant == 7) /* the largest value lies half a step beyond the last */
                for (size_t i = 0; i < rows * k; i++)
                    x[i] = i % k ? -0.5f : 253.5f;
            matrix m = pack(w, n, k);
            const float *b = variant & 1 ? bias : NULL, *r = variant & 2 ? residual : NULL;
            float *want =
                run(reference_of(ops), &m, x, rows, ldy, b, r, variant == 4 || variant == 5);
            float *got = run(ops, &m, x, rows, ldy, b, r, variant == 4 || variant == 5);
            for (size_t i = 0; i < rows * ldy + FENCE; i++) {
                uint32_t bits;
                memcpy(&bits, got + i, 4);
                if (i / ldy >= rows || i % ldy >= n)
                    assert_int_equal(bits, POISON); /* outside: never written */
                else if (!(fabsf(got[i] - want[i]) <= 2e-6f * (1.0f + fabsf(want[i]))))
                    fail_msg("shape %zux%zux%zu variant %d at %zu: %g, not %g", rows, n, k, variant,
                             i, (double)got[i], (double)want[i]);
            }
            drop(&m);
            free(w), free(x), free(bias), free(residual), free(want), free(got);
        }
}

/* The references themselves: within the rounding of both sides of the exact product. */
static void reference_is_near_the_exact_product(void **state) {
    size_t rows = 9, n = 37, k = 300;
    float *w = floats(n * k), *x = floats(rows * k), *bias = floats(n);
    matrix m = pack(w, n, k);
    float *y = run(*state, &m, x, rows, n, bias, NULL, 1);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) {
            double sum = bias[c];
            for (size_t i = 0; i < k; i++)
                sum += (double)x[r * k + i] * (double)w[c * k + i];
            double want = 0.5 * sum * (1 + erf(sum * sqrt(0.5)));
            /* Each side is off by at most scale / 2 = 1 / 254; signs are random. */
            assert_true(fabs(y[r * n + c] - want) < 4 * sqrt((double)k) * 0.58 * sqrt(2) / 254);
        }
    drop(&m);
    free(w), free(x), free(bias), free(y);
}

/* Weights are exact here, so that what remains is the rounding of x: half of one of 254 steps of
 * its range, wherever that range lies. */
static void range_is_used_whole(void **state) {
    static const float ranges[][2] = {{-1, 1}, {-0.17f, 8}, {-8, 0.1f}, {0, 1}, {-3, 0}, {2, 3}};
    enum { K = 80 };
    float w[K * K] = {0}, x[K];
    for (size_t i = 0; i < K; i++)
        w[i * K + i] = 1;
    matrix m = pack(w, K, K);
    for (size_t t = 0; t < sizeof ranges / sizeof *ranges; t++) {
        float low = ranges[t][0], high = ranges[t][1];
        for (size_t i = 0; i < K; i++)
            x[i] = i % 5 ? low + (high - low) * (float)i / (K - 1) : 0; /* 0 stays 0 */
        float range = (high > 0 ? high : 0) - (low < 0 ? low : 0);
        float *y = run(*state, &m, x, 1, K, NULL, NULL, 0);
        for (size_t i = 0; i < K; i++)
            if (x[i] == 0)
                assert_true(y[i] == 0);
            else
                assert_true(fabsf(y[i] - x[i]) <= 0.501f * range / 254);
        free(y);
    }
    drop(&m);
}

/* Where bytes are multiplied in 16 bits, or the longest inputs that there are summed in 31, this
 * would saturate. */
static void extremes_do_not_saturate(void **state) {
    static const size_t shapes_here[][3] = {{1, 1, 256}, {32, 33, 256}, {32, 32, 5120}};
    const cara_i8_ops *ops = *state;
    for (size_t s = 0; s < sizeof shapes_here / sizeof *shapes_here; s++) {
        size_t rows = shapes_here[s][0], n = shapes_here[s][1], k = shapes_here[s][2];
        float *w = floats(n * k), *x = floats(rows * k);
        for (size_t i = 0; i < n * k; i++)
            w[i] = i % k % 3 ? 1.0f : -1.0f;
        for (size_t i = 0; i < rows * k; i++)
            x[i] = i % k % 3 ? -1.0f : 1.0f;
        matrix m = pack(w, n, k);
        float *y = run(ops, &m, x, rows, n, NULL, NULL, 0);
        for (size_t i = 0; i < rows * n; i++)
            assert_true(fabsf(y[i] + (float)k) < 4e-6f * (float)k);
        drop(&m);
        free(w), free(x), free(y);
    }
}

static void level_equals_scalar(void **state) {
    compare(*state);
}

#define LEVEL(name)                                                                                \
    cmocka_unit_test_prestate_setup_teardown(level_equals_scalar, NULL, NULL,                      \
                                             (void *)(uintptr_t)&cara_i8_##name),                  \
        cmocka_unit_test_prestate_setup_teardown(extremes_do_not_saturate, NULL, NULL,             \
                                                 (void *)(uintptr_t)&cara_i8_##name),              \
        cmocka_unit_test_prestate_setup_teardown(range_is_used_whole, NULL, NULL,                  \
                                                 (void *)(uintptr_t)&cara_i8_##name)
#define REFERENCE(name)                                                                            \
    cmocka_unit_test_prestate_setup_teardown(reference_is_near_the_exact_product, NULL, NULL,      \
                                             (void *)(uintptr_t)&cara_i8_##name)

int main(void) {
    const struct CMUnitTest always[] = {
        REFERENCE(scalar),
        LEVEL(scalar),
#ifdef CARA_I8_SIMDE
        REFERENCE(scalar_wide),
        LEVEL(avx2_simde),
        LEVEL(avxvnni_simde),
        LEVEL(avx512vnni_simde),
        LEVEL(amx_emulated),
#endif
#ifdef __aarch64__
        LEVEL(neon),
#endif
    };
    int failed = cmocka_run_group_tests(always, NULL, NULL);
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        const struct CMUnitTest tests[] = {LEVEL(avx2)};
        failed += cmocka_run_group_tests_name("avx2", tests, NULL, NULL);
    }
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")) {
        const struct CMUnitTest tests[] = {LEVEL(avx512vnni), LEVEL(amx)};
        failed += cmocka_run_group_tests_name("avx512vnni", tests, NULL, NULL);
    }
    unsigned eax = 7, ebx, ecx = 1, edx;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (__builtin_cpu_supports("avx2") && (eax >> 4 & 1)) {
        const struct CMUnitTest tests[] = {LEVEL(avxvnni)};
        failed += cmocka_run_group_tests_name("avxvnni", tests, NULL, NULL);
    }
#endif
    return failed;
}

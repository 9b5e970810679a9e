/* AVX2: 6 rows x half a panel (8 channels) in 12 accumulators. vpmaddubsw would saturate on eight
 * bits by eight, or need the signs moved from one side to the other; widened weights (vpmovsxbw,
 * once for six rows) and vpmaddwd need neither and multiply as many pairs an instruction.
 * Activations of 16 bits cost nothing here, so they have finer steps than those of the other
 * levels.
 *
 * Four inputs of a channel fill two lanes of a register; the two sums meet at the end. */
#ifdef CARA_SIMDE /* tests run this file on machines without the level */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#else
#include <immintrin.h>
#endif
#include <stddef.h>
#include <stdint.h>

#define I8_ROWS 6
#define I8_PANELS 1
#define I8_BYTES 2
#define I8_ZERO 0
#define I8_BITS 256

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc);
#include "kernels/i8/tile.h"

/* Adds a row's products with two registers of weights. GCC 12 orders the intrinsics so that sums
 * go through memory; in asm they stay in their registers. */
#ifndef CARA_SIMDE
static inline __attribute__((always_inline)) void
dots(__m256i *c0, __m256i *c1, const uint8_t *from, __m256i w0, __m256i w1) {
    __m256i x, t;
    __asm__("vpbroadcastq %[from], %[x]\n\t"
            "vpmaddwd %[w0], %[x], %[t]\n\t"
            "vpaddd %[t], %[c0], %[c0]\n\t"
            "vpmaddwd %[w1], %[x], %[x]\n\t"
            "vpaddd %[x], %[c1], %[c1]"
            : [c0] "+x"(*c0), [c1] "+x"(*c1), [x] "=&x"(x), [t] "=&x"(t)
            : [w0] "x"(w0), [w1] "x"(w1), [from] "m"(*(const char(*)[8])from));
}
#else
static inline void dots(__m256i *c0, __m256i *c1, const uint8_t *from, __m256i w0, __m256i w1) {
    int64_t four;
    memcpy(&four, from, 8);
    __m256i x = _mm256_set1_epi64x(four);
    *c0 = _mm256_add_epi32(*c0, _mm256_madd_epi16(x, w0));
    *c1 = _mm256_add_epi32(*c1, _mm256_madd_epi16(x, w1));
}
#endif

/* Sixteen weights of four channels. */
static inline __m256i widened(const int8_t *p) {
    return _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)p));
}

/* Eight channels' sums from two registers of pairs. */
static inline void store(int32_t *to, __m256i c0, __m256i c1) {
    __m256i sums = _mm256_permute4x64_epi64(_mm256_hadd_epi32(c0, c1), 0xD8);
    _mm256_store_si256((__m256i *)to, sums);
}

#define DECLARE(i) __m256i c##i##0 = _mm256_setzero_si256(), c##i##1 = c##i##0;
#define STEP(i) dots(&c##i##0, &c##i##1, a + 8 * i, w0, w1);
#define STORE(i) store(acc + i * 16, c##i##0, c##i##1);
#define HALF(R)                                                                                    \
    static void half_##R(const uint8_t *a, const int8_t *b, size_t groups, int32_t *acc) {         \
        I8_ROWS_##R(DECLARE) for (; groups; groups--, a += 8 * R, b += 64) {                       \
            __m256i w0 = widened(b), w1 = widened(b + 16);                                         \
            I8_ROWS_##R(STEP)                                                                      \
        }                                                                                          \
        I8_ROWS_##R(STORE)                                                                         \
    }
HALF(3)
HALF(4)
HALF(5)
HALF(6)

/* Few rows wait for the weights' memory: both halves at once. */
#define DECLARE_WHOLE(i) DECLARE(i) __m256i c##i##2 = c##i##0, c##i##3 = c##i##0;
#define STEP_WHOLE(i) STEP(i) dots(&c##i##2, &c##i##3, a + 8 * i, w2, w3);
#define STORE_WHOLE(i) STORE(i) store(acc + i * 16 + 8, c##i##2, c##i##3);
#define WHOLE(R)                                                                                   \
    static void whole_##R(const uint8_t *a, const int8_t *b, size_t groups, int32_t *acc) {        \
        I8_ROWS_##R(DECLARE_WHOLE) for (; groups; groups--, a += 8 * R, b += 64) {                 \
            __m256i w0 = widened(b), w1 = widened(b + 16), w2 = widened(b + 32),                   \
                    w3 = widened(b + 48);                                                          \
            I8_ROWS_##R(STEP_WHOLE)                                                                \
        }                                                                                          \
        I8_ROWS_##R(STORE_WHOLE)                                                                   \
    }
WHOLE(1)
WHOLE(2)

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc) {
    static void (*const blocks[I8_ROWS])(const uint8_t *, const int8_t *, size_t, int32_t *) = {
        whole_1, whole_2, half_3, half_4, half_5, half_6};
    (void)panels, (void)panel_stride;
    blocks[rows - 1](a, b, groups, acc);
    if (rows > 2)
        blocks[rows - 1](a, b + 32, groups, acc + 8);
}

I8_OPS(cara_i8_avx2);

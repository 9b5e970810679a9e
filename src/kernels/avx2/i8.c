/* AVX2 for few rows (many: i8_many.c): 4 rows x 1 panel (two registers) in 8 accumulators.
 *
 * vpmaddubsw would saturate on eight bits by eight, or need the signs moved from one side to the
 * other, at the price of a multiplication. So weights are widened to 16 bits, once for four rows,
 * and vpmaddwd multiplies them. Activations of 16 bits cost nothing here: they have finer steps
 * than those of the other levels. */
#ifdef CARA_SIMDE /* tests run this file on machines without the level */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#else
#include <immintrin.h>
#endif
#include <stddef.h>
#include <stdint.h>

#define I8_ROWS 4
#define I8_PANELS 1
#define I8_BYTES 2
#define I8_ZERO 0
#define I8_BITS 256

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc);
#include "kernels/common/i8_tile.h"

extern const cara_i8_ops cara_i8_avx2_few; /* of i8_many.c */

/* Of a group's bytes w0 w1 w2 w3 of eight channels, w0 w2 and w1 w3 as words. */
static inline __m256i even(const int8_t *b) {
    __m256i w = _mm256_load_si256((const __m256i *)(const void *)b);
    return _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
}

static inline __m256i odd(const int8_t *b) {
    return _mm256_srai_epi16(_mm256_load_si256((const __m256i *)(const void *)b), 8);
}

/* Adds a row's group to the sums of 16 channels. GCC 12 orders the intrinsics so that sums go
 * through memory; in asm they stay in their registers. */
static inline __attribute__((always_inline)) void add(__m256i *c0, __m256i *c1, const uint8_t *a,
                                                      __m256i even0, __m256i odd0, __m256i even1,
                                                      __m256i odd1) {
#ifndef CARA_SIMDE
    __m256i x, y, t, u;
    __asm__("vpbroadcastd %[a], %[x]\n\t"
            "vpbroadcastd %[more], %[y]\n\t"
            "vpmaddwd %[even0], %[x], %[t]\n\t"
            "vpmaddwd %[odd0], %[y], %[u]\n\t"
            "vpmaddwd %[even1], %[x], %[x]\n\t"
            "vpmaddwd %[odd1], %[y], %[y]\n\t"
            "vpaddd %[t], %[c0], %[c0]\n\t"
            "vpaddd %[u], %[c0], %[c0]\n\t"
            "vpaddd %[x], %[c1], %[c1]\n\t"
            "vpaddd %[y], %[c1], %[c1]"
            : [c0] "+x"(*c0), [c1] "+x"(*c1), [x] "=&x"(x), [y] "=&x"(y), [t] "=&x"(t), [u] "=&x"(u)
            : [even0] "x"(even0), [odd0] "x"(odd0), [even1] "x"(even1), [odd1] "x"(odd1),
              [a] "m"(*(const char(*)[4])a), [more] "m"(*(const char(*)[4])(a + 4)));
#else
    int32_t words[2];
    memcpy(words, a, 8);
    __m256i x = _mm256_set1_epi32(words[0]), y = _mm256_set1_epi32(words[1]);
    *c0 = _mm256_add_epi32(*c0, _mm256_madd_epi16(x, even0));
    *c0 = _mm256_add_epi32(*c0, _mm256_madd_epi16(y, odd0));
    *c1 = _mm256_add_epi32(*c1, _mm256_madd_epi16(x, even1));
    *c1 = _mm256_add_epi32(*c1, _mm256_madd_epi16(y, odd1));
#endif
}

#define DECLARE(i) __m256i c##i##0 = _mm256_setzero_si256(), c##i##1 = c##i##0;
#define STEP(i) add(&c##i##0, &c##i##1, a + 8 * i, w0, w1, w2, w3);
#define STORE(i)                                                                                   \
    _mm256_store_si256((__m256i *)(void *)(acc + i * 16), c##i##0);                                \
    _mm256_store_si256((__m256i *)(void *)(acc + i * 16 + 8), c##i##1);
#define BLOCK(R)                                                                                   \
    static void block_##R(const uint8_t *a, const int8_t *b, size_t groups, int32_t *acc) {        \
        I8_ROWS_##R(DECLARE) for (; groups; groups--, a += 8 * R, b += 64) {                       \
            __m256i w0 = even(b), w1 = odd(b), w2 = even(b + 32), w3 = odd(b + 32);                \
            I8_ROWS_##R(STEP)                                                                      \
        }                                                                                          \
        I8_ROWS_##R(STORE)                                                                         \
    }
BLOCK(1)
BLOCK(2)
BLOCK(3)
BLOCK(4)

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc) {
    static void (*const blocks[I8_ROWS])(const uint8_t *, const int8_t *, size_t,
                                         int32_t *) = {block_1, block_2, block_3, block_4};
    (void)panels, (void)panel_stride;
    blocks[rows - 1](a, b, groups, acc);
}

I8_OPS(cara_i8_avx2_few);

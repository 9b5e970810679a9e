/* AVX-VNNI: 6 rows x 1 panel (two registers) in 12 accumulators; as the AVX-512 file. */
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
#define I8_BYTES 1
#define I8_ZERO 128
#define I8_BITS 256

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc);
#include "kernels/common/i8_tile.h"

#ifndef CARA_SIMDE
#define DOT(c, x, w) __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(c) : "x"(x), "x"(w))
#else
#define DOT(c, x, w) c = simde_mm256_dpbusd_epi32(c, x, w)
#endif

static inline __m256i broadcast(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

#define DECLARE(i) __m256i c##i##0 = _mm256_setzero_si256(), c##i##1 = c##i##0;
#define STEP(i)                                                                                    \
    x = broadcast(a + 4 * i);                                                                      \
    DOT(c##i##0, x, w0);                                                                           \
    DOT(c##i##1, x, w1);
#define STORE(i)                                                                                   \
    _mm256_store_si256((__m256i *)(acc + i * 16), c##i##0);                                        \
    _mm256_store_si256((__m256i *)(acc + i * 16 + 8), c##i##1);
#define BLOCK(R)                                                                                   \
    static void block_##R(const uint8_t *a, const int8_t *b, size_t groups, int32_t *acc) {        \
        I8_ROWS_##R(DECLARE) for (; groups; groups--, a += 4 * R, b += 64) {                       \
            __m256i x, w0 = _mm256_load_si256((const __m256i *)b),                                 \
                       w1 = _mm256_load_si256((const __m256i *)(b + 32));                          \
            I8_ROWS_##R(STEP)                                                                      \
        }                                                                                          \
        I8_ROWS_##R(STORE)                                                                         \
    }
BLOCK(1)
BLOCK(2)
BLOCK(3)
BLOCK(4)
BLOCK(5)
BLOCK(6)

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc) {
    static void (*const blocks[I8_ROWS])(const uint8_t *, const int8_t *, size_t, int32_t *) = {
        block_1, block_2, block_3, block_4, block_5, block_6};
    (void)panels, (void)panel_stride;
    blocks[rows - 1](a, b, groups, acc);
}

I8_OPS(cara_i8_avxvnni);

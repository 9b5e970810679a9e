/* AVX-512 VNNI: 6 rows x 4 panels in 24 accumulators; vpdpbusd multiplies unsigned activations
 * (offset by 128, taken back through the channel sums) with signed weights. */
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
#define I8_PANELS 4
#define I8_BYTES 1
#define I8_ZERO 128
#ifdef CARA_SIMDE
#define I8_BITS 0
#else
#define I8_BITS 512
#endif

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc);
#include "kernels/common/i8_tile.h"

/* GCC 12 copies every accumulator around the intrinsic; in asm it stays in its register. */
#ifndef CARA_SIMDE
#define DOT(c, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(c) : "v"(x), "v"(w))
#else
#define DOT(c, x, w) c = simde_mm512_dpbusd_epi32(c, x, w)
#endif

static inline __m512i broadcast(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

#define DECLARE_1(i) __m512i c##i##0 = _mm512_setzero_si512();
#define DECLARE_2(i) DECLARE_1(i) __m512i c##i##1 = _mm512_setzero_si512();
#define DECLARE_3(i) DECLARE_2(i) __m512i c##i##2 = _mm512_setzero_si512();
#define DECLARE_4(i) DECLARE_3(i) __m512i c##i##3 = _mm512_setzero_si512();
#define DOTS_1(i) DOT(c##i##0, x, w0);
#define DOTS_2(i) DOTS_1(i) DOT(c##i##1, x, w1);
#define DOTS_3(i) DOTS_2(i) DOT(c##i##2, x, w2);
#define DOTS_4(i) DOTS_3(i) DOT(c##i##3, x, w3);
#define STEP_1(i)                                                                                  \
    x = broadcast(a + 4 * i);                                                                      \
    DOTS_1(i)
#define STEP_2(i)                                                                                  \
    x = broadcast(a + 4 * i);                                                                      \
    DOTS_2(i)
#define STEP_3(i)                                                                                  \
    x = broadcast(a + 4 * i);                                                                      \
    DOTS_3(i)
#define STEP_4(i)                                                                                  \
    x = broadcast(a + 4 * i);                                                                      \
    DOTS_4(i)
#define STORE_1(i) _mm512_store_si512(acc + i * width, c##i##0);
#define STORE_2(i) STORE_1(i) _mm512_store_si512(acc + i * width + 16, c##i##1);
#define STORE_3(i) STORE_2(i) _mm512_store_si512(acc + i * width + 32, c##i##2);
#define STORE_4(i) STORE_3(i) _mm512_store_si512(acc + i * width + 48, c##i##3);
#define LOAD_1 w0 = _mm512_load_si512(b);
#define LOAD_2 LOAD_1 w1 = _mm512_load_si512(b + panel_stride);
#define LOAD_3 LOAD_2 w2 = _mm512_load_si512(b + 2 * panel_stride);
#define LOAD_4 LOAD_3 w3 = _mm512_load_si512(b + 3 * panel_stride);
#define WEIGHTS_1 w0
#define WEIGHTS_2 w0, w1
#define WEIGHTS_3 w0, w1, w2
#define WEIGHTS_4 w0, w1, w2, w3

#define BLOCK(R, P)                                                                                \
    static void block_##R##_##P(const uint8_t *a, const int8_t *b, size_t panel_stride,            \
                                size_t groups, int32_t *acc) {                                     \
        enum { width = P * CARA_I8_PANEL };                                                        \
        (void)panel_stride;                                                                        \
        I8_ROWS_##R(DECLARE_##P) for (; groups; groups--, a += 4 * R, b += 64) {                   \
            __m512i x, WEIGHTS_##P;                                                                \
            LOAD_##P I8_ROWS_##R(STEP_##P)                                                         \
        }                                                                                          \
        I8_ROWS_##R(STORE_##P)                                                                     \
    }
#define BLOCKS(P) BLOCK(1, P) BLOCK(2, P) BLOCK(3, P) BLOCK(4, P) BLOCK(5, P) BLOCK(6, P)
BLOCKS(1)
BLOCKS(2)
BLOCKS(3)
BLOCKS(4)

#define ROW_OF(R)                                                                                  \
    { block_##R##_1, block_##R##_2, block_##R##_3, block_##R##_4 }

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc) {
    static void (*const blocks[I8_ROWS][I8_PANELS])(const uint8_t *, const int8_t *, size_t, size_t,
                                                    int32_t *) = {ROW_OF(1), ROW_OF(2), ROW_OF(3),
                                                                  ROW_OF(4), ROW_OF(5), ROW_OF(6)};
    blocks[rows - 1][panels - 1](a, b, panel_stride, groups, acc);
}

I8_OPS(cara_i8_avx512vnni);

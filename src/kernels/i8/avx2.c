/* AVX2: 4 rows x 1 panel (two registers) in 8 accumulators. vpmaddubsw saturates unless one side is
 * unsigned and both stay within 127, so the sign of the activation goes to the weight:
 * |x| * (w * sign x). The absolute values are a second plane, written when quantising. */
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
#define I8_PLANES 2
#define I8_ZERO 0
#define I8_BITS 256

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc);
#include "kernels/i8/tile.h"

#define DOT(c, x, size, w)                                                                         \
    c = _mm256_add_epi32(                                                                          \
        c, _mm256_madd_epi16(_mm256_maddubs_epi16(size, _mm256_sign_epi8(w, x)), ones))

static inline __m256i broadcast(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

#define DECLARE(i) __m256i c##i##0 = _mm256_setzero_si256(), c##i##1 = c##i##0;
#define STEP(i)                                                                                    \
    x = broadcast(a + 4 * i);                                                                      \
    size = broadcast(a + 4 * (rows + i));                                                          \
    DOT(c##i##0, x, size, w0);                                                                     \
    DOT(c##i##1, x, size, w1);
#define STORE(i)                                                                                   \
    _mm256_store_si256((__m256i *)(acc + i * 16), c##i##0);                                        \
    _mm256_store_si256((__m256i *)(acc + i * 16 + 8), c##i##1);
#define BLOCK(R)                                                                                   \
    static void block_##R(const uint8_t *a, const int8_t *b, size_t groups, int32_t *acc) {        \
        enum { rows = R };                                                                         \
        const __m256i ones = _mm256_set1_epi16(1);                                                 \
        I8_ROWS_##R(DECLARE) for (; groups; groups--, a += 8 * R, b += 64) {                       \
            __m256i x, size, w0 = _mm256_load_si256((const __m256i *)b),                           \
                             w1 = _mm256_load_si256((const __m256i *)(b + 32));                    \
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

I8_OPS(cara_i8_avx2);

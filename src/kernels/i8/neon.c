/* Armv8.2 dotprod: 4 rows x 1 panel in 16 accumulators; one load brings the groups of 4 rows. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define I8_ROWS 4
#define I8_PANELS 1
#define I8_BYTES 1
#define I8_ZERO 0
#define I8_BITS 0

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc);
#include "kernels/i8/tile.h"

#define DECLARE(i)                                                                                 \
    int32x4_t c##i##0 = vdupq_n_s32(0), c##i##1 = c##i##0, c##i##2 = c##i##0, c##i##3 = c##i##0;
#define STEP(i)                                                                                    \
    x = vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(const void *)(a + 4 * i)));           \
    c##i##0 = vdotq_s32(c##i##0, w0, x);                                                           \
    c##i##1 = vdotq_s32(c##i##1, w1, x);                                                           \
    c##i##2 = vdotq_s32(c##i##2, w2, x);                                                           \
    c##i##3 = vdotq_s32(c##i##3, w3, x);
#define STORE(i)                                                                                   \
    vst1q_s32(acc + i * 16, c##i##0);                                                              \
    vst1q_s32(acc + i * 16 + 4, c##i##1);                                                          \
    vst1q_s32(acc + i * 16 + 8, c##i##2);                                                          \
    vst1q_s32(acc + i * 16 + 12, c##i##3);
#define BLOCK(R)                                                                                   \
    static void block_##R(const uint8_t *a, const int8_t *b, size_t groups, int32_t *acc) {        \
        I8_ROWS_##R(DECLARE) for (; groups; groups--, a += 4 * R, b += 64) {                       \
            int8x16_t x, w0 = vld1q_s8(b), w1 = vld1q_s8(b + 16), w2 = vld1q_s8(b + 32),           \
                         w3 = vld1q_s8(b + 48);                                                    \
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

I8_OPS(cara_i8_neon);

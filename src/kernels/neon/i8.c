/* Armv8.2 dotprod: 6 rows x 1 panel in 24 accumulators; a load brings the groups of two rows, which
 * sdot takes by lane. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define I8_ROWS 6
#define I8_PANELS 1
#define I8_BYTES 1
#define I8_ZERO 0
#define I8_BITS 128

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc);
#include "kernels/common/i8_tile.h"

/* A row's sums of a panel. Names and not an array: GCC would store that in every step. */
typedef struct panel_sums {
    int32x4_t x, y, z, w;
} panel_sums;

static inline void store(int32_t *to, panel_sums s) {
    vst1q_s32(to, s.x);
    vst1q_s32(to + 4, s.y);
    vst1q_s32(to + 8, s.z);
    vst1q_s32(to + 12, s.w);
}

/* The groups of one row or two. */
static inline int8x8_t load_groups(const uint8_t *a, const size_t rows) {
    const void *p = a;
    return rows >= 2 ? vld1_s8(p) : vreinterpret_s8_s32(vld1_dup_s32(p));
}

/* s += the panel's groups b0 to b3 times one lane; which one is a constant of the instruction. */
#define DOT(s, groups, lane)                                                                       \
    (s) = (panel_sums) {                                                                           \
        vdotq_lane_s32((s).x, b0, groups, lane), vdotq_lane_s32((s).y, b1, groups, lane),          \
            vdotq_lane_s32((s).z, b2, groups, lane), vdotq_lane_s32((s).w, b3, groups, lane)       \
    }

static inline __attribute__((always_inline)) void
block(const size_t rows, const uint8_t *a, const int8_t *b, size_t groups, int32_t *acc) {
    const int32x4_t none = vdupq_n_s32(0);
    const panel_sums zero = {none, none, none, none};
    panel_sums s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero;
    for (; groups; groups--, a += 4 * rows, b += 64) {
        int8x16_t b0 = vld1q_s8(b), b1 = vld1q_s8(b + 16);
        int8x16_t b2 = vld1q_s8(b + 32), b3 = vld1q_s8(b + 48);
        int8x8_t x = load_groups(a, rows);
        DOT(s0, x, 0);
        if (rows > 1)
            DOT(s1, x, 1);
        if (rows > 2) {
            x = load_groups(a + 8, rows - 2);
            DOT(s2, x, 0);
        }
        if (rows > 3)
            DOT(s3, x, 1);
        if (rows > 4) {
            x = load_groups(a + 16, rows - 4);
            DOT(s4, x, 0);
        }
        if (rows > 5)
            DOT(s5, x, 1);
    }
    store(acc, s0);
    if (rows > 1)
        store(acc + 16, s1);
    if (rows > 2)
        store(acc + 32, s2);
    if (rows > 3)
        store(acc + 48, s3);
    if (rows > 4)
        store(acc + 64, s4);
    if (rows > 5)
        store(acc + 80, s5);
}

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc) {
    (void)panels, (void)panel_stride;
    switch (rows) {
    case 1:
        block(1, a, b, groups, acc);
        break;
    case 2:
        block(2, a, b, groups, acc);
        break;
    case 3:
        block(3, a, b, groups, acc);
        break;
    case 4:
        block(4, a, b, groups, acc);
        break;
    case 5:
        block(5, a, b, groups, acc);
        break;
    default:
        block(6, a, b, groups, acc);
    }
}

I8_OPS(cara_i8_neon);

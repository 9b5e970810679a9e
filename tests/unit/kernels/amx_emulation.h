/* The tile instructions that the AMX files use, in plain C (Intel SDM volume 2, TILE*, TDPBSSD and
 * TDPBF16PS), so that their code runs on machines without AMX. */
#ifndef AMX_EMULATION_H
#define AMX_EMULATION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static struct {
    uint8_t bytes[8][16][64];
    int row_bytes[8], rows[8], configured;
} amx;

static inline void amx_loadconfig(const void *p) {
    const uint8_t *config = p;
    assert_false(amx.configured);   /* the last user released them */
    assert_int_equal(config[0], 1); /* palette */
    for (int i = 0; i < 8; i++) {
        uint16_t n;
        memcpy(&n, config + 16 + 2 * i, 2);
        amx.row_bytes[i] = n;
        amx.rows[i] = config[48 + i];
        assert_true(n <= 64 && config[48 + i] <= 16);
    }
    amx.configured = 1;
}

static inline void amx_release(void) {
    memset(&amx, 0xA5, sizeof amx);
    amx.configured = 0;
}

static inline void amx_load(int t, const void *from, long stride) {
    assert_true(amx.configured);
    memset(amx.bytes[t], 0, sizeof amx.bytes[t]);
    for (int r = 0; r < amx.rows[t]; r++)
        memcpy(amx.bytes[t][r], (const char *)from + r * stride, (size_t)amx.row_bytes[t]);
}

static inline void amx_store(int t, void *to, long stride) {
    assert_true(amx.configured);
    for (int r = 0; r < amx.rows[t]; r++)
        memcpy((char *)to + r * stride, amx.bytes[t][r], (size_t)amx.row_bytes[t]);
}

/* Whether a product would raise #UD. */
static inline void amx_check(int c, int a, int b) {
    assert_true(amx.configured && c != a && c != b && a != b);
    assert_true(amx.rows[c] == amx.rows[a] && amx.row_bytes[c] == amx.row_bytes[b] &&
                amx.row_bytes[a] / 4 == amx.rows[b]);
}

static inline void amx_dot(int c, int a, int b) {
    amx_check(c, a, b);
    for (int m = 0; m < amx.rows[c]; m++)
        for (int n = 0; n < amx.row_bytes[c] / 4; n++) {
            int32_t sum;
            memcpy(&sum, amx.bytes[c][m] + 4 * n, 4);
            for (int k = 0; k < amx.row_bytes[a]; k++)
                sum += (int8_t)amx.bytes[a][m][k] * (int8_t)amx.bytes[b][k / 4][4 * n + k % 4];
            memcpy(amx.bytes[c][m] + 4 * n, &sum, 4);
        }
}

/* A denormal is zero, before and after (DAZ, FTZ). */
static inline float amx_flush(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (!(bits & 0x7f800000))
        bits &= 0x80000000;
    memcpy(&x, &bits, 4);
    return x;
}

static inline float amx_bf16(const uint8_t *p) {
    uint32_t bits = (uint32_t)p[1] << 24 | (uint32_t)p[0] << 16;
    float x;
    memcpy(&x, &bits, 4);
    return amx_flush(x);
}

/* The lower halves of the pairs have one sum, the upper ones another; both start at 0 and go into
 * c together. */
static inline void amx_dot_bf16(int c, int a, int b) {
    amx_check(c, a, b);
    for (int m = 0; m < amx.rows[c]; m++)
        for (int n = 0; n < amx.row_bytes[c] / 4; n++) {
            float sum[2] = {0, 0}, to;
            for (int k = 0; k < amx.row_bytes[a] / 4; k++)
                for (int h = 0; h < 2; h++)
                    sum[h] = amx_flush(fmaf(amx_bf16(amx.bytes[a][m] + 4 * k + 2 * h),
                                            amx_bf16(amx.bytes[b][k] + 4 * n + 2 * h), sum[h]));
            memcpy(&to, amx.bytes[c][m] + 4 * n, 4);
            to = amx_flush(amx_flush(to) + amx_flush(sum[0] + sum[1]));
            memcpy(amx.bytes[c][m] + 4 * n, &to, 4);
        }
}

/* The compiler's own may be there, too. */
#undef _tile_loadconfig
#undef _tile_release
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#undef _tile_dpbf16ps
#undef _tile_zero
#define _tile_loadconfig(p) amx_loadconfig(p)
#define _tile_release() amx_release()
#define _tile_loadd(t, from, stride) amx_load(t, from, stride)
#define _tile_stored(t, to, stride) amx_store(t, to, stride)
#define _tile_dpbssd(c, a, b) amx_dot(c, a, b)
#define _tile_dpbf16ps(c, a, b) amx_dot_bf16(c, a, b)
#define _tile_zero(t) memset(amx.bytes[t], 0, sizeof amx.bytes[t])

#endif

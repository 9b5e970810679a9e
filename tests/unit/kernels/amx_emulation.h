/* The tile instructions that i8_amx.c uses, in plain C (Intel SDM volume 2, TILE* and TDPBSSD),
 * so that its code runs on machines without AMX. */
#ifndef AMX_EMULATION_H
#define AMX_EMULATION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct {
    uint8_t bytes[8][16][64];
    int row_bytes[8], rows[8], configured;
} amx;

static inline void _tile_loadconfig(const void *p) {
    const uint8_t *config = p;
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

static inline void _tile_release(void) {
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

static inline void amx_dot(int c, int a, int b) {
    assert_true(amx.configured && amx.row_bytes[a] / 4 == amx.rows[b]);
    for (int m = 0; m < amx.rows[c]; m++)
        for (int n = 0; n < amx.row_bytes[c] / 4; n++) {
            int32_t sum;
            memcpy(&sum, amx.bytes[c][m] + 4 * n, 4);
            for (int k = 0; k < amx.row_bytes[a]; k++)
                sum += (int8_t)amx.bytes[a][m][k] * (int8_t)amx.bytes[b][k / 4][4 * n + k % 4];
            memcpy(amx.bytes[c][m] + 4 * n, &sum, 4);
        }
}

#define _tile_loadd(t, from, stride) amx_load(t, from, stride)
#define _tile_stored(t, to, stride) amx_store(t, to, stride)
#define _tile_dpbssd(c, a, b) amx_dot(c, a, b)
#define _tile_zero(t) memset(amx.bytes[t], 0, sizeof amx.bytes[t])

#endif

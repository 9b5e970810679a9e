/* AMX's tiles for the files that use them; tests put an emulation in place of the instructions. */
#ifndef KERNELS_AMX_TILES_H
#define KERNELS_AMX_TILES_H

#include <stddef.h>
#include <stdint.h>

#ifdef CARA_AMX_EMULATION
#include CARA_AMX_EMULATION
#else
#include <immintrin.h>
#endif

/* GCC 12 does not know that ldtilecfg and tileloadd read memory: what was stored before must be
 * there. */
static inline void cara_amx_fence(void) {
    __asm__ volatile("" : : : "memory");
}

/* Eight tiles of 16 rows x 64 bytes (Intel SDM volume 1, 18.2). _tile_release() ends their use. */
static inline void cara_amx_configure(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } __attribute__((aligned(64))) config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("" : : "r"(&config) : "memory");
    _tile_loadconfig(&config);
}

#endif

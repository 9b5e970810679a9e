/* The reference: every other level must give the same bits before the epilogue. Tests compile it a
 * second time with I8_BYTES 2. */
#include <stddef.h>
#include <stdint.h>

#define I8_ROWS 4
#define I8_PANELS 1
#ifndef I8_BYTES
#define I8_BYTES 1
#endif
#define I8_ZERO 0
#define I8_BITS 0

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc);
#include "kernels/common/i8_tile.h"

static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
                     size_t panel_stride, size_t groups, int32_t *acc) {
    const i8_value *x = (const i8_value *)(const void *)a;
    (void)panel_stride;
    memset(acc, 0, rows * panels * CARA_I8_PANEL * sizeof *acc);
    for (size_t g = 0; g < groups; g++)
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < CARA_I8_PANEL; c++)
                for (size_t i = 0; i < 4; i++)
                    acc[r * CARA_I8_PANEL + c] +=
                        x[(g * rows + r) * 4 + i] * b[(g * CARA_I8_PANEL + c) * 4 + i];
}

I8_OPS(cara_i8_scalar);

/* The one layout of int8 weights, which model files hold and the kernels read in place.
 *
 * A matrix [n, k] lies in panels of 16 output channels; in a panel, groups of 4 inputs; in a group,
 * 16 x 4 bytes. A group is one 512-bit operand of vpdpbusd, two 256-bit ones, four NEON sdot
 * operands; sixteen groups are one AMX tile. Inputs are padded with zeros to a multiple of 64,
 * channels to one of 16. With it come for each channel, padding included, an f32 scale (weight =
 * scale * int8) and the int32 sum of its bytes. */
#ifndef BASE_NUMBERS_I8_LAYOUT_H
#define BASE_NUMBERS_I8_LAYOUT_H

#include <stddef.h>

#define CARA_I8_PANEL 16
#define CARA_I8_GROUP 4
#define CARA_I8_K_ALIGN 64

static inline size_t cara_i8_padded_k(size_t k) {
    return (k + CARA_I8_K_ALIGN - 1) / CARA_I8_K_ALIGN * CARA_I8_K_ALIGN;
}
static inline size_t cara_i8_panels(size_t n) {
    return (n + CARA_I8_PANEL - 1) / CARA_I8_PANEL;
}
/* Bytes of n channels of k inputs, packed. */
static inline size_t cara_i8_packed_size(size_t n, size_t k) {
    return cara_i8_panels(n) * CARA_I8_PANEL * cara_i8_padded_k(k);
}
/* Scales, and sums, of n channels. */
static inline size_t cara_i8_channels(size_t n) {
    return cara_i8_panels(n) * CARA_I8_PANEL;
}
/* Where input i of a channel lies. */
static inline size_t cara_i8_at(size_t k, size_t channel, size_t i) {
    size_t lane = channel % CARA_I8_PANEL;
    return (channel - lane) * cara_i8_padded_k(k) +
           (i / CARA_I8_GROUP * CARA_I8_PANEL + lane) * CARA_I8_GROUP + i % CARA_I8_GROUP;
}

#endif

/* f16 and bf16 to f32 and back in plain C. */
#ifndef BASE_NUMBERS_HALF_H
#define BASE_NUMBERS_HALF_H

#include <stdint.h>
#include <string.h>

static inline float cara_bits_f32(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline float cara_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t rest = (uint32_t)(h & 0x7fffu) << 13;
    if ((h & 0x7c00u) == 0x7c00u) /* infinity or NaN */
        return cara_bits_f32(sign | 0x7f800000u | rest);
    /* Exponent rebias by a multiplication, which also normalises subnormals. */
    float f = cara_bits_f32(rest) * 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return cara_bits_f32(bits | sign);
}

/* To the nearest, ties to even; what is too large becomes the largest. */
static inline uint16_t cara_f32_to_f16(float f) {
    uint32_t bits;
    f = f > 65504 ? 65504 : f < -65504 ? -65504 : f;
    memcpy(&bits, &f, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest < 0x38800000u) { /* below 2^-14: adding 0.5 leaves multiples of 2^-24 */
        float shifted = cara_bits_f32(rest) + 0.5f;
        memcpy(&bits, &shifted, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000u));
    }
    if (rest > 0x7f800000u) /* NaN */
        return (uint16_t)(sign | 0x7e00u);
    rest += 0xfffu + (rest >> 13 & 1);
    return (uint16_t)(sign | (rest - 0x38000000u) >> 13);
}

static inline float cara_bf16_to_f32(uint16_t h) {
    return cara_bits_f32((uint32_t)h << 16);
}

/* To the nearest, ties to even. */
static inline uint16_t cara_f32_to_bf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) /* NaN stays one */
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

#endif

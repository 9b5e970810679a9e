/* Little-endian numbers at any address. */
#ifndef MODEL_BYTES_H
#define MODEL_BYTES_H

#include <stdint.h>

static inline uint16_t cara_le16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t cara_le32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t cara_le64(const uint8_t *p) {
    return (uint64_t)cara_le32(p) | (uint64_t)cara_le32(p + 4) << 32;
}

static inline void cara_put_le32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline void cara_put_le64(uint8_t *p, uint64_t v) {
    cara_put_le32(p, (uint32_t)v);
    cara_put_le32(p + 4, (uint32_t)(v >> 32));
}

#endif

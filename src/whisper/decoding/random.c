#include "whisper/decoding/random.h"

void cara_random_seed(cara_random *random, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        random->s[i] = z ^ z >> 31;
    }
}

static uint64_t rotate(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

double cara_random_next(cara_random *random) {
    uint64_t *s = random->s;
    uint64_t bits = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return (double)(bits >> 11) * 0x1p-53;
}

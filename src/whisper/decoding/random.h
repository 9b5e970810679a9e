/* The sampler's random numbers: xoshiro256++ (Blackman and Vigna, 2019), seeded by splitmix64.
 * Small, its own, and the same on every machine. */
#ifndef WHISPER_RANDOM_H
#define WHISPER_RANDOM_H

#include <stdint.h>

typedef struct cara_random {
    uint64_t s[4];
} cara_random;

void cara_random_seed(cara_random *random, uint64_t seed);

/* In [0, 1), 53 bits. */
double cara_random_next(cara_random *random);

#endif

/* Attention by the register tile of vectors.h, six queries by 64 keys or columns. Included once by
 * each of the two files, after CARA_512_TILES, CARA_DOT multiplying what ATTEND_PAIR says. */

#define ATTEND_ROWS CARA_512_ROWS
#define ATTEND_PAD 1
#include "kernels/avx512/attend.h"

/* To panels of 6: [attend_steps(d)][6] steps. */
static void pack_queries(const cara_attend *a, size_t i0, size_t i1, float by, float *dst) {
    size_t steps = attend_steps(a->d);
    for (size_t i = i0; i < i1; i += CARA_512_ROWS, dst += steps * CARA_512_ROWS)
        for (size_t l = 0; l < CARA_512_ROWS; l++) {
            float row[D_MAX];
            scale_row(a, i + l, i1, by, row);
            for (size_t p = 0; p < steps; p += 16) {
                cara_v16i s = steps_of(row, a->d, p);
                for (size_t x = 0; x < 16 && p + x < steps; x++)
                    memcpy(dst + (p + x) * CARA_512_ROWS + l, (const char *)&s + 4 * x, 4);
            }
        }
}

static void multiply_keys(size_t d, size_t n, const float *q, const float *keys, float *score) {
    const size_t steps = attend_steps(d);
    for (size_t j = 0; j < n; j += 64) {
        size_t panels = (n - j + 15) / 16 < 4 ? (n - j + 15) / 16 : 4;
        tile(panels, steps, q, 1, CARA_512_ROWS, keys + j / 16 * steps * 16, steps * 16, score + j,
             KV, 1);
    }
}

static void multiply_values(size_t d, size_t n, const float *weight, const float *values,
                            float *acc) {
    const size_t steps = attend_steps(n);
    for (size_t c = 0; c < d; c += 64) {
        size_t panels = (d - c) / 16 < 4 ? (d - c) / 16 : 4;
        tile(panels, steps, weight, KV / G, 1, values + c * steps, steps * 16, acc + c, d, 0);
    }
}

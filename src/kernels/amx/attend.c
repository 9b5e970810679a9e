/* Attention with bf16 operands in AMX tiles, 2 x 2 of them: 32 queries by 32 keys, or by 32 columns
 * of values. The calling thread must hold the permission for tile data, which choosing the level
 * asks for. */
#include "kernels/avx512/vectors.h"

#include "kernels/amx/amx.h"
#include "kernels/amx/tiles.h"

#define ATTEND_PAIR 2
#define ATTEND_ROWS CARA_AMX_ROWS
#define ATTEND_PAD 16 /* pairs in a tile's row */
#include "kernels/avx512/attend.h"

#define TILE 256 /* steps */
_Static_assert(D_MAX % 32 == 0 && KV % 32 == 0, "steps of a head and of a block fill tiles");

/* To tiles of 16 queries by 16 steps: [2][attend_steps(d) / 16]. */
static void pack_queries(const cara_attend *a, size_t i0, size_t i1, float by, float *dst) {
    size_t steps = attend_steps(a->d);
    for (size_t l = 0; l < CARA_512_PADDED(i1 - i0, ATTEND_ROWS); l++) {
        float row[D_MAX], *to = dst + l / 16 * 16 * steps + l % 16 * 16;
        scale_row(a, i0 + l, i1, by, row);
        for (size_t p = 0; p < steps; p += 16, to += TILE) {
            cara_v16i s = steps_of(row, a->d, p);
            memcpy(to, &s, sizeof s);
        }
    }
}

/* Tiles 0..3 are sums (2 x 16 rows, 2 panels): they start from c, rows ldc apart, unless `fresh`,
 * and end there; c1 is where the second panel's go. Tiles 4..5 are 2 x 16 rows of a, `row` steps
 * apart, `next` steps from one tile to the next; 6..7 the panels. A missing second panel is the
 * first once more, c1 with it. */
static void sums_2x2(const float *a, size_t row, size_t below, size_t next, const float *b0,
                     const float *b1, size_t tiles, float *c, float *c1, size_t ldc, int fresh) {
    const size_t a_bytes = row * sizeof *a, c_bytes = ldc * sizeof *c;
    cara_amx_fence();
    if (fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, c, c_bytes);
        _tile_loadd(1, c1, c_bytes);
        _tile_loadd(2, c + 16 * ldc, c_bytes);
        _tile_loadd(3, c1 + 16 * ldc, c_bytes);
    }
    for (; tiles; tiles--, a += next, b0 += TILE, b1 += TILE) {
        _tile_loadd(4, a, a_bytes);
        _tile_loadd(6, b0, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b1, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + below, a_bytes);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, c_bytes);
    _tile_stored(1, c1, c_bytes);
    _tile_stored(2, c + 16 * ldc, c_bytes);
    _tile_stored(3, c1 + 16 * ldc, c_bytes);
}

static void multiply_keys(size_t d, size_t n, const float *q, const float *keys, float *score) {
    const size_t steps = attend_steps(d);
    for (size_t j = 0; j < n; j += 32) {
        const float *panel = keys + j * steps;
        sums_2x2(q, 16, 16 * steps, TILE, panel, panel + 16 * steps, steps / 16, score + j,
                 score + j + 16, KV, 1);
    }
}

static void multiply_values(size_t d, size_t n, const float *weight, const float *values,
                            float *acc) {
    const size_t steps = attend_steps(n);
    for (size_t c = 0; c < d; c += 32) {
        const float *panel = values + c * steps;
        size_t second = c + 16 < d ? 16 : 0;
        sums_2x2(weight, KV / G, 16 * (KV / G), 16, panel, panel + second * steps, steps / 16,
                 acc + c, acc + c + second, d, 0);
    }
}

void cara_amx_attend(const cara_attend *a, void *scratch) {
    cara_amx_configure();
    attend_in_blocks(a, scratch);
    _tile_release();
}

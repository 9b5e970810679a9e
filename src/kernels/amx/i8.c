/* AMX-INT8: 2 x 2 tiles of 16 rows x 16 channels. Up to six rows (decoding) go to AVX-512 VNNI,
 * whose layout reads no padding rows. The calling thread must hold the permission for tile data
 * (arch_prctl ARCH_REQ_XCOMP_PERM), which choosing this level asks for.
 *
 * A tile of activations: an i8_head, then [k / 64][16 rows][64 bytes], rows that
 * are not there zero. */
#include "kernels/amx/tiles.h"

#define I8_ROWS 16
#define I8_PANELS 1
#define I8_BYTES 1
#define I8_ZERO 0
#ifdef CARA_AMX_EMULATION
#define I8_BITS 0
#else
#define I8_BITS 512
#endif
#define I8_OWN_LAYOUT
#include "kernels/common/i8_tile.h"

#define FEW_ROWS 6

static inline size_t amx_tile_size(size_t k) {
    return I8_HEAD + I8_ROWS * cara_i8_padded_k(k);
}

static size_t amx_activation_size(size_t rows, size_t k) {
    if (rows <= FEW_ROWS)
        return cara_i8_avx512vnni.activation_size(rows, k);
    return (rows + I8_ROWS - 1) / I8_ROWS * amx_tile_size(k);
}

static void amx_quantise(const float *x, size_t ldx, size_t rows, size_t k, size_t tile0,
                         size_t tile1, void *dst) {
    if (rows <= FEW_ROWS) {
        if (tile0 == 0 && tile1 > 0)
            cara_i8_avx512vnni.quantise(x, ldx, rows, k, 0, 1, dst);
        return;
    }
    for (size_t t = tile0; t < tile1 && t * I8_ROWS < rows; t++) {
        uint8_t *tile = (uint8_t *)dst + t * amx_tile_size(k);
        i8_head *head = (i8_head *)tile;
        memset(tile, 0, amx_tile_size(k));
        for (size_t r = 0; r < I8_ROWS && t * I8_ROWS + r < rows; r++) {
            const float *row = x + (t * I8_ROWS + r) * ldx;
            const i8_steps s = i8_steps_of(row, k);
            head->scale[r] = s.scale;
            head->zero[r] = s.zero;
            uint8_t *to = tile + I8_HEAD + r * 64;
            for (size_t i = 0; i < k; i += 16) {
                i8_values q =
                    k - i >= 16 ? i8_round(row + i, &s) : i8_round_some(row + i, k - i, &s);
                memcpy(to + i / 64 * 1024 + i % 64, &q, sizeof q);
            }
        }
    }
}

/* Tiles 0..3 are sums (2 rows x 2 panels), 4..5 activations, 6..7 weights. */
static void sums_2x2(const uint8_t *a0, const uint8_t *a1, const int8_t *b0, const int8_t *b1,
                     size_t blocks, int32_t *acc) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (; blocks; blocks--, a0 += 1024, a1 += 1024, b0 += 1024, b1 += 1024) {
        _tile_loadd(4, a0, 64);
        _tile_loadd(6, b0, 64);
        _tile_dpbssd(0, 4, 6);
        _tile_loadd(7, b1, 64);
        _tile_dpbssd(1, 4, 7);
        _tile_loadd(5, a1, 64);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_stored(0, acc, 64);
    _tile_stored(1, acc + 256, 64);
    _tile_stored(2, acc + 512, 64);
    _tile_stored(3, acc + 768, 64);
}

static void amx_product(const cara_i8_product *p, size_t tile0, size_t tile1, size_t panel0,
                        size_t panel1) {
    if (p->rows <= FEW_ROWS) {
        if (tile0 == 0 && tile1 > 0)
            cara_i8_avx512vnni.product(p, 0, 1, panel0, panel1);
        return;
    }
    const size_t k = cara_i8_padded_k(p->weights.k), stride = CARA_I8_PANEL * k;
    const size_t size = amx_tile_size(p->weights.k);
    int32_t acc[4 * 256] __attribute__((aligned(64)));
    cara_amx_configure();
    for (size_t panel = panel0; panel < panel1; panel += 2) {
        const int8_t *b0 = p->weights.packed + panel * stride;
        size_t panels = panel + 1 < panel1 ? 2 : 1;
        for (size_t t = tile0; t < tile1 && t * I8_ROWS < p->rows; t += 2) {
            const uint8_t *x = (const uint8_t *)p->x + t * size;
            size_t tiles = t + 1 < tile1 && (t + 1) * I8_ROWS < p->rows ? 2 : 1;
            /* A missing neighbour is the tile itself once more; its sums are left out below. */
            sums_2x2(x + I8_HEAD, x + (tiles - 1) * size + I8_HEAD, b0, b0 + (panels - 1) * stride,
                     k / 64, acc);
            for (size_t i = 0; i < tiles; i++)
                for (size_t j = 0; j < panels; j++)
                    i8_finish_panel(p, acc + (i * 2 + j) * 256, CARA_I8_PANEL,
                                    (const i8_head *)(x + i * size), (t + i) * I8_ROWS, panel + j);
        }
    }
    _tile_release();
}

const cara_i8_ops cara_i8_amx = {I8_ROWS, I8_TASK_ROWS, amx_activation_size, amx_quantise,
                                 amx_product};

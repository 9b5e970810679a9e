/* What the levels' int8 files share: the quantised layout, the epilogue and the walk over tiles.
 * Included by each of them and compiled with that file's flags; defines only static functions.
 *
 * Quantised layout: tile after tile of I8_ROWS rows (the last may have fewer: r). A tile is
 * I8_HEAD bytes of scales (f32), then the bytes [k / 4][r][4], so that the rows' groups are read in
 * sequence. I8_PLANES planes lie in each group: [k / 4][plane][r][4].
 *
 * Before including: I8_ROWS, I8_PLANES, I8_ZERO (what is added to make bytes unsigned: 0 or 128)
 * and `static void i8_block(size_t rows, size_t panels, const uint8_t *a, const int8_t *b,
 * size_t panel_stride, size_t groups, int32_t *acc)`, which sets acc [rows, panels * 16]; `panels`
 * is at most I8_PANELS. */
#include "kernels/i8.h"

#include <math.h>
#include <string.h>

#define I8_HEAD 64 /* >= 4 * I8_ROWS, keeps the bytes aligned */

/* Rows of activations whose tiles stay in the second-level cache while panels pass by. */
#define I8_ROW_BLOCK_BYTES (192 * 1024)

static inline size_t i8_tile_size(size_t rows, size_t k) {
    size_t n = I8_HEAD + rows * I8_PLANES * cara_i8_padded_k(k);
    return (n + 63) / 64 * 64;
}

/* Largest magnitude of a row. */
static inline float i8_top(const float *row, size_t k) {
    float top = 0;
    for (size_t i = 0; i < k; i++) {
        float v = fabsf(row[i]);
        top = v > top ? v : top;
    }
    return top;
}

/* Adding and taking away 1.5 * 2^23 rounds to nearest even, as lrintf does. */
static inline int32_t i8_round(float v) {
    return (int32_t)((v + 12582912.0f) - 12582912.0f);
}

#ifndef I8_OWN_LAYOUT /* AMX has a layout and a walk of its own */
static size_t i8_activation_size(size_t rows, size_t k) {
    size_t full = rows / I8_ROWS, rest = rows % I8_ROWS;
    return full * i8_tile_size(I8_ROWS, k) + (rest ? i8_tile_size(rest, k) : 0);
}

static void i8_quantise_tile(const float *x, size_t ldx, size_t rows, size_t k, uint8_t *tile) {
    float *scales = (float *)tile;
    uint8_t *bytes = tile + I8_HEAD;
    size_t padded = cara_i8_padded_k(k);
    memset(bytes, I8_ZERO, rows * I8_PLANES * padded);
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * ldx;
        float top = i8_top(row, k);
        float inverse = top > 0 ? 127.0f / top : 0;
        scales[r] = top / 127.0f;
        for (size_t g = 0; g * 4 < k; g++) {
            uint8_t *to = bytes + g * 4 * I8_PLANES * rows + r * 4;
            size_t n = k - g * 4 < 4 ? k - g * 4 : 4;
            for (size_t i = 0; i < n; i++) {
                int32_t q = i8_round(row[g * 4 + i] * inverse);
                to[i] = (uint8_t)(q + I8_ZERO);
#if I8_PLANES == 2
                to[rows * 4 + i] = (uint8_t)(q < 0 ? -q : q);
#endif
            }
        }
    }
}

static void i8_quantise(const float *x, size_t ldx, size_t rows, size_t k, size_t tile0,
                        size_t tile1, void *dst) {
    for (size_t t = tile0; t < tile1 && t * I8_ROWS < rows; t++) {
        size_t r = rows - t * I8_ROWS < I8_ROWS ? rows - t * I8_ROWS : I8_ROWS;
        i8_quantise_tile(x + t * I8_ROWS * ldx, ldx, r, k,
                         (uint8_t *)dst + t * i8_tile_size(I8_ROWS, k));
    }
}

#endif

/* Sixteen channels at once: one register of AVX-512, two of AVX2, four of NEON. */
typedef float i8_v16 __attribute__((vector_size(64)));
typedef int32_t i8_v16i __attribute__((vector_size(64)));

static inline i8_v16 i8_load(const float *p) {
    i8_v16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline i8_v16i i8_load_int(const int32_t *p) {
    i8_v16i v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline i8_v16 i8_clamp(i8_v16 v, float limit) {
    i8_v16 high = (i8_v16){0} + limit;
    v = (i8_v16)(((i8_v16i)v & (v < high)) | ((i8_v16i)high & (v >= high)));
    return (i8_v16)(((i8_v16i)v & (v > -high)) | ((i8_v16i)-high & (v <= -high)));
}

/* GELU by erf as a quotient of polynomials on [-4, 4] (the form that Eigen and XLA use): off by
 * 4e-7 of erf at most, which int8 cannot see. */
static inline i8_v16 i8_gelu(i8_v16 x) {
    i8_v16 z = i8_clamp(x * 0.70710678f, 4.0f), s = z * z;
    i8_v16 p = s * -2.72614225801306e-10f + 2.77068142495902e-08f;
    p = p * s + -2.10102402082508e-06f;
    p = p * s + -5.69250639462346e-05f;
    p = p * s + -7.34990630326855e-04f;
    p = p * s + -2.95459980854025e-03f;
    p = p * s + -1.60960333262415e-02f;
    i8_v16 q = s * -1.45660718464996e-05f + -2.13374055278905e-04f;
    q = q * s + -1.68282697438203e-03f;
    q = q * s + -7.37332916720468e-03f;
    q = q * s + -1.42647390514189e-02f;
    return x * 0.5f * (1.0f + z * p / q);
}

/* One panel of `rows` rows, from sums to results. `n` < 16 only in the last panel. */
static inline void i8_finish_panel(const cara_i8_product *p, const int32_t *acc, size_t width,
                                   const float *x_scales, size_t rows, size_t row, size_t channel,
                                   size_t n) {
    float edge[CARA_I8_PANEL] = {0};
    i8_v16 bias = {0}, scale = i8_load(p->weights.scale + channel);
    i8_v16i offset = i8_load_int(p->weights.sum + channel) * I8_ZERO;
    if (p->bias) {
        memcpy(edge, p->bias + channel, n * sizeof *edge);
        bias = i8_load(edge);
    }
    for (size_t r = 0; r < rows; r++, acc += width) {
        i8_v16 v =
            __builtin_convertvector(i8_load_int(acc) - offset, i8_v16) * (scale * x_scales[r]) +
            bias;
        if (p->gelu)
            v = i8_gelu(v);
        float *y = p->y + (row + r) * p->ldy + channel;
        const float *from = p->residual ? p->residual + (row + r) * p->ldy + channel : NULL;
        if (n == CARA_I8_PANEL) {
            if (from)
                v += i8_load(from);
            memcpy(y, &v, sizeof v);
        } else {
            memcpy(edge, &v, sizeof edge);
            for (size_t i = 0; i < n; i++)
                y[i] = edge[i] + (from ? from[i] : 0);
        }
    }
}

#ifndef I8_OWN_LAYOUT
static void i8_product(const cara_i8_product *p, size_t tile0, size_t tile1, size_t panel0,
                       size_t panel1) {
    const size_t k = cara_i8_padded_k(p->weights.k), stride = CARA_I8_PANEL * k;
    const size_t full = i8_tile_size(I8_ROWS, p->weights.k);
    const size_t block = I8_ROW_BLOCK_BYTES / full ? I8_ROW_BLOCK_BYTES / full : 1;
    int32_t acc[I8_ROWS * I8_PANELS * CARA_I8_PANEL] __attribute__((aligned(64)));
    for (size_t from = tile0; from < tile1; from += block) {
        size_t to = tile1 - from < block ? tile1 : from + block;
        for (size_t panel = panel0; panel < panel1; panel += I8_PANELS) {
            size_t panels = panel1 - panel < I8_PANELS ? panel1 - panel : I8_PANELS;
            const int8_t *b = p->weights.packed + panel * stride;
            for (size_t t = from; t < to; t++) {
                size_t first = t * I8_ROWS;
                if (first >= p->rows)
                    break;
                size_t rows = p->rows - first < I8_ROWS ? p->rows - first : I8_ROWS;
                const uint8_t *tile = (const uint8_t *)p->x + t * full;
                i8_block(rows, panels, tile + I8_HEAD, b, stride, k / 4, acc);
                for (size_t j = 0; j < panels; j++) {
                    size_t channel = (panel + j) * CARA_I8_PANEL, n = p->weights.n - channel;
                    i8_finish_panel(p, acc + j * CARA_I8_PANEL, panels * CARA_I8_PANEL,
                                    (const float *)tile, rows, first, channel,
                                    n < CARA_I8_PANEL ? n : CARA_I8_PANEL);
                }
            }
        }
    }
}

#define I8_OPS(name) const cara_i8_ops name = {I8_ROWS, i8_activation_size, i8_quantise, i8_product}

/* Lists for kernels that need a name for each register. */
#define I8_ROWS_1(X) X(0)
#define I8_ROWS_2(X) I8_ROWS_1(X) X(1)
#define I8_ROWS_3(X) I8_ROWS_2(X) X(2)
#define I8_ROWS_4(X) I8_ROWS_3(X) X(3)
#define I8_ROWS_5(X) I8_ROWS_4(X) X(4)
#define I8_ROWS_6(X) I8_ROWS_5(X) X(5)
#endif

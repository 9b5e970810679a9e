/* What the levels' int8 files share: the quantised layout, the epilogue and the walk over tiles.
 * Included by each of them and compiled with that file's flags; defines only static functions.
 *
 * Quantised layout: tile after tile of I8_ROWS rows (the last may have fewer: r). A tile is
 * I8_HEAD bytes of scales (f32), then the bytes [k / 4][r][4], so that the rows' groups are read in
 * sequence. I8_PLANES planes lie in each group: [k / 4][plane][r][4].
 *
 * Before including: I8_ROWS, I8_PLANES, I8_BITS (512 or 256 where those intrinsics are there, else
 * 0), I8_ZERO (what is added to make bytes unsigned: 0 or 128)
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

/* Largest magnitude of a row: as integers, magnitudes compare as they do as floats. */
static inline float i8_top(const float *row, size_t k) {
    int32_t most = 0;
    for (size_t i = 0; i < k; i++) {
        int32_t bits;
        memcpy(&bits, row + i, sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    float top;
    memcpy(&top, &most, sizeof top);
    return top;
}

/* One register; GCC keeps vectors that are larger than the level's in memory. */
#if I8_BITS == 512
#define I8_LANES 16
#elif I8_BITS == 256
#define I8_LANES 8
#else
#define I8_LANES 4
#endif
typedef float i8_vec __attribute__((vector_size(4 * I8_LANES)));
typedef int32_t i8_ints __attribute__((vector_size(4 * I8_LANES)));
typedef int8_t i8_bytes __attribute__((vector_size(16)));

static inline i8_vec i8_load(const float *p) {
    i8_vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline i8_ints i8_load_int(const int32_t *p) {
    i8_ints v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Sixteen floats, times `inverse` within +-127, as bytes. Adding 1.5 * 2^23 rounds to nearest even,
 * as lrintf does, and leaves the integer in the low bits. */
static inline i8_ints i8_round_lanes(const float *from, float inverse) {
    return (i8_ints)(i8_load(from) * inverse + 12582912.0f) - 0x4b400000;
}

static inline i8_bytes i8_round(const float *from, float inverse) {
    i8_bytes out;
#if I8_BITS == 512
    __m128i b = _mm512_cvtepi32_epi8((__m512i)i8_round_lanes(from, inverse));
    memcpy(&out, &b, sizeof out);
#elif I8_BITS == 256
    __m256i words = _mm256_packs_epi32((__m256i)i8_round_lanes(from, inverse),
                                       (__m256i)i8_round_lanes(from + 8, inverse));
    words = _mm256_permute4x64_epi64(words, 0xD8);
    __m128i b = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    memcpy(&out, &b, sizeof out);
#else
    for (int h = 0; h < 16; h += I8_LANES) {
        i8_ints q = i8_round_lanes(from + h, inverse);
        for (int i = 0; i < I8_LANES; i++)
            out[h + i] = (int8_t)q[i];
    }
#endif
    return out;
}

/* The same for the last k % 16 floats of a row, zeros beyond. */
static inline i8_bytes i8_round_some(const float *from, size_t n, float inverse) {
    float some[16] = {0};
    memcpy(some, from, (n < 16 ? n : 16) * sizeof *some);
    return i8_round(some, inverse);
}

#ifndef I8_OWN_LAYOUT /* AMX has a layout and a walk of its own */
static size_t i8_activation_size(size_t rows, size_t k) {
    size_t full = rows / I8_ROWS, rest = rows % I8_ROWS;
    return full * i8_tile_size(I8_ROWS, k) + (rest ? i8_tile_size(rest, k) : 0);
}

/* One row's 16 bytes to four groups. */
static inline void i8_spread(i8_bytes q, uint8_t *to, size_t rows) {
    i8_bytes first = q + (int8_t)I8_ZERO;
#if I8_PLANES == 2
    i8_bytes negative = q < 0, size = (q ^ negative) - negative;
#endif
    for (size_t g = 0; g < 4; g++, to += 4 * I8_PLANES * rows) {
        memcpy(to, (const char *)&first + 4 * g, 4);
#if I8_PLANES == 2
        memcpy(to + 4 * rows, (const char *)&size + 4 * g, 4);
#endif
    }
}

static void i8_quantise_tile(const float *x, size_t ldx, size_t rows, size_t k, uint8_t *tile) {
    float *scales = (float *)tile;
    uint8_t *bytes = tile + I8_HEAD;
    size_t whole = (k + 15) / 16 * 16, per_input = I8_PLANES * rows;
    memset(bytes + whole * per_input, I8_ZERO, (cara_i8_padded_k(k) - whole) * per_input);
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * ldx;
        float top = i8_top(row, k);
        float inverse = top > 0 ? 127.0f / top : 0;
        scales[r] = top / 127.0f;
        size_t i = 0;
        for (; i + 16 <= k; i += 16)
            i8_spread(i8_round(row + i, inverse), bytes + i * per_input + r * 4, rows);
        if (i < k)
            i8_spread(i8_round_some(row + i, k - i, inverse), bytes + i * per_input + r * 4, rows);
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

static inline i8_vec i8_clamp(i8_vec v, float limit) {
    i8_vec high = (i8_vec){0} + limit;
    v = (i8_vec)(((i8_ints)v & (v < high)) | ((i8_ints)high & (v >= high)));
    return (i8_vec)(((i8_ints)v & (v > -high)) | ((i8_ints)-high & (v <= -high)));
}

/* GELU by erf as a quotient of polynomials on [-4, 4] (the form that Eigen and XLA use): off by
 * 4e-7 of erf at most, which int8 cannot see. */
static inline i8_vec i8_gelu(i8_vec x) {
    i8_vec z = i8_clamp(x * 0.70710678f, 4.0f), s = z * z;
    i8_vec p = s * -2.72614225801306e-10f + 2.77068142495902e-08f;
    p = p * s + -2.10102402082508e-06f;
    p = p * s + -5.69250639462346e-05f;
    p = p * s + -7.34990630326855e-04f;
    p = p * s + -2.95459980854025e-03f;
    p = p * s + -1.60960333262415e-02f;
    i8_vec q = s * -1.45660718464996e-05f + -2.13374055278905e-04f;
    q = q * s + -1.68282697438203e-03f;
    q = q * s + -7.37332916720468e-03f;
    q = q * s + -1.42647390514189e-02f;
    return x * 0.5f * (1.0f + z * p / q);
}

/* One register of channels of `rows` rows, from sums to results. `n` < I8_LANES only at the end. */
static inline void i8_finish_lanes(const cara_i8_product *p, const int32_t *acc, size_t width,
                                   const float *x_scales, size_t rows, size_t row, size_t channel,
                                   size_t n) {
    float edge[I8_LANES] = {0};
    i8_vec bias = {0}, scale = i8_load(p->weights.scale + channel);
    i8_ints offset = i8_load_int(p->weights.sum + channel) * I8_ZERO;
    if (p->bias) {
        memcpy(edge, p->bias + channel, n * sizeof *edge);
        bias = i8_load(edge);
    }
    for (size_t r = 0; r < rows; r++, acc += width) {
        i8_vec v =
            __builtin_convertvector(i8_load_int(acc) - offset, i8_vec) * (scale * x_scales[r]) +
            bias;
        if (p->gelu)
            v = i8_gelu(v);
        float *y = p->y + (row + r) * p->ldy + channel;
        const float *from = p->residual ? p->residual + (row + r) * p->ldy + channel : NULL;
        if (n == I8_LANES) {
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

/* One panel of `rows` rows. `n` < 16 only in the last panel. */
static inline void i8_finish_panel(const cara_i8_product *p, const int32_t *acc, size_t width,
                                   const float *x_scales, size_t rows, size_t row, size_t channel,
                                   size_t n) {
    for (size_t h = 0; h < n; h += I8_LANES)
        i8_finish_lanes(p, acc + h, width, x_scales, rows, row, channel + h,
                        n - h < I8_LANES ? n - h : I8_LANES);
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

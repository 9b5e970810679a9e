/* What the levels' int8 files share: the quantised layout, the epilogue and the walk over tiles.
 * Included by each of them and compiled with that file's flags; defines only static functions.
 *
 * Quantised layout: tile after tile of I8_ROWS rows (the last may have fewer: r). A tile is a head
 * of I8_HEAD bytes (i8_head), then the rows [k / 4][r][4], so that their groups are read in
 * sequence, each value in I8_BYTES bytes; AVX2's as x0 x2 x1 x3.
 *
 * Before including: I8_ROWS, I8_BYTES (of an activation: 1, or 2 where the level multiplies 16
 * bits), I8_BITS (512, 256 or 128 where those of AVX-512, AVX2 or NEON are there, else 0), I8_ZERO
 * (what is added to make bytes unsigned: 0 or 128) and `static void i8_block(size_t rows, size_t
 * panels, const uint8_t *a, const int8_t *b, size_t panel_stride, size_t groups, int32_t *acc)`,
 * which sets acc [rows, panels * 16]; `panels` is at most I8_PANELS. */
#include "kernels/i8.h"

#include <math.h>
#include <string.h>

/* Steps from the least to the largest of a row. Sums stay within 31 bits: 1022 * 127 * k. */
#if I8_BYTES == 2
#define I8_STEPS 1022
#define I8_MOST INT16_MAX
typedef int16_t i8_value;
#else
#define I8_STEPS 254
#define I8_MOST INT8_MAX
typedef int8_t i8_value;
#endif

/* Of each row: x = scale * (value + zero). */
typedef struct i8_head {
    float scale[I8_ROWS];
    int32_t zero[I8_ROWS];
} i8_head;
#define I8_HEAD ((sizeof(i8_head) + 63) / 64 * 64) /* keeps the bytes aligned */

#ifndef I8_TASK_ROWS
#define I8_TASK_ROWS 96
#endif
_Static_assert(I8_TASK_ROWS % I8_ROWS == 0, "a task has whole tiles");

/* Rows of activations whose tiles stay in the second-level cache while panels pass by. */
#define I8_ROW_BLOCK_BYTES (192 * 1024)

static inline size_t i8_tile_size(size_t rows, size_t k) {
    size_t n = I8_HEAD + rows * I8_BYTES * cara_i8_padded_k(k);
    return (n + 63) / 64 * 64;
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
typedef i8_value i8_values __attribute__((vector_size(16 * I8_BYTES)));

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

#if I8_BITS == 512
static inline i8_vec i8_fma(i8_vec a, i8_vec b, i8_vec c) {
    return (i8_vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
static inline i8_vec i8_min(i8_vec a, i8_vec b) {
    return (i8_vec)_mm512_min_ps((__m512)a, (__m512)b);
}
static inline i8_vec i8_max(i8_vec a, i8_vec b) {
    return (i8_vec)_mm512_max_ps((__m512)a, (__m512)b);
}
#elif I8_BITS == 256
static inline i8_vec i8_fma(i8_vec a, i8_vec b, i8_vec c) {
    return (i8_vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
static inline i8_vec i8_min(i8_vec a, i8_vec b) {
    return (i8_vec)_mm256_min_ps((__m256)a, (__m256)b);
}
static inline i8_vec i8_max(i8_vec a, i8_vec b) {
    return (i8_vec)_mm256_max_ps((__m256)a, (__m256)b);
}
#elif I8_BITS == 128
static inline i8_vec i8_fma(i8_vec a, i8_vec b, i8_vec c) {
    return (i8_vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
static inline i8_vec i8_min(i8_vec a, i8_vec b) {
    return (i8_vec)vminnmq_f32((float32x4_t)a, (float32x4_t)b);
}
static inline i8_vec i8_max(i8_vec a, i8_vec b) {
    return (i8_vec)vmaxnmq_f32((float32x4_t)a, (float32x4_t)b);
}
#else
static inline i8_vec i8_fma(i8_vec a, i8_vec b, i8_vec c) {
    return a * b + c;
}
static inline i8_vec i8_min(i8_vec a, i8_vec b) {
    return (i8_vec)(((i8_ints)a & (a < b)) | ((i8_ints)b & (a >= b)));
}
static inline i8_vec i8_max(i8_vec a, i8_vec b) {
    return (i8_vec)(((i8_ints)a & (a > b)) | ((i8_ints)b & (a <= b)));
}
#endif

static inline i8_vec i8_all(float x) {
    return (i8_vec){0} + x;
}

/* How a row becomes integers: value = round(x * inverse) - zero. */
typedef struct i8_steps {
    float inverse, bias; /* bias: what rounds to nearest even and takes zero away */
    float scale;
    int32_t zero;
} i8_steps;

/* Adding 1.5 * 2^23 rounds to nearest even, as lrintf does, and leaves the integer in the low
 * bits. */
#define I8_ROUND 12582912.0f
#define I8_ROUND_BITS 0x4b400000

/* The range from the least to the largest of a row, 0 included, in I8_STEPS steps. What GELU leaves
 * is hardly ever negative: steps that were symmetric about 0 would go half unused. 0 itself is a
 * whole number of steps, so that zeros are exact. */
static inline i8_steps i8_steps_of(const float *row, size_t k) {
    i8_vec low[4] = {{0}}, high[4] = {{0}};
    size_t i = 0;
    for (; i + 4 * I8_LANES <= k; i += 4 * I8_LANES)
        for (size_t j = 0; j < 4; j++) {
            i8_vec v = i8_load(row + i + j * I8_LANES);
            low[j] = i8_min(v, low[j]);
            high[j] = i8_max(v, high[j]);
        }
    low[0] = i8_min(i8_min(low[0], low[1]), i8_min(low[2], low[3]));
    high[0] = i8_max(i8_max(high[0], high[1]), i8_max(high[2], high[3]));
    float least = 0, most = 0;
    for (size_t j = 0; j < I8_LANES; j++) {
        least = low[0][j] < least ? low[0][j] : least;
        most = high[0][j] > most ? high[0][j] : most;
    }
    for (; i < k; i++) {
        least = row[i] < least ? row[i] : least;
        most = row[i] > most ? row[i] : most;
    }
    i8_steps s = {.bias = I8_ROUND};
    float range = most - least;
    if (!(range > 1e-30f && range < INFINITY)) { /* all values equal, or overflow */
        s.scale = range > 1 ? range : 0;
        return s;
    }
    s.inverse = (float)I8_STEPS / range;
    s.scale = range / (float)I8_STEPS;
    float middle = 0.5f * (most + least) * s.inverse + I8_ROUND;
    s.zero = (int32_t)(middle - I8_ROUND);
    s.bias = I8_ROUND - (float)s.zero;
    return s;
}

/* Sixteen floats as values. One may be half a step too much, middle and range being rounded apart:
 * it saturates where it has no place. */
static inline i8_ints i8_round_lanes(const float *from, const i8_steps *s) {
    return (i8_ints)(i8_load(from) * s->inverse + s->bias) - I8_ROUND_BITS;
}

static inline i8_values i8_round(const float *from, const i8_steps *s) {
    i8_values out;
#if I8_BITS == 512
    __m128i b = _mm512_cvtsepi32_epi8((__m512i)i8_round_lanes(from, s));
    memcpy(&out, &b, sizeof out);
#elif I8_BITS == 256
    __m256i words =
        _mm256_packs_epi32((__m256i)i8_round_lanes(from, s), (__m256i)i8_round_lanes(from + 8, s));
    words = _mm256_permute4x64_epi64(words, 0xD8);
#if I8_BYTES == 2
    words = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(words, 0xD8), 0xD8);
    memcpy(&out, &words, sizeof out);
#else
    __m128i b = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    memcpy(&out, &b, sizeof out);
#endif
#elif I8_BITS == 128
    int16x8_t low = vqmovn_high_s32(vqmovn_s32((int32x4_t)i8_round_lanes(from, s)),
                                    (int32x4_t)i8_round_lanes(from + 4, s));
    int16x8_t high = vqmovn_high_s32(vqmovn_s32((int32x4_t)i8_round_lanes(from + 8, s)),
                                     (int32x4_t)i8_round_lanes(from + 12, s));
    out = (i8_values)vqmovn_high_s16(vqmovn_s16(low), high);
#else
    for (int h = 0; h < 16; h += I8_LANES) {
        i8_ints q = i8_round_lanes(from + h, s);
        for (int i = 0; i < I8_LANES; i++)
            out[h + i] = (i8_value)(q[i] > I8_MOST ? I8_MOST : q[i]);
    }
#endif
    return out;
}

/* The same for the last k % 16 floats of a row; what is beyond meets weights of 0. */
static inline i8_values i8_round_some(const float *from, size_t n, const i8_steps *s) {
    float some[16] = {0};
    memcpy(some, from, (n < 16 ? n : 16) * sizeof *some);
    return i8_round(some, s);
}

#ifndef I8_OWN_LAYOUT /* AMX has a layout and a walk of its own */
static size_t i8_activation_size(size_t rows, size_t k) {
    size_t full = rows / I8_ROWS, rest = rows % I8_ROWS;
    return full * i8_tile_size(I8_ROWS, k) + (rest ? i8_tile_size(rest, k) : 0);
}

/* One row's 16 values to four groups. */
static inline void i8_scatter(i8_values q, uint8_t *to, size_t rows) {
    q += (i8_value)I8_ZERO;
    for (size_t g = 0; g < 4; g++, to += 4 * I8_BYTES * rows)
        memcpy(to, (const char *)&q + 4 * I8_BYTES * g, 4 * I8_BYTES);
}

static void i8_quantise_tile(const float *x, size_t ldx, size_t rows, size_t k, uint8_t *tile) {
    i8_head *head = (i8_head *)tile;
    uint8_t *bytes = tile + I8_HEAD;
    size_t whole = (k + 15) / 16 * 16, per_input = I8_BYTES * rows;
    memset(bytes + whole * per_input, I8_ZERO, (cara_i8_padded_k(k) - whole) * per_input);
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * ldx;
        const i8_steps s = i8_steps_of(row, k);
        uint8_t *to = bytes + r * 4 * I8_BYTES;
        head->scale[r] = s.scale;
        head->zero[r] = s.zero;
        for (size_t i = 0; i < k; i += 16) {
            i8_values q = k - i >= 16 ? i8_round(row + i, &s) : i8_round_some(row + i, k - i, &s);
            i8_scatter(q, to + i * per_input, rows);
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

/* GELU by erf as a quotient of polynomials on [-4, 4] (the form that Eigen and XLA use): off by
 * 4e-7 of erf at most, which is below what int8 resolves. */
static inline i8_vec i8_gelu(i8_vec x) {
    i8_vec z = i8_max(i8_min(x * 0.70710678f, i8_all(4.0f)), i8_all(-4.0f)), s = z * z;
    i8_vec p = i8_fma(s, i8_all(-2.72614225801306e-10f), i8_all(2.77068142495902e-08f));
    p = i8_fma(p, s, i8_all(-2.10102402082508e-06f));
    p = i8_fma(p, s, i8_all(-5.69250639462346e-05f));
    p = i8_fma(p, s, i8_all(-7.34990630326855e-04f));
    p = i8_fma(p, s, i8_all(-2.95459980854025e-03f));
    p = i8_fma(p, s, i8_all(-1.60960333262415e-02f));
    i8_vec q = i8_fma(s, i8_all(-1.45660718464996e-05f), i8_all(-2.13374055278905e-04f));
    q = i8_fma(q, s, i8_all(-1.68282697438203e-03f));
    q = i8_fma(q, s, i8_all(-7.37332916720468e-03f));
    q = i8_fma(q, s, i8_all(-1.42647390514189e-02f));
    i8_vec half = x * 0.5f;
    return i8_fma(half, z * p / q, half);
}

/* One register of sums of a row to results, without the residual. */
static inline __attribute__((always_inline)) i8_vec i8_result(const int32_t *acc, i8_ints sum,
                                                              i8_vec scale, i8_vec bias,
                                                              const i8_head *head, size_t r,
                                                              int gelu) {
    i8_ints exact = i8_load_int(acc) + sum * (head->zero[r] - I8_ZERO);
    i8_vec v = i8_fma(__builtin_convertvector(exact, i8_vec), scale * head->scale[r], bias);
    return gelu ? i8_gelu(v) : v;
}

/* One register of channels of `rows` rows, from sums to results. */
static inline __attribute__((always_inline)) void
i8_finish_lanes(const cara_i8_product *p, const int32_t *acc, size_t width, const i8_head *head,
                size_t rows, size_t row, size_t channel, int gelu, int residual) {
    i8_vec bias = {0}, scale = i8_load(p->weights.scale + channel);
    i8_ints sum = i8_load_int(p->weights.sum + channel);
    if (p->bias)
        bias = i8_load(p->bias + channel);
    float *y = p->y + row * p->ldy + channel;
    const float *from = residual ? p->residual + row * p->ldy + channel : NULL;
    for (size_t r = 0; r < rows; r++, acc += width, y += p->ldy) {
        i8_vec v = i8_result(acc, sum, scale, bias, head, r, gelu);
        if (residual) {
            v += i8_load(from);
            from += p->ldy;
        }
        memcpy(y, &v, sizeof v);
    }
}

/* The same for the last n < I8_LANES channels. */
static void i8_finish_edge(const cara_i8_product *p, const int32_t *acc, size_t width,
                           const i8_head *head, size_t rows, size_t row, size_t channel, size_t n) {
    float edge[I8_LANES] = {0};
    i8_vec bias = {0}, scale = i8_load(p->weights.scale + channel);
    i8_ints sum = i8_load_int(p->weights.sum + channel);
    if (p->bias) {
        memcpy(edge, p->bias + channel, n * sizeof *edge);
        bias = i8_load(edge);
    }
    for (size_t r = 0; r < rows; r++, acc += width) {
        i8_vec v = i8_result(acc, sum, scale, bias, head, r, p->gelu);
        memcpy(edge, &v, sizeof edge);
        for (size_t i = 0; i < n; i++) {
            size_t at = (row + r) * p->ldy + channel + i;
            p->y[at] = edge[i] + (p->residual ? p->residual[at] : 0);
        }
    }
}

/* Prefetches the memory of results (and often of residuals) while they are being summed. */
static inline void i8_fetch(const cara_i8_product *p, size_t row, size_t rows, size_t channel,
                            size_t channels) {
    for (size_t r = row; r < row + rows; r++)
        for (size_t c = channel; c < channel + channels && c < p->weights.n; c += CARA_I8_PANEL)
            __builtin_prefetch(p->y + r * p->ldy + c, 1);
}

/* Rows of the tile that begins at `row`. */
static inline size_t i8_rows_at(const cara_i8_product *p, size_t row) {
    return p->rows - row < I8_ROWS ? p->rows - row : I8_ROWS;
}

/* One panel of a tile: of its rows, and of the channels that are there. */
static inline void i8_finish_panel(const cara_i8_product *p, const int32_t *acc, size_t width,
                                   const i8_head *head, size_t row, size_t panel) {
    const size_t rows = i8_rows_at(p, row), channel = panel * CARA_I8_PANEL;
    const size_t left = p->weights.n - channel, n = left < CARA_I8_PANEL ? left : CARA_I8_PANEL;
    for (size_t h = 0; h < n; h += I8_LANES)
        if (n - h < I8_LANES)
            i8_finish_edge(p, acc + h, width, head, rows, row, channel + h, n - h);
        else if (p->gelu && !p->residual)
            i8_finish_lanes(p, acc + h, width, head, rows, row, channel + h, 1, 0);
        else if (p->gelu)
            i8_finish_lanes(p, acc + h, width, head, rows, row, channel + h, 1, 1);
        else if (p->residual)
            i8_finish_lanes(p, acc + h, width, head, rows, row, channel + h, 0, 1);
        else
            i8_finish_lanes(p, acc + h, width, head, rows, row, channel + h, 0, 0);
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
                size_t rows = i8_rows_at(p, first);
                const uint8_t *tile = (const uint8_t *)p->x + t * full;
                i8_fetch(p, first, rows, panel * CARA_I8_PANEL, panels * CARA_I8_PANEL);
                i8_block(rows, panels, tile + I8_HEAD, b, stride, k / 4, acc);
                for (size_t j = 0; j < panels; j++)
                    i8_finish_panel(p, acc + j * CARA_I8_PANEL, panels * CARA_I8_PANEL,
                                    (const i8_head *)tile, first, panel + j);
            }
        }
    }
}

#define I8_OPS(name)                                                                               \
    const cara_i8_ops name = {I8_ROWS, I8_TASK_ROWS, i8_activation_size, i8_quantise, i8_product}

/* Lists for kernels that need a name for each register. */
#define I8_ROWS_1(X) X(0)
#define I8_ROWS_2(X) I8_ROWS_1(X) X(1)
#define I8_ROWS_3(X) I8_ROWS_2(X) X(2)
#define I8_ROWS_4(X) I8_ROWS_3(X) X(3)
#define I8_ROWS_5(X) I8_ROWS_4(X) X(4)
#define I8_ROWS_6(X) I8_ROWS_5(X) X(5)
#endif

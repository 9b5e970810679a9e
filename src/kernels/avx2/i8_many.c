/* AVX2 for many rows, with seven multiplications where i8.c has sixteen: Strassen's product of
 * two by two blocks over Winograd's inner product, in integers, so that nothing is lost. Sums may
 * wrap on the way; what comes out is below 31 bits.
 *
 * Winograd (1968): x0 w0 + x1 w1 = (x0 + w1)(x1 + w0) - x0 x1 - w0 w1, where x0 x1 is summed once a
 * row and w0 w1 once a channel. vpmaddwd is half as many then, and additions, which any port takes,
 * fill its place: multiplications and additions in equal parts leave a fifth of the ports idle.
 *
 * Strassen (1969): seven products of blocks, not eight, of sums of blocks. A is eight rows by a
 * piece of the inputs, B the piece by two panels, each in halves. Sums of A are made once, when
 * rows are quantised; those of B once for all rows of a call, where weights are widened to 16 bits
 * anyway.
 *
 *   0 (a11 + a22)(b11 + b22)    3 a22 (b21 - b11)    5 (a21 - a11)(b11 + b12)
 *   1 (a21 + a22) b11           4 (a11 + a12) b22    6 (a12 - a22)(b21 + b22)
 *   2 a11 (b12 - b22)
 *
 *   c11 = 0 + 3 - 4 + 6   c12 = 2 + 4   c21 = 1 + 3   c22 = 0 - 1 + 2 + 5
 *
 * Quantised layout: for all tiles of eight rows their heads, then piece after piece the sums of A
 * as [PRODUCTS][tiles][groups of half a piece][4 rows][4], in words, a group as x0 x2 x1 x3. */
#ifdef CARA_SIMDE /* tests run this file on machines without the level */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#else
#include <immintrin.h>
#endif
#include <stddef.h>
#include <stdint.h>

#define I8_ROWS 8
#define I8_PANELS 2
#define I8_BYTES 2
#define I8_ZERO 0
#define I8_BITS 256
#define I8_OWN_LAYOUT
#ifndef I8_TASK_ROWS
#define I8_TASK_ROWS 128
#endif
#include "kernels/common/i8_tile.h"

#define FEW_ROWS 24 /* up to so many do not repay the sums of B: i8.c */
#define FEW_TILE 4  /* rows of a tile there */

#define HALF_ROWS 4
#define PRODUCTS 7
#define PIECE 1024                              /* inputs; half a piece of B is 16 KiB in words */
#define HALF_GROUPS (PIECE / 2 / CARA_I8_GROUP) /* at most */
#define BLOCK 24 /* tiles whose sums wait in the second-level cache */
#define WIDTH (2 * CARA_I8_PANEL)
#define C11 0
#define C12 CARA_I8_PANEL
#define C21 (HALF_ROWS * WIDTH)
#define C22 (C21 + C12)

extern const cara_i8_ops cara_i8_avx2_few;

/* ---- the layout ---- */

typedef struct many_head {
    i8_head head;
    uint32_t base[I8_ROWS][2]; /* what sums begin with, in even and odd panels; modulo 2^32 */
} many_head;

static size_t tiles_of(size_t rows) {
    return (rows + I8_ROWS - 1) / I8_ROWS;
}

/* Pieces of equal size, the last may be smaller: multiples of 64 inputs. */
static size_t piece_of(size_t k) {
    size_t padded = cara_i8_padded_k(k), pieces = (padded + PIECE - 1) / PIECE;
    return cara_i8_padded_k((padded + pieces - 1) / pieces);
}

/* Groups of half the piece that begins at input i. */
static size_t half_of(size_t k, size_t i) {
    size_t left = cara_i8_padded_k(k) - i, piece = piece_of(k);
    return (left < piece ? left : piece) / 2 / CARA_I8_GROUP;
}

#define GROUP_BYTES (HALF_ROWS * CARA_I8_GROUP * I8_BYTES)

/* Where the sums of A of a product lie, of the piece at input i, `half` groups long. */
static size_t part_at(size_t tiles, size_t i, size_t half, size_t product, size_t tile) {
    size_t before = i / 2 / CARA_I8_GROUP * PRODUCTS * tiles;
    return tiles * sizeof(many_head) + (before + (product * tiles + tile) * half) * GROUP_BYTES;
}

static size_t many_size(size_t rows, size_t k) {
    if (rows <= FEW_ROWS)
        return cara_i8_avx2_few.activation_size(rows, k);
    return part_at(tiles_of(rows), cara_i8_padded_k(k), 0, 0, 0);
}

/* ---- activations ---- */

typedef int16_t quantised[I8_ROWS][PIECE];

static inline __m256i load(const int16_t *p) {
    return _mm256_load_si256((const __m256i *)(const void *)p);
}

static inline void store(uint8_t *p, __m256i x) {
    _mm256_store_si256((__m256i *)(void *)p, x);
}

/* Four groups of four rows, [row][group] to [group][row]. */
static inline void store_groups(uint8_t *to, const __m256i x[HALF_ROWS]) {
    __m256i low0 = _mm256_unpacklo_epi64(x[0], x[1]), high0 = _mm256_unpackhi_epi64(x[0], x[1]);
    __m256i low1 = _mm256_unpacklo_epi64(x[2], x[3]), high1 = _mm256_unpackhi_epi64(x[2], x[3]);
    store(to, _mm256_permute2x128_si256(low0, low1, 0x20));
    store(to + 32, _mm256_permute2x128_si256(high0, high1, 0x20));
    store(to + 64, _mm256_permute2x128_si256(low0, low1, 0x31));
    store(to + 96, _mm256_permute2x128_si256(high0, high1, 0x31));
}

static uint32_t sum_of(__m256i x) {
    uint32_t lanes[8], sum = 0;
    _mm256_storeu_si256((__m256i *)(void *)lanes, x);
    for (int i = 0; i < 8; i += 2)
        sum += lanes[i];
    return sum;
}

/* Blocks of A: rows from 0 or 4, inputs from 0 or half a piece. */
typedef struct block {
    size_t row, input;
} block;

/* The sums `plus` + sign * `other` of A, and their x0 x1 + x2 x3. */
static inline __attribute__((always_inline)) void add_blocks(quantised q, block plus, block other,
                                                             int sign, size_t half, uint8_t *to,
                                                             uint32_t pairs[HALF_ROWS]) {
    __m256i sums[HALF_ROWS];
    for (size_t r = 0; r < HALF_ROWS; r++)
        sums[r] = _mm256_setzero_si256();
    for (size_t i = 0; i < half * CARA_I8_GROUP; i += 16, to += 4 * GROUP_BYTES) {
        __m256i x[HALF_ROWS];
        for (size_t r = 0; r < HALF_ROWS; r++) {
            x[r] = load(&q[plus.row + r][plus.input + i]);
            if (sign) {
                __m256i y = load(&q[other.row + r][other.input + i]);
                x[r] = sign > 0 ? _mm256_add_epi16(x[r], y) : _mm256_sub_epi16(x[r], y);
            }
            /* Twice: each pair is summed from both sides. */
            sums[r] = _mm256_add_epi32(sums[r],
                                       _mm256_madd_epi16(x[r], _mm256_shuffle_epi32(x[r], 0xB1)));
        }
        store_groups(to, x);
    }
    for (size_t r = 0; r < HALF_ROWS; r++)
        pairs[r] = sum_of(sums[r]);
}

static void quantise_piece(const float *x, size_t ldx, size_t rows, size_t k, size_t at,
                           const i8_steps *steps, size_t half, quantised q) {
    size_t n = half * 2 * CARA_I8_GROUP;
    for (size_t r = 0; r < I8_ROWS; r++) {
        size_t i = 0;
        for (; r < rows && i < n && at + i < k; i += 16) {
            const float *from = x + r * ldx + at + i;
            i8_values v = k - at - i >= 16 ? i8_round(from, &steps[r])
                                           : i8_round_some(from, k - at - i, &steps[r]);
            memcpy(&q[r][i], &v, sizeof v);
        }
        memset(&q[r][i], 0, (n - i) * sizeof **q);
    }
}

static void quantise_tile(const float *x, size_t ldx, size_t rows, size_t k, size_t tiles,
                          size_t tile, uint8_t *dst) {
    quantised q __attribute__((aligned(64)));
    i8_steps steps[I8_ROWS];
    many_head *head = (many_head *)(void *)(dst + tile * sizeof *head);
    memset(head, 0, sizeof *head);
    for (size_t r = 0; r < rows; r++) {
        steps[r] = i8_steps_of(x + r * ldx, k);
        head->head.scale[r] = steps[r].scale;
        head->head.zero[r] = steps[r].zero;
    }
    for (size_t i = 0; i < cara_i8_padded_k(k);) {
        const size_t half = half_of(k, i), mid = half * CARA_I8_GROUP;
        const block a11 = {0, 0}, a12 = {0, mid}, a21 = {HALF_ROWS, 0}, a22 = {HALF_ROWS, mid};
        uint32_t p[PRODUCTS][HALF_ROWS];
        quantise_piece(x, ldx, rows, k, i, steps, half, q);
#define TO(product) half, dst + part_at(tiles, i, half, product, tile), p[product]
        add_blocks(q, a11, a22, 1, TO(0));
        add_blocks(q, a21, a22, 1, TO(1));
        add_blocks(q, a11, a11, 0, TO(2));
        add_blocks(q, a22, a22, 0, TO(3));
        add_blocks(q, a11, a12, 1, TO(4));
        add_blocks(q, a21, a11, -1, TO(5));
        add_blocks(q, a12, a22, -1, TO(6));
#undef TO
        for (size_t r = 0; r < HALF_ROWS; r++) {
            head->base[r][0] -= p[0][r] + p[3][r] - p[4][r] + p[6][r];
            head->base[r][1] -= p[2][r] + p[4][r];
            head->base[HALF_ROWS + r][0] -= p[1][r] + p[3][r];
            head->base[HALF_ROWS + r][1] -= p[0][r] - p[1][r] + p[2][r] + p[5][r];
        }
        i += half * 2 * CARA_I8_GROUP;
    }
}

static void many_quantise(const float *x, size_t ldx, size_t rows, size_t k, size_t tile0,
                          size_t tile1, void *dst) {
    if (rows <= FEW_ROWS) {
        cara_i8_avx2_few.quantise(x, ldx, rows, k, tile0 * (I8_ROWS / FEW_TILE),
                                  tile1 * (I8_ROWS / FEW_TILE), dst);
        return;
    }
    for (size_t t = tile0; t < tile1 && t * I8_ROWS < rows; t++) {
        size_t left = rows - t * I8_ROWS;
        quantise_tile(x + t * I8_ROWS * ldx, ldx, left < I8_ROWS ? left : I8_ROWS, k,
                      tiles_of(rows), t, dst);
    }
}

/* ---- weights ---- */

/* A sum of blocks of B: a group is w1 w3 and w0 w2 of eight channels, and of the next eight. */
typedef struct widened {
    __m256i w[HALF_GROUPS][4];
    __m256i less[2]; /* of each channel, -(w0 w1 + w2 w3) */
} widened;

/* The even bytes by a multiplication, which uses other ports than the shift of the odd ones. */
static inline void widen_group(const int8_t *b, __m256i w[4]) {
    for (int h = 0; h < 2; h++) {
        __m256i bytes = _mm256_load_si256((const __m256i *)(const void *)(b + 32 * h));
        w[2 * h] = _mm256_srai_epi16(bytes, 8);
        w[2 * h + 1] = _mm256_maddubs_epi16(_mm256_set1_epi16(1), bytes);
    }
}

/* `plus` + sign * `other`. */
static inline __attribute__((always_inline)) void widen(const int8_t *plus, const int8_t *other,
                                                        int sign, size_t groups, widened *to) {
    __m256i less0 = _mm256_setzero_si256(), less1 = less0;
    for (size_t g = 0; g < groups; g++) {
        __m256i w[4], more[4];
        widen_group(plus + g * 64, w);
        if (sign) {
            widen_group(other + g * 64, more);
            for (int h = 0; h < 4; h++)
                w[h] = sign > 0 ? _mm256_add_epi16(w[h], more[h]) : _mm256_sub_epi16(w[h], more[h]);
        }
        less0 = _mm256_sub_epi32(less0, _mm256_madd_epi16(w[0], w[1]));
        less1 = _mm256_sub_epi32(less1, _mm256_madd_epi16(w[2], w[3]));
        for (int h = 0; h < 4; h++)
            to->w[g][h] = w[h];
    }
    to->less[0] = less0;
    to->less[1] = less1;
}

/* What product i takes of the piece in two panels. */
static void widen_for(size_t i, const int8_t *left, const int8_t *right, size_t half, widened *to) {
    const int8_t *b11 = left, *b12 = right, *b21 = left + half * 64, *b22 = right + half * 64;
    switch (i) {
    case 0:
        widen(b11, b22, 1, half, to);
        break;
    case 1:
        widen(b11, b11, 0, half, to);
        break;
    case 2:
        widen(b12, b22, -1, half, to);
        break;
    case 3:
        widen(b21, b11, -1, half, to);
        break;
    case 4:
        widen(b22, b22, 0, half, to);
        break;
    case 5:
        widen(b11, b12, 1, half, to);
        break;
    default:
        widen(b21, b22, 1, half, to);
    }
}

/* ---- products ---- */

/* Adds a row's group to the sums of 16 channels, without what is known beforehand. GCC 12 orders
 * the intrinsics so that sums go through memory; in asm they stay in their registers. */
static inline __attribute__((always_inline)) void add_pairs(__m256i *c0, __m256i *c1,
                                                            const uint8_t *a, __m256i odd0,
                                                            __m256i even0, __m256i odd1,
                                                            __m256i even1) {
#ifndef CARA_SIMDE
    __m256i x, y, t, u;
    __asm__("vpbroadcastd %[a], %[x]\n\t"
            "vpbroadcastd %[more], %[y]\n\t"
            "vpaddw %[odd0], %[x], %[t]\n\t"
            "vpaddw %[even0], %[y], %[u]\n\t"
            "vpaddw %[odd1], %[x], %[x]\n\t"
            "vpaddw %[even1], %[y], %[y]\n\t"
            "vpmaddwd %[t], %[u], %[t]\n\t"
            "vpmaddwd %[x], %[y], %[x]\n\t"
            "vpaddd %[t], %[c0], %[c0]\n\t"
            "vpaddd %[x], %[c1], %[c1]"
            : [c0] "+x"(*c0), [c1] "+x"(*c1), [x] "=&x"(x), [y] "=&x"(y), [t] "=&x"(t), [u] "=&x"(u)
            : [even0] "x"(even0), [odd0] "x"(odd0), [even1] "x"(even1), [odd1] "x"(odd1),
              [a] "m"(*(const char(*)[4])a), [more] "m"(*(const char(*)[4])(a + 4)));
#else
    int32_t words[2];
    memcpy(words, a, 8);
    __m256i x = _mm256_set1_epi32(words[0]), y = _mm256_set1_epi32(words[1]);
    *c0 = _mm256_add_epi32(
        *c0, _mm256_madd_epi16(_mm256_add_epi16(x, odd0), _mm256_add_epi16(y, even0)));
    *c1 = _mm256_add_epi32(
        *c1, _mm256_madd_epi16(_mm256_add_epi16(x, odd1), _mm256_add_epi16(y, even1)));
#endif
}

static inline void add_to(int32_t *c, int sign, __m256i x) {
    __m256i *at = (__m256i *)(void *)c;
    *at = sign > 0 ? _mm256_add_epi32(*at, x) : _mm256_sub_epi32(*at, x);
}

/* One of the seven: to the block of c at `to` with its sign, and to the one at `also`. */
static inline __attribute__((always_inline)) void part(const uint8_t *a, const __m256i (*w)[4],
                                                       size_t groups, const __m256i less[2],
                                                       int32_t *c, int to, int sign, int also,
                                                       int also_sign) {
    __m256i c00 = less[0], c01 = less[1], c10 = c00, c11 = c01, c20 = c00, c21 = c01, c30 = c00,
            c31 = c01;
#pragma GCC unroll 4
    for (; groups; groups--, a += GROUP_BYTES, w++) {
        __m256i w0 = (*w)[0], w1 = (*w)[1], w2 = (*w)[2], w3 = (*w)[3];
        add_pairs(&c00, &c01, a, w0, w1, w2, w3);
        add_pairs(&c10, &c11, a + 8, w0, w1, w2, w3);
        add_pairs(&c20, &c21, a + 16, w0, w1, w2, w3);
        add_pairs(&c30, &c31, a + 24, w0, w1, w2, w3);
    }
    const __m256i sums[HALF_ROWS][2] = {{c00, c01}, {c10, c11}, {c20, c21}, {c30, c31}};
    for (int r = 0; r < HALF_ROWS; r++)
        for (int h = 0; h < 2; h++) {
            add_to(c + to + r * WIDTH + h * 8, sign, sums[r][h]);
            if (also_sign)
                add_to(c + also + r * WIDTH + h * 8, also_sign, sums[r][h]);
        }
}

#define PART(i, to, sign, also, also_sign)                                                         \
    static void part_##i(const uint8_t *a, const __m256i(*w)[4], size_t groups,                    \
                         const __m256i less[2], int32_t *c) {                                      \
        part(a, w, groups, less, c, to, sign, also, also_sign);                                    \
    }
PART(0, C11, 1, C22, 1)
PART(1, C21, 1, C22, -1)
PART(2, C12, 1, C22, 1)
PART(3, C11, 1, C21, 1)
PART(4, C12, 1, C11, -1)
PART(5, C22, 1, 0, 0)
PART(6, C11, 1, 0, 0)

static void (*const parts[PRODUCTS])(const uint8_t *, const __m256i (*)[4], size_t,
                                     const __m256i[2], int32_t *) = {part_0, part_1, part_2, part_3,
                                                                     part_4, part_5, part_6};

/* Stands for the panel beside the last of an odd number. */
static const int8_t no_panel[2 * HALF_GROUPS * 64] __attribute__((aligned(64)));

static inline void begin(const many_head *head, int32_t *c) {
    for (size_t i = 0; i < I8_ROWS * WIDTH / 8; i++)
        store((uint8_t *)(c + i * 8),
              _mm256_set1_epi32((int32_t)head->base[i * 8 / WIDTH][i * 8 / CARA_I8_PANEL % 2]));
}

/* Tiles [tile0, tile1), at most BLOCK, of one panel or two. */
static void many_block(const cara_i8_product *p, size_t tile0, size_t tile1, size_t panel,
                       size_t panels) {
    int32_t c[BLOCK][I8_ROWS * WIDTH] __attribute__((aligned(64)));
    widened b;
    const size_t k = p->weights.k, padded = cara_i8_padded_k(k), tiles = tiles_of(p->rows);
    const uint8_t *x = p->x;
    const many_head *head = p->x;
    const int8_t *left = p->weights.packed + panel * CARA_I8_PANEL * padded;
    for (size_t t = tile0; t < tile1; t++)
        begin(&head[t], c[t - tile0]);
    for (size_t i = 0; i < padded;) {
        size_t half = half_of(k, i), next = i + half * 2 * CARA_I8_GROUP;
        const int8_t *at = left + i * CARA_I8_PANEL;
        /* Where the next piece lies; prefetching beyond the last does no harm. */
        const int8_t *ahead =
            next < padded ? left + next * CARA_I8_PANEL : left + 2 * CARA_I8_PANEL * padded;
        size_t fetched = 0, calls = PRODUCTS * (tile1 - tile0),
               lines = (2 * half + calls - 1) / calls;
        for (size_t j = 0; j < PRODUCTS; j++) {
            widen_for(j, at, panels > 1 ? at + CARA_I8_PANEL * padded : no_panel, half, &b);
            for (size_t t = tile0; t < tile1; t++) {
                int last = next == padded && j == PRODUCTS - 1;
                for (size_t n = 0; n < lines && fetched < 2 * half; n++, fetched++) {
                    __builtin_prefetch(ahead + fetched * 64, 0, 2);
                    __builtin_prefetch(ahead + fetched * 64 + CARA_I8_PANEL * padded, 0, 2);
                }
                if (last)
                    i8_fetch(p, t * I8_ROWS, i8_rows_at(p, t * I8_ROWS), panel * CARA_I8_PANEL,
                             panels * CARA_I8_PANEL);
                parts[j](x + part_at(tiles, i, half, j, t), (const __m256i(*)[4])b.w, half, b.less,
                         c[t - tile0]);
                for (size_t h = 0; last && h < panels; h++)
                    i8_finish_panel(p, c[t - tile0] + h * CARA_I8_PANEL, WIDTH, &head[t].head,
                                    t * I8_ROWS, panel + h);
            }
        }
        i = next;
    }
}

static void many_product(const cara_i8_product *p, size_t tile0, size_t tile1, size_t panel0,
                         size_t panel1) {
    if (p->rows <= FEW_ROWS) {
        cara_i8_avx2_few.product(p, tile0 * (I8_ROWS / FEW_TILE), tile1 * (I8_ROWS / FEW_TILE),
                                 panel0, panel1);
        return;
    }
    size_t tiles = tiles_of(p->rows), end = tile1 < tiles ? tile1 : tiles;
    for (size_t t = tile0; t < end; t += BLOCK)
        for (size_t panel = panel0; panel < panel1; panel += 2)
            many_block(p, t, end - t < BLOCK ? end : t + BLOCK, panel,
                       panel1 - panel < 2 ? panel1 - panel : 2);
}

const cara_i8_ops cara_i8_avx2 = {I8_ROWS, I8_TASK_ROWS, many_size, many_quantise, many_product};

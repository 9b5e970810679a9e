/* Attention in 16-bit integers, for models whose weights are coarser still: vpmaddwd multiplies
 * twice as much an instruction as FMA. Blocks of keys and a running softmax as in attend.c.
 *
 * Queries and keys have 12 bits with a scale for each, so d products fit 31. Softmax's weights have
 * 14 bits of their block's largest and values 9 with their sign and a scale for each column of the
 * block, so that as many products fit as a block has keys: a value is off by a 1000th of the
 * largest at most, while half a step of weights is what many small ones lose beside a large one,
 * all in one direction. The weights that are multiplied are those that are summed up, so what
 * rounding takes from one it takes from the sum, too. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vectors.h"

#include <math.h>

#define KV 256 /* keys of a block */
#define D_MAX CARA_HEAD_DIM_MAX
#define KEY_MOST 4095
#define VALUE_MOST 511
#define WEIGHT_MOST 16384
#define AHEAD 16 /* rows to fetch before they are used: they lie far apart */
#define ROWS 4   /* of a tile; it has 16 columns */
#define PANEL 8  /* queries that go through a block at once */
#define PANELS (CARA_ATTEND_Q / PANEL)
_Static_assert(PANELS *PANEL == CARA_ATTEND_Q, "tasks are whole panels");
_Static_assert((int64_t)D_MAX *KEY_MOST *KEY_MOST <= INT32_MAX, "scores fit");
_Static_assert((int64_t)KV *WEIGHT_MOST *VALUE_MOST <= INT32_MAX, "sums of values fit");
_Static_assert(2 * KEY_MOST <= INT16_MAX && WEIGHT_MOST + VALUE_MOST <= INT16_MAX,
               "sums of one of either side fit");

typedef struct panel {
    float by[PANEL], top[PANEL], sum[PANEL];
    int32_t own[PANEL];
} panel;

typedef struct work {
    int16_t keys[KV * D_MAX];   /* panels of 16 keys: [d / 2][16][2] */
    int16_t values[KV * D_MAX]; /* of 16 columns: [keys / 2][16][2], pairs as pair_at has them */
    float key_scale[KV], value_scale[D_MAX];
    int32_t key_own[KV], value_own[D_MAX];
    float score[PANEL][KV];
    int16_t weight[PANEL][KV];
    float most[PANEL][8];
    int16_t q[CARA_ATTEND_Q * D_MAX]; /* panels of 4: [d / 2][4][2] */
    float acc[CARA_ATTEND_Q * D_MAX];
    panel panels[PANELS];
} work;
_Static_assert(sizeof(work) <= CARA_ATTEND_SCRATCH, "scratch is as large");

/* Positions of each pair's keys in a group of 16 weights: vpackssdw works within halves of a
 * register. */
static const uint8_t pair_at[8] = {0, 2, 8, 10, 4, 6, 12, 14};

/* Sums of products of pairs, 4 rows x 16 columns, over a multiple of 4 pairs. Row l of a at step s
 * lies `row` * l + `step` * s bytes on.
 *
 * As many additions as multiplications would wait for the ports that do both. Winograd's inner
 * product (1968) has half of the multiplications: a b + c d = (a + d) (b + c) - a c - b d where a
 * and c are of one side, so that the last two are sums of each side's own, made when it is packed;
 * `own` and `its_own` are those, negative. Steps come in twos, the first of which is a and b, the
 * second c and d. All of it is exact: sums may wrap, and do.
 *
 * In asm since GCC 12 puts sums of intrinsics into memory; a broadcast from memory takes none of
 * the ports that multiply and add. */
typedef struct sums {
    __m256i at[ROWS][2];
} sums;

#define ROW(row, step, s, l)                                                                       \
    "vpbroadcastd " #row "*" #l "+" #step "*" #s "(%[a]), %%ymm12\n\t"                             \
    "vpbroadcastd " #row "*" #l "+" #step "*" #s "+" #step "(%[a]), %%ymm13\n\t"                   \
    "vpaddw %%ymm10, %%ymm12, %%ymm14\n\t"                                                         \
    "vpaddw %%ymm8, %%ymm13, %%ymm15\n\t"                                                          \
    "vpaddw %%ymm11, %%ymm12, %%ymm12\n\t"                                                         \
    "vpaddw %%ymm9, %%ymm13, %%ymm13\n\t"                                                          \
    "vpmaddwd %%ymm14, %%ymm15, %%ymm14\n\t"                                                       \
    "vpmaddwd %%ymm12, %%ymm13, %%ymm12\n\t"                                                       \
    "vpaddd %%ymm14, %[c" #l "0], %[c" #l "0]\n\t"                                                 \
    "vpaddd %%ymm12, %[c" #l "1], %[c" #l "1]\n\t"
#define STEPS(row, step, s)                                                                        \
    "vmovdqa 64*" #s "(%[b]), %%ymm8\n\t"                                                          \
    "vmovdqa 64*" #s "+32(%[b]), %%ymm9\n\t"                                                       \
    "vmovdqa 64*" #s "+64(%[b]), %%ymm10\n\t"                                                      \
    "vmovdqa 64*" #s "+96(%[b]), %%ymm11\n\t" ROW(row, step, s, 0) ROW(row, step, s, 1)            \
        ROW(row, step, s, 2) ROW(row, step, s, 3)
#define OWN(l, h) _mm256_add_epi32(_mm256_set1_epi32(own[l]), o##h)
#define MULTIPLY(name, row, step)                                                                  \
    static inline __attribute__((always_inline)) void name(sums *t, const int16_t *a,              \
                                                           const int32_t *own, const int16_t *b,   \
                                                           const int32_t *its_own, size_t steps) { \
        __m256i o0 = _mm256_load_si256((const __m256i *)(const void *)its_own);                    \
        __m256i o1 = _mm256_load_si256((const __m256i *)(const void *)(its_own + 8));              \
        __m256i c00 = OWN(0, 0), c01 = OWN(0, 1), c10 = OWN(1, 0), c11 = OWN(1, 1);                \
        __m256i c20 = OWN(2, 0), c21 = OWN(2, 1), c30 = OWN(3, 0), c31 = OWN(3, 1);                \
        __asm__ volatile("1:\n\t" STEPS(row, step, 0) STEPS(                                       \
                             row, step, 2) "add $4*" #step                                         \
                                           ", %[a]\n\tadd $256, %[b]\n\tsub $4, %[n]\n\tjnz 1b"    \
                         : [c00] "+x"(c00), [c01] "+x"(c01), [c10] "+x"(c10), [c11] "+x"(c11),     \
                           [c20] "+x"(c20), [c21] "+x"(c21), [c30] "+x"(c30), [c31] "+x"(c31),     \
                           [a] "+r"(a), [b] "+r"(b), [n] "+r"(steps)                               \
                         :                                                                         \
                         : "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",   \
                           "cc", "memory");                                                        \
        *t = (sums){{{c00, c01}, {c10, c11}, {c20, c21}, {c30, c31}}};                             \
    }
MULTIPLY(multiply_keys, 4, 16)
MULTIPLY(multiply_values, 512, 4)
_Static_assert(sizeof(((work *)0)->weight[0]) == 512, "a row of weights is as long as it says");

/* Products of the first and second of each two pairs, in every other lane. */
static inline __m256i own_products(__m256i x) {
    return _mm256_madd_epi16(x, _mm256_srli_epi64(x, 32));
}

/* Minus the sum of eight lanes. */
static inline int32_t minus_sum(__m256i x) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(_mm_sub_epi32(_mm_setzero_si128(), s));
}

/* The same of the 16 columns of a panel. */
static inline void own_of_panel(const int16_t *b, size_t steps, int32_t *own) {
    for (size_t h = 0; h < 16; h += 8) {
        __m256i sum = _mm256_setzero_si256();
        for (size_t s = 0; s < steps; s += 2) {
            const __m256i *at = (const __m256i *)(const void *)(b + 32 * s + 2 * h);
            sum = _mm256_sub_epi32(
                sum, _mm256_madd_epi16(_mm256_load_si256(at), _mm256_load_si256(at + 2)));
        }
        _mm256_store_si256((__m256i *)(void *)(own + h), sum);
    }
}

/* The largest magnitude so far, by its bits: a NaN is larger than all. */
static inline __m256i larger(__m256i most, __m256 x) {
    return _mm256_max_epu32(
        most, _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff)));
}

/* What takes numbers of at most `largest` to steps, `most` to either side; *scale takes them
 * back. What is too small to differ from 0 becomes 0. */
static inline float steps_for(float largest, float most, float *scale) {
    *scale = largest / most;
    return largest < 1e-34f ? 0 : most / largest;
}

/* d numbers times `by` to 12 bits, in pairs. Returns their scale. */
static inline float narrow(const float *x, size_t d, float by, int16_t *to) {
    __m256i most = _mm256_setzero_si256();
    __m256 times = _mm256_set1_ps(by);
    for (size_t p = 0; p < d; p += 8)
        most = larger(most, _mm256_mul_ps(times, _mm256_loadu_ps(x + p)));
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    float scale, up = steps_for(_mm_cvtss_f32(_mm_castsi128_ps(m)), KEY_MOST, &scale);
    __m256 steps = _mm256_set1_ps(up);
    for (size_t p = 0; p < d; p += 16) {
        __m256 x0 = _mm256_mul_ps(times, _mm256_loadu_ps(x + p));
        __m256 x1 = _mm256_mul_ps(times, _mm256_loadu_ps(x + p + 8));
        __m256i n = _mm256_packs_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(x0, steps)),
                                       _mm256_cvtps_epi32(_mm256_mul_ps(x1, steps)));
        _mm256_store_si256((__m256i *)(void *)(to + p), _mm256_permute4x64_epi64(n, 0xd8));
    }
    return scale;
}

/* Rows [i, end) of d floats, into the second cache: rows a power of two apart keep each other out
 * of the first. */
static inline void fetch_rows(const float *x, size_t ld, size_t i, size_t end, size_t d) {
    for (; i < end; i++)
        for (size_t p = 0; p < d; p += 16)
            _mm_prefetch((const char *)(x + i * ld + p), _MM_HINT_T1);
}

/* Queries [i, i + rows), scaled, to a panel; missing ones become zeros. */
static void pack_queries(const cara_attend *a, size_t i, size_t rows, panel *its, int16_t *to) {
    _Alignas(32) int16_t row[D_MAX];
    for (size_t l = 0; l < PANEL; l++) {
        its->top[l] = -INFINITY;
        its->sum[l] = its->by[l] = 0;
        memset(row, 0, sizeof row);
        if (l < rows)
            its->by[l] = narrow(a->q + (i + l) * a->ldq, a->d, a->scale * CARA_SCORE_UNIT, row);
        __m256i own = _mm256_setzero_si256();
        for (size_t p = 0; p < a->d; p += 16)
            own = _mm256_add_epi32(
                own, own_products(_mm256_load_si256((const __m256i *)(const void *)(row + p))));
        its->own[l] = minus_sum(own);
        int16_t *tile = to + l / ROWS * ROWS * a->d + l % ROWS * 2;
        for (size_t p = 0; p < a->d; p += 2)
            memcpy(tile + p * ROWS, row + p, 4);
    }
}

/* Keys [k0, k0 + n) to panels; missing keys of the last become zeros. */
static void pack_keys(const cara_attend *a, size_t k0, size_t n, work *w) {
    _Alignas(32) int16_t rows[8][D_MAX];
    size_t d = a->d;
    for (size_t j = 0; j < (n + 15) / 16 * 16; j += 8) {
        fetch_rows(a->k, a->ldk, k0 + j + AHEAD, k0 + cara_min_size(j + AHEAD + 8, n), d);
        for (size_t i = 0; i < 8; i++) {
            w->key_scale[j + i] = 0;
            if (j + i < n)
                w->key_scale[j + i] = narrow(a->k + (k0 + j + i) * a->ldk, d, 1, rows[i]);
            else
                memset(rows[i], 0, sizeof rows[i]);
        }
        int16_t *to = w->keys + j / 16 * 16 * d + j % 16 * 2;
        for (size_t p = 0; p < d; p += 16) {
            __m256 r[8];
            for (size_t i = 0; i < 8; i++)
                r[i] = _mm256_load_ps((const float *)(const void *)(rows[i] + p));
            cara_transpose_8(r);
            for (size_t i = 0; i < 8; i++)
                _mm256_store_ps((float *)(void *)(to + (p / 2 + i) * 32), r[i]);
        }
    }
    for (size_t j = 0; j < (n + 15) / 16 * 16; j += 16)
        own_of_panel(w->keys + j * d, d / 2, w->key_own + j);
}

/* Values [k0, k0 + n) to panels; missing ones of the last 16 become zeros. */
static void pack_values(const cara_attend *a, size_t k0, size_t n, work *w) {
    size_t d = a->d, filled = (n + 15) / 16 * 16;
    static const float zeros[D_MAX];
    _Alignas(32) int32_t most[D_MAX];
    _Alignas(32) float up[D_MAX];
    memset(most, 0, sizeof most);
    for (size_t j = 0; j < n; j += 2) {
        const float *v = a->v + (k0 + j) * a->ldv, *u = j + 1 < n ? v + a->ldv : v;
        fetch_rows(a->v, a->ldv, k0 + j + AHEAD, k0 + cara_min_size(j + AHEAD + 2, n), d);
        for (size_t c = 0; c < d; c += 8) {
            __m256i *m = (__m256i *)(void *)(most + c);
            *m = larger(larger(*m, _mm256_loadu_ps(v + c)), _mm256_loadu_ps(u + c));
        }
    }
    for (size_t c = 0; c < d; c++) {
        float x;
        memcpy(&x, most + c, 4);
        up[c] = steps_for(x, VALUE_MOST, &w->value_scale[c]);
    }
    for (size_t j = 0; j < filled; j += 2) {
        size_t at = j / 16 * 16 + pair_at[j % 16 / 2];
        const float *v = at < n ? a->v + (k0 + at) * a->ldv : zeros;
        const float *u = at + 1 < n ? a->v + (k0 + at + 1) * a->ldv : zeros;
        for (size_t c = 0; c < d; c += 16)
            for (size_t h = 0; h < 16; h += 8) {
                __m256 steps = _mm256_load_ps(up + c + h);
                __m256i x = _mm256_cvtps_epi32(_mm256_mul_ps(steps, _mm256_loadu_ps(v + c + h)));
                __m256i y = _mm256_cvtps_epi32(_mm256_mul_ps(steps, _mm256_loadu_ps(u + c + h)));
                _mm256_store_si256((__m256i *)(void *)(w->values + c * filled + j * 16 + 2 * h),
                                   _mm256_blend_epi16(x, _mm256_slli_epi32(y, 16), 0xaa));
            }
    }
    for (size_t c = 0; c < d; c += 16)
        own_of_panel(w->values + c * filled, filled / 2, w->value_own + c);
}

/* Scores of four queries, from the panel's l0 on, with `here` <= 16 keys, without the queries'
 * scales, and each query's largest so far. Keys beyond score -inf. */
static inline __attribute__((always_inline)) void score_keys(size_t d, const int16_t *q,
                                                             const panel *its, size_t l0, size_t j,
                                                             const size_t here, work *w) {
    sums t;
    multiply_keys(&t, q + l0 * d, its->own + l0, w->keys + j * d, w->key_own + j, d / 2);
    __m256 s0 = _mm256_load_ps(w->key_scale + j), s1 = _mm256_load_ps(w->key_scale + j + 8);
    for (size_t l = 0; l < ROWS; l++) {
        __m256 x0 = _mm256_mul_ps(s0, _mm256_cvtepi32_ps(t.at[l][0]));
        __m256 x1 = _mm256_mul_ps(s1, _mm256_cvtepi32_ps(t.at[l][1]));
        if (here < 16) {
            __m256 low = _mm256_set1_ps(-INFINITY);
            __m256i m0 = cara_mask_8(cara_min_size(here, 8)),
                    m1 = cara_mask_8(here > 8 ? here - 8 : 0);
            x0 = _mm256_blendv_ps(low, x0, _mm256_castsi256_ps(m0));
            x1 = _mm256_blendv_ps(low, x1, _mm256_castsi256_ps(m1));
        }
        __m256 most = _mm256_load_ps(w->most[l0 + l]);
        _mm256_store_ps(w->most[l0 + l], _mm256_max_ps(most, _mm256_max_ps(x0, x1)));
        _mm256_store_ps(w->score[l0 + l] + j, x0);
        _mm256_store_ps(w->score[l0 + l] + j + 8, x1);
    }
}

/* WEIGHT_MOST * 2^(x / 2048) of sixteen x < 0, within 2.5. The integer part i - 16 of x / 2048
 * picks a power of two; the part behind the point goes through a polynomial of degree 3
 * (error 7.5e-5). */
static inline __m256i weights_of(__m256i x) {
    const __m256i both = _mm256_setr_epi8(0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14, 0,
                                          0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14);
    /* 2^(i - 1), a byte at a time: the low byte's index is i, the high byte's i - 8; below 0 it
     * picks 0. */
    const __m256i powers = _mm256_setr_epi8(0, 1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0,
                                            1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0);
    __m256i part = _mm256_srli_epi16(_mm256_slli_epi16(x, 5), 1);
    __m256i y = _mm256_mulhrs_epi16(part, _mm256_set1_epi16(1278));
    y = _mm256_mulhrs_epi16(part, _mm256_add_epi16(y, _mm256_set1_epi16(3704)));
    y = _mm256_mulhrs_epi16(part, _mm256_add_epi16(y, _mm256_set1_epi16(11401)));
    y = _mm256_add_epi16(y, _mm256_set1_epi16(16383));
    __m256i i = _mm256_shuffle_epi8(_mm256_srli_epi16(x, 11), both); /* i + 16 */
    i = _mm256_add_epi8(i, _mm256_set1_epi16((short)(-24 * 256)));
    return _mm256_mulhrs_epi16(y, _mm256_shuffle_epi8(powers, i));
}

/* One query's scores, times `by` after their largest is taken away, to weights. Returns their sum.
 */
static inline float softmax_weights(float *score, size_t n, float by, float most, int16_t *weight,
                                    int32_t *own) {
    __m256 times = _mm256_set1_ps(2048 * by), base = _mm256_set1_ps(2048 * by * most);
    if (fabsf(2048 * by * most) > 0x1p20f) { /* so large that the fraction is lost in rounding */
        base = _mm256_setzero_ps();
        for (size_t j = 0; j < n; j += 8)
            _mm256_store_ps(score + j,
                            _mm256_sub_ps(_mm256_load_ps(score + j), _mm256_set1_ps(most)));
    }
    __m256i total = _mm256_setzero_si256(), products = total;
    for (size_t j = 0; j < n; j += 16) {
        __m256 x0 = _mm256_fmsub_ps(_mm256_load_ps(score + j), times, base);
        __m256 x1 = _mm256_fmsub_ps(_mm256_load_ps(score + j + 8), times, base);
        __m256i x = _mm256_packs_epi32(_mm256_cvtps_epi32(x0), _mm256_cvtps_epi32(x1));
        __m256i y = weights_of(_mm256_min_epi16(x, _mm256_set1_epi16(-1)));
        total = _mm256_add_epi32(total, _mm256_madd_epi16(y, _mm256_set1_epi16(1)));
        products = _mm256_add_epi32(products, own_products(y));
        _mm256_store_si256((__m256i *)(void *)(weight + j), y);
    }
    *own = minus_sum(products);
    return cara_sum_8(_mm256_cvtepi32_ps(total));
}

/* A panel of queries against one packed block of keys and values. */
static void one_block(size_t d, const int16_t *q, size_t n, panel *its, float *acc, work *w) {
    size_t filled = (n + 15) / 16 * 16;
    _Alignas(32) float most[PANEL], shrink[PANEL], grow[PANEL], sum[PANEL];
    int32_t own[PANEL];
    for (size_t l = 0; l < PANEL; l++)
        _mm256_store_ps(w->most[l], _mm256_set1_ps(-INFINITY));
    for (size_t j = 0; j + 16 <= n; j += 16)
        for (size_t l = 0; l < PANEL; l += ROWS)
            score_keys(d, q, its, l, j, 16, w);
    for (size_t l = 0; l < PANEL && n % 16 > 0; l += ROWS)
        score_keys(d, q, its, l, n / 16 * 16, n % 16, w);
    __m256 r[PANEL];
    for (size_t l = 0; l < PANEL; l++)
        r[l] = _mm256_load_ps(w->most[l]);
    cara_transpose_8(r);
    for (size_t half = 4; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            r[l] = _mm256_max_ps(r[l], r[l + half]);
    __m256 top = _mm256_mul_ps(r[0], _mm256_loadu_ps(its->by));
    __m256 old = _mm256_loadu_ps(its->top), next = _mm256_max_ps(old, top);
    __m256 less = cara_exp2_8(_mm256_sub_ps(old, next));
    __m256 more =
        _mm256_mul_ps(cara_exp2_8(_mm256_sub_ps(top, next)), _mm256_set1_ps(1.0f / WEIGHT_MOST));
    _mm256_store_ps(most, r[0]);
    _mm256_store_ps(shrink, less);
    _mm256_store_ps(grow, more);
    for (size_t l = 0; l < PANEL; l++)
        sum[l] = softmax_weights(w->score[l], filled, its->by[l], most[l], w->weight[l], &own[l]);
    _mm256_storeu_ps(its->top, next);
    _mm256_storeu_ps(its->sum, _mm256_fmadd_ps(_mm256_loadu_ps(its->sum), less,
                                               _mm256_mul_ps(_mm256_load_ps(sum), more)));
    for (size_t c = 0; c < d; c += 16)
        for (size_t l0 = 0; l0 < PANEL; l0 += ROWS) {
            sums t;
            multiply_values(&t, w->weight[l0], own + l0, w->values + c * filled, w->value_own + c,
                            filled / 2);
            for (size_t h = 0; h < 2; h++) {
                __m256 scale = _mm256_load_ps(w->value_scale + c + 8 * h);
                for (size_t l = 0; l < ROWS; l++) {
                    float *to = acc + (l0 + l) * d + c + 8 * h;
                    __m256 x = _mm256_mul_ps(_mm256_broadcast_ss(grow + l0 + l),
                                             _mm256_cvtepi32_ps(t.at[l][h]));
                    __m256 y =
                        _mm256_mul_ps(_mm256_broadcast_ss(shrink + l0 + l), _mm256_load_ps(to));
                    _mm256_store_ps(to, _mm256_fmadd_ps(x, scale, y));
                }
            }
        }
}

static void finish(const cara_attend *a, size_t i, size_t rows, const panel *its,
                   const float *acc) {
    for (size_t l = 0; l < rows; l++) {
        __m256 by = _mm256_set1_ps(1 / its->sum[l]);
        for (size_t c = 0; c < a->d; c += 8)
            _mm256_storeu_ps(a->out + (i + l) * a->ldo + c,
                             _mm256_mul_ps(by, _mm256_load_ps(acc + l * a->d + c)));
    }
}

/* Queries [i0, i1), at most CARA_ATTEND_Q. */
static void attend_some(const cara_attend *a, size_t i0, size_t i1, work *w) {
    size_t n_panels = (i1 - i0 + PANEL - 1) / PANEL;
    memset(w->acc, 0, n_panels * PANEL * a->d * sizeof *w->acc);
    for (size_t k0 = 0; k0 < a->n_kv; k0 += KV) {
        size_t n = cara_min_size(a->n_kv - k0, KV);
        int last = k0 + n == a->n_kv;
        pack_keys(a, k0, n, w);
        pack_values(a, k0, n, w);
        for (size_t x = 0; x < n_panels; x++) {
            size_t i = i0 + x * PANEL, rows = cara_min_size(i1 - i, PANEL);
            panel *its = &w->panels[x];
            int16_t *q = w->q + x * PANEL * a->d;
            float *acc = w->acc + x * PANEL * a->d;
            if (k0 == 0) {
                pack_queries(a, i, rows, its, q);
                fetch_rows(a->q, a->ldq, i + PANEL, cara_min_size(i + 2 * PANEL, i1), a->d);
            }
            if (last)
                fetch_rows(a->out, a->ldo, i, i + rows, a->d);
            one_block(a->d, q, n, its, acc, w);
            if (last)
                finish(a, i, rows, its, acc);
        }
    }
}

void cara_avx2_attend_i16(const cara_attend *a, void *scratch) {
    /* A causal query's last block ends elsewhere, and so would have another scale of values. */
    if (a->causal) {
        cara_avx2_attend(a, scratch);
        return;
    }
    for (size_t i = 0; i < a->n_q; i += CARA_ATTEND_Q)
        attend_some(a, i, cara_min_size(i + CARA_ATTEND_Q, a->n_q), scratch);
}

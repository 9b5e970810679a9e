/* Attention in 16-bit integers, for models whose weights are coarser still: vpmaddwd multiplies
 * twice as much an instruction as FMA. Blocks of keys and a running softmax as in avx2_attend.c.
 *
 * Queries and keys have 12 bits with a scale for each, so d products fit 31. Softmax's weights have
 * 14 bits of their block's largest and values 9 with their sign and a scale for each column of the
 * block, so that as many products fit as a block has keys: a value is off by a 1000th of the
 * largest at most, while half a step of weights is what many small ones lose beside a large one,
 * all in one direction. The weights that are multiplied are those that are summed up, so what
 * rounding takes from one it takes from the sum, too. */
#include "kernels/avx2.h"

#include <math.h>

#define KV 256 /* keys of a block */
#define D_MAX CARA_HEAD_DIM_MAX
#define KEY_MOST 4095
#define VALUE_MOST 511
#define WEIGHT_MOST 16384
#define AHEAD 16 /* rows to fetch before they are used: they lie far apart */
#define PANELS (CARA_ATTEND_Q / CARA_MR)
_Static_assert((int64_t)D_MAX *KEY_MOST *KEY_MOST <= INT32_MAX, "scores fit");
_Static_assert((int64_t)KV *WEIGHT_MOST *VALUE_MOST <= INT32_MAX, "sums of values fit");

/* Six queries; lanes beyond are not used. */
typedef struct panel {
    float by[8], top[8], sum[8];
} panel;

typedef struct work {
    int16_t keys[KV * D_MAX];   /* panels of 16 keys: [d / 2][16][2] */
    int16_t values[KV * D_MAX]; /* of 16 columns: [keys / 2][16][2], pairs as pair_at has them */
    float key_scale[KV], value_scale[D_MAX];
    float score[CARA_MR][KV];
    int16_t weight[CARA_MR][KV];
    float most[8][8];
    int16_t q[CARA_ATTEND_Q * D_MAX]; /* panels of 6: [d / 2][6][2] */
    float acc[CARA_ATTEND_Q * D_MAX];
    panel panels[PANELS];
} work;
_Static_assert(sizeof(work) <= CARA_ATTEND_SCRATCH, "scratch is as large");

/* Of a group of 16 weights, where the keys of each pair stand: vpackssdw works within halves of a
 * register. */
static const uint8_t pair_at[8] = {0, 2, 8, 10, 4, 6, 12, 14};

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Sums of products of pairs, 6 rows x 16 columns, over a multiple of 4 pairs. Row l of a at step s
 * lies `row` * l + `step` * s bytes on. In asm since GCC 12 puts sums of intrinsics into memory;
 * a broadcast from memory takes none of the ports that multiply and add. */
typedef struct sums {
    __m256i at[CARA_MR][2];
} sums;

#define ROW(row, step, s, l)                                                                       \
    "vpbroadcastd " #row "*" #l "+" #step "*" #s "(%[a]), %%ymm14\n\t"                             \
    "vpmaddwd %%ymm12, %%ymm14, %%ymm15\n\t"                                                       \
    "vpmaddwd %%ymm13, %%ymm14, %%ymm14\n\t"                                                       \
    "vpaddd %%ymm15, %[c" #l "0], %[c" #l "0]\n\t"                                                 \
    "vpaddd %%ymm14, %[c" #l "1], %[c" #l "1]\n\t"
#define STEP(row, step, s)                                                                         \
    "vmovdqa 64*" #s "(%[b]), %%ymm12\n\t"                                                         \
    "vmovdqa 64*" #s "+32(%[b]), %%ymm13\n\t" ROW(row, step, s, 0) ROW(row, step, s, 1)            \
        ROW(row, step, s, 2) ROW(row, step, s, 3) ROW(row, step, s, 4) ROW(row, step, s, 5)
#define MULTIPLY(name, row, step)                                                                  \
    static inline __attribute__((always_inline)) void name(sums *t, const int16_t *a,              \
                                                           const int16_t *b, size_t steps) {       \
        __m256i c00 = _mm256_setzero_si256(), c01 = c00, c10 = c00, c11 = c00, c20 = c00,          \
                c21 = c00, c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;       \
        __asm__ volatile(                                                                          \
            "1:\n\t" STEP(row, step, 0) STEP(row, step, 1) STEP(row, step, 2)                      \
                STEP(row, step, 3) "add $4*" #step                                                 \
                                   ", %[a]\n\tadd $256, %[b]\n\tsub $4, %[n]\n\tjnz 1b"            \
            : [c00] "+x"(c00), [c01] "+x"(c01), [c10] "+x"(c10), [c11] "+x"(c11), [c20] "+x"(c20), \
              [c21] "+x"(c21), [c30] "+x"(c30), [c31] "+x"(c31), [c40] "+x"(c40), [c41] "+x"(c41), \
              [c50] "+x"(c50), [c51] "+x"(c51), [a] "+r"(a), [b] "+r"(b), [n] "+r"(steps)          \
            :                                                                                      \
            : "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory");                                 \
        *t = (sums){{{c00, c01}, {c10, c11}, {c20, c21}, {c30, c31}, {c40, c41}, {c50, c51}}};     \
    }
MULTIPLY(multiply_keys, 4, 24)
MULTIPLY(multiply_values, 512, 4)
_Static_assert(sizeof(((work *)0)->weight[0]) == 512, "a row of weights is as long as it says");

/* The largest magnitude so far, by its bits: a NaN is larger than all. */
static inline __m256i larger(__m256i most, __m256 x) {
    return _mm256_max_epu32(
        most, _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff)));
}

/* What takes numbers of at most `largest` to steps, `most` to either side; *scale takes them
 * back. What is too small to be told from nothing becomes 0. */
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
    for (size_t l = 0; l < 8; l++) {
        its->top[l] = -INFINITY;
        its->sum[l] = its->by[l] = 0;
    }
    for (size_t l = 0; l < CARA_MR; l++) {
        memset(row, 0, sizeof row);
        if (l < rows)
            its->by[l] = narrow(a->q + (i + l) * a->ldq, a->d, a->scale * CARA_SCORE_UNIT, row);
        for (size_t p = 0; p < a->d; p += 2)
            memcpy(to + p * CARA_MR + 2 * l, row + p, 4);
    }
}

/* Keys [k0, k0 + n) to panels; missing keys of the last become zeros. */
static void pack_keys(const cara_attend *a, size_t k0, size_t n, work *w) {
    _Alignas(32) int16_t rows[8][D_MAX];
    size_t d = a->d;
    for (size_t j = 0; j < (n + 15) / 16 * 16; j += 8) {
        fetch_rows(a->k, a->ldk, k0 + j + AHEAD, k0 + least(j + AHEAD + 8, n), d);
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
        fetch_rows(a->v, a->ldv, k0 + j + AHEAD, k0 + least(j + AHEAD + 2, n), d);
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
}

/* Scores of six queries with `here` <= 16 keys, but for the queries' scales, and each query's
 * largest so far. Keys beyond score -inf. */
static inline __attribute__((always_inline)) void score_keys(const cara_attend *a, const int16_t *q,
                                                             size_t j, const size_t here, work *w) {
    sums t;
    multiply_keys(&t, q, w->keys + j * a->d, a->d / 2);
    __m256 s0 = _mm256_load_ps(w->key_scale + j), s1 = _mm256_load_ps(w->key_scale + j + 8);
    for (size_t l = 0; l < CARA_MR; l++) {
        __m256 x0 = _mm256_mul_ps(s0, _mm256_cvtepi32_ps(t.at[l][0]));
        __m256 x1 = _mm256_mul_ps(s1, _mm256_cvtepi32_ps(t.at[l][1]));
        if (here < 16) {
            __m256 low = _mm256_set1_ps(-INFINITY);
            __m256i m0 = cara_mask_8(least(here, 8)), m1 = cara_mask_8(here > 8 ? here - 8 : 0);
            x0 = _mm256_blendv_ps(low, x0, _mm256_castsi256_ps(m0));
            x1 = _mm256_blendv_ps(low, x1, _mm256_castsi256_ps(m1));
        }
        __m256 most = _mm256_load_ps(w->most[l]);
        _mm256_store_ps(w->most[l], _mm256_max_ps(most, _mm256_max_ps(x0, x1)));
        _mm256_store_ps(w->score[l] + j, x0);
        _mm256_store_ps(w->score[l] + j + 8, x1);
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
static inline float weigh(float *score, size_t n, float by, float most, int16_t *weight) {
    __m256 times = _mm256_set1_ps(2048 * by), base = _mm256_set1_ps(2048 * by * most);
    if (fabsf(2048 * by * most) > 0x1p20f) { /* too large to be told from its rounding */
        base = _mm256_setzero_ps();
        for (size_t j = 0; j < n; j += 8)
            _mm256_store_ps(score + j,
                            _mm256_sub_ps(_mm256_load_ps(score + j), _mm256_set1_ps(most)));
    }
    __m256i total = _mm256_setzero_si256();
    for (size_t j = 0; j < n; j += 16) {
        __m256 x0 = _mm256_fmsub_ps(_mm256_load_ps(score + j), times, base);
        __m256 x1 = _mm256_fmsub_ps(_mm256_load_ps(score + j + 8), times, base);
        __m256i x = _mm256_packs_epi32(_mm256_cvtps_epi32(x0), _mm256_cvtps_epi32(x1));
        __m256i y = weights_of(_mm256_min_epi16(x, _mm256_set1_epi16(-1)));
        total = _mm256_add_epi32(total, _mm256_madd_epi16(y, _mm256_set1_epi16(1)));
        _mm256_store_si256((__m256i *)(void *)(weight + j), y);
    }
    return cara_sum_8(_mm256_cvtepi32_ps(total));
}

/* Six queries against one packed block of keys and values. */
static void one_block(const cara_attend *a, const int16_t *q, size_t n, panel *its, float *acc,
                      work *w) {
    size_t filled = (n + 15) / 16 * 16;
    _Alignas(32) float most[8], shrink[8], grow[8], sum[8] = {0};
    for (size_t l = 0; l < 8; l++)
        _mm256_store_ps(w->most[l], _mm256_set1_ps(-INFINITY));
    for (size_t j = 0; j + 16 <= n; j += 16)
        score_keys(a, q, j, 16, w);
    if (n % 16)
        score_keys(a, q, n / 16 * 16, n % 16, w);
    __m256 r[8];
    for (size_t l = 0; l < 8; l++)
        r[l] = _mm256_load_ps(w->most[l]);
    cara_transpose_8(r);
    for (size_t half = 4; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            r[l] = _mm256_max_ps(r[l], r[l + half]);
    __m256 top = _mm256_mul_ps(r[0], _mm256_load_ps(its->by));
    __m256 old = _mm256_load_ps(its->top), next = _mm256_max_ps(old, top);
    __m256 less = cara_exp2_8(_mm256_sub_ps(old, next));
    __m256 more =
        _mm256_mul_ps(cara_exp2_8(_mm256_sub_ps(top, next)), _mm256_set1_ps(1.0f / WEIGHT_MOST));
    _mm256_store_ps(most, r[0]);
    _mm256_store_ps(shrink, less);
    _mm256_store_ps(grow, more);
    for (size_t l = 0; l < CARA_MR; l++)
        sum[l] = weigh(w->score[l], filled, its->by[l], most[l], w->weight[l]);
    _mm256_store_ps(its->top, next);
    _mm256_store_ps(its->sum, _mm256_fmadd_ps(_mm256_load_ps(its->sum), less,
                                              _mm256_mul_ps(_mm256_load_ps(sum), more)));
    for (size_t c = 0; c < a->d; c += 16) {
        sums t;
        multiply_values(&t, w->weight[0], w->values + c * filled, filled / 2);
        for (size_t h = 0; h < 2; h++) {
            __m256 scale = _mm256_load_ps(w->value_scale + c + 8 * h);
            for (size_t l = 0; l < CARA_MR; l++) {
                float *to = acc + l * a->d + c + 8 * h;
                __m256 x =
                    _mm256_mul_ps(_mm256_broadcast_ss(grow + l), _mm256_cvtepi32_ps(t.at[l][h]));
                __m256 y = _mm256_mul_ps(_mm256_broadcast_ss(shrink + l), _mm256_load_ps(to));
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
    size_t n_panels = (i1 - i0 + CARA_MR - 1) / CARA_MR;
    memset(w->acc, 0, n_panels * CARA_MR * a->d * sizeof *w->acc);
    for (size_t k0 = 0; k0 < a->n_kv; k0 += KV) {
        size_t n = least(a->n_kv - k0, KV);
        int last = k0 + n == a->n_kv;
        pack_keys(a, k0, n, w);
        pack_values(a, k0, n, w);
        for (size_t x = 0; x < n_panels; x++) {
            size_t i = i0 + x * CARA_MR, rows = least(i1 - i, CARA_MR);
            panel *its = &w->panels[x];
            int16_t *q = w->q + x * CARA_MR * a->d;
            float *acc = w->acc + x * CARA_MR * a->d;
            if (k0 == 0) {
                pack_queries(a, i, rows, its, q);
                fetch_rows(a->q, a->ldq, i + CARA_MR, least(i + 2 * CARA_MR, i1), a->d);
            }
            if (last)
                fetch_rows(a->out, a->ldo, i, i + rows, a->d);
            one_block(a, q, n, its, acc, w);
            if (last)
                finish(a, i, rows, its, acc);
        }
    }
}

void cara_avx2_attend_i16(const cara_attend *a, void *scratch) {
    /* Where a query's last block ends would say what scale its values have. */
    if (a->causal) {
        cara_avx2_attend(a, scratch);
        return;
    }
    for (size_t i = 0; i < a->n_q; i += CARA_ATTEND_Q)
        attend_some(a, i, least(i + CARA_ATTEND_Q, a->n_q), scratch);
}

/* Attention in blocks of keys with a running softmax, as avx2/attend.c, for operands of 4 bytes a
 * step: ATTEND_PAIR 1 is one f32, 2 a pair of bf16. Accumulation, softmax and its sums are in f32
 * whatever it is. A file that includes this says how it multiplies: ATTEND_ROWS queries together,
 * steps of a head and of a block in multiples of ATTEND_PAD, and the three functions below. */

#define G ATTEND_PAIR
#define KV (G * CARA_512_ATTEND_KV) /* keys of a block */
#define D_MAX CARA_HEAD_DIM_MAX
#if ATTEND_PAIR == 2
#define UNIT CARA_SCORE_UNIT
#define EXP cara_exp2_16
#else
#define UNIT 1.0f
#define EXP cara_exp_16
#endif
/* Room for queries with those that fill up the last ATTEND_ROWS. */
#define QUERIES CARA_512_PADDED(CARA_512_ATTEND_Q, ATTEND_ROWS)

/* Queries [i0, i1), scaled by `by`, to ATTEND_ROWS * attend_steps(d) steps each ATTEND_ROWS of
 * them. */
static void pack_queries(const cara_attend *a, size_t i0, size_t i1, float by, float *dst);
/* ATTEND_ROWS packed queries times n packed keys: scores in rows that are KV apart. */
static void multiply_keys(size_t d, size_t n, const float *q, const float *keys, float *score);
/* Adds ATTEND_ROWS rows of weights, KV / G steps apart, times n packed values to acc, in rows of d.
 */
static void multiply_values(size_t d, size_t n, const float *weight, const float *values,
                            float *acc);

/* Steps of n numbers. */
static inline size_t attend_steps(size_t n) {
    return CARA_512_PADDED(n, G * ATTEND_PAD) / G;
}

#if ATTEND_PAIR == 2
/* Rounds f32 to nearest even in the upper half of each lane. */
static inline cara_v16u bf16_high(cara_v16 x) {
    cara_v16u bits = (cara_v16u)x;
    return (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
}

/* Sixteen f32 to sixteen bf16 in memory. */
static inline void bf16_store(uint16_t *to, cara_v16 x) {
#ifdef CARA_EMULATED
    cara_v16u bits = bf16_high(x);
    for (int i = 0; i < 16; i++)
        to[i] = (uint16_t)(bits[i] >> 16);
#else
    __m256bh h = _mm512_cvtneps_pbh((__m512)x);
    memcpy(to, &h, sizeof h);
#endif
}
#endif

/* d floats at src as d / G steps; steps beyond are zeros up to a multiple of 16. */
static inline cara_v16i steps_of(const float *src, size_t d, size_t step) {
    cara_v16i out = {0};
#if ATTEND_PAIR == 2
    size_t at = step * 2;
    if (at >= d)
        return out;
    cara_v16 low = cara_load_16(src + at);
    cara_v16 high = at + 16 < d ? cara_load_16(src + at + 16) : (cara_v16){0};
#ifdef CARA_EMULATED
    uint16_t pairs[32];
    bf16_store(pairs, low);
    bf16_store(pairs + 16, high);
    memcpy(&out, pairs, sizeof out);
#else
    out = (cara_v16i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
#endif
#else
    if (step < d)
        memcpy(&out, src + step, sizeof out);
#endif
    return out;
}

#define AHEAD 16 /* rows */

/* Rows [i, i + n) of d floats before `end`, into the second cache: rows a power of two apart keep
 * each other out of the first. */
static inline void fetch_rows(const float *x, size_t ld, size_t i, size_t n, size_t end, size_t d) {
    for (end = cara_min_size(i + n, end); i < end; i++)
        for (size_t p = 0; p < d; p += 16)
            __builtin_prefetch(x + i * ld + p, 0, 2);
}

/* Query i scaled, or zeros from i1 on. */
static inline void scale_row(const cara_attend *a, size_t i, size_t i1, float by, float *row) {
    fetch_rows(a->q, a->ldq, i + AHEAD, 1, i1, a->d);
    for (size_t p = 0; p < a->d; p += 16)
        cara_avx512_store_16(row + p,
                             i < i1 ? cara_load_16(a->q + i * a->ldq + p) * by : (cara_v16){0});
}

/* Keys [k0, k0 + n) to panels of 16 keys, [attend_steps(d)][16] steps each; missing keys become
 * zeros. */
static void pack_keys(const cara_attend *a, size_t k0, size_t n, float *dst) {
    size_t steps = attend_steps(a->d), filled = attend_steps(n) * G;
    for (size_t j = 0; j < filled; j += 16, dst += steps * 16) {
        fetch_rows(a->k, a->ldk, k0 + j + AHEAD, 16, k0 + n, a->d);
        for (size_t p = 0; p < steps; p += 16) {
            cara_v16i r[16];
            for (size_t i = 0; i < 16; i++)
                r[i] = j + i < n ? steps_of(a->k + (k0 + j + i) * a->ldk, a->d, p) : (cara_v16i){0};
            cara_transpose_16(r);
            for (size_t i = 0; i < 16 && p + i < steps; i++)
                memcpy(dst + (p + i) * 16, &r[i], sizeof r[i]);
        }
    }
}

/* Values [k0, k0 + n) to panels of 16 columns, [attend_steps(n)][16] steps each. */
static void pack_values(const cara_attend *a, size_t k0, size_t n, float *dst) {
    size_t steps = attend_steps(n);
    for (size_t j = 0; j < steps * G; j += G, dst += 16) {
        fetch_rows(a->v, a->ldv, k0 + j + AHEAD, G, k0 + n, a->d);
        for (size_t c = 0; c < a->d; c += 16) {
            const float *src = a->v + (k0 + j) * a->ldv + c;
            float *to = dst + c * steps;
            if (j >= n) {
                memset(to, 0, 16 * sizeof *to);
                continue;
            }
#if ATTEND_PAIR == 2
            cara_v16u low = bf16_high(cara_load_16(src)) >> 16, high = {0};
            if (j + 1 < n)
                high = bf16_high(cara_load_16(src + a->ldv));
            low |= high;
            memcpy(to, &low, sizeof low);
#else
            cara_avx512_store_16(to, cara_load_16(src));
#endif
        }
    }
}

/* One query's scores [n] to e^(score - top) in `weight` as steps, zero up to `filled` keys. The
 * scores may be written beyond n up to a multiple of 16. Returns by what earlier sums shrink. */
static inline float softmax_block(float *score, size_t n, size_t filled, void *weight, float *top,
                                  float *sum) {
    cara_v16 most = cara_all_16(-INFINITY), total = {0};
    if (n % 16) { /* a whole vector, since one is loaded next */
        const cara_v16i place = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        cara_v16i behind = place >= (int32_t)(n % 16), low = (cara_v16i)cara_all_16(-INFINITY);
        float *last = score + n / 16 * 16;
        low = ((cara_v16i)cara_load_16(last) & ~behind) | (low & behind);
        cara_avx512_store_16(last, (cara_v16)low);
    }
    for (size_t j = 0; j < n; j += 16)
        most = cara_vmax_16(most, cara_load_16(score + j));
    float old = *top, next = cara_max_16(most);
    next = next > old ? next : old;
    cara_v16 base = cara_all_16(next);
    for (size_t j = 0; j < n; j += 16) {
        cara_v16 e = EXP(cara_load_16(score + j) - base);
        total += e;
#if ATTEND_PAIR == 2
        bf16_store((uint16_t *)weight + j, e);
#else
        cara_avx512_store_16((float *)weight + j, e);
#endif
    }
    if (n < filled)
        memset((char *)weight + n * (4 / G), 0, (filled - n) * (4 / G));
    float shrink = 1;
    if (old != next)
        shrink = old == -INFINITY ? 0 : EXP(cara_all_16(old - next))[0];
    *top = next;
    *sum = *sum * shrink + cara_sum_16(total);
    return shrink;
}

/* ATTEND_ROWS queries from i on, of which `rows` are there, against one packed block. */
static void one_block(const cara_attend *a, const float *q, size_t i, size_t rows, size_t k0,
                      size_t n, const float *keys, const float *values, float *score, float *weight,
                      float *acc, float *top, float *sum) {
    const size_t n_steps = attend_steps(n);
    multiply_keys(a->d, n, q, keys, score);
    for (size_t l = 0; l < ATTEND_ROWS; l++) {
        size_t visible = l < rows ? cara_visible_keys(a, i + l) : 0;
        size_t here = visible > k0 ? cara_min_size(visible - k0, n) : 0;
        float *to = weight + l * (KV / G);
        if (!here) {
            memset(to, 0, n_steps * 4);
            continue;
        }
        float shrink = softmax_block(score + l * KV, here, n_steps * G, to, &top[l], &sum[l]);
        if (shrink != 1)
            for (size_t c = 0; c < a->d; c += 16)
                cara_avx512_store_16(acc + l * a->d + c, cara_load_16(acc + l * a->d + c) * shrink);
    }
    multiply_values(a->d, n, weight, values, acc);
}

/* Queries [i0, i1), at most CARA_512_ATTEND_Q. */
static void attend_some(const cara_attend *a, size_t i0, size_t i1, float *scratch) {
    float *keys = scratch, *values = keys + KV / G * D_MAX, *score = values + KV / G * D_MAX;
    float *weight = score + ATTEND_ROWS * KV, *q = weight + ATTEND_ROWS * KV / G;
    float *acc = q + QUERIES * D_MAX / G;
    float top[QUERIES], sum[QUERIES];
    const size_t steps = attend_steps(a->d);
    pack_queries(a, i0, i1, a->scale * UNIT, q);
    for (size_t i = 0; i < QUERIES; i++) {
        top[i] = -INFINITY;
        sum[i] = 0;
    }
    memset(acc, 0, CARA_512_PADDED(i1 - i0, ATTEND_ROWS) * a->d * sizeof *acc);
    size_t n_kv = cara_visible_keys(a, i1 - 1);
    for (size_t k0 = 0; k0 < n_kv; k0 += KV) {
        size_t n = cara_min_size(n_kv - k0, KV);
        pack_keys(a, k0, n, keys);
        pack_values(a, k0, n, values);
        for (size_t i = i0; i < i1; i += ATTEND_ROWS)
            one_block(a, q + (i - i0) * steps, i, cara_min_size(i1 - i, ATTEND_ROWS), k0, n, keys,
                      values, score, weight, acc + (i - i0) * a->d, top + (i - i0), sum + (i - i0));
    }
    for (size_t i = i0; i < i1; i++) {
        float by = 1 / sum[i - i0];
        for (size_t c = 0; c < a->d; c += 16)
            cara_avx512_store_16(a->out + i * a->ldo + c,
                                 cara_load_16(acc + (i - i0) * a->d + c) * by);
    }
}

static void attend_in_blocks(const cara_attend *a, void *scratch) {
    for (size_t i = 0; i < a->n_q; i += CARA_512_ATTEND_Q)
        attend_some(a, i, cara_min_size(i + CARA_512_ATTEND_Q, a->n_q), scratch);
}

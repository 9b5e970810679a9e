/* Attention in blocks of keys with a running softmax, as avx2_attend.c, for operands of 4 bytes a
 * step: ATTEND_PAIR 1 is one f32, 2 a pair of bf16. Included once by each of the two files, after
 * CARA_512_TILES. Accumulation, softmax and its sums are in f32 in both. */

#define G ATTEND_PAIR
#define KV (G * CARA_512_ATTEND_KV) /* keys of a block */
#define D_MAX CARA_HEAD_DIM_MAX
#if ATTEND_PAIR == 2
/* Scores are in units of ln 2, so that weights are powers of two. */
#define UNIT 1.44269504088896341f
#define EXP cara_exp2_16
#else
#define UNIT 1.0f
#define EXP cara_exp_16
#endif

static inline size_t attend_least(size_t a, size_t b) {
    return a < b ? a : b;
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

/* Keys [k0, k0 + n) to panels of 16 keys, [d / G][16] steps each; missing keys become zeros. */
static void pack_keys(const cara_attend *a, size_t k0, size_t n, float *dst) {
    size_t steps = a->d / G;
    for (size_t j = 0; j < n; j += 16, dst += steps * 16)
        for (size_t p = 0; p < steps; p += 16) {
            cara_v16i r[16];
            for (size_t i = 0; i < 16; i++)
                r[i] = j + i < n ? steps_of(a->k + (k0 + j + i) * a->ldk, a->d, p) : (cara_v16i){0};
            cara_transpose_16(r);
            for (size_t i = 0; i < 16 && p + i < steps; i++)
                memcpy(dst + (p + i) * 16, &r[i], sizeof r[i]);
        }
}

/* Values [k0, k0 + n) to panels of 16 columns, [ceil(n / G)][16] steps each. */
static void pack_values(const cara_attend *a, size_t k0, size_t n, float *dst) {
    for (size_t c = 0; c < a->d; c += 16)
        for (size_t j = 0; j < n; j += G, dst += 16) {
            const float *src = a->v + (k0 + j) * a->ldv + c;
#if ATTEND_PAIR == 2
            cara_v16u low = bf16_high(cara_load_16(src)) >> 16, high = {0};
            if (j + 1 < n)
                high = bf16_high(cara_load_16(src + a->ldv));
            low |= high;
            memcpy(dst, &low, sizeof low);
#else
            cara_store_16(dst, cara_load_16(src));
#endif
        }
}

/* Queries [i0, i1), scaled, to panels of 6: [d / G][6] steps. */
static void pack_queries(const cara_attend *a, size_t i0, size_t i1, float *dst) {
    size_t steps = a->d / G;
    for (size_t i = i0; i < i1; i += CARA_512_ROWS, dst += steps * CARA_512_ROWS)
        for (size_t l = 0; l < CARA_512_ROWS; l++) {
            float row[D_MAX];
            for (size_t p = 0; p < a->d; p++)
                row[p] = i + l < i1 ? a->scale * UNIT * a->q[(i + l) * a->ldq + p] : 0;
            for (size_t p = 0; p < steps; p += 16) {
                cara_v16i s = steps_of(row, a->d, p);
                for (size_t x = 0; x < 16 && p + x < steps; x++)
                    memcpy(dst + (p + x) * CARA_512_ROWS + l, (const char *)&s + 4 * x, 4);
            }
        }
}

/* One query's scores [n] to e^(score - top) in `weight` as steps, zero up to `filled` keys. The
 * scores may be written beyond n up to a multiple of 16. Returns by what earlier sums shrink. */
static inline float soften(float *score, size_t n, size_t filled, void *weight, float *top,
                           float *sum) {
    cara_v16 most = cara_all_16(-INFINITY), total = {0};
    if (n % 16)
        for (size_t j = n; j < (n + 15) / 16 * 16; j++)
            score[j] = -INFINITY;
    for (size_t j = 0; j < n; j += 16)
        most = cara_most_16(most, cara_load_16(score + j));
    float old = *top, next = cara_top_16(most);
    next = next > old ? next : old;
    cara_v16 base = cara_all_16(next);
    size_t j = 0;
    for (; j < n; j += 16) {
        cara_v16 e = EXP(cara_load_16(score + j) - base);
        total += e;
#if ATTEND_PAIR == 2
        bf16_store((uint16_t *)weight + j, e);
#else
        cara_store_16((float *)weight + j, e);
#endif
    }
    if (j < filled)
        memset((char *)weight + j * (4 / G), 0, (filled - j) * (4 / G));
    float shrink = 1;
    if (old != next)
        shrink = old == -INFINITY ? 0 : EXP(cara_all_16(old - next))[0];
    *top = next;
    *sum = *sum * shrink + cara_sum_16(total);
    return shrink;
}

/* Six queries (or fewer) against one packed block of keys and values. */
static void one_block(const cara_attend *a, const float *q, size_t i, size_t rows, size_t k0,
                      size_t n, const float *keys, const float *values, float *score /* [6][KV] */,
                      float *weight /* [6][KV / G] steps */, float *acc /* [6][d] */, float *top,
                      float *sum) {
    const size_t steps = a->d / G, n_steps = (n + G - 1) / G, filled = n_steps * G;
    for (size_t j = 0; j < n; j += 64) {
        size_t panels = (n - j + 15) / 16 < 4 ? (n - j + 15) / 16 : 4;
        tile(panels, steps, q, 1, CARA_512_ROWS, keys + j / 16 * steps * 16, steps * 16, score + j,
             KV, 1);
    }
    for (size_t l = 0; l < CARA_512_ROWS; l++) {
        size_t sees = l < rows ? cara_attend_sees(a, i + l) : 0;
        size_t here = sees > k0 ? attend_least(sees - k0, n) : 0;
        float *to = weight + l * (KV / G);
        if (!here) {
            memset(to, 0, n_steps * 4);
            continue;
        }
        float shrink = soften(score + l * KV, here, filled, to, &top[l], &sum[l]);
        if (shrink != 1)
            for (size_t c = 0; c < a->d; c += 16)
                cara_store_16(acc + l * a->d + c, cara_load_16(acc + l * a->d + c) * shrink);
    }
    for (size_t c = 0; c < a->d; c += 64) {
        size_t panels = (a->d - c) / 16 < 4 ? (a->d - c) / 16 : 4;
        tile(panels, n_steps, weight, KV / G, 1, values + c * n_steps, n_steps * 16, acc + c, a->d,
             0);
    }
}

/* Queries [i0, i1), at most CARA_512_ATTEND_Q. */
static void attend_some(const cara_attend *a, size_t i0, size_t i1, float *scratch) {
    float *keys = scratch, *values = keys + KV / G * D_MAX, *score = values + KV / G * D_MAX;
    float *weight = score + CARA_512_ROWS * KV, *q = weight + CARA_512_ROWS * KV / G;
    float *acc = q + CARA_512_ATTEND_Q * D_MAX;
    float top[CARA_512_ATTEND_Q], sum[CARA_512_ATTEND_Q];
    const size_t steps = a->d / G;
    pack_queries(a, i0, i1, q);
    for (size_t i = 0; i < CARA_512_ATTEND_Q; i++) {
        top[i] = -INFINITY;
        sum[i] = 0;
    }
    size_t padded = (i1 - i0 + CARA_512_ROWS - 1) / CARA_512_ROWS * CARA_512_ROWS;
    memset(acc, 0, padded * a->d * sizeof *acc);
    size_t n_kv = cara_attend_sees(a, i1 - 1);
    for (size_t k0 = 0; k0 < n_kv; k0 += KV) {
        size_t n = attend_least(n_kv - k0, KV);
        pack_keys(a, k0, n, keys);
        pack_values(a, k0, n, values);
        for (size_t i = i0; i < i1; i += CARA_512_ROWS)
            one_block(a, q + (i - i0) * steps, i, attend_least(i1 - i, CARA_512_ROWS), k0, n, keys,
                      values, score, weight, acc + (i - i0) * a->d, top + (i - i0), sum + (i - i0));
    }
    for (size_t i = i0; i < i1; i++) {
        float by = 1 / sum[i - i0];
        for (size_t c = 0; c < a->d; c += 16)
            cara_store_16(a->out + i * a->ldo + c, cara_load_16(acc + (i - i0) * a->d + c) * by);
    }
}

void ATTEND_NAME(const cara_attend *a, void *scratch) {
    for (size_t i = 0; i < a->n_q; i += CARA_512_ATTEND_Q)
        attend_some(a, i, attend_least(i + CARA_512_ATTEND_Q, a->n_q), scratch);
}

#undef KV
#undef D_MAX
#undef G
#undef UNIT
#undef EXP

/* Every kind of attention at every level that this machine has, over ragged shapes, against plain
 * arithmetic in double; AMX beside AVX-512 BF16 as it was compiled, its instructions trapped. */
#ifdef CARA_X86
#include "amx_traps.h"
#include "kernels/amx/amx.h"
#include "kernels/avx512/avx512.h"
#endif
#include "cases.h"

enum { ATTEND, ATTEND_COARSE, ATTEND_FEW, ATTEND_F16, ATTEND_I8, ATTEND_KINDS };
static const char *const attend_names[] = {"attend", "attend_coarse", "attend_few", "attend_f16",
                                           "attend_i8"};

/* The error that a kind of attention may have: coarse ones round operands to 8 bits (bf16), an f16
 * cache to 11, an int8 one by half a 127th of each channel's largest, which for these keys is at
 * most sqrt(d) of them added up at random. Scores are off by that times |q||k| scale, weights by as
 * much of themselves. */
static double allowed(int kind, double spread, size_t d) {
    double score = spread * spread * sqrt((double)d) / 3;
    return kind == ATTEND_COARSE ? 1.5e-2 * (1 + score)
           : kind == ATTEND_F16  ? 2e-3 * (1 + score)
           : kind == ATTEND_I8   ? 6e-3 * (1 + score)
                                 : 1e-5;
}

/* What attention gives query i, in double; p holds n_kv numbers. */
static void want_of(const cara_attend *a, size_t i, double *p, double *want) {
    size_t sees = a->causal ? a->n_kv - (a->n_q - 1 - i) : a->n_kv;
    double top = -INFINITY, sum = 0;
    for (size_t j = 0; j < sees; j++) {
        p[j] = 0;
        for (size_t c = 0; c < a->d; c++)
            p[j] += (double)a->q[i * a->ldq + c] * a->k[j * a->ldk + c] * a->scale;
        top = fmax(top, p[j]);
    }
    for (size_t j = 0; j < sees; j++)
        sum += p[j] = exp(p[j] - top);
    for (size_t c = 0; c < a->d; c++) {
        want[c] = 0;
        for (size_t j = 0; j < sees; j++)
            want[c] += p[j] * a->v[j * a->ldv + c];
        want[c] /= sum;
    }
}

/* The expected result uses the numbers of the cache as floats, so narrowing is not part of the
 * error. */
static void check_cached(const cara_kernels *kernels, const cara_attend *a, float *k, float *v) {
    cara_attend same = *a;
    same.k = k, same.v = v, same.ldk = same.ldv = a->d;
    double *p = malloc(a->n_kv * sizeof *p), want[CARA_HEAD_DIM_MAX];
    assert_non_null(p);
    for (size_t i = 0; i < a->n_q; i++) {
        want_of(&same, i, p, want);
        for (size_t c = 0; c < a->d; c++)
            if (!(fabs(want[c] - a->out[i * a->ldo + c]) <= 1e-5))
                fail_msg("%s, its own cache: n_q=%zu n_kv=%zu d=%zu at %zu,%zu: %g for %g",
                         cara_cpu_level_name(kernels->level), a->n_q, a->n_kv, a->d, i, c,
                         (double)a->out[i * a->ldo + c], want[c]);
    }
    free(p);
    free(k);
    free(v);
}

static float *zeros(size_t n) {
    float *x = calloc(n, sizeof *x);
    assert_non_null(x);
    return x;
}

/* Blocks of int8 that are poisoned first; each value must be the nearest multiple of its scale. */
static void attend_i8(const cara_kernels *kernels, const cara_attend *a) {
    size_t d = a->d, n_k = cara_f16_keys_count(a->n_kv, d), blocks = (a->n_kv + 95) / 96;
    int8_t *k = malloc(n_k), *v = malloc(a->n_kv * d);
    float *k_scale = malloc(blocks * d * sizeof *k_scale);
    float *v_scale = malloc(blocks * d * sizeof *v_scale);
    assert_true(k && v && k_scale && v_scale);
    memset(k, 0x55, n_k);
    memset(v, 0x55, a->n_kv * d);
    for (size_t b = 0, j = 0; b < blocks; b++, j += CARA_I8_KEYS) {
        size_t n = a->n_kv - j < CARA_I8_KEYS ? a->n_kv - j : CARA_I8_KEYS;
        kernels->block_keys(a->k + j * a->ldk, a->ldk, n, d, k + j * d, k_scale + b * d);
        kernels->block_values(a->v + j * a->ldv, a->ldv, n, d, v + j * d, v_scale + b * d);
    }
    float *wide_k = zeros(a->n_kv * d), *wide_v = zeros(a->n_kv * d);
    for (size_t j = 0; j < (a->n_kv + 15) / 16 * 16; j++)
        for (size_t p = 0; p < d; p++) {
            int key = k[(j / 16 * d + p) * 16 + j % 16];
            if (j >= a->n_kv) {
                assert_int_equal(key, 0);
                continue;
            }
            double ks = k_scale[j / CARA_I8_KEYS * d + p], vs = v_scale[j / CARA_I8_KEYS * d + p];
            wide_k[j * d + p] = (float)(key * ks);
            wide_v[j * d + p] = (float)(v[j * d + p] * vs);
            assert_true(key >= -127 && v[j * d + p] >= -127);
            assert_true(fabs(key * ks - a->k[j * a->ldk + p]) <= 0.5001 * ks);
            assert_true(fabs(v[j * d + p] * vs - a->v[j * a->ldv + p]) <= 0.5001 * vs);
        }
    cara_attend_i8 given = {.n_q = a->n_q,
                            .n_kv = a->n_kv,
                            .d = d,
                            .q = a->q,
                            .ldq = a->ldq,
                            .k = k,
                            .v = v,
                            .k_scale = k_scale,
                            .v_scale = v_scale,
                            .out = a->out,
                            .ldo = a->ldo,
                            .scale = a->scale};
    kernels->attend_i8(&given);
    check_cached(kernels, a, wide_k, wide_v);
    /* A query alone gives the same as beside others. */
    given.n_q = 1;
    for (size_t i = 0; i < a->n_q; i++) {
        float alone[CARA_HEAD_DIM_MAX];
        given.q = a->q + i * a->ldq;
        given.out = alone;
        kernels->attend_i8(&given);
        assert_memory_equal(alone, a->out + i * a->ldo, d * sizeof *alone);
    }
    free(k);
    free(v);
    free(k_scale);
    free(v_scale);
}

static void attend(const cara_kernels *kernels, int kind, const cara_attend *a, void *scratch) {
    if (kind == ATTEND)
        kernels->attend(a, scratch);
    else if (kind == ATTEND_COARSE)
        kernels->attend_coarse(a, scratch);
    else if (kind == ATTEND_FEW)
        kernels->attend_few(a);
    else if (kind == ATTEND_I8)
        attend_i8(kernels, a);
    else {
        size_t n_k = cara_f16_keys_count(a->n_kv, a->d), n_v = a->n_kv * a->d;
        uint16_t *k = malloc(2 * n_k), *v = malloc(2 * n_v);
        assert_true(k && v);
        memset(k, 0, 2 * n_k); /* missing keys of the last panel */
        memset(v, 0xff, 2 * n_v);
        for (size_t j = 0; j < a->n_kv; j++) {
            uint16_t row[CARA_HEAD_DIM_MAX];
            kernels->narrow(a->k + j * a->ldk, row, a->d);
            for (size_t p = 0; p < a->d; p++)
                k[(j / 16 * a->d + p) * 16 + j % 16] = row[p];
            kernels->narrow(a->v + j * a->ldv, v + j * a->d, a->d);
        }
        float *wide_k = zeros(n_v), *wide_v = zeros(n_v);
        for (size_t j = 0; j < a->n_kv; j++)
            for (size_t p = 0; p < a->d; p++) {
                wide_k[j * a->d + p] = cara_f16_to_f32(k[(j / 16 * a->d + p) * 16 + j % 16]);
                wide_v[j * a->d + p] = cara_f16_to_f32(v[j * a->d + p]);
            }
        kernels->attend_f16(&(cara_attend_f16){.n_q = a->n_q,
                                               .n_kv = a->n_kv,
                                               .d = a->d,
                                               .q = a->q,
                                               .ldq = a->ldq,
                                               .k = k,
                                               .v = v,
                                               .out = a->out,
                                               .ldo = a->ldo,
                                               .scale = a->scale});
        check_cached(kernels, a, wide_k, wide_v);
        free(k);
        free(v);
    }
}

/* One kind against doubles, within `most`; over its own queries and in two parts it gives the same
 * bits. a->out is not set yet. */
static void one_kind(const cara_kernels *kernels, int kind, cara_attend a, double most,
                     size_t shift, void *scratch) {
    size_t d = a.d, ld = a.ldo, n_q = a.n_q, n_out = (n_q - 1) * ld + d;
    double *p = malloc(a.n_kv * sizeof *p), want[CARA_HEAD_DIM_MAX];
    out o = out_new(n_out, shift);
    assert_non_null(p);
    a.out = o.data;
    attend(kernels, kind, &a, scratch);
    if (kind < ATTEND_F16) { /* over its own queries, those behind before those in front */
        float *own = malloc(n_out * sizeof *own);
        assert_non_null(own);
        memcpy(own, a.q, n_out * sizeof *own);
        size_t half = n_q / 2;
        cara_attend in_place = a;
        in_place.q = in_place.out = own + half * ld;
        in_place.n_q = n_q - half;
        attend(kernels, kind, &in_place, scratch);
        in_place.q = in_place.out = own;
        in_place.n_q = half;
        if (a.causal)
            in_place.n_kv = a.n_kv - (n_q - half);
        if (half > 0)
            attend(kernels, kind, &in_place, scratch);
        for (size_t i = 0; i < n_q; i++)
            assert_memory_equal(own + i * ld, o.data + i * ld, d * sizeof *own);
        free(own);
    }
    for (size_t i = 0; i < n_q; i++) {
        want_of(&a, i, p, want);
        for (size_t c = 0; c < d; c++)
            if (!(fabs(want[c] - o.data[i * ld + c]) <= most))
                fail_msg("%s %s n_q=%zu n_kv=%zu d=%zu causal %d at %zu,%zu: %g for %g",
                         cara_cpu_level_name(kernels->level), attend_names[kind], n_q, a.n_kv, d,
                         a.causal, i, c, (double)o.data[i * ld + c], want[c]);
        for (size_t c = d; c < ld && i + 1 < n_q; c++)
            assert_true(poisoned(&o.data[i * ld + c]));
    }
    out_free(&o);
    free(p);
}

static void one_attention(const cara_kernels *kernels, size_t n_q, size_t n_kv, size_t d,
                          int causal, double spread, size_t more) {
    size_t ld = d + more;
    float *q = floats((n_q - 1) * ld + d, spread), *k = floats((n_kv - 1) * ld + d, spread);
    float *v = floats((n_kv - 1) * ld + d, 1);
    void *scratch = scratch_new(kernels->attend_scratch);
    for (int kind = 0; kind < ATTEND_KINDS; kind++) {
        if ((kind >= ATTEND_FEW && n_q > CARA_FEW_ROWS) || (kind >= ATTEND_F16 && causal))
            continue;
        cara_attend a = {.n_q = n_q,
                         .n_kv = n_kv,
                         .d = d,
                         .q = q,
                         .ldq = ld,
                         .k = k,
                         .ldk = ld,
                         .v = v,
                         .ldv = ld,
                         .ldo = ld,
                         .scale = 1 / sqrtf((float)d),
                         .causal = causal};
        one_kind(kernels, kind, a, allowed(kind, spread, d), more & 1, scratch);
    }
    free(q);
    free(k);
    free(v);
    free(scratch);
}

static void attentions(const cara_kernels *kernels) {
    static const size_t shapes[][3] = {
        {1, 1, 16},    {1, 9, 64},    {2, 16, 32},   {6, 17, 64},   {7, 255, 64},
        {8, 256, 48},  {5, 257, 64},  {13, 300, 64}, {20, 20, 64},  {260, 31, 64},
        {9, 513, 128}, {3, 1500, 64}, {30, 264, 80}, {520, 33, 32},
    };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        size_t n_q = shapes[s][0], n_kv = shapes[s][1], d = shapes[s][2];
        one_attention(kernels, n_q, n_kv, d, 0, 1, s % 4);
        one_attention(kernels, n_q, n_kv, d, 0, 6, 0); /* sharp: one key takes nearly all */
        if (n_q <= n_kv)
            one_attention(kernels, n_q, n_kv, d, 1, 2, s % 3);
    }
}

static void attention_matches_at_every_level(void **state) {
    (void)state;
    at_every_level(attentions);
}

/* ---- what integers with scales could get wrong ---- */

enum { N_Q = 7, N_KV = 1500 };

static void all_zero(float *q, float *k, float *v, size_t d) {
    memset(q + d, 0, d * sizeof *q);                /* one query */
    memset(k + 3 * d, 0, d * sizeof *k);            /* one key */
    memset(v, 0, (size_t)N_KV / 2 * d * sizeof *v); /* whole blocks of values */
}

static void nothing(float *q, float *k, float *v, size_t d) {
    memset(q, 0, N_Q * d * sizeof *q);
    memset(k, 0, N_KV * d * sizeof *k);
    memset(v, 0, N_KV * d * sizeof *v);
}

/* Numbers that scales could make 0 or infinite. */
static void tiny_and_huge(float *q, float *k, float *v, size_t d) {
    for (size_t i = 0; i < N_Q * d; i++)
        q[i] *= 1e-30f;
    for (size_t i = 0; i < N_KV * d; i++) {
        k[i] *= 1e30f;
        v[i] *= 1e-33f;
    }
}

static void loud_key(float *q, float *k, float *v, size_t d) {
    (void)q, (void)v;
    for (size_t c = 0; c < d; c++)
        k[77 * d + c] *= 1000;
}

/* Scores so large that a float's rounding of them is more than weights span. */
static void far(float *q, float *k, float *v, size_t d) {
    (void)v;
    for (size_t i = 0; i < N_Q; i++)
        q[i * d] = 1e12f;
    for (size_t j = 0; j < N_KV; j++)
        k[j * d] = j == 1077 ? 123 : 0;
}

static void loud_value(float *q, float *k, float *v, size_t d) {
    (void)q, (void)k;
    v[77 * d + 5] = 50;
}

/* Three keys take most; each of the others too little for one step beside one of those, all of them
 * together a good part. Values of most blocks add up to as much as they can. */
static void diffuse(float *q, float *k, float *v, size_t d) {
    for (size_t i = 0; i < N_Q * d; i++)
        q[i] = i % d == 0;
    for (size_t j = 0; j < N_KV; j++) {
        int top = j % 700 == 5;
        k[j * d] = top ? 9.75f * sqrtf((float)d) : 0;
        for (size_t c = 0; c < d; c++)
            v[j * d + c] = top ? -1 : 1;
    }
}

/* Every product is as large as it can be, the scores have either sign. */
static void extreme(float *q, float *k, float *v, size_t d) {
    for (size_t i = 0; i < N_Q * d; i++)
        q[i] = i / d % 2 ? -1 : 1;
    for (size_t i = 0; i < N_KV * d; i++)
        k[i] = v[i] = i / d % 2 ? -1 : 1;
}

static void coarse_ones(const cara_kernels *kernels) {
    static const struct {
        void (*bend)(float *q, float *k, float *v, size_t d);
        double most; /* error */
    } cases[] = {
        {all_zero, 1.5e-2}, {nothing, 0},         {tiny_and_huge, 1.5e-35}, {loud_key, 1.5e-2},
        {far, 1.5e-2},      {loud_value, 1.5e-2}, {diffuse, 1.5e-2},        {extreme, 1e-3},
    };
    void *scratch = scratch_new(kernels->attend_scratch);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t d = 64; d <= 128; d += 64) {
            float *q = floats(N_Q * d, 1), *k = floats(N_KV * d, 1), *v = floats(N_KV * d, 1);
            cases[c].bend(q, k, v, d);
            cara_attend a = {.n_q = N_Q,
                             .n_kv = N_KV,
                             .d = d,
                             .q = q,
                             .ldq = d,
                             .k = k,
                             .ldk = d,
                             .v = v,
                             .ldv = d,
                             .ldo = d,
                             .scale = 1 / sqrtf((float)d)};
            one_kind(kernels, ATTEND_COARSE, a, cases[c].most, 0, scratch);
            free(q);
            free(k);
            free(v);
        }
    free(scratch);
}

static void coarse_attention_holds_at_the_edges(void **state) {
    (void)state;
    at_every_level(coarse_ones);
}

/* What is not a number in one query or one column of values stays there. */
static void non_finite_numbers(const cara_kernels *kernels) {
    static const float kinds[] = {NAN, INFINITY, -INFINITY};
    enum { D = 32 };
    float *q = floats(N_Q * D, 1), *k = floats(N_KV * D, 1), *v = floats(N_KV * D, 1);
    float plain[N_Q][D], got[N_Q][D];
    void *scratch = scratch_new(kernels->attend_scratch);
    cara_attend a = {N_Q, N_KV, D, q, D, k, D, v, D, plain[0], D, 0.2f, 0};
    kernels->attend_coarse(&a, scratch);
    a.out = got[0];
    for (size_t x = 0; x < sizeof kinds / sizeof *kinds; x++) {
        float query = q[2 * D + 3], value = v[900 * D + 7];
        q[2 * D + 3] = v[900 * D + 7] = kinds[x];
        kernels->attend_coarse(&a, scratch);
        for (size_t i = 0; i < N_Q; i++)
            for (size_t c = 0; c < D; c++) {
                if (i != 2 && c != 7)
                    assert_memory_equal(&got[i][c], &plain[i][c], sizeof(float));
                else if (i != 2)
                    assert_false(isfinite(got[i][c]));
            }
        q[2 * D + 3] = query;
        v[900 * D + 7] = value;
    }
    free(q);
    free(k);
    free(v);
    free(scratch);
}

static void non_finite_numbers_stay_where_they_are(void **state) {
    (void)state;
    at_every_level(non_finite_numbers);
}

#ifdef CARA_X86
static void amx_runs_as_compiled(void **state) {
    (void)state;
    if (cara_cpu_has(CARA_CPU_AMX))
        return; /* every level is above */
    if (!cara_cpu_has(CARA_CPU_AVX512VNNI) ||
        cara_kernels_for(CARA_CPU_AVX512VNNI) != &cara_kernels_avx512vnni_bf16) {
        print_message("this machine lacks AVX-512 BF16\n");
        skip();
    }
    amx_trap();
    seed = 1;
    attentions(&cara_kernels_amx_bf16);
    coarse_ones(&cara_kernels_amx_bf16);
    non_finite_numbers(&cara_kernels_amx_bf16);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_matches_at_every_level),
        cmocka_unit_test(coarse_attention_holds_at_the_edges),
        cmocka_unit_test(non_finite_numbers_stay_where_they_are),
#ifdef CARA_X86
        cmocka_unit_test(amx_runs_as_compiled),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every kind of attention at every level that this machine has, over ragged shapes, against plain
 * arithmetic in double. */
#include "cases.h"

enum { ATTEND, ATTEND_COARSE, ATTEND_FEW, ATTEND_F16, ATTEND_I8, ATTEND_KINDS };
static const char *const attend_names[] = {"attend", "attend_coarse", "attend_few", "attend_f16",
                                           "attend_i8"};

/* What a kind of attention may be off by: coarse ones round operands to 8 bits (bf16), an f16 cache
 * to 11, an int8 one by half a 127th of each channel's largest, which for these keys is at most
 * sqrt(d) of them added up at random. Scores are off by that times |q||k| scale, weights by as much
 * of themselves. */
static double allowed(int kind, double spread, size_t d) {
    double score = spread * spread * sqrt((double)d) / 3;
    return kind == ATTEND_COARSE ? 1.5e-2 * (1 + score)
           : kind == ATTEND_F16  ? 2e-3 * (1 + score)
           : kind == ATTEND_I8   ? 6e-3 * (1 + score)
                                 : 1e-5;
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
    for (size_t j = 0; j < (a->n_kv + 15) / 16 * 16; j++)
        for (size_t p = 0; p < d; p++) {
            int key = k[(j / 16 * d + p) * 16 + j % 16];
            if (j >= a->n_kv) {
                assert_int_equal(key, 0);
                continue;
            }
            double ks = k_scale[j / CARA_I8_KEYS * d + p], vs = v_scale[j / CARA_I8_KEYS * d + p];
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
    /* A query alone gives what it gives in company. */
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
        memset(k, 0xff, 2 * n_k);
        memset(v, 0xff, 2 * n_v);
        kernels->narrow_keys(a->k, a->ldk, a->n_kv, a->d, k);
        kernels->narrow_values(a->v, a->ldv, a->n_kv, a->d, v);
        for (size_t j = 0; j < (a->n_kv + 15) / 16 * 16; j++)
            for (size_t p = 0; p < a->d; p++)
                assert_int_equal(k[(j / 16 * a->d + p) * 16 + j % 16],
                                 j < a->n_kv ? cara_f32_to_f16(a->k[j * a->ldk + p]) : 0);
        for (size_t j = 0; j < a->n_kv; j++)
            for (size_t p = 0; p < a->d; p++)
                assert_int_equal(v[j * a->d + p], cara_f32_to_f16(a->v[j * a->ldv + p]));
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
        free(k);
        free(v);
    }
}

static void one_attention(const cara_kernels *kernels, size_t n_q, size_t n_kv, size_t d,
                          int causal, double spread, size_t more) {
    size_t ld = d + more;
    float *q = floats(n_q * ld, spread), *k = floats((n_kv - 1) * ld + d, spread);
    float *v = floats((n_kv - 1) * ld + d, 1);
    double *p = malloc(n_kv * sizeof *p);
    void *scratch = scratch_new(kernels->attend_scratch);
    for (int kind = 0; kind < ATTEND_KINDS; kind++) {
        if ((kind >= ATTEND_FEW && n_q > CARA_FEW_ROWS) || (kind >= ATTEND_F16 && causal))
            continue;
        double most = allowed(kind, spread, d);
        out o = out_new((n_q - 1) * ld + d, more & 1);
        cara_attend a = {.n_q = n_q,
                         .n_kv = n_kv,
                         .d = d,
                         .q = q,
                         .ldq = ld,
                         .k = k,
                         .ldk = ld,
                         .v = v,
                         .ldv = ld,
                         .out = o.data,
                         .ldo = ld,
                         .scale = 1 / sqrtf((float)d),
                         .causal = causal};
        attend(kernels, kind, &a, scratch);
        if (kind < ATTEND_F16) { /* over its own queries */
            float *own = malloc(((n_q - 1) * ld + d) * sizeof *own);
            assert_non_null(own);
            memcpy(own, q, ((n_q - 1) * ld + d) * sizeof *own);
            cara_attend in_place = a;
            in_place.q = in_place.out = own;
            attend(kernels, kind, &in_place, scratch);
            for (size_t i = 0; i < n_q; i++)
                assert_memory_equal(own + i * ld, o.data + i * ld, d * sizeof *own);
            free(own);
        }
        for (size_t i = 0; i < n_q; i++) {
            size_t sees = causal ? n_kv - (n_q - 1 - i) : n_kv;
            double top = -INFINITY, sum = 0;
            for (size_t j = 0; j < sees; j++) {
                p[j] = 0;
                for (size_t c = 0; c < d; c++)
                    p[j] += (double)q[i * ld + c] * k[j * ld + c] * a.scale;
                top = fmax(top, p[j]);
            }
            for (size_t j = 0; j < sees; j++)
                sum += p[j] = exp(p[j] - top);
            for (size_t c = 0; c < d; c++) {
                double want = 0;
                for (size_t j = 0; j < sees; j++)
                    want += p[j] * v[j * ld + c];
                want /= sum;
                if (!(fabs(want - o.data[i * ld + c]) <= most))
                    fail_msg("%s %s n_q=%zu n_kv=%zu d=%zu causal %d at %zu,%zu: %g for %g",
                             cara_cpu_level_name(kernels->level), attend_names[kind], n_q, n_kv, d,
                             causal, i, c, (double)o.data[i * ld + c], want);
            }
            for (size_t c = d; c < ld && i + 1 < n_q; c++)
                assert_true(poisoned(&o.data[i * ld + c]));
        }
        out_free(&o);
    }
    free(q);
    free(k);
    free(v);
    free(p);
    free(scratch);
}

static void attentions(const cara_kernels *kernels) {
    static const size_t shapes[][3] = {
        {1, 1, 16},    {1, 9, 64},    {2, 16, 32},   {6, 17, 64},  {7, 255, 64},
        {8, 256, 48},  {5, 257, 64},  {13, 300, 64}, {20, 20, 64}, {260, 31, 64},
        {9, 513, 128}, {3, 1500, 64}, {30, 264, 80},
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(attention_matches_at_every_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every kernel at every level that this machine has, over ragged shapes, against plain arithmetic
 * in double. Inputs are allocated to the element so that ASan sees a read past them; outputs are
 * poisoned and lie between guard bands. */
#include "cases.h"

/* Random weights of a type, allocated to the byte, and what they are worth. */
typedef struct weights {
    void *stored;
    float *value;
} weights;

static weights weights_new(cara_weight_type type, size_t n) {
    weights w = {malloc(n * cara_weight_size(type) + 1), floats(n, 1)};
    assert_non_null(w.stored);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &w.value[i], 4);
        uint16_t half;
        if (type == CARA_WEIGHT_F32) {
            memcpy((char *)w.stored + 4 * i, &bits, 4);
            continue;
        }
        if (type == CARA_WEIGHT_BF16) {
            half = (uint16_t)(bits >> 16);
            w.value[i] = cara_bf16_to_f32(half);
        } else { /* a random f16 of magnitude below 1, subnormals among them */
            half = (uint16_t)((bits >> 16 & 0x8000u) | (bits * 2654435761u >> 16) % 0x3c00u);
            w.value[i] = cara_f16_to_f32(half);
        }
        memcpy((char *)w.stored + 2 * i, &half, 2);
    }
    return w;
}

static void weights_free(weights *w) {
    free(w->stored);
    free(w->value);
}

static double exact_gelu(double x) {
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

/* ---- products ---- */

typedef struct product_case {
    size_t m, n, k, lda_more, ldc_more;
    cara_weight_type type;
    int bias, gelu, residual; /* residual 2: c itself */
    size_t shift;             /* floats that a and c are off alignment */
} product_case;

static void one_product(const cara_kernels *kernels, product_case t, int use_gemv) {
    size_t lda = t.k + t.lda_more, ldc = t.n + t.ldc_more, shift = t.shift;
    size_t a_count = (t.m - 1) * lda + t.k, c_count = (t.m - 1) * ldc + t.n;
    float *a = floats(a_count + shift, 1), *bias = floats(t.n, 1);
    float *residual = floats(c_count, 1);
    weights w = weights_new(t.type, t.n * t.k);
    out c = out_new(c_count, shift);
    if (t.residual == 2)
        for (size_t i = 0; i < t.m; i++)
            memcpy(c.data + i * ldc, residual + i * ldc, t.n * sizeof(float));
    cara_gemm g = {.m = t.m,
                   .n = t.n,
                   .k = t.k,
                   .a = a + shift,
                   .lda = lda,
                   .w = w.stored,
                   .type = t.type,
                   .gelu = t.gelu,
                   .bias = t.bias ? bias : NULL,
                   .residual = t.residual == 2 ? c.data
                               : t.residual    ? residual
                                               : NULL,
                   .c = c.data,
                   .ldc = ldc};
    if (use_gemv) {
        size_t half = t.n / 2;
        kernels->gemv(&g, 0, half);
        kernels->gemv(&g, half, t.n);
    } else {
        void *scratch = scratch_new(kernels->gemm_scratch);
        size_t tile = t.n > 40 ? 37 : kernels->gemm_tile_n; /* ragged tiles too */
        for (size_t n0 = 0; n0 < t.n; n0 += tile)
            for (size_t m0 = 0; m0 < t.m; m0 += 130)
                kernels->gemm(&g, m0, m0 + 130 < t.m ? m0 + 130 : t.m, n0,
                              n0 + tile < t.n ? n0 + tile : t.n, scratch);
        free(scratch);
    }
    for (size_t i = 0; i < t.m; i++) {
        for (size_t j = 0; j < t.n; j++) {
            double sum = t.bias ? bias[j] : 0, size = fabs(sum);
            for (size_t p = 0; p < t.k; p++) {
                double x = (double)a[shift + i * lda + p] * w.value[j * t.k + p];
                sum += x;
                size += fabs(x);
            }
            sum = t.gelu ? exact_gelu(sum) : sum;
            if (t.residual)
                sum += residual[i * ldc + j];
            double apart = fabs(sum - c.data[i * ldc + j]);
            if (!(apart <= 2e-6 + 1e-6 * size))
                fail_msg("%s %s m=%zu n=%zu k=%zu type %d gelu %d residual %d at %zu,%zu: %g "
                         "for %g",
                         cara_cpu_level_name(kernels->level), use_gemv ? "gemv" : "gemm", t.m, t.n,
                         t.k, (int)t.type, t.gelu, t.residual, i, j, (double)c.data[i * ldc + j],
                         sum);
        }
        for (size_t j = t.n; j < ldc && i + 1 < t.m; j++)
            assert_true(poisoned(&c.data[i * ldc + j]));
    }
    out_free(&c);
    free(a);
    free(bias);
    free(residual);
    weights_free(&w);
}

static void products(const cara_kernels *kernels) {
    static const size_t shapes[][3] = {
        {1, 1, 1},    {1, 1, 7},    {2, 3, 8},      {5, 16, 9},     {6, 17, 64},   {7, 15, 33},
        {8, 64, 100}, {3, 33, 384}, {4, 5, 385},    {13, 31, 2},    {121, 40, 77}, {6, 256, 400},
        {1, 300, 20}, {5, 8, 3},    {127, 19, 770}, {20, 24, 2060}, {2, 18, 2049},
    };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int type = CARA_WEIGHT_F32; type <= CARA_WEIGHT_BF16; type++)
            for (int residual = 0; residual < 3; residual++)
                for (int gelu = 0; gelu < 2; gelu++) {
                    if (gelu && residual == 2)
                        continue;
                    product_case t = {.m = shapes[s][0],
                                      .n = shapes[s][1],
                                      .k = shapes[s][2],
                                      .type = (cara_weight_type)type,
                                      .residual = residual,
                                      .gelu = gelu,
                                      .bias = (int)(s + (size_t)gelu) % 2,
                                      .lda_more = s % 3,
                                      .ldc_more = s % 4,
                                      .shift = s % 2};
                    one_product(kernels, t, 0);
                    if (t.m <= CARA_FEW_ROWS)
                        one_product(kernels, t, 1);
                }
}

static void products_match_at_every_level(void **state) {
    (void)state;
    at_every_level(products);
}

/* No bit depends on how callers split the work, nor on the other rows. */
static void splits(const cara_kernels *kernels) {
    enum { M = 8, N = 70, K = 500 };
    float *a = floats(M * K, 1), c[2][M * N], *bias = floats(N, 1);
    weights w = weights_new(CARA_WEIGHT_F16, N * K);
    void *scratch = scratch_new(kernels->gemm_scratch);
    cara_gemm g = {.m = M,
                   .n = N,
                   .k = K,
                   .a = a,
                   .lda = K,
                   .w = w.stored,
                   .type = CARA_WEIGHT_F16,
                   .bias = bias,
                   .gelu = 1,
                   .c = c[0],
                   .ldc = N};
    size_t tile = kernels->gemm_tile_n < N ? kernels->gemm_tile_n : N;
    for (size_t n0 = 0; n0 < N; n0 += tile)
        kernels->gemm(&g, 0, M, n0, n0 + tile < N ? n0 + tile : N, scratch);
    g.c = c[1];
    for (size_t i = 0; i < M; i++)
        for (size_t n0 = 0; n0 < N; n0 += 10)
            kernels->gemm(&g, i, i + 1, n0, n0 + 10, scratch);
    assert_memory_equal(c[0], c[1], sizeof *c);
    g.c = c[0];
    kernels->gemv(&g, 0, N);
    for (size_t i = 0; i < M; i++) {
        cara_gemm one = g;
        one.m = 1;
        one.a += i * K;
        one.c = c[1] + i * N;
        kernels->gemv(&one, 0, 3);
        kernels->gemv(&one, 3, N);
    }
    assert_memory_equal(c[0], c[1], sizeof *c);
    free(a);
    free(bias);
    free(scratch);
    weights_free(&w);
}

static void task_splits_change_no_bit(void **state) {
    (void)state;
    at_every_level(splits);
}

/* ---- rows ---- */

static const size_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 64, 100, 1023, 1024, 1025, 5000};

static void rows(const cara_kernels *kernels) {
    for (size_t s = 0; s < sizeof lengths / sizeof *lengths; s++) {
        size_t n = lengths[s];
        float *x = floats(n, 4), *w = floats(n, 1), *b = floats(n, 1);
        for (size_t i = 0; i < n; i++)
            x[i] += 3;
        double mean = 0, var = 0, sum = 0, top = -INFINITY;
        for (size_t i = 0; i < n; i++)
            mean += x[i] / (double)n;
        for (size_t i = 0; i < n; i++)
            var += (x[i] - mean) * (x[i] - mean) / (double)n;

        out y = out_new(n, s % 2);
        kernels->layer_norm(x, w, b, n, y.data);
        for (size_t i = 0; i < n; i++)
            assert_true(fabs((x[i] - mean) / sqrt(var + 1e-5) * w[i] + b[i] - y.data[i]) <= 4e-6);
        memcpy(y.data, x, n * sizeof *x);
        kernels->layer_norm(y.data, w, b, n, y.data); /* in place */
        for (size_t i = 0; i < n; i++)
            assert_true(fabs((x[i] - mean) / sqrt(var + 1e-5) * w[i] + b[i] - y.data[i]) <= 4e-6);
        out_free(&y);

        for (size_t i = 0; i < n; i++) {
            x[i] *= 3;
            if (i && i % 5 == 0)
                x[i] = -INFINITY;
            top = fmax(top, x[i]);
        }
        for (size_t i = 0; i < n; i++)
            sum += exp(x[i] - top);
        y = out_new(n, s % 2);
        memcpy(y.data, x, n * sizeof *x);
        kernels->softmax(y.data, n);
        for (size_t i = 0; i < n; i++)
            assert_true(fabs(exp(x[i] - top) / sum - y.data[i]) <= 1e-6);
        out_free(&y);
        assert_true(fabs(top + log(sum) - kernels->log_sum_exp(x, n)) <= 4e-6);
        free(x);
        free(w);
        free(b);
    }
}

static void rows_match_at_every_level(void **state) {
    (void)state;
    at_every_level(rows);
}

/* GELU of x, by a product with 1: as columns of gemm, as rows of gemm, and by gemv. */
static void check_gelus(const cara_kernels *kernels, const float *x, size_t n, double most) {
    const float one = 1;
    void *scratch = scratch_new(kernels->gemm_scratch);
    for (int way = 0; way < 3; way++) {
        out y = out_new(n, 1);
        cara_gemm g = {.k = 1, .lda = 1, .type = CARA_WEIGHT_F32, .gelu = 1, .c = y.data};
        g.m = way == 1 ? n : 1;
        g.n = g.ldc = way == 1 ? 1 : n;
        g.a = way == 1 ? x : &one;
        g.w = way == 1 ? &one : x;
        for (size_t at = 0; at < g.n; at += kernels->gemm_tile_n) {
            size_t end = cara_min_size(at + kernels->gemm_tile_n, g.n);
            if (way == 2)
                kernels->gemv(&g, at, end);
            else
                kernels->gemm(&g, 0, g.m, at, end, scratch);
        }
        for (size_t i = 0; i < n; i++)
            assert_true(fabs(exact_gelu(x[i]) - (double)y.data[i]) <= most);
        out_free(&y);
    }
    free(scratch);
}

static void gelus(const cara_kernels *kernels) {
    float near[20001];
    for (size_t i = 0; i < 20001; i++)
        near[i] = ((float)i - 10000) / 1000; /* -10 to 10 */
    check_gelus(kernels, near, 20001, 1e-6);
    check_gelus(kernels, (const float[]){-200, 200, -1e30f, 1e30f, -0.0f}, 5, 0);
}

static void gelu_is_exact_at_every_level(void **state) {
    (void)state;
    at_every_level(gelus);
}

static void widens(const cara_kernels *kernels) {
    for (size_t s = 0; s < sizeof lengths / sizeof *lengths; s++)
        for (int type = CARA_WEIGHT_F32; type <= CARA_WEIGHT_BF16; type++) {
            weights w = weights_new((cara_weight_type)type, lengths[s]);
            out y = out_new(lengths[s], s % 2);
            kernels->widen((cara_weight_type)type, w.stored, y.data, y.n);
            assert_memory_equal(y.data, w.value, y.n * sizeof(float));
            out_free(&y);
            weights_free(&w);
        }
}

static void narrows(const cara_kernels *kernels) {
    for (size_t s = 0; s < sizeof lengths / sizeof *lengths; s++) {
        size_t n = lengths[s];
        float *x = floats(n, s % 3 ? 4 : 1e5); /* some beyond what f16 holds */
        uint16_t *y = malloc((n + 1) * sizeof *y);
        assert_non_null(y);
        y[n] = 0x1234;
        kernels->narrow(x, y, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(y[i], cara_f32_to_f16(x[i]));
        assert_int_equal(y[n], 0x1234);
        free(x);
        free(y);
    }
}

static void floats_narrow_at_every_level(void **state) {
    (void)state;
    at_every_level(narrows);
}

static void weights_widen_at_every_level(void **state) {
    (void)state;
    static const struct {
        uint16_t half;
        float value;
    } known[] = {{0x0000, 0},        {0x8000, -0.0f},        {0x3c00, 1},          {0xc000, -2},
                 {0x0001, 0x1p-24f}, {0x03ff, 0x1.ff8p-15f}, {0x0400, 0x1p-14f},   {0x7bff, 65504},
                 {0x7c00, INFINITY}, {0xfc00, -INFINITY},    {0x3555, 0x1.554p-2f}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        float f = cara_f16_to_f32(known[i].half);
        assert_memory_equal(&f, &known[i].value, sizeof f);
    }
    assert_true(isnan(cara_f16_to_f32(0x7e00)));
    for (uint32_t h = 0; h < 0x10000; h++)
        if ((h & 0x7c00) != 0x7c00)
            assert_int_equal(cara_f32_to_f16(cara_f16_to_f32((uint16_t)h)), h);
    assert_int_equal(cara_f32_to_f16(1e9f), 0x7bff);
    assert_int_equal(cara_f32_to_f16(-1e9f), 0xfbff);
    assert_int_equal(cara_f32_to_f16(1 + 0x1p-11f), 0x3c00);     /* a tie, to even */
    assert_int_equal(cara_f32_to_f16(1 + 3 * 0x1p-11f), 0x3c02); /* another */
    assert_int_equal(cara_f32_to_f16(0x1.002p-11f), 0x1000);
    at_every_level(widens);
}

/* ---- levels ---- */

static void levels_are_picked_by_name(void **state) {
    (void)state;
    cara_cpu_level level;
    cara_error err;
    assert_int_equal(cara_cpu_pick(NULL, &level, &err), CARA_OK);
    assert_int_equal(level, cara_cpu_detect());
    assert_int_equal(cara_cpu_pick("", &level, &err), CARA_OK);
    assert_int_equal(cara_cpu_pick("scalar", &level, &err), CARA_OK);
    assert_int_equal(level, CARA_CPU_SCALAR);
    assert_int_equal(cara_cpu_pick("abacus", &level, &err), CARA_ERR_CPU);
    assert_non_null(strstr(err.text, "abacus"));
    assert_non_null(strstr(err.text, "scalar"));
    for (int i = 0; i < CARA_CPU_LEVELS; i++) {
        const char *name = cara_cpu_level_name((cara_cpu_level)i);
        if (cara_cpu_has((cara_cpu_level)i)) {
            assert_int_equal(cara_cpu_pick(name, &level, &err), CARA_OK);
            assert_int_equal(level, i);
        } else {
            assert_int_equal(cara_cpu_pick(name, &level, &err), CARA_ERR_CPU);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_picked_by_name),
        cmocka_unit_test(weights_widen_at_every_level),
        cmocka_unit_test(floats_narrow_at_every_level),
        cmocka_unit_test(gelu_is_exact_at_every_level),
        cmocka_unit_test(rows_match_at_every_level),
        cmocka_unit_test(products_match_at_every_level),
        cmocka_unit_test(task_splits_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

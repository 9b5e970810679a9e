/* The reference: plain C that defines each kernel. It stays simple; eight partial sums let a
 * compiler use whatever vectors the baseline has. */
#include "kernels/scalar/scalar.h"
#include "base/numbers/half.h"
#include "kernels/common/block_i8.h"
#include "kernels/common/common.h"

#include <math.h>
#include <string.h>

#define TILE_N 64
#define K_BLOCK 2048 /* weights widened at a time; keeps scratch bounded */
#define LANES 8

void cara_scalar_widen(cara_weight_type type, const void *src, float *dst, size_t n) {
    if (type == CARA_WEIGHT_F32) {
        if (n)
            memcpy(dst, src, n * sizeof *dst);
        return;
    }
    const uint16_t *h = src;
    if (type == CARA_WEIGHT_F16)
        for (size_t i = 0; i < n; i++)
            dst[i] = cara_f16_to_f32(h[i]);
    else
        for (size_t i = 0; i < n; i++)
            dst[i] = cara_bf16_to_f32(h[i]);
}

static float dot(const float *restrict a, const float *restrict b, size_t n) {
    float sum[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            sum[l] += a[i + l] * b[i + l];
    for (size_t l = 0; i < n; i++, l++)
        sum[l] += a[i] * b[i];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static float gelu(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678118654752440f));
}

static void finish(const cara_gemm *g, size_t i, size_t j) {
    float *c = &g->c[i * g->ldc + j];
    float y = *c;
    if (g->bias)
        y += g->bias[j];
    if (g->gelu)
        y = gelu(y);
    *c = y;
}

/* One row of weights, widened in blocks of k, against rows [m0, m1). The residual may be c itself,
 * so it is taken up before c is written. */
static void one_column(const cara_gemm *g, size_t m0, size_t m1, size_t j, float *wide) {
    const char *row = cara_weight_row(g->w, g->type, g->k, j);
    for (size_t i = m0; i < m1; i++) {
        float keep = g->residual ? g->residual[i * g->ldc + j] : 0;
        float sum = 0;
        for (size_t k0 = 0; k0 < g->k; k0 += K_BLOCK) {
            size_t n = g->k - k0 < K_BLOCK ? g->k - k0 : K_BLOCK;
            if (i == m0 || g->k > K_BLOCK)
                cara_scalar_widen(g->type, row + k0 * cara_weight_size(g->type), wide, n);
            sum += dot(g->a + i * g->lda + k0, wide, n);
        }
        g->c[i * g->ldc + j] = sum;
        finish(g, i, j);
        g->c[i * g->ldc + j] += keep;
    }
}

static void scalar_gemm(const cara_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1,
                        void *scratch) {
    for (size_t j = n0; j < n1; j++)
        one_column(g, m0, m1, j, scratch);
}

static void scalar_gemv(const cara_gemm *g, size_t n0, size_t n1) {
    float wide[K_BLOCK];
    for (size_t j = n0; j < n1; j++)
        one_column(g, 0, g->m, j, wide);
}

/* Two passes over one query's keys with a running softmax, block by block. */
#define KEY_BLOCK 256

static void attend_one(const cara_attend *a, size_t i) {
    float acc[CARA_HEAD_DIM_MAX] = {0}, score[KEY_BLOCK];
    float top = -INFINITY, sum = 0;
    size_t n_kv = cara_visible_keys(a, i);
    for (size_t k0 = 0; k0 < n_kv; k0 += KEY_BLOCK) {
        size_t n = n_kv - k0 < KEY_BLOCK ? n_kv - k0 : KEY_BLOCK;
        float block_top = top;
        for (size_t j = 0; j < n; j++) {
            score[j] = a->scale * dot(a->q + i * a->ldq, a->k + (k0 + j) * a->ldk, a->d);
            block_top = score[j] > block_top ? score[j] : block_top;
        }
        float shrink = expf(top - block_top); /* 0 at first: exp(-inf) */
        sum *= shrink;
        for (size_t c = 0; c < a->d; c++)
            acc[c] *= shrink;
        top = block_top;
        for (size_t j = 0; j < n; j++) {
            float p = expf(score[j] - top);
            const float *v = a->v + (k0 + j) * a->ldv;
            sum += p;
            for (size_t c = 0; c < a->d; c++)
                acc[c] += p * v[c];
        }
    }
    for (size_t c = 0; c < a->d; c++)
        a->out[i * a->ldo + c] = acc[c] / sum;
}

static void scalar_attend_few(const cara_attend *a) {
    for (size_t i = 0; i < a->n_q; i++)
        attend_one(a, i);
}

static void scalar_attend(const cara_attend *a, void *scratch) {
    (void)scratch;
    scalar_attend_few(a);
}

static void scalar_layer_norm(const float *x, const float *weight, const float *bias, size_t n,
                              float *y) {
    double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    float centre = (float)mean;
    float scale = (float)(1.0 / sqrt(square / (double)n + (double)CARA_LAYER_NORM_EPS));
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - centre) * scale * weight[i] + bias[i];
}

static float largest(const float *x, size_t n) {
    float top = -INFINITY;
    for (size_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top;
}

static void scalar_softmax(float *x, size_t n) {
    float top = largest(x, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] = expf(x[i] - top);
    float scale = (float)(1 / sum);
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
}

static float scalar_log_sum_exp(const float *x, size_t n) {
    float top = largest(x, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += expf(x[i] - top);
    return (float)(top + log(sum));
}

void cara_scalar_narrow(const float *src, uint16_t *dst, size_t n) {
    for (size_t i = 0; i < n; i++)
        dst[i] = cara_f32_to_f16(src[i]);
}

/* With a running softmax, as the other levels. */
static void scalar_attend_f16(const cara_attend_f16 *a) {
    for (size_t i = 0; i < a->n_q; i++) {
        const float *q = a->q + i * a->ldq;
        float *out = a->out + i * a->ldo, top = -INFINITY;
        double sum = 0, acc[CARA_HEAD_DIM_MAX] = {0};
        for (size_t j = 0; j < a->n_kv; j++) {
            const uint16_t *k = a->k + j / 16 * a->d * 16 + j % 16, *v = a->v + j * a->d;
            double dot = 0;
            for (size_t p = 0; p < a->d; p++)
                dot += q[p] * cara_f16_to_f32(k[p * 16]);
            float score = (float)dot * a->scale;
            if (score > top) {
                float shrink = expf(top - score);
                for (size_t p = 0; p < a->d; p++)
                    acc[p] *= shrink;
                sum *= shrink;
                top = score;
            }
            float weight = expf(score - top);
            sum += weight;
            for (size_t p = 0; p < a->d; p++)
                acc[p] += weight * cara_f16_to_f32(v[p]);
        }
        for (size_t p = 0; p < a->d; p++)
            out[p] = (float)(acc[p] / sum);
    }
}

void cara_scalar_block_keys(const float *k, size_t ld, size_t n, size_t d, int8_t *dst,
                            float *scale) {
    cara_block_keys(k, ld, n, d, dst, scale);
}

void cara_scalar_block_values(const float *v, size_t ld, size_t n, size_t d, int8_t *dst,
                              float *scale) {
    cara_block_values(v, ld, n, d, dst, scale);
}

/* Block by block with a running softmax; a panel's 16 scores side by side. */
static void attend_i8_one(const cara_attend_i8 *a, const float *query, float *out) {
    float q[CARA_HEAD_DIM_MAX], acc[CARA_HEAD_DIM_MAX] = {0}, score[CARA_I8_KEYS];
    float top = -INFINITY, sum = 0;
    for (size_t k0 = 0, block = 0; k0 < a->n_kv; k0 += CARA_I8_KEYS, block++) {
        size_t n = a->n_kv - k0 < CARA_I8_KEYS ? a->n_kv - k0 : CARA_I8_KEYS;
        const float *k_scale = a->k_scale + block * a->d, *v_scale = a->v_scale + block * a->d;
        float part[CARA_HEAD_DIM_MAX] = {0}, old = top;
        for (size_t p = 0; p < a->d; p++)
            q[p] = query[p] * a->scale * k_scale[p];
        for (size_t j = 0; j < n; j += 16) {
            const int8_t *k = a->k + (k0 + j) * a->d;
            float dots[16] = {0};
            for (size_t p = 0; p < a->d; p++)
                for (size_t l = 0; l < 16; l++)
                    dots[l] += q[p] * k[p * 16 + l];
            for (size_t l = 0; l < 16 && j + l < n; l++) {
                score[j + l] = dots[l];
                top = dots[l] > top ? dots[l] : top;
            }
        }
        float shrink = expf(old - top); /* 0 at first: exp(-inf) */
        sum *= shrink;
        for (size_t j = 0; j < n; j++) {
            const int8_t *v = a->v + (k0 + j) * a->d;
            float weight = expf(score[j] - top);
            sum += weight;
            for (size_t p = 0; p < a->d; p++)
                part[p] += weight * v[p];
        }
        for (size_t p = 0; p < a->d; p++)
            acc[p] = acc[p] * shrink + part[p] * v_scale[p];
    }
    for (size_t p = 0; p < a->d; p++)
        out[p] = acc[p] / sum;
}

static void scalar_attend_i8(const cara_attend_i8 *a) {
    for (size_t i = 0; i < a->n_q; i++)
        attend_i8_one(a, a->q + i * a->ldq, a->out + i * a->ldo);
}

const cara_kernels cara_kernels_scalar = {
    .level = CARA_CPU_SCALAR,
    .gemm_tile_m = 256,
    .gemm_tile_n = TILE_N,
    .gemm_scratch = K_BLOCK * sizeof(float),
    .attend_scratch = 0,
    .gemm = scalar_gemm,
    .gemv = scalar_gemv,
    .attend = scalar_attend,
    .attend_coarse = scalar_attend,
    .attend_queries = 64,
    .attend_few = scalar_attend_few,
    .attend_f16 = scalar_attend_f16,
    .narrow = cara_scalar_narrow,
    .attend_i8 = scalar_attend_i8,
    .block_keys = cara_scalar_block_keys,
    .block_values = cara_scalar_block_values,
    .i8 = &cara_i8_scalar,
    .layer_norm = scalar_layer_norm,
    .softmax = scalar_softmax,
    .log_sum_exp = scalar_log_sum_exp,
    .widen = cara_scalar_widen,
};

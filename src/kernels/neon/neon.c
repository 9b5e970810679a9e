/* Rows by NEON, and the table of its level. */
#include "kernels/neon/neon.h"
#include "kernels/neon/vectors.h"
#include "kernels/scalar/scalar.h"

void cara_neon_layer_norm(const float *x, const float *weight, const float *bias, size_t n,
                          float *y) {
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0;
    for (size_t i = 0; i < n; i += 4)
        s0 = vaddq_f32(s0, cara_load_n(x + i, n - i));
    float mean = vaddvq_f32(s0) / (float)n;
    float32x4_t centre = vdupq_n_f32(mean);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t d = vsubq_f32(vld1q_f32(x + i), centre);
        s1 = vfmaq_f32(s1, d, d);
    }
    float square = vaddvq_f32(s1);
    for (; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    float scale = 1 / sqrtf(square / (float)n + CARA_LAYER_NORM_EPS);
    for (i = 0; i < n; i += 4) {
        float32x4_t d = vsubq_f32(cara_load_n(x + i, n - i), centre);
        d = vfmaq_f32(cara_load_n(bias + i, n - i), vmulq_n_f32(d, scale),
                      cara_load_n(weight + i, n - i));
        cara_neon_store_n(y + i, d, n - i);
    }
}

/* -INFINITY beyond n. */
static inline float32x4_t load_or_low(const float *x, size_t n) {
    if (n >= 4)
        return vld1q_f32(x);
    float some[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    memcpy(some, x, n * sizeof *x);
    return vld1q_f32(some);
}

static float largest(const float *x, size_t n) {
    float32x4_t most = vdupq_n_f32(-INFINITY);
    for (size_t i = 0; i < n; i += 4)
        most = vmaxq_f32(most, load_or_low(x + i, n - i));
    return vmaxvq_f32(most);
}

/* Sums of e^(x - top), in double across long rows; y may be NULL. */
static inline __attribute__((always_inline)) double exp_sum(const float *x, size_t n, float top,
                                                            float *y) {
    double sum = 0;
    float32x4_t base = vdupq_n_f32(top);
    for (size_t i = 0; i < n;) {
        float32x4_t part = vdupq_n_f32(0);
        for (size_t end = i + 1024; i < n && i < end; i += 4) {
            float32x4_t e = cara_exp_4(vsubq_f32(load_or_low(x + i, n - i), base));
            part = vaddq_f32(part, e);
            if (y)
                cara_neon_store_n(y + i, e, n - i);
        }
        sum += (double)vaddvq_f32(part);
    }
    return sum;
}

void cara_neon_softmax(float *x, size_t n) {
    float scale = (float)(1 / exp_sum(x, n, largest(x, n), x));
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
}

float cara_neon_log_sum_exp(const float *x, size_t n) {
    float top = largest(x, n);
    return (float)(top + log(exp_sum(x, n, top, NULL)));
}

void cara_neon_widen(cara_weight_type type, const void *src, float *dst, size_t n) {
    const uint16_t *from = src;
    size_t i = 0;
    if (type == CARA_WEIGHT_F16)
        for (; i + 4 <= n; i += 4)
            vst1q_f32(dst + i, cara_widen_4(from + i, CARA_WEIGHT_F16));
    cara_scalar_widen(type, type == CARA_WEIGHT_F32 ? src : from + i, dst + i, n - i);
}

const cara_kernels cara_kernels_neon = {
    .level = CARA_CPU_NEON,
    .gemm_tile_m = 4 * CARA_MC,
    .gemm_tile_n = CARA_NC,
    .gemm_scratch = (size_t)(CARA_NC + CARA_MC) * CARA_KC * sizeof(float),
    .attend_scratch = CARA_ATTEND_SCRATCH,
    .gemm = cara_neon_gemm,
    .gemv = cara_neon_gemv,
    .attend = cara_neon_attend,
    .attend_coarse = cara_neon_attend,
    .attend_queries = CARA_ATTEND_Q,
    .attend_few = cara_neon_attend_few,
    .attend_f16 = cara_neon_attend_f16,
    .narrow = cara_neon_narrow,
    .attend_i8 = cara_neon_attend_i8,
    .block_keys = cara_scalar_block_keys,
    .block_values = cara_scalar_block_values,
    .i8 = &cara_i8_neon,
    .layer_norm = cara_neon_layer_norm,
    .softmax = cara_neon_softmax,
    .log_sum_exp = cara_neon_log_sum_exp,
    .widen = cara_neon_widen,
};

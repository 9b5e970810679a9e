/* Rows by AVX2, and the tables of its levels. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vectors.h"
#include "kernels/scalar/scalar.h"

#include <math.h>

void cara_avx2_layer_norm(const float *x, const float *weight, const float *bias, size_t n,
                          float *y) {
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    for (size_t i = 0; i < n; i += 8)
        s0 = _mm256_add_ps(s0, cara_load_n(x + i, n - i));
    float mean = cara_sum_8(s0) / (float)n;
    __m256 centre = _mm256_set1_ps(mean);
    for (size_t i = 0; i < n; i += 8) {
        __m256 d = _mm256_sub_ps(cara_load_n(x + i, n - i), centre);
        if (n - i < 8)
            d = _mm256_and_ps(d, _mm256_castsi256_ps(cara_mask_8(n - i)));
        s1 = _mm256_fmadd_ps(d, d, s1);
    }
    __m256 scale = _mm256_set1_ps(1 / sqrtf(cara_sum_8(s1) / (float)n + CARA_LAYER_NORM_EPS));
    for (size_t i = 0; i < n; i += 8) {
        __m256 d = _mm256_sub_ps(cara_load_n(x + i, n - i), centre);
        d = _mm256_fmadd_ps(_mm256_mul_ps(d, scale), cara_load_n(weight + i, n - i),
                            cara_load_n(bias + i, n - i));
        cara_avx2_store_n(y + i, d, n - i);
    }
}

static __m256 load_or_low(const float *x, size_t n) {
    const __m256 low = _mm256_set1_ps(-INFINITY);
    return n >= 8 ? _mm256_loadu_ps(x)
                  : _mm256_blendv_ps(low, cara_load_n(x, n), _mm256_castsi256_ps(cara_mask_8(n)));
}

static float largest(const float *x, size_t n) {
    __m256 most = _mm256_set1_ps(-INFINITY);
    for (size_t i = 0; i < n; i += 8)
        most = _mm256_max_ps(most, load_or_low(x + i, n - i));
    return cara_max_8(most);
}

/* Sums of e^(x - top), in double across long rows; y may be NULL. */
static double exp_sum(const float *x, size_t n, float top, float *y) {
    double sum = 0;
    __m256 base = _mm256_set1_ps(top);
    for (size_t i = 0; i < n;) {
        __m256 part = _mm256_setzero_ps();
        for (size_t end = i + 1024; i < n && i < end; i += 8) {
            __m256 e = cara_exp_8(_mm256_sub_ps(load_or_low(x + i, n - i), base));
            part = _mm256_add_ps(part, e);
            if (y)
                cara_avx2_store_n(y + i, e, n - i);
        }
        sum += cara_sum_8(part);
    }
    return sum;
}

void cara_avx2_softmax(float *x, size_t n) {
    double sum = exp_sum(x, n, largest(x, n), x);
    __m256 scale = _mm256_set1_ps((float)(1 / sum));
    for (size_t i = 0; i < n; i += 8)
        cara_avx2_store_n(x + i, _mm256_mul_ps(scale, cara_load_n(x + i, n - i)), n - i);
}

float cara_avx2_log_sum_exp(const float *x, size_t n) {
    float top = largest(x, n);
    return (float)(top + log(exp_sum(x, n, top, NULL)));
}

void cara_avx2_widen(cara_weight_type type, const void *src, float *dst, size_t n) {
    const char *from = src;
    const size_t size = cara_weight_size(type);
    size_t i = 0;
    if (type == CARA_WEIGHT_F16)
        for (; i + 8 <= n; i += 8)
            _mm256_storeu_ps(dst + i, cara_widen_8(from + i * size, CARA_WEIGHT_F16));
    cara_scalar_widen(type, from + i * size, dst + i, n - i);
}

#define AVX2_TABLE(its_level, its_i8)                                                              \
    {                                                                                              \
        .level = its_level, .gemm_tile_m = 4 * CARA_MC + 24, .gemm_tile_n = CARA_NC,               \
        .gemm_scratch = (size_t)(CARA_NC + CARA_MC) * CARA_KC * sizeof(float),                     \
        .attend_scratch = CARA_ATTEND_SCRATCH, .gemm = cara_avx2_gemm, .gemv = cara_avx2_gemv,     \
        .attend = cara_avx2_attend, .attend_coarse = cara_avx2_attend_i16,                         \
        .attend_queries = CARA_ATTEND_Q, .attend_few = cara_avx2_attend_few,                       \
        .attend_f16 = cara_avx2_attend_f16, .narrow = cara_avx2_narrow,                            \
        .attend_i8 = cara_avx2_attend_i8, .block_keys = cara_avx2_block_keys,                      \
        .block_values = cara_avx2_block_values, .i8 = &its_i8, .layer_norm = cara_avx2_layer_norm, \
        .softmax = cara_avx2_softmax, .log_sum_exp = cara_avx2_log_sum_exp,                        \
        .widen = cara_avx2_widen,                                                                  \
    }

const cara_kernels cara_kernels_avx2 = AVX2_TABLE(CARA_CPU_AVX2, cara_i8_avx2);
const cara_kernels cara_kernels_avxvnni = AVX2_TABLE(CARA_CPU_AVXVNNI, cara_i8_avxvnni);

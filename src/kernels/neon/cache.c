/* Attention over an f16 or int8 cache for few queries. Keys lie in panels of 16, values in columns
 * of 16: the products of both are sums of sixteen numbers times one, by one function. Whatever rows
 * and panels are grouped, each sum has one accumulator and one order. */
#include "kernels/neon/neon.h"
#include "kernels/neon/vectors.h"
#include "kernels/scalar/scalar.h"

#define KV CARA_I8_KEYS /* keys of a block, for f16 too */
#define D_MAX CARA_HEAD_DIM_MAX

/* A cache of either type; scales are NULL where it is f16. */
typedef struct cache {
    const char *k, *v;
    const float *k_scale, *v_scale;
} cache;

typedef struct f32x16 {
    float32x4_t x, y, z, w;
} f32x16;

static inline f32x16 wide_f16(const char *p) {
    float16x8_t a = vreinterpretq_f16_u16(vld1q_u16((const uint16_t *)(const void *)p));
    float16x8_t b = vreinterpretq_f16_u16(vld1q_u16((const uint16_t *)(const void *)p + 8));
    return (f32x16){vcvt_f32_f16(vget_low_f16(a)), vcvt_high_f32_f16(a),
                    vcvt_f32_f16(vget_low_f16(b)), vcvt_high_f32_f16(b)};
}

/* An integer added to the bits of 1.5 * 2^23 gives that float plus the integer; to take the float
 * away is exact. Cores convert one register a cycle or less, but add two or more. */
static inline float32x4_t int_to_float(int32x4_t bits) {
    return vsubq_f32(vreinterpretq_f32_s32(bits), vdupq_n_f32(12582912.0f));
}

static inline f32x16 wide_i8(const char *p) {
    const int32x4_t magic = vreinterpretq_s32_f32(vdupq_n_f32(12582912.0f));
    int8x16_t bytes = vld1q_s8((const int8_t *)p);
    int16x8_t a = vmovl_s8(vget_low_s8(bytes)), b = vmovl_high_s8(bytes);
    return (f32x16){
        int_to_float(vaddw_s16(magic, vget_low_s16(a))), int_to_float(vaddw_high_s16(magic, a)),
        int_to_float(vaddw_s16(magic, vget_low_s16(b))), int_to_float(vaddw_high_s16(magic, b))};
}

static inline f32x16 add(f32x16 s, float by, f32x16 m) {
    return (f32x16){vfmaq_n_f32(s.x, m.x, by), vfmaq_n_f32(s.y, m.y, by), vfmaq_n_f32(s.z, m.z, by),
                    vfmaq_n_f32(s.w, m.w, by)};
}

static inline void store(float *to, f32x16 s) {
    vst1q_f32(to, s.x);
    vst1q_f32(to + 4, s.y);
    vst1q_f32(to + 8, s.z);
    vst1q_f32(to + 12, s.w);
}

/* to[r][h * 16 ..] = the sum over p < n of by[r][p] times the sixteen at m + p * step + h * apart
 * (bytes), for up to four rows of one panel or up to two rows of two. */
static inline __attribute__((always_inline)) void multiply(const char *m, size_t step, size_t apart,
                                                           size_t n, const float *by, size_t ldb,
                                                           const size_t rows, const size_t panels,
                                                           float *to, size_t ldt, const int i8) {
    const float32x4_t none = vdupq_n_f32(0);
    const f32x16 zero = {none, none, none, none};
    f32x16 s0 = zero, s1 = zero, s2 = zero, s3 = zero, t0 = zero, t1 = zero;
    for (size_t p = 0; p < n; p++, m += step, by++) {
        f32x16 x = i8 ? wide_i8(m) : wide_f16(m);
        s0 = add(s0, by[0], x);
        if (rows > 1)
            s1 = add(s1, by[ldb], x);
        if (rows > 2)
            s2 = add(s2, by[2 * ldb], x);
        if (rows > 3)
            s3 = add(s3, by[3 * ldb], x);
        if (panels > 1) {
            x = i8 ? wide_i8(m + apart) : wide_f16(m + apart);
            t0 = add(t0, by[0], x);
            if (rows > 1)
                t1 = add(t1, by[ldb], x);
        }
    }
    store(to, s0);
    if (rows > 1)
        store(to + ldt, s1);
    if (rows > 2)
        store(to + 2 * ldt, s2);
    if (rows > 3)
        store(to + 3 * ldt, s3);
    if (panels > 1) {
        store(to + 16, t0);
        if (rows > 1)
            store(to + ldt + 16, t1);
    }
}

static inline __attribute__((always_inline)) void
multiply_all(const char *m, size_t step, size_t apart, size_t panels, size_t n, const float *by,
             size_t ldb, size_t rows, float *to, size_t ldt, const int i8) {
    while (rows) {
        size_t some = cara_min_size(rows, 4);
        for (size_t h = 0; h < panels;) {
            const char *from = m + h * apart;
            float *at = to + h * 16;
            int two = some <= 2 && panels - h >= 2;
            if (some == 4)
                multiply(from, step, apart, n, by, ldb, 4, 1, at, ldt, i8);
            else if (some == 3)
                multiply(from, step, apart, n, by, ldb, 3, 1, at, ldt, i8);
            else if (some == 2 && two)
                multiply(from, step, apart, n, by, ldb, 2, 2, at, ldt, i8);
            else if (some == 2)
                multiply(from, step, apart, n, by, ldb, 2, 1, at, ldt, i8);
            else if (two)
                multiply(from, step, apart, n, by, ldb, 1, 2, at, ldt, i8);
            else
                multiply(from, step, apart, n, by, ldb, 1, 1, at, ldt, i8);
            h += two ? 2 : 1;
        }
        rows -= some;
        by += some * ldb;
        to += some * ldt;
    }
}

static inline __attribute__((always_inline)) void attend(const cara_attend_f16 *a, cache c,
                                                         const int i8) {
    float q[CARA_FEW_ROWS][D_MAX], score[CARA_FEW_ROWS][KV];
    float acc[CARA_FEW_ROWS][D_MAX], part[CARA_FEW_ROWS][D_MAX];
    float top[CARA_FEW_ROWS], sum[CARA_FEW_ROWS];
    const size_t d = a->d, size = i8 ? 1 : 2;
    for (size_t i = 0; i < a->n_q; i++) {
        top[i] = -INFINITY;
        sum[i] = 0;
        memset(acc[i], 0, d * sizeof **acc);
        for (size_t p = 0; p < d; p++)
            q[i][p] = a->q[i * a->ldq + p] * (a->scale * CARA_SCORE_UNIT);
    }
    for (size_t k0 = 0; k0 < a->n_kv; k0 += KV) {
        size_t n = cara_min_size(a->n_kv - k0, KV);
        for (size_t i = 0; i < a->n_q; i++)
            for (size_t p = 0; p < d; p++)
                part[i][p] = i8 ? q[i][p] * c.k_scale[p] : q[i][p];
        multiply_all(c.k + k0 * d * size, 16 * size, 16 * d * size, (n + 15) / 16, d, part[0],
                     D_MAX, a->n_q, score[0], KV, i8);
        float shrink[CARA_FEW_ROWS];
        for (size_t i = 0; i < a->n_q; i++)
            shrink[i] = cara_softmax_block(score[i], n, &top[i], &sum[i]);
        multiply_all(c.v + k0 * d * size, d * size, 16 * size, d / 16, n, score[0], KV, a->n_q,
                     part[0], D_MAX, i8);
        for (size_t i = 0; i < a->n_q; i++)
            for (size_t p = 0; p < d; p++)
                acc[i][p] = acc[i][p] * shrink[i] + (i8 ? part[i][p] * c.v_scale[p] : part[i][p]);
        if (i8) {
            c.k_scale += d;
            c.v_scale += d;
        }
    }
    for (size_t i = 0; i < a->n_q; i++)
        for (size_t p = 0; p < d; p++)
            a->out[i * a->ldo + p] = acc[i][p] / sum[i];
}

void cara_neon_attend_f16(const cara_attend_f16 *a) {
    attend(a, (cache){(const char *)a->k, (const char *)a->v, NULL, NULL}, 0);
}

void cara_neon_attend_i8(const cara_attend_i8 *a) {
    const cara_attend_f16 same = {.n_q = a->n_q,
                                  .n_kv = a->n_kv,
                                  .d = a->d,
                                  .q = a->q,
                                  .ldq = a->ldq,
                                  .out = a->out,
                                  .ldo = a->ldo,
                                  .scale = a->scale};
    attend(&same, (cache){(const char *)a->k, (const char *)a->v, a->k_scale, a->v_scale}, 1);
}

void cara_neon_narrow(const float *src, uint16_t *dst, size_t n) {
    const float32x4_t most = vdupq_n_f32(65504);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t x = vmaxq_f32(vminq_f32(vld1q_f32(src + i), most), vnegq_f32(most));
        vst1_u16(dst + i, vreinterpret_u16_f16(vcvt_f16_f32(x)));
    }
    cara_scalar_narrow(src + i, dst + i, n - i);
}

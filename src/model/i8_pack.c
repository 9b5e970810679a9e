#include "model/i8_pack.h"

#include <math.h>

void cara_i8_pack_row(const float *w, size_t k, size_t channel, int8_t *packed, float *scale,
                      int32_t *sum) {
    float top = 0;
    for (size_t i = 0; i < k; i++) {
        float v = fabsf(w[i]);
        top = v > top ? v : top;
    }
    float inverse = top > 0 ? 127.0f / top : 0;
    int8_t *to = packed + cara_i8_at(k, channel, 0);
    int32_t total = 0;
    for (size_t i = 0; i < k; i++) {
        int8_t q = (int8_t)lrintf(w[i] * inverse);
        to[i / CARA_I8_GROUP * CARA_I8_PANEL * CARA_I8_GROUP + i % CARA_I8_GROUP] = q;
        total += q;
    }
    scale[channel] = top / 127.0f;
    sum[channel] = total;
}

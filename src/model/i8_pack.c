#include "model/i8_pack.h"

#include <math.h>

void cara_i8_pack_row(const float *w, size_t k, size_t channel, int8_t *packed, float *scale,
                      int32_t *sum) {
    float top = 0;
    for (size_t i = 0; i < k; i++)
        top = fmaxf(top, fabsf(w[i]));
    float inverse = top > 0 ? 127.0f / top : 0;
    size_t lane = channel % CARA_I8_PANEL;
    int8_t *panel = packed + (channel - lane) * cara_i8_padded_k(k);
    int32_t total = 0;
    for (size_t i = 0; i < k; i++) {
        int8_t q = (int8_t)lrintf(w[i] * inverse);
        panel[(i / 4 * CARA_I8_PANEL + lane) * 4 + i % 4] = q;
        total += q;
    }
    scale[channel] = top / 127.0f;
    sum[channel] = total;
}

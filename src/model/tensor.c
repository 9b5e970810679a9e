#include "model/tensor.h"

#include "base/numbers/half.h"
#include "base/numbers/i8_layout.h"

size_t cara_dtype_size(cara_dtype dtype) {
    switch (dtype) {
    case CARA_F32:
        return 4;
    case CARA_F16:
    case CARA_BF16:
        return 2;
    case CARA_I8:
        return 1;
    }
    return 0;
}

const char *cara_dtype_name(cara_dtype dtype) {
    switch (dtype) {
    case CARA_F32:
        return "f32";
    case CARA_F16:
        return "f16";
    case CARA_BF16:
        return "bf16";
    case CARA_I8:
        return "i8";
    }
    return "unknown";
}

int64_t cara_tensor_count(const cara_tensor *t) {
    if (!t->data)
        return 0;
    int64_t count = 1;
    for (int i = 0; i < t->n_dims; i++)
        count *= t->shape[i];
    return count;
}

uint64_t cara_tensor_bytes(const cara_tensor *t) {
    if (!t->data)
        return 0;
    if (t->layout != CARA_I8_PANELS)
        return (uint64_t)cara_tensor_count(t) * cara_dtype_size(t->dtype);
    size_t n = cara_tensor_rows(t->n_dims, t->shape);
    return cara_i8_packed_size(n, cara_tensor_row_size(t->n_dims, t->shape)) +
           cara_i8_channels(n) * (sizeof *t->scale + sizeof *t->sum);
}

size_t cara_tensor_rows(int n_dims, const int64_t *shape) {
    return n_dims == 1 ? 1 : (size_t)shape[0];
}

size_t cara_tensor_row_size(int n_dims, const int64_t *shape) {
    size_t n = 1;
    for (int i = n_dims == 1 ? 0 : 1; i < n_dims; i++)
        n *= (size_t)shape[i];
    return n;
}

void cara_tensor_row(const cara_tensor *t, size_t row, float *out) {
    size_t n = cara_tensor_row_size(t->n_dims, t->shape);
    const char *from = (const char *)t->data + row * n * cara_dtype_size(t->dtype);
    const uint16_t *half = (const uint16_t *)(const void *)from;
    const int8_t *packed = t->data;
    switch (t->dtype) {
    case CARA_F32:
        memcpy(out, from, n * sizeof *out);
        break;
    case CARA_F16:
        for (size_t i = 0; i < n; i++)
            out[i] = cara_f16_to_f32(half[i]);
        break;
    case CARA_BF16:
        for (size_t i = 0; i < n; i++)
            out[i] = cara_bf16_to_f32(half[i]);
        break;
    case CARA_I8:
        for (size_t i = 0; i < n; i++)
            out[i] = t->scale[row] * (float)packed[cara_i8_at(n, row, i)];
        break;
    }
}

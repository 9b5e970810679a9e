#include "model/tensor.h"

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

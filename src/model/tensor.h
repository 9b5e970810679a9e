/* Named tensors: borrowed views into a model's memory. */
#ifndef MODEL_TENSOR_H
#define MODEL_TENSOR_H

#include <stddef.h>
#include <stdint.h>

typedef enum cara_dtype {
    CARA_F32 = 0,
    CARA_F16 = 1,
    CARA_BF16 = 2,
    CARA_I8 = 3, /* in CARA_I8_PANELS, with a scale and a sum for each output channel */
} cara_dtype;

/* How a tensor's elements lie. Packed layouts come with the kernels that read them. */
typedef enum cara_layout {
    CARA_ROW_MAJOR = 0, /* C order, last dimension fastest */
    CARA_I8_PANELS = 1, /* base/numbers/i8_layout.h; [out, in, 3] lies as [out, in * 3] */
} cara_layout;

/* data == NULL means that the tensor is absent. */
typedef struct cara_tensor {
    const void *data;   /* 64-byte aligned in `.cara` */
    const float *scale; /* [cara_i8_channels(shape[0])] for CARA_I8, else NULL */
    const int32_t *sum; /* as many for CARA_I8, else NULL */
    cara_dtype dtype;
    cara_layout layout;
    int n_dims;
    int64_t shape[4]; /* as PyTorch's, outermost first */
} cara_tensor;

size_t cara_dtype_size(cara_dtype dtype);
const char *cara_dtype_name(cara_dtype dtype);   /* "f32", "f16", ... */
int64_t cara_tensor_count(const cara_tensor *t); /* elements; 0 where absent */
/* Bytes that its data takes, with scales and sums, which lie behind it; 0 where absent. */
uint64_t cara_tensor_bytes(const cara_tensor *t);

/* Rows of a tensor as f32. A tensor of one dimension is one row, others have shape[0]. */
size_t cara_tensor_rows(int n_dims, const int64_t *shape);
size_t cara_tensor_row_size(int n_dims, const int64_t *shape);
void cara_tensor_row(const cara_tensor *t, size_t row, float *out);

#endif

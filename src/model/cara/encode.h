/* Encoding weights for a `.cara` file: from any type to the requested one, by many threads. */
#ifndef MODEL_CARA_ENCODE_H
#define MODEL_CARA_ENCODE_H

#include "model/model.h"

/* How one tensor is written. */
typedef struct cara_encoding {
    cara_dtype dtype;
    cara_layout layout;
    uint64_t offset;   /* in the file, set by the caller */
    uint64_t size;     /* bytes of the data */
    uint64_t channels; /* bytes of the scales and of the sums behind it; 0 except for int8 */
    uint32_t crc;      /* of all three, set by cara_encode() */
} cara_encoding;

/* All but offset and crc. */
cara_encoding cara_encoding_of(const cara_tensor_entry *entry, const cara_write_options *options);

/* Writes all weights where `tensors` [n_entries] says, and sets their check sums. IO, MEMORY,
 * CANCELLED. */
int cara_encode(const cara_model *model, const cara_write_options *options, cara_encoding *tensors,
                cara_atomic_file *file, cara_error *err);

#endif

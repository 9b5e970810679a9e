/* From float weights to the int8 layout of base/numbers/i8_layout.h. */
#ifndef MODEL_I8_PACK_H
#define MODEL_I8_PACK_H

#include "base/numbers/i8_layout.h"

#include <stdint.h>

/* Quantises row `channel` (f32 [k], round to nearest even, scale = max |w| / 127) into its place.
 * `packed`, `scale` and `sum` are whole matrices, zeroed by the caller before the first row. */
void cara_i8_pack_row(const float *w, size_t k, size_t channel, int8_t *packed, float *scale,
                      int32_t *sum);

#endif

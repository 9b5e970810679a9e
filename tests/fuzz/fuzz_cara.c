/* `.cara` files. The header's check sum is made good first: behind it lie the checks that matter.
 */
#include "base/numbers/i8_layout.h"
#include "model/bytes.h"
#include "model/cara/format.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < CARA_HEADER_SIZE)
        return 0;
    uint8_t *file = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!file)
        return 0;
    memcpy(file, data, size);
    memcpy(file, CARA_FILE_MAGIC, 8);
    uint64_t head = cara_le64(file + CARA_H_DATA);
    if (head > CARA_HEADER_SIZE && head <= size) {
        cara_put_le32(file + CARA_H_CRC, 0);
        cara_put_le32(file + CARA_H_CRC, (uint32_t)crc32_z(0, file, (size_t)head));
    }
    cara_put_le64(file + CARA_H_FILE_SIZE, size);
    cara_model *model;
    if (cara_model_open_bytes(cara_slice_of(file, size), NULL, &model, NULL) == CARA_OK) {
        uint8_t sum = 0;
        for (size_t i = 0; i < model->n_entries; i++) {
            const cara_tensor *t = model->entries[i].to;
            size_t n = (size_t)cara_tensor_bytes(t);
            sum ^= ((const uint8_t *)t->data)[0] ^ ((const uint8_t *)t->data)[n - 1];
            if (t->dtype == CARA_I8) {
                size_t last = cara_i8_channels((size_t)t->shape[0]) - 1;
                sum ^= (uint8_t)t->sum[0] ^ (uint8_t)t->sum[last];
                sum ^= ((const uint8_t *)t->scale)[0] ^ ((const uint8_t *)(t->scale + last))[3];
            }
        }
        volatile uint8_t sink = sum;
        (void)sink;
        (void)cara_model_find_vocab(model, "x.cara", NULL, NULL);
        (void)cara_model_check(model, NULL, NULL, NULL);
        cara_model_close(model);
    }
    free(file);
    return 0;
}

/* `.pt` checkpoints; what begins as a pickle is read as one, without an archive around it. */
#include "model/model.h"
#include "model/pt/pickle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size && data[0] == 0x80) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 24);
        cara_pickle *root;
        if (cara_pickle_read(cara_slice_of(data, size), &arena, &root, NULL) == CARA_OK &&
            root->type == CARA_PICKLE_DICT)
            cara_pickle_get(root, "dims");
        cara_arena_free(&arena);
        return 0;
    }
    if (size < 4 || !cara_pt_is(cara_slice_of(data, size)))
        return 0;
    cara_model *model;
    if (cara_model_open_bytes(cara_slice_of(data, size), "large-v2.pt", &model, NULL) == CARA_OK) {
        /* What is open can be read to its last byte. */
        uint8_t sum = 0;
        for (size_t i = 0; i < model->n_entries; i++) {
            const cara_tensor *t = model->entries[i].to;
            size_t n = (size_t)cara_tensor_count(t) * cara_dtype_size(t->dtype);
            sum ^= ((const uint8_t *)t->data)[0] ^ ((const uint8_t *)t->data)[n - 1];
        }
        volatile uint8_t sink = sum;
        (void)sink;
        (void)cara_model_check(model, NULL, NULL, NULL);
        cara_model_close(model);
    }
    return 0;
}

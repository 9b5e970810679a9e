/* Models whose weights are still being streamed into memory while they are used. */
#include "model/bytes.h"
#include "model/cara/format.h"
#include "model/model.h"

#include <limits.h>

int64_t cara_cara_head_size(cara_slice start) {
    if (start.len < CARA_HEADER_SIZE || !cara_cara_is(start))
        return -1;
    uint64_t at = cara_le64(start.ptr + CARA_H_DATA);
    return at < CARA_HEADER_SIZE || at > CARA_HEAD_MAX ? -1 : (int64_t)at;
}

void cara_model_set_arrival(cara_model *model, cara_arrival arrival) {
    model->arrival = arrival;
}

void cara_model_read_ahead(const cara_model *model) {
    cara_read_ahead_start(model->ahead);
}

int cara_model_await(const cara_model *model, const void *part, size_t size, cara_error *err) {
    if (!model->arrival.wait)
        return CARA_OK;
    uintptr_t from = (uintptr_t)part;
    for (size_t i = 0; i < model->n_entries; i++) {
        const cara_tensor_entry *entry = &model->entries[i];
        uintptr_t at = (uintptr_t)entry->to;
        if (part && (at < from || at - from >= size))
            continue;
        int rc = model->arrival.wait(model->arrival.cookie,
                                     (uint64_t)(entry->stored.ptr - model->file.data),
                                     entry->stored.len, err);
        if (rc)
            return rc;
    }
    return CARA_OK;
}

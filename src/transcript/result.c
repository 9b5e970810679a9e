#include "transcript/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cara_result_owner *cara_result_new(size_t limit) {
    cara_result_owner *owner = calloc(1, sizeof *owner);
    if (!owner)
        return NULL;
    cara_arena_init(&owner->arena, limit);
    owner->result.text = "";
    owner->result.language = "";
    owner->result.language_probability = NAN;
    return owner;
}

cara_segment *cara_result_add(cara_result_owner *owner, const cara_segment *segment) {
    cara_result *result = &owner->result;
    if (result->n_segments == owner->segments_cap) {
        /* The old arrays stay in the arena; together they are smaller than the new one. */
        size_t cap = owner->segments_cap ? 2 * owner->segments_cap : 16;
        cara_segment *grown = cara_arena_alloc(&owner->arena, cap, sizeof *grown);
        if (!grown)
            return NULL;
        if (result->n_segments)
            memcpy(grown, result->segments, result->n_segments * sizeof *grown);
        result->segments = grown;
        owner->segments_cap = cap;
    }
    cara_segment *slot = (cara_segment *)result->segments + result->n_segments;
    *slot = *segment;
    slot->id = (int32_t)result->n_segments++;
    return slot;
}

void cara_result_free(cara_result *result) {
    if (!result)
        return;
    cara_result_owner *owner = (cara_result_owner *)result;
    cara_arena_free(&owner->arena);
    free(owner);
}

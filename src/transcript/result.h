/* The owner behind a cara_result: one arena for all it points to. */
#ifndef TRANSCRIPT_RESULT_H
#define TRANSCRIPT_RESULT_H

#include "base/memory/arena.h"

#include <caracola/result.h>

typedef struct cara_result_owner {
    cara_result result; /* first, so that both have one address */
    cara_arena arena;
    size_t segments_cap;
} cara_result_owner;

/* An empty result whose arena holds up to `limit` bytes; freed by cara_result_free(). NULL where
 * there is no memory. */
cara_result_owner *cara_result_new(size_t limit);

/* Appends a copy of *segment, whose text and tokens are already in the arena, and sets the copy's
 * id. Returns the copy, or NULL where the limit or memory ended; the segments so far stay. */
cara_segment *cara_result_add(cara_result_owner *owner, const cara_segment *segment);

#endif

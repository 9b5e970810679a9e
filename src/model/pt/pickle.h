/* A Python pickle read as data. No code is run: the names that a pickle may use are a short
 * list. */
#ifndef MODEL_PT_PICKLE_H
#define MODEL_PT_PICKLE_H

#include "base/error.h"
#include "base/memory/arena.h"
#include "base/slice.h"

typedef enum cara_pickle_type {
    CARA_PICKLE_NONE,
    CARA_PICKLE_BOOL,
    CARA_PICKLE_INT,
    CARA_PICKLE_FLOAT,
    CARA_PICKLE_STRING,
    CARA_PICKLE_TUPLE,
    CARA_PICKLE_LIST,
    CARA_PICKLE_DICT,    /* dict or collections.OrderedDict; items are key, value, key, value ... */
    CARA_PICKLE_GLOBAL,  /* one of the known names, text "torch.HalfStorage" */
    CARA_PICKLE_STORAGE, /* a persistent id; items[0] is its tuple */
    CARA_PICKLE_TENSOR,  /* _rebuild_tensor_v2(*items[0]) */
} cara_pickle_type;

typedef struct cara_pickle cara_pickle;
struct cara_pickle {
    cara_pickle_type type;
    int64_t integer;     /* INT, BOOL */
    double real;         /* FLOAT */
    cara_slice text;     /* STRING, GLOBAL; borrowed from the pickle */
    cara_pickle **items; /* TUPLE, LIST, DICT, STORAGE, TENSOR */
    size_t n, cap;
    size_t position; /* of the opcode that made it */
};

/* Reads a whole pickle; *root and all below is in the arena, whose limit bounds the memory. Nothing
 * recurses, so depth costs no stack. Values may refer to themselves: walk to a known depth only.
 * Errors: MODEL_FORMAT (an opcode or name that is not on the list: named), MODEL_CORRUPT, MEMORY.
 */
int cara_pickle_read(cara_slice bytes, cara_arena *arena, cara_pickle **root, cara_error *err);

/* The value of a string key, the last one as in Python; NULL where there is none. */
const cara_pickle *cara_pickle_get(const cara_pickle *dict, const char *key);

#endif

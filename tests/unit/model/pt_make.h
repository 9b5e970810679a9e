/* Writes OpenAI-like checkpoints, right ones and wrong ones, of any dims. */
#ifndef TESTS_PT_MAKE_H
#define TESTS_PT_MAKE_H

#include "model/model.h"

/* A tensor as it will be pickled; `alter` of the spec may change any of it. */
typedef struct pt_tensor {
    char name[80]; /* "" leaves it out */
    int n_dims;
    int64_t shape[4], stride[4];
    int64_t offset;      /* elements into the storage */
    char storage[32];    /* "HalfStorage" */
    int64_t numel;       /* of the storage, as the pickle says */
    int64_t member_size; /* bytes of the member data/KEY; -1 leaves it out */
} pt_tensor;

typedef struct pt_spec {
    cara_dims dims;
    const char *storage; /* NULL: "HalfStorage" */
    const char *prefix;  /* NULL: "archive" */
    int zip64;           /* write 64-bit ends and, for large members, 64-bit fields */
    int method;          /* as which the members say to be packed */
    int flags;
    int unaligned;      /* members at any offset, not at multiples of 64 */
    int ordered;        /* the state is an OrderedDict with _metadata, as state_dict() gives */
    const void *pickle; /* instead of the one that describes all this */
    size_t pickle_n;
    const char *byteorder; /* NULL: no such member */
    void (*alter)(pt_tensor *tensor, void *cookie);
    void *cookie;
} pt_spec;

/* The dims of the smallest Whisper that is read. */
extern const cara_dims pt_tiny_dims;

/* Writes the file; large members are holes. Fails the test where it cannot. */
void pt_write(const pt_spec *spec, const char *path);

/* Byte i of the member of tensor `index`, where it is no hole (up to 1 MiB). */
uint8_t pt_byte(size_t index, size_t i);

#endif

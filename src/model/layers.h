/* The members of an encoder layer and of a decoder layer, listed once. Code that goes over a
 * layer's weights (to name, read, initialise, quantise or compare them) reads these tables. */
#ifndef MODEL_LAYERS_H
#define MODEL_LAYERS_H

#include "model/weights.h"

/* Members of both kinds of layer; usable as an index. */
typedef enum cara_layer_role {
    CARA_ATTN_LN,
    CARA_ATTN_QUERY,
    CARA_ATTN_KEY,
    CARA_ATTN_VALUE,
    CARA_ATTN_OUT,
    CARA_CROSS_ATTN_LN, /* the decoder's alone, as the next four */
    CARA_CROSS_ATTN_QUERY,
    CARA_CROSS_ATTN_KEY,
    CARA_CROSS_ATTN_VALUE,
    CARA_CROSS_ATTN_OUT,
    CARA_MLP_LN,
    CARA_MLP_0,
    CARA_MLP_2,
    CARA_LAYER_ROLES /* how many there are */
} cara_layer_role;

typedef enum cara_member_kind {
    CARA_MEMBER_NORM,   /* a cara_layer_norm; weight and bias [n_state] */
    CARA_MEMBER_LINEAR, /* a cara_linear; weight [out * n_state, in * n_state] */
} cara_member_kind;

typedef struct cara_layer_member {
    cara_layer_role role;
    cara_member_kind kind;
    const char *name; /* in openai's state dict, below the layer's: "attn.query" */
    int out, in;      /* in units of n_state; 0 for a norm */
    int has_bias;
    size_t offset; /* of the cara_layer_norm or cara_linear in the layer's struct */
} cara_layer_member;

typedef struct cara_layer_table {
    const char *prefix;               /* of a layer's names: "encoder.blocks" */
    const cara_layer_member *members; /* [n], in order of execution, which is that of .cara files */
    size_t n;
} cara_layer_table;

extern const cara_layer_table cara_encoder_members; /* of cara_encoder_layer */
extern const cara_layer_table cara_decoder_members; /* of cara_decoder_layer */

/* Member m of a layer; m->kind says which of the two it is. */
static inline cara_linear *cara_member_linear(void *layer, const cara_layer_member *m) {
    return (cara_linear *)(void *)((char *)layer + m->offset);
}
static inline const cara_linear *cara_member_linear_const(const void *layer,
                                                          const cara_layer_member *m) {
    return (const cara_linear *)(const void *)((const char *)layer + m->offset);
}
static inline cara_layer_norm *cara_member_norm(void *layer, const cara_layer_member *m) {
    return (cara_layer_norm *)(void *)((char *)layer + m->offset);
}
static inline const cara_layer_norm *cara_member_norm_const(const void *layer,
                                                            const cara_layer_member *m) {
    return (const cara_layer_norm *)(const void *)((const char *)layer + m->offset);
}

#endif

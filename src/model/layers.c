#include "model/layers.h"

#include <stddef.h>

#define NORM(layer, role, name, member)                                                            \
    { role, CARA_MEMBER_NORM, name, 0, 0, 1, offsetof(layer, member) }
#define LINEAR(layer, role, name, out, in, has_bias, member)                                       \
    { role, CARA_MEMBER_LINEAR, name, out, in, has_bias, offsetof(layer, member) }

/* MultiHeadAttention's key has no bias. */
#define ATTENTION(layer, ROLE, name, member)                                                       \
    LINEAR(layer, ROLE##_QUERY, name ".query", 1, 1, 1, member.query),                             \
        LINEAR(layer, ROLE##_KEY, name ".key", 1, 1, 0, member.key),                               \
        LINEAR(layer, ROLE##_VALUE, name ".value", 1, 1, 1, member.value),                         \
        LINEAR(layer, ROLE##_OUT, name ".out", 1, 1, 1, member.out)

#define MLP(layer)                                                                                 \
    NORM(layer, CARA_MLP_LN, "mlp_ln", mlp_ln),                                                    \
        LINEAR(layer, CARA_MLP_0, "mlp.0", 4, 1, 1, mlp_0),                                        \
        LINEAR(layer, CARA_MLP_2, "mlp.2", 1, 4, 1, mlp_2)

static const cara_layer_member encoder[] = {
    NORM(cara_encoder_layer, CARA_ATTN_LN, "attn_ln", attn_ln),
    ATTENTION(cara_encoder_layer, CARA_ATTN, "attn", attn),
    MLP(cara_encoder_layer),
};

static const cara_layer_member decoder[] = {
    NORM(cara_decoder_layer, CARA_ATTN_LN, "attn_ln", attn_ln),
    ATTENTION(cara_decoder_layer, CARA_ATTN, "attn", attn),
    NORM(cara_decoder_layer, CARA_CROSS_ATTN_LN, "cross_attn_ln", cross_attn_ln),
    ATTENTION(cara_decoder_layer, CARA_CROSS_ATTN, "cross_attn", cross_attn),
    MLP(cara_decoder_layer),
};

const cara_layer_table cara_encoder_members = {"encoder.blocks", encoder,
                                               sizeof encoder / sizeof *encoder};
const cara_layer_table cara_decoder_members = {"decoder.blocks", decoder,
                                               sizeof decoder / sizeof *decoder};

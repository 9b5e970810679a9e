/* The weights of a Whisper model by role, shapes checked: what the whisper room computes with.
 * Names behind each member are those of openai/whisper's state dict. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "model/tensor.h"
#include "tokenizer/tokenizer.h"

#include <caracola/model.h>

/* nn.Linear and nn.Conv1d */
typedef struct cara_linear {
    cara_tensor weight; /* linear [out, in]; convolution [out, in, 3] */
    cara_tensor bias;   /* [out], or absent */
} cara_linear;

/* nn.LayerNorm, eps 1e-5 */
typedef struct cara_layer_norm {
    cara_tensor weight; /* [n_state] */
    cara_tensor bias;   /* [n_state] */
} cara_layer_norm;

/* MultiHeadAttention: query, key (without bias), value, out; each [n_state, n_state] */
typedef struct cara_attention {
    cara_linear query, key, value, out;
} cara_attention;

/* encoder.blocks.N.* */
typedef struct cara_encoder_layer {
    cara_layer_norm attn_ln;
    cara_attention attn;
    cara_layer_norm mlp_ln;
    cara_linear mlp_0; /* mlp.0 [4 * n_state, n_state] */
    cara_linear mlp_2; /* mlp.2 [n_state, 4 * n_state] */
} cara_encoder_layer;

/* decoder.blocks.N.* */
typedef struct cara_decoder_layer {
    cara_layer_norm attn_ln;
    cara_attention attn;
    cara_layer_norm cross_attn_ln;
    cara_attention cross_attn;
    cara_layer_norm mlp_ln;
    cara_linear mlp_0;
    cara_linear mlp_2;
} cara_decoder_layer;

typedef struct cara_weights {
    cara_linear conv1;           /* encoder.conv1 [n_audio_state, n_mels, 3] */
    cara_linear conv2;           /* encoder.conv2 [n_audio_state, n_audio_state, 3], stride 2 */
    cara_tensor enc_positions;   /* encoder.positional_embedding [n_audio_ctx, n_audio_state] */
    cara_encoder_layer *encoder; /* [n_audio_layer] */
    cara_layer_norm ln_post;     /* encoder.ln_post */
    cara_tensor token_embedding; /* decoder.token_embedding.weight [n_vocab, n_text_state] */
    cara_tensor dec_positions;   /* decoder.positional_embedding [n_text_ctx, n_text_state] */
    cara_decoder_layer *decoder; /* [n_text_layer] */
    cara_layer_norm ln;          /* decoder.ln */
} cara_weights;

/* One (layer, head) of the decoder whose cross-attention follows the audio (word timestamps). */
typedef struct cara_alignment_head {
    int32_t layer, head;
} cara_alignment_head;

const cara_weights *cara_model_weights(const cara_model *model);

/* NULL only for models opened by cara_model_open_without_vocab(). */
const cara_tokenizer *cara_model_tokenizer(const cara_model *model);

const cara_alignment_head *cara_model_alignment_heads(const cara_model *model, size_t *n);

/* Returns once all tensors within `part` of cara_model_weights() (size bytes: a layer, a linear,
 * the struct itself without its layers) can be read; NULL is all there are. Nothing else may read
 * the weights before. At once, but where the model is still being streamed (cara_arrival in
 * model/model.h, which says the errors). */
int cara_model_await(const cara_model *model, const void *part, size_t size, cara_error *err);

/* Begins to bring the weights into memory in the order in which they lie, which is that of use, by
 * a thread that ends with the model; calls after the first do nothing. */
void cara_model_read_ahead(const cara_model *model);

/* Opens the weights only, for `model info` and tests of numerics; else as cara_model_open(). */
int cara_model_open_without_vocab(const char *path, cara_model **out, cara_error *err);

#endif

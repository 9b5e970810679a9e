/* Counts the operations and bytes of a window and of a token, and the shortest possible time. */
#include "bench/bench.h"
#include "model/layers.h"

static uint64_t norm_bytes(const cara_layer_norm *norm) {
    return cara_tensor_bytes(&norm->weight) + cara_tensor_bytes(&norm->bias);
}

/* The weights that a step of the decoder reads. Not those of the cross-attention keys and values,
 * which are made once a window; and one row of the positions, which does not count. */
static uint64_t step_bytes(const cara_model *model) {
    const cara_weights *w = &model->weights;
    const cara_layer_table *table = &cara_decoder_members;
    uint64_t bytes = cara_tensor_bytes(&w->token_embedding) + norm_bytes(&w->ln);
    for (int i = 0; i < model->dims.n_text_layer; i++)
        for (const cara_layer_member *m = table->members; m < table->members + table->n; m++) {
            if (m->role == CARA_CROSS_ATTN_KEY || m->role == CARA_CROSS_ATTN_VALUE)
                continue;
            if (m->kind == CARA_MEMBER_NORM) {
                bytes += norm_bytes(cara_member_norm_const(&w->decoder[i], m));
            } else {
                const cara_linear *linear = cara_member_linear_const(&w->decoder[i], m);
                bytes += cara_tensor_bytes(&linear->weight) + cara_tensor_bytes(&linear->bias);
            }
        }
    return bytes;
}

void cara_bench_count(const cara_model *model, cara_bench_cost *out) {
    const cara_dims *d = &model->dims;
    double n = d->n_audio_state, ctx = d->n_audio_ctx, layers = d->n_audio_layer;
    double conv1 = 2 * ctx * n * 3 * d->n_mels, conv2 = ctx * n * 3 * n;
    double blocks = layers * ctx * 12 * n * n; /* query, key, value, out: 4; mlp: 8 */
    double cross = (double)d->n_text_layer * ctx * 2 * n * n;
    *out = (cara_bench_cost){0};
    out->linear_gop = 2 * (conv1 + conv2 + blocks + cross) / 1e9;
    out->attention_gop = 2 * layers * 2 * ctx * ctx * n / 1e9;

    uint64_t all = 0;
    for (size_t i = 0; i < model->n_entries; i++)
        all += cara_tensor_bytes(model->entries[i].to);
    double cache = (double)d->n_text_layer * 2 * ctx * d->n_text_state * 2;
    out->token_mb = ((double)step_bytes(model) + cache) / 1e6;
    out->memory_mb = ((double)all + cache) / 1e6;
    cara_dtype type = model->weights.encoder[0].mlp_0.weight.dtype;
    out->weights_are_int8 = type == CARA_I8;
    out->weights_are_bf16 = type == CARA_BF16;
}

const cara_bench_peak *cara_bench_linear_peak(const cara_bench_cost *cost,
                                              const cara_bench_ceilings *ceilings) {
    if (cost->weights_are_int8 && ceilings->int8)
        return ceilings->int8;
    if (cost->weights_are_bf16 && ceilings->bf16)
        return ceilings->bf16;
    return ceilings->f32;
}

const cara_bench_peak *cara_bench_attention_peak(const cara_bench_cost *cost,
                                                 const cara_bench_ceilings *ceilings) {
    const cara_bench_peak *coarse = cost->weights_are_int8 && ceilings->int16 ? ceilings->int16
                                    : cost->weights_are_int8 || cost->weights_are_bf16
                                        ? ceilings->bf16
                                        : NULL;
    return coarse && coarse->gops > ceilings->f32->gops ? coarse : ceilings->f32;
}

double cara_bench_floor_encode(const cara_bench_cost *cost, const cara_bench_ceilings *ceilings) {
    return 1e3 * (cost->linear_gop / cara_bench_linear_peak(cost, ceilings)->gops +
                  cost->attention_gop / cara_bench_attention_peak(cost, ceilings)->gops);
}

double cara_bench_floor_decode(const cara_bench_cost *cost, const cara_bench_ceilings *ceilings) {
    return cost->token_mb / ceilings->read_gbs;
}

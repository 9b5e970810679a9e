#include "whisper/network/quantise.h"

#include "base/memory/pages.h"
#include "model/i8_pack.h"
#include "model/layers.h"

#include <stdlib.h>
#include <string.h>

#define CHANNELS 64 /* of a task: whole panels, so that tasks share none */

/* One tensor to quantise. */
typedef struct item {
    cara_tensor *to; /* in the int8 weights */
    cara_tensor from;
    cara_weight_type type;
    size_t n, k, first_task;
    int8_t *packed;
    float *scale;
    int32_t *sum;
} item;

struct cara_quantised {
    cara_weights weights;
    cara_encoder_layer *encoder;
    cara_decoder_layer *decoder;
    void *memory;
    size_t size;
};

typedef void (*visit_fn)(void *ctx, cara_tensor *weight);

static void visit_layer(const cara_layer_table *table, void *layer, visit_fn visit, void *ctx) {
    for (size_t i = 0; i < table->n; i++)
        if (table->members[i].kind == CARA_MEMBER_LINEAR)
            visit(ctx, &cara_member_linear(layer, &table->members[i])->weight);
}

/* Every tensor that int8 is for. */
static void visit_all(cara_weights *w, cara_encoder_layer *encoder, size_t n_encoder,
                      cara_decoder_layer *decoder, size_t n_decoder, visit_fn visit, void *ctx) {
    visit(ctx, &w->conv2.weight);
    for (size_t i = 0; i < n_encoder; i++)
        visit_layer(&cara_encoder_members, &encoder[i], visit, ctx);
    for (size_t i = 0; i < n_decoder; i++)
        visit_layer(&cara_decoder_members, &decoder[i], visit, ctx);
    visit(ctx, &w->token_embedding);
}

static void count_i8(void *ctx, cara_tensor *t) {
    *(size_t *)ctx += t->dtype == CARA_I8;
}

int cara_weights_have_i8(const cara_model *model) {
    const cara_dims *dims = cara_model_dims(model);
    cara_weights w = *cara_model_weights(model);
    size_t n = 0;
    visit_all(&w, w.encoder, (size_t)dims->n_audio_layer, w.decoder, (size_t)dims->n_text_layer,
              count_i8, &n);
    return n > 0;
}

typedef struct work {
    const cara_compute *compute;
    item *items;
    size_t count, room, tasks;
    float *rows; /* a row for each thread */
    size_t row;  /* floats of one */
} work;

/* Counts where there is no room yet, so that one pass measures and the next one fills. */
static void collect(void *ctx, cara_tensor *t) {
    work *w = ctx;
    cara_weight_type type;
    if (!t->data || cara_weight_type_of(t, &type) != 0)
        return;
    size_t n = (size_t)t->shape[0], k = (size_t)(cara_tensor_count(t) / t->shape[0]);
    if (w->items)
        w->items[w->count] =
            (item){.to = t, .from = *t, .type = type, .n = n, .k = k, .first_task = w->tasks};
    w->count++;
    w->tasks += (n + CHANNELS - 1) / CHANNELS;
    w->row = k > w->row ? k : w->row;
}

static void pack_task(void *ctx, size_t task, int thread) {
    const work *w = ctx;
    size_t i = 0;
    for (size_t step = w->count; step; step /= 2) /* the last item that begins at or before */
        while (i + step < w->count && w->items[i + step].first_task <= task)
            i += step;
    const item *it = &w->items[i];
    size_t from = (task - it->first_task) * CHANNELS, to = from + CHANNELS;
    size_t size = it->type == CARA_WEIGHT_F32 ? 4 : 2;
    float *row = w->rows + (size_t)thread * w->row;
    for (size_t c = from; c < to && c < it->n; c++) {
        w->compute->kernels->widen(it->type, (const char *)it->from.data + c * it->k * size, row,
                                   it->k);
        cara_i8_pack_row(row, it->k, c, it->packed, it->scale, it->sum);
    }
}

/* Gives each item its place; returns the bytes that all take, or 0 where that overflows. */
static size_t assign_memory(work *w, char *memory) {
    size_t at = 0;
    for (size_t i = 0; i < w->count; i++) {
        item *it = &w->items[i];
        size_t bytes = cara_i8_packed_size(it->n, it->k), channels = cara_i8_channels(it->n);
        if (memory) {
            it->packed = (int8_t *)memory + at;
            it->scale = (float *)(void *)(memory + at + bytes);
            it->sum = (int32_t *)(void *)(memory + at + bytes + channels * 4);
        }
        size_t all = (bytes + channels * 8 + 63) / 64 * 64;
        if (at > SIZE_MAX / 4 - all)
            return 0;
        at += all;
    }
    return at;
}

int cara_quantise(const cara_compute *compute, cara_quantised **out, cara_error *err) {
    const cara_dims *dims = cara_model_dims(compute->model);
    const cara_weights *own = cara_model_weights(compute->model);
    size_t n_encoder = (size_t)dims->n_audio_layer, n_decoder = (size_t)dims->n_text_layer;
    size_t threads = (size_t)cara_pool_threads(compute->pool);
    work w = {.compute = compute};
    *out = NULL;
    int rc = cara_model_await(compute->model, NULL, 0, err);
    if (rc)
        return rc;
    cara_quantised *q = calloc(1, sizeof *q);
    if (!q)
        goto no_memory;
    q->weights = *own;
    q->encoder = calloc(n_encoder + 1, sizeof *q->encoder);
    q->decoder = calloc(n_decoder + 1, sizeof *q->decoder);
    if (!q->encoder || !q->decoder)
        goto no_memory;
    memcpy(q->encoder, own->encoder, n_encoder * sizeof *q->encoder);
    memcpy(q->decoder, own->decoder, n_decoder * sizeof *q->decoder);
    q->weights.encoder = q->encoder;
    q->weights.decoder = q->decoder;

    visit_all(&q->weights, q->encoder, n_encoder, q->decoder, n_decoder, collect, &w);
    w.items = calloc(w.count + 1, sizeof *w.items);
    if (!w.items || !(w.rows = calloc(threads * w.row + 1, sizeof *w.rows)))
        goto no_memory;
    w.count = w.tasks = 0;
    visit_all(&q->weights, q->encoder, n_encoder, q->decoder, n_decoder, collect, &w);
    q->size = assign_memory(&w, NULL);
    if (w.count && (!q->size || !(q->memory = cara_pages_alloc(q->size, 1))))
        goto no_memory;
    assign_memory(&w, q->memory);
    cara_pool_run(compute->pool, pack_task, &w, w.tasks);
    for (size_t i = 0; i < w.count; i++) {
        cara_tensor *t = w.items[i].to;
        t->data = w.items[i].packed;
        t->scale = w.items[i].scale;
        t->sum = w.items[i].sum;
        t->dtype = CARA_I8;
        t->layout = CARA_I8_PANELS;
    }
    free(w.items);
    free(w.rows);
    *out = q;
    return CARA_OK;
no_memory:
    free(w.items);
    free(w.rows);
    cara_quantised_free(q);
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the weights in int8");
}

const cara_weights *cara_quantised_weights(const cara_quantised *q) {
    return &q->weights;
}

void cara_quantised_free(cara_quantised *q) {
    if (!q)
        return;
    cara_pages_free(q->memory, q->size, 1);
    free(q->encoder);
    free(q->decoder);
    free(q);
}

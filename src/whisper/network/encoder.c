#include "whisper/network/encoder_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_ROWS 64

static int init_block(cara_encoder_block *b, const cara_encoder_layer *l, size_t index,
                      cara_encoder *e, cara_error *err) {
    char name[96];
    const struct {
        cara_dense *to;
        const cara_linear *from;
        const char *name;
    } dense[] = {{&b->query, &l->attn.query, "attn.query"}, {&b->key, &l->attn.key, "attn.key"},
                 {&b->value, &l->attn.value, "attn.value"}, {&b->out, &l->attn.out, "attn.out"},
                 {&b->mlp_0, &l->mlp_0, "mlp.0"},           {&b->mlp_2, &l->mlp_2, "mlp.2"}};
    for (size_t i = 0; i < sizeof dense / sizeof *dense; i++) {
        snprintf(name, sizeof name, "encoder.blocks.%zu.%s", index, dense[i].name);
        int code = cara_dense_init(dense[i].to, dense[i].from, name, &e->arena, err);
        if (code)
            return code;
    }
    snprintf(name, sizeof name, "encoder.blocks.%zu.attn_ln", index);
    int code = cara_norm_init(&b->attn_ln, &l->attn_ln, name, &e->arena, err);
    if (code)
        return code;
    snprintf(name, sizeof name, "encoder.blocks.%zu.mlp_ln", index);
    return cara_norm_init(&b->mlp_ln, &l->mlp_ln, name, &e->arena, err);
}

static float *floats(cara_encoder *e, size_t rows, size_t columns) {
    return cara_arena_alloc(&e->arena, rows * columns, sizeof(float));
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static int is_i8(const cara_encoder_block *b) {
    return cara_dense_is_i8(&b->query) && cara_dense_is_i8(&b->key) &&
           cara_dense_is_i8(&b->value) && cara_dense_is_i8(&b->out) &&
           cara_dense_is_i8(&b->mlp_0) && cara_dense_is_i8(&b->mlp_2);
}

static int allocate(cara_encoder *e) {
    size_t n = e->n_ctx, s = e->n_state;
    size_t gathered = most(2 * e->n_mels, s) * CARA_CONV_WIDTH;
    e->x = floats(e, n, s);
    e->qkv = floats(e, n, 3 * s);
    /* By rows, only attention writes there, and may write over its queries. */
    e->norm = e->by_rows ? e->qkv : floats(e, n, s);
    if (!e->x || !e->norm || !e->qkv)
        return -1;
    if (e->by_rows)
        return cara_encoder_rows_init(e);
    e->wide = floats(e, n, most(4 * s, gathered));
    return e->wide ? cara_scratch_init(&e->scratch, &e->compute, 2 * n, most(4 * s, gathered),
                                       &e->arena)
                   : -1;
}

int cara_encoder_new(const cara_compute *compute, cara_encoder **out, cara_error *err) {
    const cara_dims *dims = cara_model_dims(compute->model);
    const cara_weights *w = cara_compute_weights(compute);
    *out = NULL;
    int code = cara_check_heads("audio", dims->n_audio_state, dims->n_audio_head, err);
    if (code)
        return code;
    cara_encoder *e = calloc(1, sizeof *e);
    if (!e)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the encoder");
    e->compute = *compute;
    cara_arena_init(&e->arena, SIZE_MAX / 2);
    e->n_ctx = e->full_ctx = (size_t)dims->n_audio_ctx;
    e->n_state = (size_t)dims->n_audio_state;
    e->n_head = (size_t)dims->n_audio_head;
    e->n_mels = (size_t)dims->n_mels;
    e->n_layer = (size_t)dims->n_audio_layer;
    e->positions = &w->enc_positions;
    if ((code = cara_check_type(e->positions, "encoder.positional_embedding", &e->positions_type,
                                err)))
        goto fail;

    e->blocks = cara_arena_alloc(&e->arena, e->n_layer, sizeof *e->blocks);
    if (!e->blocks) {
        code = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the encoder");
        goto fail;
    }
    if ((code = cara_dense_init(&e->conv1, &w->conv1, "encoder.conv1", &e->arena, err)) ||
        (code = cara_dense_init(&e->conv2, &w->conv2, "encoder.conv2", &e->arena, err)) ||
        (code = cara_norm_init(&e->ln_post, &w->ln_post, "encoder.ln_post", &e->arena, err)))
        goto fail;
    for (size_t i = 0; i < e->n_layer; i++)
        if ((code = init_block(&e->blocks[i], &w->encoder[i], i, e, err)))
            goto fail;
    e->by_rows = e->n_layer > 0;
    for (size_t i = 0; i < e->n_layer; i++)
        e->by_rows &= is_i8(&e->blocks[i]);
    if (allocate(e) != 0) {
        code = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the encoder");
        goto fail;
    }
    *out = e;
    return CARA_OK;
fail:
    cara_encoder_free(e);
    return code;
}

/* ---- weights that may be on their way ---- */

static int load_front(cara_encoder *e, cara_error *err) {
    const cara_model *model = e->compute.model;
    const cara_weights *w = cara_model_weights(model);
    int code = cara_model_await(model, &w->conv1, sizeof w->conv1, err);
    if (!code)
        code = cara_model_await(model, &w->conv2, sizeof w->conv2, err);
    if (!code)
        code = cara_model_await(model, &w->enc_positions, sizeof w->enc_positions, err);
    if (code)
        return code;
    cara_dense_load(&e->conv1, &e->compute);
    cara_dense_load(&e->conv2, &e->compute);
    return CARA_OK;
}

static int load_block(cara_encoder *e, size_t index, cara_error *err) {
    const cara_model *model = e->compute.model;
    const cara_weights *w = cara_model_weights(model);
    cara_encoder_block *b = &e->blocks[index];
    int is_last = index + 1 == e->n_layer;
    int code = cara_model_await(model, &w->encoder[index], sizeof w->encoder[index], err);
    if (!code && is_last)
        code = cara_model_await(model, &w->ln_post, sizeof w->ln_post, err);
    if (code)
        return code;
    cara_dense *const dense[] = {&b->query, &b->key, &b->value, &b->out, &b->mlp_0, &b->mlp_2};
    for (size_t i = 0; i < sizeof dense / sizeof *dense; i++)
        cara_dense_load(dense[i], &e->compute);
    cara_norm_load(&b->attn_ln, &e->compute);
    cara_norm_load(&b->mlp_ln, &e->compute);
    if (is_last)
        cara_norm_load(&e->ln_post, &e->compute);
    return CARA_OK;
}

int cara_encoder_load(cara_encoder *e, size_t stage, cara_error *err) {
    if (stage < e->loaded)
        return CARA_OK;
    int code = stage ? load_block(e, stage - 1, err) : load_front(e, err);
    if (!code)
        e->loaded = stage + 1;
    return code;
}

/* ---- convolutions as products: each output frame's window becomes a row ---- */

void cara_gather_rows(const cara_gather *g, size_t t0, size_t t1, float *dst) {
    for (size_t t = t0; t < t1; t++, dst += g->channels * CARA_CONV_WIDTH)
        for (size_t tap = 0; tap < CARA_CONV_WIDTH; tap++) {
            size_t f = g->stride * t + tap; /* one too high: padding 1 */
            if (f < 1 || f > g->frames) {
                for (size_t c = 0; c < g->channels; c++)
                    dst[c * CARA_CONV_WIDTH + tap] = 0;
                continue;
            }
            const float *src = g->src + (f - 1) * g->frame;
            for (size_t c = 0; c < g->channels; c++)
                dst[c * CARA_CONV_WIDTH + tap] = src[c * g->channel];
        }
}

cara_gather cara_gather_mel(const cara_encoder *e, const float *mel) {
    return (cara_gather){mel, 2 * e->full_ctx, 1, e->n_mels, 2 * e->n_ctx, 1};
}

cara_gather cara_gather_conv1(const cara_encoder *e, const float *conv1) {
    return (cara_gather){conv1, 1, e->n_state, e->n_state, 2 * e->n_ctx, 2};
}

typedef struct gather_job {
    cara_gather gather;
    size_t rows;
    float *dst; /* [rows, channels * 3] */
} gather_job;

static void gather_task(void *ctx, size_t task, int thread) {
    const gather_job *job = ctx;
    (void)thread;
    size_t from = task * GATHER_ROWS, to = from + GATHER_ROWS;
    cara_gather_rows(&job->gather, from, to < job->rows ? to : job->rows,
                     job->dst + from * job->gather.channels * CARA_CONV_WIDTH);
}

static void gather(const cara_encoder *e, gather_job job) {
    cara_pool_run(e->compute.pool, gather_task, &job, (job.rows + GATHER_ROWS - 1) / GATHER_ROWS);
}

void cara_encoder_show_layer(const cara_encoder *e, size_t layer) {
    if (e->probe && e->probe->layer)
        e->probe->layer(e->probe->ctx, layer, e->x);
}

static void show_inputs(const cara_encoder *e, float *a, size_t k) {
    if (e->probe && e->probe->inputs)
        e->probe->inputs(e->probe->ctx, a, e->n_ctx, k);
}

static void product(const cara_encoder *e, size_t m, cara_product p) {
    cara_products_run(&e->compute, &e->scratch, m, &p, 1);
}

static void convolve(const cara_encoder *e, const float *mel) {
    size_t n = e->n_ctx, s = e->n_state;
    gather(e, (gather_job){cara_gather_mel(e, mel), 2 * n, e->wide});
    product(
        e, 2 * n,
        (cara_product){
            .dense = &e->conv1, .a = e->wide, .lda = e->conv1.k, .gelu = 1, .c = e->qkv, .ldc = s});
    gather(e, (gather_job){cara_gather_conv1(e, e->qkv), n, e->wide});
    show_inputs(e, e->wide, e->conv2.k);
    e->compute.kernels->widen(e->positions_type, e->positions->data, e->norm, n * s);
    product(e, n,
            (cara_product){.dense = &e->conv2,
                           .a = e->wide,
                           .lda = e->conv2.k,
                           .gelu = 1,
                           .residual = e->norm,
                           .c = e->x,
                           .ldc = s});
}

void cara_encoder_attend(const cara_encoder *e, int coarse) {
    size_t n = e->n_ctx, s = e->n_state;
    cara_heads heads = {.n_head = e->n_head,
                        .d = s / e->n_head,
                        .n_q = n,
                        .n_kv = n,
                        .q = e->qkv,
                        .ld_q = s,
                        .k = e->qkv + n * s,
                        .v = e->qkv + 2 * n * s,
                        .ld_kv = s,
                        .head_kv = s / e->n_head,
                        .out = e->norm,
                        .ld_o = s,
                        .coarse = coarse};
    cara_heads_run(&e->compute, &e->scratch, &heads, 1);
}

static void run_block(const cara_encoder *e, const cara_encoder_block *b) {
    size_t n = e->n_ctx, s = e->n_state;
    float *q = e->qkv, *k = q + n * s, *v = k + n * s;
    cara_norm_run(&e->compute, &b->attn_ln, n, e->x, e->norm);
    show_inputs(e, e->norm, s);
    cara_product qkv[] = {{.dense = &b->query, .a = e->norm, .lda = s, .c = q, .ldc = s},
                          {.dense = &b->key, .a = e->norm, .lda = s, .c = k, .ldc = s},
                          {.dense = &b->value, .a = e->norm, .lda = s, .c = v, .ldc = s}};
    cara_products_run(&e->compute, &e->scratch, n, qkv, 3);
    cara_encoder_attend(e, 0);
    show_inputs(e, e->norm, s);
    product(e, n,
            (cara_product){
                .dense = &b->out, .a = e->norm, .lda = s, .residual = e->x, .c = e->x, .ldc = s});
    cara_norm_run(&e->compute, &b->mlp_ln, n, e->x, e->norm);
    show_inputs(e, e->norm, s);
    product(e, n,
            (cara_product){.dense = &b->mlp_0,
                           .a = e->norm,
                           .lda = s,
                           .gelu = 1,
                           .c = e->wide,
                           .ldc = b->mlp_0.n});
    show_inputs(e, e->wide, b->mlp_2.k);
    product(e, n,
            (cara_product){.dense = &b->mlp_2,
                           .a = e->wide,
                           .lda = b->mlp_2.k,
                           .residual = e->x,
                           .c = e->x,
                           .ldc = s});
}

int cara_encoder_run(cara_encoder *e, const float *mel, float *states, cara_error *err) {
    int code = cara_compute_poll(&e->compute, err);
    if (!code)
        code = cara_encoder_load(e, 0, err);
    if (code)
        return code;
    if (e->by_rows)
        return cara_encoder_rows_run(e, mel, states, err);
    convolve(e, mel);
    for (size_t i = 0; i < e->n_layer; i++) {
        if ((code = cara_compute_poll(&e->compute, err)) ||
            (code = cara_encoder_load(e, i + 1, err)))
            return code;
        run_block(e, &e->blocks[i]);
        cara_encoder_show_layer(e, i);
    }
    cara_norm_run(&e->compute, &e->ln_post, e->n_ctx, e->x, states);
    return CARA_OK;
}

void cara_encoder_set_probe(cara_encoder *e, const cara_encoder_probe *probe) {
    e->probe = probe;
}

void cara_encoder_use_ctx(cara_encoder *e, size_t n) {
    e->n_ctx = n < 1 ? 1 : n < e->full_ctx ? n : e->full_ctx;
}

void cara_encoder_free(cara_encoder *e) {
    if (!e)
        return;
    cara_arena_free(&e->arena);
    free(e);
}

#include "whisper/network/encoder.h"

#include "whisper/network/block.h"
#include "whisper/network/convolution.h"
#include "whisper/network/encoder_rows.h"

#include <stdlib.h>

#define GATHER_ROWS 64

struct cara_encoder {
    cara_compute compute;
    cara_arena arena;
    cara_scratch scratch;
    size_t full_ctx; /* n_audio_ctx: what all below has room for */
    size_t n_ctx, n_state, n_head, n_mels, n_layer;

    cara_dense conv1, conv2;
    cara_positions positions; /* [full_ctx, n_state] */
    cara_block *blocks;       /* [n_layer] */
    cara_norm ln_post;
    size_t loaded; /* 1 the convolutions and positions, and 1 each block, are there and widened */

    float *x;    /* [n_ctx, n_state], the residual stream */
    float *norm; /* [n_ctx, n_state], layer norms; then attention's output */
    float *qkv;  /* [3, n_ctx, n_state]; before the blocks, conv1's output [2 * n_ctx, n_state] */
    float *wide; /* [n_ctx, 4 * n_state] in the MLP; before the blocks, the gathered frames:
                    [2 * n_ctx, n_mels * 3], then [n_ctx, n_state * 3]; NULL by rows */
    int by_rows; /* all blocks are int8 */
    cara_encoder_rows rows;          /* with by_rows */
    const cara_encoder_probe *probe; /* or NULL */
};

static float *floats(cara_encoder *e, size_t rows, size_t columns) {
    return cara_arena_alloc(&e->arena, rows * columns, sizeof(float));
}

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static int allocate(cara_encoder *e) {
    size_t n = e->n_ctx, s = e->n_state;
    size_t gathered = max_size(2 * e->n_mels, s) * CARA_CONV_WIDTH;
    e->x = floats(e, n, s);
    e->qkv = floats(e, n, 3 * s);
    /* By rows, only attention writes there, and may write over its queries. */
    e->norm = e->by_rows ? e->qkv : floats(e, n, s);
    if (!e->x || !e->norm || !e->qkv)
        return -1;
    if (e->by_rows) {
        e->rows = (cara_encoder_rows){.compute = &e->compute,
                                      .scratch = &e->scratch,
                                      .conv1 = &e->conv1,
                                      .conv2 = &e->conv2,
                                      .positions = &e->positions,
                                      .ln_post = &e->ln_post,
                                      .n_mels = e->n_mels,
                                      .n_state = s,
                                      .x = e->x,
                                      .qkv = e->qkv};
        return cara_encoder_rows_init(&e->rows, &e->arena) ||
                       cara_scratch_init(&e->scratch, &e->compute, 0, 0, &e->arena)
                   ? -1
                   : 0;
    }
    e->wide = floats(e, n, max_size(4 * s, gathered));
    return e->wide ? cara_scratch_init(&e->scratch, &e->compute, 2 * n, max_size(4 * s, gathered),
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
    if ((code = cara_positions_init(&e->positions, &w->enc_positions,
                                    "encoder.positional_embedding", err)))
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
        if ((code = cara_block_init(&e->blocks[i], &cara_encoder_members, &w->encoder[i], i,
                                    &e->arena, err)))
            goto fail;
    e->by_rows = e->n_layer > 0;
    for (size_t i = 0; i < e->n_layer; i++)
        e->by_rows &= cara_block_count(&e->blocks[i], 0) == 0;
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
    int is_last = index + 1 == e->n_layer;
    int code = cara_model_await(model, &w->encoder[index], sizeof w->encoder[index], err);
    if (!code && is_last)
        code = cara_model_await(model, &w->ln_post, sizeof w->ln_post, err);
    if (code)
        return code;
    cara_block_load(&e->blocks[index], &e->compute);
    if (is_last)
        cara_norm_load(&e->ln_post, &e->compute);
    return CARA_OK;
}

/* Waits for the weights of stage `stage`, where that was not done yet: 0 the convolutions and
 * positions, 1 .. n_layer the blocks, with ln_post in the last. As cara_model_await(). */
static int load(cara_encoder *e, size_t stage, cara_error *err) {
    if (stage < e->loaded)
        return CARA_OK;
    int code = stage ? load_block(e, stage - 1, err) : load_front(e, err);
    if (!code)
        e->loaded = stage + 1;
    return code;
}

/* ---- whole matrices, one operation after the other ---- */

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

static void probe_layer(const cara_encoder *e, size_t layer) {
    if (e->probe && e->probe->layer)
        e->probe->layer(e->probe->ctx, layer, e->x);
}

static void probe_inputs(const cara_encoder *e, float *a, size_t k) {
    if (e->probe && e->probe->inputs)
        e->probe->inputs(e->probe->ctx, a, e->n_ctx, k);
}

static void product(const cara_encoder *e, size_t m, cara_product p) {
    cara_products_run(&e->compute, &e->scratch, m, &p, 1);
}

static void convolve(const cara_encoder *e, const float *mel) {
    size_t n = e->n_ctx, s = e->n_state;
    gather(e, (gather_job){cara_gather_mel(mel, 2 * e->full_ctx, e->n_mels, n), 2 * n, e->wide});
    product(
        e, 2 * n,
        (cara_product){
            .dense = &e->conv1, .a = e->wide, .lda = e->conv1.k, .gelu = 1, .c = e->qkv, .ldc = s});
    gather(e, (gather_job){cara_gather_conv1(e->qkv, s, n), n, e->wide});
    probe_inputs(e, e->wide, e->conv2.k);
    cara_positions_read(&e->positions, &e->compute, 0, n, e->norm);
    product(e, n,
            (cara_product){.dense = &e->conv2,
                           .a = e->wide,
                           .lda = e->conv2.k,
                           .gelu = 1,
                           .residual = e->norm,
                           .c = e->x,
                           .ldc = s});
}

/* Attention of a block: queries, keys and values in e->qkv, to e->norm. */
static void attend(const cara_encoder *e, int coarse) {
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

static void run_block(const cara_encoder *e, const cara_block *b) {
    size_t n = e->n_ctx, s = e->n_state;
    float *q = e->qkv, *k = q + n * s, *v = k + n * s;
    const cara_dense *out = cara_block_dense(b, CARA_ATTN_OUT);
    const cara_dense *mlp_0 = cara_block_dense(b, CARA_MLP_0);
    const cara_dense *mlp_2 = cara_block_dense(b, CARA_MLP_2);
    cara_norm_run(&e->compute, cara_block_norm(b, CARA_ATTN_LN), n, e->x, e->norm);
    probe_inputs(e, e->norm, s);
    cara_product qkv[] = {
        {.dense = cara_block_dense(b, CARA_ATTN_QUERY), .a = e->norm, .lda = s, .c = q, .ldc = s},
        {.dense = cara_block_dense(b, CARA_ATTN_KEY), .a = e->norm, .lda = s, .c = k, .ldc = s},
        {.dense = cara_block_dense(b, CARA_ATTN_VALUE), .a = e->norm, .lda = s, .c = v, .ldc = s}};
    cara_products_run(&e->compute, &e->scratch, n, qkv, 3);
    attend(e, 0);
    probe_inputs(e, e->norm, s);
    product(e, n,
            (cara_product){
                .dense = out, .a = e->norm, .lda = s, .residual = e->x, .c = e->x, .ldc = s});
    cara_norm_run(&e->compute, cara_block_norm(b, CARA_MLP_LN), n, e->x, e->norm);
    probe_inputs(e, e->norm, s);
    product(e, n,
            (cara_product){
                .dense = mlp_0, .a = e->norm, .lda = s, .gelu = 1, .c = e->wide, .ldc = mlp_0->n});
    probe_inputs(e, e->wide, mlp_2->k);
    product(
        e, n,
        (cara_product){
            .dense = mlp_2, .a = e->wide, .lda = mlp_2->k, .residual = e->x, .c = e->x, .ldc = s});
}

static int run_whole(cara_encoder *e, const float *mel, float *states, cara_error *err) {
    convolve(e, mel);
    for (size_t i = 0; i < e->n_layer; i++) {
        int code = cara_compute_poll(&e->compute, err);
        if (!code)
            code = load(e, i + 1, err);
        if (code)
            return code;
        run_block(e, &e->blocks[i]);
        probe_layer(e, i);
    }
    cara_norm_run(&e->compute, &e->ln_post, e->n_ctx, e->x, states);
    return CARA_OK;
}

/* ---- rows by rows, between one attention and the next ---- */

static int run_by_rows(cara_encoder *e, const float *mel, float *states, cara_error *err) {
    cara_encoder_rows_convolve(&e->rows, mel, 2 * e->full_ctx, e->n_ctx);
    int code = load(e, 1, err);
    if (code)
        return code;
    cara_encoder_rows_run(&e->rows, e->n_ctx, NULL, e->blocks, states);
    for (size_t i = 0; i < e->n_layer; i++) {
        const cara_block *next = i + 1 < e->n_layer ? &e->blocks[i + 1] : NULL;
        if ((code = cara_compute_poll(&e->compute, err)))
            return code;
        attend(e, 1);
        if (next && (code = load(e, i + 2, err)))
            return code;
        cara_encoder_rows_run(&e->rows, e->n_ctx, &e->blocks[i], next, states);
        probe_layer(e, i);
    }
    return CARA_OK;
}

int cara_encoder_run(cara_encoder *e, const float *mel, float *states, cara_error *err) {
    int code = cara_compute_poll(&e->compute, err);
    if (!code)
        code = load(e, 0, err);
    if (code)
        return code;
    return e->by_rows ? run_by_rows(e, mel, states, err) : run_whole(e, mel, states, err);
}

void cara_encoder_set_probe(cara_encoder *e, const cara_encoder_probe *probe) {
    e->probe = probe;
}

void cara_encoder_set_ctx(cara_encoder *e, size_t n) {
    e->n_ctx = n < 1 ? 1 : n < e->full_ctx ? n : e->full_ctx;
}

void cara_encoder_free(cara_encoder *e) {
    if (!e)
        return;
    cara_arena_free(&e->arena);
    free(e);
}

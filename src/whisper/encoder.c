#include "whisper/encoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_WIDTH 3 /* of both convolutions, padding 1 */
#define GATHER_ROWS 64

typedef struct block {
    cara_norm attn_ln, mlp_ln;
    cara_dense query, key, value, out, mlp_0, mlp_2;
} block;

struct cara_encoder {
    cara_compute compute;
    cara_arena arena;
    cara_scratch scratch;
    size_t n_ctx, n_state, n_head, n_mels, n_layer;
    cara_dense conv1, conv2;
    block *blocks; /* [n_layer] */
    cara_norm ln_post;
    const cara_tensor *positions; /* [n_ctx, n_state] */
    cara_weight_type positions_type;
    float *x;    /* [n_ctx, n_state], the residual stream */
    float *norm; /* [n_ctx, n_state], layer norms; then attention's output */
    float *qkv;  /* [3, n_ctx, n_state]; before the blocks, conv1's output [2 * n_ctx, n_state] */
    float *wide; /* [n_ctx, 4 * n_state] in the MLP; before the blocks, the gathered windows:
                    [2 * n_ctx, n_mels * 3], then [n_ctx, n_state * 3] */
};

static int init_block(block *b, const cara_encoder_layer *l, size_t index, cara_encoder *e,
                      cara_error *err) {
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
        int code = cara_dense_init(dense[i].to, dense[i].from, name, &e->compute, &e->arena, err);
        if (code)
            return code;
    }
    snprintf(name, sizeof name, "encoder.blocks.%zu.attn_ln", index);
    int code = cara_norm_init(&b->attn_ln, &l->attn_ln, name, &e->compute, &e->arena, err);
    if (code)
        return code;
    snprintf(name, sizeof name, "encoder.blocks.%zu.mlp_ln", index);
    return cara_norm_init(&b->mlp_ln, &l->mlp_ln, name, &e->compute, &e->arena, err);
}

static float *floats(cara_encoder *e, size_t rows, size_t columns) {
    return cara_arena_alloc(&e->arena, rows * columns, sizeof(float));
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

int cara_encoder_new(const cara_compute *compute, cara_encoder **out, cara_error *err) {
    const cara_dims *dims = cara_model_dims(compute->model);
    const cara_weights *w = cara_model_weights(compute->model);
    *out = NULL;
    int code = cara_check_heads("audio", dims->n_audio_state, dims->n_audio_head, err);
    if (code)
        return code;
    cara_encoder *e = calloc(1, sizeof *e);
    if (!e)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the encoder");
    e->compute = *compute;
    cara_arena_init(&e->arena, SIZE_MAX / 2);
    e->n_ctx = (size_t)dims->n_audio_ctx;
    e->n_state = (size_t)dims->n_audio_state;
    e->n_head = (size_t)dims->n_audio_head;
    e->n_mels = (size_t)dims->n_mels;
    e->n_layer = (size_t)dims->n_audio_layer;
    e->positions = &w->enc_positions;
    if ((code = cara_check_type(e->positions, "encoder.positional_embedding", &e->positions_type,
                                err)))
        goto fail;

    size_t n = e->n_ctx, s = e->n_state;
    size_t gathered = most(2 * e->n_mels, s) * KERNEL_WIDTH;
    e->blocks = cara_arena_alloc(&e->arena, e->n_layer, sizeof *e->blocks);
    e->x = floats(e, n, s);
    e->norm = floats(e, n, s);
    e->qkv = floats(e, n, 3 * s);
    e->wide = floats(e, n, most(4 * s, gathered));
    if (!e->blocks || !e->x || !e->norm || !e->qkv || !e->wide ||
        cara_scratch_init(&e->scratch, compute, &e->arena) != 0) {
        code = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the encoder");
        goto fail;
    }
    if ((code = cara_dense_init(&e->conv1, &w->conv1, "encoder.conv1", compute, &e->arena, err)) ||
        (code = cara_dense_init(&e->conv2, &w->conv2, "encoder.conv2", compute, &e->arena, err)) ||
        (code =
             cara_norm_init(&e->ln_post, &w->ln_post, "encoder.ln_post", compute, &e->arena, err)))
        goto fail;
    for (size_t i = 0; i < e->n_layer; i++)
        if ((code = init_block(&e->blocks[i], &w->encoder[i], i, e, err)))
            goto fail;
    *out = e;
    return CARA_OK;
fail:
    cara_encoder_free(e);
    return code;
}

/* ---- convolutions as products: each output frame's window becomes a row ---- */

/* Row t of dst holds, for each channel, the frames stride * t - 1, + 0, + 1 (zero outside), which
 * is the order of the weight [out, in, 3]. */
typedef struct gather_job {
    const float *src;      /* channel c, frame f at src[c * channel + f * frame] */
    size_t channel, frame; /* steps in floats */
    size_t channels, frames, stride, rows;
    float *dst; /* [rows, channels * 3] */
} gather_job;

static void gather_task(void *ctx, size_t task, int thread) {
    const gather_job *job = ctx;
    (void)thread;
    size_t end = (task + 1) * GATHER_ROWS < job->rows ? (task + 1) * GATHER_ROWS : job->rows;
    for (size_t t = task * GATHER_ROWS; t < end; t++) {
        float *row = job->dst + t * job->channels * KERNEL_WIDTH;
        for (size_t tap = 0; tap < KERNEL_WIDTH; tap++) {
            size_t f = job->stride * t + tap; /* one too high: padding 1 */
            if (f < 1 || f > job->frames) {
                for (size_t c = 0; c < job->channels; c++)
                    row[c * KERNEL_WIDTH + tap] = 0;
                continue;
            }
            const float *src = job->src + (f - 1) * job->frame;
            for (size_t c = 0; c < job->channels; c++)
                row[c * KERNEL_WIDTH + tap] = src[c * job->channel];
        }
    }
}

static void gather(const cara_encoder *e, gather_job job) {
    cara_pool_run(e->compute.pool, gather_task, &job, (job.rows + GATHER_ROWS - 1) / GATHER_ROWS);
}

static void product(const cara_encoder *e, size_t m, cara_product p) {
    cara_products_run(&e->compute, &e->scratch, m, &p, 1);
}

static void convolve(const cara_encoder *e, const float *mel) {
    size_t n = e->n_ctx, s = e->n_state;
    gather(e, (gather_job){.src = mel,
                           .channel = 2 * n,
                           .frame = 1,
                           .channels = e->n_mels,
                           .frames = 2 * n,
                           .stride = 1,
                           .rows = 2 * n,
                           .dst = e->wide});
    product(
        e, 2 * n,
        (cara_product){
            .dense = &e->conv1, .a = e->wide, .lda = e->conv1.k, .gelu = 1, .c = e->qkv, .ldc = s});
    gather(e, (gather_job){.src = e->qkv,
                           .channel = 1,
                           .frame = s,
                           .channels = s,
                           .frames = 2 * n,
                           .stride = 2,
                           .rows = n,
                           .dst = e->wide});
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

static void run_block(const cara_encoder *e, const block *b) {
    size_t n = e->n_ctx, s = e->n_state;
    float *q = e->qkv, *k = q + n * s, *v = k + n * s;
    cara_norm_run(&e->compute, &b->attn_ln, n, e->x, e->norm);
    cara_product qkv[] = {{.dense = &b->query, .a = e->norm, .lda = s, .c = q, .ldc = s},
                          {.dense = &b->key, .a = e->norm, .lda = s, .c = k, .ldc = s},
                          {.dense = &b->value, .a = e->norm, .lda = s, .c = v, .ldc = s}};
    cara_products_run(&e->compute, &e->scratch, n, qkv, 3);
    cara_heads heads = {.n_head = e->n_head,
                        .d = s / e->n_head,
                        .n_q = n,
                        .n_kv = n,
                        .q = q,
                        .ld_q = s,
                        .k = k,
                        .v = v,
                        .ld_kv = s,
                        .head_kv = s / e->n_head,
                        .out = e->norm,
                        .ld_o = s};
    cara_heads_run(&e->compute, &e->scratch, &heads, 1);
    product(e, n,
            (cara_product){
                .dense = &b->out, .a = e->norm, .lda = s, .residual = e->x, .c = e->x, .ldc = s});
    cara_norm_run(&e->compute, &b->mlp_ln, n, e->x, e->norm);
    product(e, n,
            (cara_product){.dense = &b->mlp_0,
                           .a = e->norm,
                           .lda = s,
                           .gelu = 1,
                           .c = e->wide,
                           .ldc = b->mlp_0.n});
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
    if (code)
        return code;
    convolve(e, mel);
    for (size_t i = 0; i < e->n_layer; i++) {
        if ((code = cara_compute_poll(&e->compute, err)))
            return code;
        run_block(e, &e->blocks[i]);
    }
    cara_norm_run(&e->compute, &e->ln_post, e->n_ctx, e->x, states);
    return CARA_OK;
}

void cara_encoder_free(cara_encoder *e) {
    if (!e)
        return;
    cara_arena_free(&e->arena);
    free(e);
}

/* The encoder for int8 weights. Between one attention and the next, rows need nothing of each
 * other: a task takes some rows from attention's output to the next block's queries, keys and
 * values, so that what lies between stays in its core's cache. */
#include "whisper/network/encoder_parts.h"

/* The MLP's rows are a little longer than a power of two, lest all begin in the same cache set. */
#define WIDE_MORE 16

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t whole(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t wide_row(const cara_encoder *e) {
    size_t gathered = most(e->n_mels, e->n_state) * CARA_CONV_WIDTH;
    return most(4 * e->n_state + WIDE_MORE, gathered + e->n_state);
}

/* Tasks for n rows: of no more rows than the kernels want, so many that the threads end together,
 * and none without a tile. */
static size_t tasks_of(const cara_encoder *e, size_t n) {
    const cara_i8_ops *ops = e->compute.kernels->i8;
    size_t threads = (size_t)cara_pool_threads(e->compute.pool);
    size_t tasks = ((n + ops->rows - 1) / ops->rows + threads - 1) / threads * threads;
    size_t tiles = (n + ops->row_tile - 1) / ops->row_tile;
    return tasks < tiles ? tasks : tiles;
}

static size_t lane_rows(const cara_encoder *e) {
    return e->compute.kernels->i8->rows;
}

typedef struct lane {
    float *wide; /* [lane_rows(), wide_row()] */
    float *norm; /* [lane_rows(), n_state], the end of wide: behind what a convolution gathers, and
                    quantised before the MLP needs the place */
    cara_rows rows;
} lane;

static lane lane_of(const cara_encoder *e, int thread) {
    char *at = e->lanes + (size_t)thread * e->lane;
    lane l = {.wide = (float *)(void *)at};
    l.norm = l.wide + lane_rows(e) * (wide_row(e) - e->n_state);
    at += whole(lane_rows(e) * wide_row(e) * sizeof(float));
    l.rows = (cara_rows){&e->compute, cara_scratch_of(&e->scratch, thread), at};
    return l;
}

int cara_encoder_rows_init(cara_encoder *e) {
    size_t k = most(4 * e->n_state, most(e->n_mels, e->n_state) * CARA_CONV_WIDTH);
    e->lane = whole(lane_rows(e) * wide_row(e) * sizeof(float)) +
              whole(cara_quantised_size(&e->compute, lane_rows(e), k));
    e->lanes = cara_arena_alloc(&e->arena, (size_t)cara_pool_threads(e->compute.pool), e->lane);
    return e->lanes ? cara_scratch_init(&e->scratch, &e->compute, 0, 0, &e->arena) : -1;
}

typedef struct job {
    cara_encoder *e;
    const float *mel;
    float *states;                  /* of the last stage, else NULL */
    const cara_encoder_block *b;    /* whose attention is done, or NULL */
    const cara_encoder_block *next; /* whose attention comes, or NULL */
    size_t rows, tasks;
} job;

/* Where a task's rows begin: at a tile, for any n and number of tasks. */
static size_t first_of(const job *j, size_t task) {
    size_t tile = j->e->compute.kernels->i8->row_tile, tiles = (j->rows + tile - 1) / tile;
    size_t row = task * tiles / j->tasks * tile;
    return row < j->rows ? row : j->rows;
}

static void convolve(const lane *l, const cara_dense *conv, const cara_gather *g, size_t r0,
                     size_t r1, const float *residual, float *c) {
    cara_gather_rows(g, r0, r1, l->wide);
    if (cara_dense_is_i8(conv))
        cara_rows_quantise(&l->rows, r1 - r0, l->wide, conv->k, conv->k);
    cara_rows_run(&l->rows, r1 - r0,
                  &(cara_product){.dense = conv,
                                  .a = l->wide,
                                  .lda = conv->k,
                                  .gelu = 1,
                                  .residual = residual,
                                  .c = c,
                                  .ldc = conv->n});
}

static void conv1_task(void *ctx, size_t task, int thread) {
    const job *j = ctx;
    const cara_encoder *e = j->e;
    lane l = lane_of(e, thread);
    cara_gather g = cara_gather_mel(e, j->mel);
    size_t r0 = first_of(j, task);
    convolve(&l, &e->conv1, &g, r0, first_of(j, task + 1), NULL, e->qkv + r0 * e->n_state);
}

static void conv2_task(void *ctx, size_t task, int thread) {
    const job *j = ctx;
    const cara_encoder *e = j->e;
    lane l = lane_of(e, thread);
    cara_gather g = cara_gather_conv1(e, e->qkv);
    size_t r0 = first_of(j, task), r1 = first_of(j, task + 1), s = e->n_state;
    size_t size = e->positions_type == CARA_WEIGHT_F32 ? 4 : 2;
    e->compute.kernels->widen(e->positions_type, (const char *)e->positions->data + r0 * s * size,
                              l.norm, (r1 - r0) * s);
    convolve(&l, &e->conv2, &g, r0, r1, l.norm, e->x + r0 * s);
}

static void normalise(const lane *l, const cara_norm *norm, size_t m, const float *x, float *y) {
    for (size_t i = 0; i < m; i++)
        l->rows.compute->kernels->layer_norm(x + i * norm->n, norm->weight, norm->bias, norm->n,
                                             y + i * norm->n);
}

static void after_attention(const lane *l, const cara_encoder *e, const cara_encoder_block *b,
                            size_t r0, size_t m) {
    size_t s = e->n_state, ld = 4 * s + WIDE_MORE;
    float *x = e->x + r0 * s, *attention = e->norm + r0 * s;
    cara_rows_quantise(&l->rows, m, attention, s, s);
    cara_rows_run(&l->rows, m, &(cara_product){.dense = &b->out, .residual = x, .c = x, .ldc = s});
    normalise(l, &b->mlp_ln, m, x, l->norm);
    cara_rows_quantise(&l->rows, m, l->norm, s, s);
    cara_rows_run(&l->rows, m,
                  &(cara_product){.dense = &b->mlp_0, .gelu = 1, .c = l->wide, .ldc = ld});
    cara_rows_quantise(&l->rows, m, l->wide, ld, 4 * s);
    cara_rows_run(&l->rows, m,
                  &(cara_product){.dense = &b->mlp_2, .residual = x, .c = x, .ldc = s});
}

static void block_task(void *ctx, size_t task, int thread) {
    const job *j = ctx;
    const cara_encoder *e = j->e;
    lane l = lane_of(e, thread);
    size_t r0 = first_of(j, task), m = first_of(j, task + 1) - r0, s = e->n_state,
           all = e->n_ctx * s;
    if (j->b)
        after_attention(&l, e, j->b, r0, m);
    if (!j->next) {
        normalise(&l, &e->ln_post, m, e->x + r0 * s, j->states + r0 * s);
        return;
    }
    const cara_dense *to[] = {&j->next->query, &j->next->key, &j->next->value};
    normalise(&l, &j->next->attn_ln, m, e->x + r0 * s, l.norm);
    cara_rows_quantise(&l.rows, m, l.norm, s, s);
    for (size_t i = 0; i < 3; i++)
        cara_rows_run(&l.rows, m,
                      &(cara_product){.dense = to[i], .c = e->qkv + i * all + r0 * s, .ldc = s});
}

static void run(job j, cara_task_fn fn, size_t rows) {
    j.rows = rows;
    j.tasks = tasks_of(j.e, rows);
    cara_pool_run(j.e->compute.pool, fn, &j, j.tasks);
}

int cara_encoder_rows_run(cara_encoder *e, const float *mel, float *states, cara_error *err) {
    size_t n = e->n_ctx;
    run((job){.e = e, .mel = mel}, conv1_task, 2 * n);
    run((job){.e = e}, conv2_task, n);
    int loaded = cara_encoder_load(e, 1, err);
    if (loaded)
        return loaded;
    run((job){.e = e, .next = e->blocks, .states = states}, block_task, n);
    for (size_t i = 0; i < e->n_layer; i++) {
        int code = cara_compute_poll(&e->compute, err);
        if (code)
            return code;
        cara_encoder_attend(e, 1);
        if (i + 1 < e->n_layer && (code = cara_encoder_load(e, i + 2, err)))
            return code;
        run((job){.e = e,
                  .b = &e->blocks[i],
                  .next = i + 1 < e->n_layer ? &e->blocks[i + 1] : NULL,
                  .states = states},
            block_task, n);
        cara_encoder_show_layer(e, i);
    }
    return CARA_OK;
}

#include "whisper/network/encoder_rows.h"

#include "whisper/network/convolution.h"

/* The MLP's rows are a little longer than a power of two, so that they do not all begin in the same
 * set of the cache. */
#define WIDE_MORE 16

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t align_up(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t wide_row(const cara_encoder_rows *r) {
    size_t gathered = max_size(r->n_mels, r->n_state) * CARA_CONV_WIDTH;
    return max_size(4 * r->n_state + WIDE_MORE, gathered + r->n_state);
}

/* Most rows of a task. */
static size_t task_rows(const cara_encoder_rows *r) {
    return r->compute->kernels->i8->rows;
}

/* What a thread computes its rows in. */
typedef struct workspace {
    float *wide; /* [task_rows(), wide_row()] */
    float *norm; /* [task_rows(), n_state], the end of wide: behind what a convolution gathers, and
                    quantised before the MLP needs the place */
    cara_rows rows;
} workspace;

static workspace workspace_of(const cara_encoder_rows *r, int thread) {
    char *at = r->memory + (size_t)thread * r->per_thread;
    workspace w = {.wide = (float *)(void *)at};
    w.norm = w.wide + task_rows(r) * (wide_row(r) - r->n_state);
    at += align_up(task_rows(r) * wide_row(r) * sizeof(float));
    w.rows = (cara_rows){r->compute, cara_scratch_of(r->scratch, thread), at};
    return w;
}

int cara_encoder_rows_init(cara_encoder_rows *r, cara_arena *arena) {
    size_t k = max_size(4 * r->n_state, max_size(r->n_mels, r->n_state) * CARA_CONV_WIDTH);
    r->per_thread = align_up(task_rows(r) * wide_row(r) * sizeof(float)) +
                    align_up(cara_quantised_size(r->compute, task_rows(r), k));
    r->memory = cara_arena_alloc(arena, (size_t)cara_pool_threads(r->compute->pool), r->per_thread);
    return r->memory ? 0 : -1;
}

typedef struct job {
    const cara_encoder_rows *r;
    size_t n_ctx;
    const float *mel; /* [n_mels, mel_row] */
    size_t mel_row;
    const cara_block *done, *next;
    float *states;
    size_t n, tasks; /* rows in all, and tasks that they are split into */
} job;

/* Where a task's rows begin: at a tile, for any n and number of tasks. */
static size_t first_of(const job *j, size_t task) {
    size_t tile = j->r->compute->kernels->i8->row_tile, tiles = (j->n + tile - 1) / tile;
    size_t row = task * tiles / j->tasks * tile;
    return row < j->n ? row : j->n;
}

/* Tasks of no more rows than the kernels want, so many that the threads end together, and none
 * without a tile. */
static void run(job j, cara_task_fn fn, size_t n) {
    const cara_i8_ops *ops = j.r->compute->kernels->i8;
    size_t threads = (size_t)cara_pool_threads(j.r->compute->pool);
    size_t tasks = ((n + ops->rows - 1) / ops->rows + threads - 1) / threads * threads;
    size_t tiles = (n + ops->row_tile - 1) / ops->row_tile;
    j.n = n;
    j.tasks = tasks < tiles ? tasks : tiles;
    cara_pool_run(j.r->compute->pool, fn, &j, j.tasks);
}

/* ---- convolutions ---- */

static void convolve(const workspace *w, const cara_dense *conv, const cara_gather *g, size_t r0,
                     size_t r1, const float *residual, float *c) {
    cara_gather_rows(g, r0, r1, w->wide);
    if (cara_dense_is_i8(conv))
        cara_rows_quantise(&w->rows, r1 - r0, w->wide, conv->k, conv->k);
    cara_rows_run(&w->rows, r1 - r0,
                  &(cara_product){.dense = conv,
                                  .a = w->wide,
                                  .lda = conv->k,
                                  .gelu = 1,
                                  .residual = residual,
                                  .c = c,
                                  .ldc = conv->n});
}

static void conv1_task(void *ctx, size_t task, int thread) {
    const job *j = ctx;
    const cara_encoder_rows *r = j->r;
    workspace w = workspace_of(r, thread);
    cara_gather g = cara_gather_mel(j->mel, j->mel_row, r->n_mels, j->n_ctx);
    size_t r0 = first_of(j, task);
    convolve(&w, r->conv1, &g, r0, first_of(j, task + 1), NULL, r->qkv + r0 * r->n_state);
}

static void conv2_task(void *ctx, size_t task, int thread) {
    const job *j = ctx;
    const cara_encoder_rows *r = j->r;
    workspace w = workspace_of(r, thread);
    cara_gather g = cara_gather_conv1(r->qkv, r->n_state, j->n_ctx);
    size_t r0 = first_of(j, task), r1 = first_of(j, task + 1);
    cara_positions_read(r->positions, r->compute, r0, r1 - r0, w.norm);
    convolve(&w, r->conv2, &g, r0, r1, w.norm, r->x + r0 * r->n_state);
}

void cara_encoder_rows_convolve(const cara_encoder_rows *r, const float *mel, size_t row,
                                size_t n_ctx) {
    job j = {.r = r, .n_ctx = n_ctx, .mel = mel, .mel_row = row};
    run(j, conv1_task, 2 * n_ctx);
    run(j, conv2_task, n_ctx);
}

/* ---- blocks ---- */

static void normalise(const workspace *w, const cara_norm *norm, size_t m, const float *x,
                      float *y) {
    for (size_t i = 0; i < m; i++)
        w->rows.compute->kernels->layer_norm(x + i * norm->n, norm->weight, norm->bias, norm->n,
                                             y + i * norm->n);
}

static void after_attention(const workspace *w, const cara_encoder_rows *r, const cara_block *b,
                            size_t r0, size_t m) {
    size_t s = r->n_state, ld = 4 * s + WIDE_MORE;
    float *x = r->x + r0 * s, *attention = r->qkv + r0 * s;
    const cara_dense *out = cara_block_dense(b, CARA_ATTN_OUT);
    const cara_dense *mlp_0 = cara_block_dense(b, CARA_MLP_0);
    const cara_dense *mlp_2 = cara_block_dense(b, CARA_MLP_2);
    cara_rows_quantise(&w->rows, m, attention, s, s);
    cara_rows_run(&w->rows, m, &(cara_product){.dense = out, .residual = x, .c = x, .ldc = s});
    normalise(w, cara_block_norm(b, CARA_MLP_LN), m, x, w->norm);
    cara_rows_quantise(&w->rows, m, w->norm, s, s);
    cara_rows_run(&w->rows, m, &(cara_product){.dense = mlp_0, .gelu = 1, .c = w->wide, .ldc = ld});
    cara_rows_quantise(&w->rows, m, w->wide, ld, 4 * s);
    cara_rows_run(&w->rows, m, &(cara_product){.dense = mlp_2, .residual = x, .c = x, .ldc = s});
}

static void block_task(void *ctx, size_t task, int thread) {
    static const cara_layer_role to[] = {CARA_ATTN_QUERY, CARA_ATTN_KEY, CARA_ATTN_VALUE};
    const job *j = ctx;
    const cara_encoder_rows *r = j->r;
    workspace w = workspace_of(r, thread);
    size_t r0 = first_of(j, task), m = first_of(j, task + 1) - r0, s = r->n_state,
           all = j->n_ctx * s;
    if (j->done)
        after_attention(&w, r, j->done, r0, m);
    if (!j->next) {
        normalise(&w, r->ln_post, m, r->x + r0 * s, j->states + r0 * s);
        return;
    }
    normalise(&w, cara_block_norm(j->next, CARA_ATTN_LN), m, r->x + r0 * s, w.norm);
    cara_rows_quantise(&w.rows, m, w.norm, s, s);
    for (size_t i = 0; i < 3; i++)
        cara_rows_run(&w.rows, m,
                      &(cara_product){.dense = cara_block_dense(j->next, to[i]),
                                      .c = r->qkv + i * all + r0 * s,
                                      .ldc = s});
}

void cara_encoder_rows_run(const cara_encoder_rows *r, size_t n_ctx, const cara_block *done,
                           const cara_block *next, float *states) {
    job j = {.r = r, .n_ctx = n_ctx, .done = done, .next = next, .states = states};
    run(j, block_task, n_ctx);
}

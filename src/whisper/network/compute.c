#include "whisper/network/compute.h"

#include <math.h>
#include <stdlib.h>

/* Columns of a gemv task: enough work to be worth handing out, small enough to share evenly. */
#define GEMV_COLUMNS 64
/* Panels of 16 channels and rows of an int8 task. */
#define I8_PANELS_MIN 4
#define I8_PANELS_MAX 32
#define NORM_ROWS 16

int cara_compute_poll(const cara_compute *compute, cara_error *err) {
    if (compute->poll && compute->poll(compute->cookie))
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped by the caller");
    return CARA_OK;
}

size_t cara_quantised_size(const cara_compute *compute, size_t rows, size_t k) {
    const cara_i8_ops *i8 = compute->kernels->i8;
    size_t few = i8->activation_size(rows < CARA_FEW_ROWS ? rows : CARA_FEW_ROWS, k);
    size_t all = i8->activation_size(rows, k);
    return (few > all ? few : all) + 64;
}

int cara_scratch_init(cara_scratch *scratch, const cara_compute *compute, size_t rows, size_t k,
                      cara_arena *arena) {
    const cara_kernels *kernels = compute->kernels;
    size_t n = kernels->gemm_scratch > kernels->attend_scratch ? kernels->gemm_scratch
                                                               : kernels->attend_scratch;
    scratch->per_thread = (n + 63) / 64 * 64;
    scratch->memory =
        cara_arena_alloc(arena, (size_t)cara_pool_threads(compute->pool), scratch->per_thread);
    scratch->quantised =
        rows ? cara_arena_alloc(arena, 1, cara_quantised_size(compute, rows, k)) : NULL;
    return scratch->memory && (scratch->quantised || !rows) ? 0 : -1;
}

void *cara_alloc_untouched(size_t count, size_t size) {
    if (size && count > SIZE_MAX / 8 / size)
        return NULL;
    return aligned_alloc(64, (count * size + 63) / 64 * 64 + 64);
}

int cara_weight_type_of(const cara_tensor *t, cara_weight_type *out) {
    if (t->layout != CARA_ROW_MAJOR)
        return -1;
    switch (t->dtype) {
    case CARA_F32:
        *out = CARA_WEIGHT_F32;
        return 0;
    case CARA_F16:
        *out = CARA_WEIGHT_F16;
        return 0;
    case CARA_BF16:
        *out = CARA_WEIGHT_BF16;
        return 0;
    default:
        return -1;
    }
}

int cara_check_heads(const char *side, int32_t n_state, int32_t n_head, cara_error *err) {
    if (n_state > 0 && n_head > 0 && n_state % n_head == 0 &&
        n_state / n_head % CARA_HEAD_DIM_STEP == 0 && n_state / n_head <= CARA_HEAD_DIM_MAX)
        return CARA_OK;
    return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1,
                     "n_%s_state %d over n_%s_head %d is no head width that can be computed; "
                     "expected a multiple of %d up to %d",
                     side, (int)n_state, side, (int)n_head, CARA_HEAD_DIM_STEP, CARA_HEAD_DIM_MAX);
}

/* A tensor as f32: its own elements where it is f32, else room in the arena, and *narrow is the
 * tensor, for vector_load(). NULL on no memory, or where the kernels do not read its type. */
static const float *vector_init(const cara_tensor *t, cara_arena *arena,
                                const cara_tensor **narrow) {
    cara_weight_type type;
    *narrow = NULL;
    if (!t->data || cara_weight_type_of(t, &type) != 0)
        return NULL;
    if (type == CARA_WEIGHT_F32)
        return t->data;
    *narrow = t;
    return cara_arena_alloc(arena, (size_t)cara_tensor_count(t), sizeof(float));
}

static void vector_load(const float *to, const cara_tensor **narrow, const cara_compute *compute) {
    cara_weight_type type;
    if (*narrow && cara_weight_type_of(*narrow, &type) == 0)
        compute->kernels->widen(type, (*narrow)->data, (float *)(uintptr_t)to,
                                (size_t)cara_tensor_count(*narrow));
    *narrow = NULL;
}

void cara_dense_load(cara_dense *dense, const cara_compute *compute) {
    vector_load(dense->bias, &dense->narrow_bias, compute);
}

void cara_norm_load(cara_norm *norm, const cara_compute *compute) {
    vector_load(norm->weight, &norm->narrow_weight, compute);
    vector_load(norm->bias, &norm->narrow_bias, compute);
}

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to compute with this model");
}

/* The same as an error's text: MODEL_SHAPE where the tensor is absent or cannot be read. */
static int check_type(const cara_tensor *t, const char *name, cara_weight_type *type,
                      cara_error *err) {
    if (!t->data)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1, "tensor %s is missing", name);
    if (cara_weight_type_of(t, type) != 0)
        return cara_fail(
            err, CARA_ERR_MODEL_SHAPE, -1,
            "tensor %s is stored as %s in a layout that this build does not read; "
            "expected row-major f32, f16 or bf16, or int8 panels; convert the model again",
            name, cara_dtype_name(t->dtype));
    return CARA_OK;
}

int cara_dense_init(cara_dense *dense, const cara_linear *linear, const char *name,
                    cara_arena *arena, cara_error *err) {
    const cara_tensor *w = &linear->weight;
    cara_weight_type type = CARA_WEIGHT_F32, bias_type;
    int code;
    *dense = (cara_dense){0};
    if (w->data && w->dtype == CARA_I8 && w->layout == CARA_I8_PANELS && w->scale && w->sum) {
        dense->n = (size_t)w->shape[0];
        dense->k = (size_t)(cara_tensor_count(w) / w->shape[0]);
        dense->i8 = (cara_i8_weights){w->data, w->scale, w->sum, dense->n, dense->k};
    } else {
        if ((code = check_type(w, name, &type, err)) != CARA_OK)
            return code;
        *dense = (cara_dense){.w = w->data, .type = type, .n = (size_t)w->shape[0]};
        dense->k = (size_t)(cara_tensor_count(w) / w->shape[0]);
    }
    if (!linear->bias.data)
        return CARA_OK;
    if ((code = check_type(&linear->bias, name, &bias_type, err)) != CARA_OK)
        return code;
    dense->bias = vector_init(&linear->bias, arena, &dense->narrow_bias);
    return dense->bias ? CARA_OK : no_memory(err);
}

int cara_norm_init(cara_norm *norm, const cara_layer_norm *ln, const char *name, cara_arena *arena,
                   cara_error *err) {
    cara_weight_type type;
    int code = check_type(&ln->weight, name, &type, err);
    if (!code)
        code = check_type(&ln->bias, name, &type, err);
    if (code)
        return code;
    norm->n = (size_t)cara_tensor_count(&ln->weight);
    norm->weight = vector_init(&ln->weight, arena, &norm->narrow_weight);
    norm->bias = vector_init(&ln->bias, arena, &norm->narrow_bias);
    return norm->weight && norm->bias ? CARA_OK : no_memory(err);
}

int cara_positions_init(cara_positions *positions, const cara_tensor *tensor, const char *name,
                        cara_error *err) {
    positions->tensor = tensor;
    return check_type(tensor, name, &positions->type, err);
}

void cara_positions_read(const cara_positions *positions, const cara_compute *compute, size_t first,
                         size_t n, float *dst) {
    size_t n_state = (size_t)positions->tensor->shape[1];
    size_t size = positions->type == CARA_WEIGHT_F32 ? 4 : 2;
    compute->kernels->widen(positions->type,
                            (const char *)positions->tensor->data + first * n_state * size, dst,
                            n * n_state);
}

/* ---- products ---- */

typedef struct product_job {
    const cara_kernels *kernels;
    const cara_scratch *scratch;
    size_t count;
    int few; /* gemv */
    cara_gemm gemm[CARA_PRODUCTS_MAX];
    size_t tile_m, tile_n;                /* gemm: rows and columns of a task */
    size_t first_task[CARA_PRODUCTS_MAX]; /* of each product */
} product_job;

static size_t tiles(size_t n, size_t tile) {
    return (n + tile - 1) / tile;
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t lay_out_tasks(product_job *job) {
    size_t total = 0;
    for (size_t i = 0; i < job->count; i++) {
        job->first_task[i] = total;
        total += tiles(job->gemm[i].n, job->tile_n) * tiles(job->gemm[i].m, job->tile_m);
    }
    return total;
}

/* Consecutive tasks share a column of tiles. */
static void product_task(void *ctx, size_t task, int thread) {
    const product_job *job = ctx;
    size_t i = job->count - 1;
    while (job->first_task[i] > task)
        i--;
    task -= job->first_task[i];
    const cara_gemm *g = &job->gemm[i];
    size_t down = tiles(g->m, job->tile_m);
    size_t m0 = task % down * job->tile_m, n0 = task / down * job->tile_n;
    size_t m1 = min_size(m0 + job->tile_m, g->m), n1 = min_size(n0 + job->tile_n, g->n);
    if (job->few)
        job->kernels->gemv(g, n0, n1);
    else
        job->kernels->gemm(g, m0, m1, n0, n1, cara_scratch_of(job->scratch, thread));
}

static cara_gemm gemm_of(const cara_product *p, size_t m) {
    return (cara_gemm){.m = m,
                       .n = p->dense->n,
                       .k = p->dense->k,
                       .a = p->a,
                       .lda = p->lda,
                       .w = p->dense->w,
                       .type = p->dense->type,
                       .gelu = p->gelu,
                       .bias = p->dense->bias,
                       .residual = p->residual,
                       .c = p->c,
                       .ldc = p->ldc};
}

static cara_i8_product i8_of(const cara_product *p, size_t m, const void *quantised) {
    return (cara_i8_product){.weights = p->dense->i8,
                             .x = quantised,
                             .rows = m,
                             .y = p->c,
                             .ldy = p->ldc,
                             .bias = p->dense->bias,
                             .residual = p->residual,
                             .gelu = p->gelu};
}

typedef struct i8_job {
    const cara_i8_ops *ops;
    size_t count, m, row_tiles; /* row tiles: of a task */
    const float *a;
    size_t lda, k;
    void *quantised;
    cara_i8_product product[CARA_PRODUCTS_MAX];
    size_t panels; /* of a task */
    size_t down;   /* tasks that share a group of panels */
    size_t first_task[CARA_PRODUCTS_MAX];
} i8_job;

static void quantise_task(void *ctx, size_t task, int thread) {
    const i8_job *job = ctx;
    (void)thread;
    job->ops->quantise(job->a, job->lda, job->m, job->k, task * job->row_tiles,
                       (task + 1) * job->row_tiles, job->quantised);
}

static void i8_task(void *ctx, size_t task, int thread) {
    const i8_job *job = ctx;
    (void)thread;
    size_t i = job->count - 1;
    while (job->first_task[i] > task)
        i--;
    task -= job->first_task[i];
    const cara_i8_product *p = &job->product[i];
    size_t all = tiles(job->m, job->ops->row_tile), panels = cara_i8_panels(p->weights.n);
    size_t tile = task % job->down * job->row_tiles, panel = task / job->down * job->panels;
    job->ops->product(p, tile, min_size(tile + job->row_tiles, all), panel,
                      min_size(panel + job->panels, panels));
}

static void i8_products_run(const cara_compute *compute, const cara_scratch *scratch, size_t m,
                            const cara_product *products, size_t n_products) {
    const cara_i8_ops *ops = compute->kernels->i8;
    i8_job job = {.ops = ops,
                  .count = n_products,
                  .m = m,
                  .row_tiles = ops->rows / ops->row_tile,
                  .a = products[0].a,
                  .lda = products[0].lda,
                  .k = products[0].dense->k,
                  .quantised = scratch->quantised};
    size_t row_tasks = tiles(tiles(m, ops->row_tile), job.row_tiles), panels = 0, tasks = 0;
    cara_pool_run(compute->pool, quantise_task, &job, row_tasks);
    for (size_t i = 0; i < n_products; i++)
        panels += cara_i8_panels(products[i].dense->n);
    job.down = row_tasks;
    job.panels = panels / (4 * (size_t)cara_pool_threads(compute->pool)) / 4 * 4;
    job.panels = job.panels < I8_PANELS_MIN ? I8_PANELS_MIN : min_size(job.panels, I8_PANELS_MAX);
    for (size_t i = 0; i < n_products; i++) {
        job.product[i] = i8_of(&products[i], m, job.quantised);
        job.first_task[i] = tasks;
        tasks += tiles(cara_i8_panels(products[i].dense->n), job.panels) * row_tasks;
    }
    cara_pool_run(compute->pool, i8_task, &job, tasks);
}

void cara_rows_quantise(const cara_rows *rows, size_t m, const float *a, size_t lda, size_t k) {
    const cara_i8_ops *ops = rows->compute->kernels->i8;
    ops->quantise(a, lda, m, k, 0, tiles(m, ops->row_tile), rows->quantised);
}

void cara_rows_run(const cara_rows *rows, size_t m, const cara_product *product) {
    const cara_kernels *kernels = rows->compute->kernels;
    if (cara_dense_is_i8(product->dense)) {
        cara_i8_product p = i8_of(product, m, rows->quantised);
        kernels->i8->product(&p, 0, tiles(m, kernels->i8->row_tile), 0,
                             cara_i8_panels(product->dense->n));
        return;
    }
    cara_gemm g = gemm_of(product, m);
    for (size_t n = 0; n < g.n; n += kernels->gemm_tile_n)
        kernels->gemm(&g, 0, m, n, min_size(n + kernels->gemm_tile_n, g.n), rows->kernels);
}

static void products_run(const cara_compute *compute, const cara_scratch *scratch, size_t m,
                         const cara_product *products, size_t n_products, int few) {
    size_t same = 1;
    while (same < n_products &&
           cara_dense_is_i8(products[same].dense) == cara_dense_is_i8(products[0].dense))
        same++;
    if (same < n_products) {
        products_run(compute, scratch, m, products + same, n_products - same, few);
        n_products = same;
    }
    if (cara_dense_is_i8(products[0].dense)) {
        i8_products_run(compute, scratch, m, products, n_products);
        return;
    }
    product_job job = {.kernels = compute->kernels,
                       .scratch = scratch,
                       .count = n_products,
                       .few = few,
                       .tile_m = m};
    for (size_t i = 0; i < n_products; i++)
        job.gemm[i] = gemm_of(&products[i], m);
    size_t tasks;
    if (few) {
        job.tile_n = GEMV_COLUMNS;
        tasks = lay_out_tasks(&job);
    } else {
        /* Smaller tiles until there are enough for the threads to end together. */
        size_t threads = (size_t)cara_pool_threads(compute->pool);
        job.tile_n = compute->kernels->gemm_tile_n;
        job.tile_m = min_size(m, compute->kernels->gemm_tile_m);
        while ((tasks = lay_out_tasks(&job)) < 6 * threads && threads > 1) {
            if (job.tile_m > 96)
                job.tile_m = (job.tile_m / 2 + 5) / 6 * 6;
            else if (job.tile_n > 64)
                job.tile_n /= 2;
            else
                break;
        }
    }
    cara_pool_run(compute->pool, product_task, &job, tasks);
}

void cara_products_run(const cara_compute *compute, const cara_scratch *scratch, size_t m,
                       const cara_product *products, size_t n_products) {
    products_run(compute, scratch, m, products, n_products, m <= CARA_FEW_ROWS);
}

void cara_products_run_few(const cara_compute *compute, const cara_scratch *scratch, size_t m,
                           const cara_product *products, size_t n_products) {
    products_run(compute, scratch, m, products, n_products, 1);
}

/* ---- layer norm ---- */

typedef struct norm_job {
    const cara_kernels *kernels;
    const cara_norm *norm;
    size_t m;
    const float *x;
    float *y;
} norm_job;

static void norm_task(void *ctx, size_t task, int thread) {
    const norm_job *job = ctx;
    (void)thread;
    size_t n = job->norm->n, end = min_size((task + 1) * NORM_ROWS, job->m);
    for (size_t i = task * NORM_ROWS; i < end; i++)
        job->kernels->layer_norm(job->x + i * n, job->norm->weight, job->norm->bias, n,
                                 job->y + i * n);
}

void cara_norm_run(const cara_compute *compute, const cara_norm *norm, size_t m, const float *x,
                   float *y) {
    norm_job job = {compute->kernels, norm, m, x, y};
    cara_pool_run(compute->pool, norm_task, &job, tiles(m, NORM_ROWS));
}

/* ---- attention ---- */

typedef struct heads_job {
    const cara_kernels *kernels;
    const cara_scratch *scratch;
    const cara_heads *heads;
    size_t queries; /* of a task */
    size_t blocks;  /* of queries */
} heads_job;

static void heads_task(void *ctx, size_t task, int thread) {
    const heads_job *job = ctx;
    size_t block = task % job->blocks;
    task /= job->blocks;
    const cara_heads *h = &job->heads[task / job->heads->n_head];
    size_t head = task % job->heads->n_head;
    size_t q0 = block * job->queries, q1 = min_size(q0 + job->queries, h->n_q);
    cara_attend a = {.n_q = q1 - q0,
                     .n_kv = h->causal ? h->n_kv - (h->n_q - q1) : h->n_kv,
                     .d = h->d,
                     .q = h->q + q0 * h->ld_q + head * h->d,
                     .ldq = h->ld_q,
                     .k = h->k + head * h->head_kv,
                     .ldk = h->ld_kv,
                     .v = h->v + head * h->head_kv,
                     .ldv = h->ld_kv,
                     .out = h->out + q0 * h->ld_o + head * h->d,
                     .ldo = h->ld_o,
                     .scale = 1.0f / sqrtf((float)h->d),
                     .causal = h->causal};
    if (h->n_q <= CARA_FEW_ROWS)
        job->kernels->attend_few(&a);
    else if (h->coarse)
        job->kernels->attend_coarse(&a, cara_scratch_of(job->scratch, thread));
    else
        job->kernels->attend(&a, cara_scratch_of(job->scratch, thread));
}

void cara_heads_run(const cara_compute *compute, const cara_scratch *scratch,
                    const cara_heads *heads, size_t n_groups) {
    heads_job job = {compute->kernels, scratch, heads, compute->kernels->attend_queries, 0};
    job.blocks = tiles(heads->n_q, job.queries);
    cara_pool_run(compute->pool, heads_task, &job, n_groups * heads->n_head * job.blocks);
}

typedef struct heads_f16_job {
    const cara_kernels *kernels;
    const cara_heads_f16 *heads;
} heads_f16_job;

static void heads_f16_task(void *ctx, size_t task, int thread) {
    const heads_f16_job *job = ctx;
    (void)thread;
    const cara_heads_f16 *h = &job->heads[task / job->heads->n_head];
    size_t head = task % job->heads->n_head;
    job->kernels->attend_f16(&(cara_attend_f16){.n_q = h->n_q,
                                                .n_kv = h->n_kv,
                                                .d = h->d,
                                                .q = h->q + head * h->d,
                                                .ldq = h->ld_q,
                                                .k = h->k + head * h->head_k,
                                                .v = h->v + head * h->head_v,
                                                .out = h->out + head * h->d,
                                                .ldo = h->ld_o,
                                                .scale = 1.0f / sqrtf((float)h->d)});
}

void cara_heads_f16_run(const cara_compute *compute, const cara_heads_f16 *heads, size_t n_groups) {
    cara_pool_run(compute->pool, heads_f16_task, &(heads_f16_job){compute->kernels, heads},
                  n_groups * heads->n_head);
}

#include "whisper/network/cross_cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS CARA_I8_KEYS /* states of a task: a block of int8 keys */

/* An audio's keys and values. */
typedef struct cached_audio {
    int is_set;
    size_t n_ctx; /* its positions */
} cached_audio;

struct cara_cross_cache {
    const cara_pass *pass;
    cara_arena arena;
    size_t n_audios, n_audio_ctx; /* what there is room for */
    cached_audio *audios;         /* [n_audios] */

    float *f32;        /* [n_audios, n_layer, 2, n_head, n_audio_ctx, d] keys, values; or NULL */
    float *rows;       /* with f32: [2, n_audio_ctx, n_state] on the way there */
    cara_heads *heads; /* with f32: [rows_max] attention of a pass */

    int8_t *i8;        /* as cara_attend_i8, keys before values; or NULL */
    float *scales;     /* with i8: [n_audios, n_layer, 2, n_head, blocks of n_audio_ctx, d] */
    char *memory;      /* with i8: what each thread needs to make them; may be the pass's */
    size_t per_thread; /* bytes of one */
    cara_attend_i8 *heads_i8; /* with i8: [rows_max] first heads */
};

static size_t align_up(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t blocks_of(size_t n) {
    return (n + ROWS - 1) / ROWS;
}

static int allocate_f32(cara_cross_cache *c) {
    const cara_pass *pass = c->pass;
    size_t n = c->n_audio_ctx, s = pass->n_state;
    c->heads = cara_arena_alloc(&c->arena, pass->rows_max, sizeof *c->heads);
    c->rows = cara_alloc_untouched(n * s, 2 * sizeof *c->rows);
    c->f32 = cara_alloc_untouched(n * s, 2 * c->n_audios * pass->shape.n_layer * sizeof *c->f32);
    return c->heads && c->rows && c->f32 ? 0 : -1;
}

static int allocate_i8(cara_cross_cache *c) {
    const cara_pass *pass = c->pass;
    size_t n = c->n_audio_ctx, s = pass->n_state, d = pass->shape.d;
    c->heads_i8 = cara_arena_alloc(&c->arena, pass->rows_max, sizeof *c->heads_i8);
    /* For a thread: keys or values of ROWS states, then the quantised states. */
    c->per_thread =
        align_up(ROWS * s * sizeof(float)) + align_up(cara_quantised_size(pass->compute, ROWS, s));
    size_t threads = (size_t)cara_pool_threads(pass->compute->pool) * c->per_thread;
    c->memory =
        threads <= pass->memory_size ? pass->memory : cara_arena_alloc(&c->arena, 1, threads);
    size_t all = c->n_audios * pass->shape.n_layer;
    c->i8 = cara_alloc_untouched((cara_f16_keys_count(n, d) + n * d) * pass->shape.n_head, all);
    c->scales = cara_alloc_untouched(2 * blocks_of(n) * s, all * sizeof *c->scales);
    return c->heads_i8 && c->memory && c->i8 && c->scales ? 0 : -1;
}

cara_cross_cache *cara_cross_cache_new(const cara_pass *pass, size_t n_audios, size_t n_audio_ctx,
                                       int is_i8) {
    if (pass->shape.n_layer > SIZE_MAX / 8 / n_audios)
        return NULL;
    cara_cross_cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    cara_arena_init(&c->arena, SIZE_MAX / 2);
    c->pass = pass;
    c->n_audios = n_audios;
    c->n_audio_ctx = n_audio_ctx;
    c->audios = cara_arena_alloc(&c->arena, n_audios, sizeof *c->audios);
    for (size_t i = 0; c->audios && i < n_audios; i++)
        c->audios[i].n_ctx = n_audio_ctx;
    if (!c->audios || (is_i8 ? allocate_i8(c) : allocate_f32(c)) != 0) {
        cara_cross_cache_free(c);
        return NULL;
    }
    return c;
}

void cara_cross_cache_free(cara_cross_cache *c) {
    if (!c)
        return;
    free(c->rows);
    free(c->f32);
    free(c->i8);
    free(c->scales);
    cara_arena_free(&c->arena);
    free(c);
}

void cara_cross_cache_set_ctx(cara_cross_cache *c, int audio, size_t n) {
    c->audios[audio].n_ctx = n < 1 ? 1 : n < c->n_audio_ctx ? n : c->n_audio_ctx;
    c->audios[audio].is_set = 0; /* stored keys are laid out for the old number */
}

void cara_cross_cache_clear(cara_cross_cache *c, int audio) {
    c->audios[audio].is_set = 0;
}

void cara_cross_cache_mark_set(cara_cross_cache *c, int audio) {
    c->audios[audio].is_set = 1;
}

int cara_cross_cache_is_set(const cara_cross_cache *c, int audio) {
    return c->audios[audio].is_set;
}

/* ---- f32 ---- */

static float *floats(const cara_cross_cache *c, int audio, size_t layer, int values) {
    size_t first = (size_t)audio * c->pass->shape.n_layer * 2 * c->n_audio_ctx;
    size_t n_ctx = c->audios[audio].n_ctx;
    return c->f32 + (first + (layer * 2 + (size_t)values) * n_ctx) * c->pass->n_state;
}

typedef struct split_job {
    const cara_cross_cache *cache;
    int audio;
    size_t layer;
} split_job;

/* [n_ctx, n_head, d] to [n_head, n_ctx, d]: a step then reads each head's keys as one run of memory
 * instead of going from row to row. */
static void split_heads(void *ctx, size_t task, int thread) {
    const split_job *job = ctx;
    (void)thread;
    const cara_cross_cache *c = job->cache;
    size_t s = c->pass->n_state, d = c->pass->shape.d, n_head = c->pass->shape.n_head;
    int values = task >= n_head;
    size_t head = task % n_head, n = c->audios[job->audio].n_ctx;
    const float *src = c->rows + (values ? n * s : 0) + head * d;
    float *dst = floats(c, job->audio, job->layer, values) + head * n * d;
    for (size_t t = 0; t < n; t++)
        memcpy(dst + t * d, src + t * s, d * sizeof *dst);
}

static void set_floats(const cara_cross_cache *c, int audio, size_t layer, const cara_dense *key,
                       const cara_dense *value, const float *states) {
    const cara_pass *pass = c->pass;
    size_t n = c->audios[audio].n_ctx, s = pass->n_state;
    cara_product kv[] = {
        {.dense = key, .a = states, .lda = key->k, .c = c->rows, .ldc = s},
        {.dense = value, .a = states, .lda = value->k, .c = c->rows + n * s, .ldc = s}};
    for (size_t i = 0; i < 2; i++) /* one may be int8, the other not */
        cara_products_run(pass->compute, &pass->scratch, n, &kv[i], 1);
    split_job job = {c, audio, layer};
    cara_pool_run(pass->compute->pool, split_heads, &job, 2 * pass->shape.n_head);
}

/* n queries from `row` on that attend to the same audio, which few are all or none of. */
static void attend_floats(cara_cross_cache *c, size_t layer, int audio, size_t row, size_t n,
                          int few) {
    const cara_pass *pass = c->pass;
    size_t s = pass->n_state, d = pass->shape.d, n_ctx = c->audios[audio].n_ctx, groups = 0,
           each = few && n > CARA_FEW_ROWS ? CARA_FEW_ROWS : n;
    for (; n; groups++) {
        size_t here = n < each ? n : each;
        c->heads[groups] = (cara_heads){.n_head = pass->shape.n_head,
                                        .d = d,
                                        .n_q = here,
                                        .n_kv = n_ctx,
                                        .q = pass->q + row * s,
                                        .ld_q = s,
                                        .k = floats(c, audio, layer, 0),
                                        .v = floats(c, audio, layer, 1),
                                        .ld_kv = d,
                                        .head_kv = n_ctx * d,
                                        .out = pass->norm + row * s,
                                        .ld_o = s};
        row += here;
        n -= here;
    }
    size_t even = c->heads[groups - 1].n_q == each ? groups : groups - 1; /* of the same n_q */
    if (even)
        cara_heads_run(pass->compute, &pass->scratch, c->heads, even);
    if (even < groups)
        cara_heads_run(pass->compute, &pass->scratch, c->heads + even, 1);
}

/* ---- int8 ---- */

static int8_t *keys_of(const cara_cross_cache *c, int audio, size_t layer) {
    const cara_text_shape *shape = &c->pass->shape;
    size_t full = cara_f16_keys_count(c->n_audio_ctx, shape->d) + c->n_audio_ctx * shape->d;
    size_t n = c->audios[audio].n_ctx, used = cara_f16_keys_count(n, shape->d) + n * shape->d;
    return c->i8 + ((size_t)audio * shape->n_layer * full + layer * used) * shape->n_head;
}

static int8_t *values_of(const cara_cross_cache *c, int audio, size_t layer) {
    const cara_text_shape *shape = &c->pass->shape;
    return keys_of(c, audio, layer) +
           shape->n_head * cara_f16_keys_count(c->audios[audio].n_ctx, shape->d);
}

/* The first head's; the others' follow, blocks_of(n_ctx) * d apart. */
static float *scales_of(const cara_cross_cache *c, int audio, size_t layer, int values) {
    size_t at = ((size_t)audio * c->pass->shape.n_layer + layer) * 2 + (size_t)values;
    return c->scales + at * blocks_of(c->n_audio_ctx) * c->pass->n_state;
}

typedef struct quantise_job {
    const cara_cross_cache *cache;
    int audio;
    size_t layer;
    const cara_dense *key, *value;
    const float *states;
} quantise_job;

/* ROWS states to a block of keys and one of values, of all heads. */
static void quantise_task(void *ctx, size_t task, int thread) {
    const quantise_job *job = ctx;
    const cara_cross_cache *c = job->cache;
    const cara_compute *compute = c->pass->compute;
    const cara_kernels *kernels = compute->kernels;
    size_t n_head = c->pass->shape.n_head, d = c->pass->shape.d;
    size_t n = c->audios[job->audio].n_ctx, s = c->pass->n_state, k = job->key->k;
    size_t r0 = task * ROWS, m = n - r0 < ROWS ? n - r0 : ROWS;
    size_t keys = cara_f16_keys_count(n, d);
    float *wide = (float *)(void *)(c->memory + (size_t)thread * c->per_thread);
    float *k_scale = scales_of(c, job->audio, job->layer, 0) + task * d;
    float *v_scale = scales_of(c, job->audio, job->layer, 1) + task * d;
    cara_rows rows = {compute, NULL, (char *)wide + align_up(ROWS * s * sizeof *wide)};
    cara_rows_quantise(&rows, m, job->states + r0 * k, k, k);
    cara_rows_run(&rows, m, &(cara_product){.dense = job->key, .c = wide, .ldc = s});
    for (size_t h = 0; h < n_head; h++)
        kernels->block_keys(wide + h * d, s, m, d,
                            keys_of(c, job->audio, job->layer) + h * keys + r0 * d,
                            k_scale + h * blocks_of(n) * d);
    cara_rows_run(&rows, m, &(cara_product){.dense = job->value, .c = wide, .ldc = s});
    for (size_t h = 0; h < n_head; h++)
        kernels->block_values(wide + h * d, s, m, d,
                              values_of(c, job->audio, job->layer) + (h * n + r0) * d,
                              v_scale + h * blocks_of(n) * d);
}

static size_t add_i8(cara_cross_cache *c, size_t layer, int audio, size_t row, size_t n,
                     size_t groups) {
    const cara_pass *pass = c->pass;
    size_t s = pass->n_state, d = pass->shape.d;
    for (; n; groups++) {
        size_t here = n < CARA_FEW_ROWS ? n : CARA_FEW_ROWS;
        c->heads_i8[groups] = (cara_attend_i8){.n_q = here,
                                               .n_kv = c->audios[audio].n_ctx,
                                               .d = d,
                                               .q = pass->q + row * s,
                                               .ldq = s,
                                               .k = keys_of(c, audio, layer),
                                               .v = values_of(c, audio, layer),
                                               .k_scale = scales_of(c, audio, layer, 0),
                                               .v_scale = scales_of(c, audio, layer, 1),
                                               .out = pass->norm + row * s,
                                               .ldo = s,
                                               .scale = 1.0f / sqrtf((float)d)};
        row += here;
        n -= here;
    }
    return groups;
}

static void head_task(void *ctx, size_t task, int thread) {
    const cara_cross_cache *c = ctx;
    (void)thread;
    size_t n_head = c->pass->shape.n_head;
    cara_attend_i8 a = c->heads_i8[task / n_head];
    size_t head = task % n_head, scales = head * blocks_of(a.n_kv) * a.d;
    a.q += head * a.d;
    a.out += head * a.d;
    a.k += head * cara_f16_keys_count(a.n_kv, a.d);
    a.v += head * a.n_kv * a.d;
    a.k_scale += scales;
    a.v_scale += scales;
    c->pass->compute->kernels->attend_i8(&a);
}

/* ---- either ---- */

void cara_cross_cache_set_layer(cara_cross_cache *c, int audio, size_t layer, const cara_dense *key,
                                const cara_dense *value, const float *states) {
    if (!c->i8) {
        set_floats(c, audio, layer, key, value, states);
        return;
    }
    cara_pool_run(c->pass->compute->pool, quantise_task,
                  &(quantise_job){c, audio, layer, key, value, states},
                  blocks_of(c->audios[audio].n_ctx));
}

void cara_cross_cache_attend(cara_cross_cache *c, size_t layer) {
    const cara_pass *pass = c->pass;
    size_t groups = 0;
    for (size_t i = 0; i < pass->n_runs;) { /* runs of an audio lie together */
        const cara_pass_run *first = &pass->runs[i];
        int few = cara_pass_run_is_few(first);
        size_t n = 0;
        for (; i < pass->n_runs && pass->runs[i].audio == first->audio &&
               cara_pass_run_is_few(&pass->runs[i]) == few;
             i++)
            n += pass->runs[i].n;
        if (c->i8)
            groups = add_i8(c, layer, first->audio, first->first, n, groups);
        else
            attend_floats(c, layer, first->audio, first->first, n, few);
    }
    if (groups)
        cara_pool_run(pass->compute->pool, head_task, c, groups * pass->shape.n_head);
}

/* ---- alignment ---- */

size_t cara_cross_cache_ctx(const cara_cross_cache *c, int audio) {
    return c->audios[audio].n_ctx;
}

/* Keys [first, first + n) of a head, a block or less, as f32 [n, d]. */
static void widen_keys(const cara_cross_cache *c, int audio, size_t layer, size_t head,
                       size_t first, size_t n, float *keys) {
    size_t d = c->pass->shape.d, n_ctx = c->audios[audio].n_ctx;
    const int8_t *block =
        keys_of(c, audio, layer) + head * cara_f16_keys_count(n_ctx, d) + first * d;
    const float *scale =
        scales_of(c, audio, layer, 0) + (head * blocks_of(n_ctx) + first / CARA_I8_KEYS) * d;
    for (size_t j = 0; j < n; j++)
        for (size_t p = 0; p < d; p++)
            keys[j * d + p] = scale[p] * block[(j / 16 * d + p) * 16 + j % 16];
}

void cara_cross_cache_scores(const cara_cross_cache *c, size_t layer, size_t head,
                             const cara_pass_run *run, float *scores) {
    const cara_pass *pass = c->pass;
    size_t s = pass->n_state, d = pass->shape.d, n_ctx = c->audios[run->audio].n_ctx;
    const float scale = 1.0f / sqrtf((float)d);
    float wide[CARA_I8_KEYS * CARA_HEAD_DIM_MAX];
    for (size_t first = 0; first < n_ctx; first += CARA_I8_KEYS) {
        size_t n = n_ctx - first < CARA_I8_KEYS ? n_ctx - first : CARA_I8_KEYS;
        const float *keys = wide;
        if (c->i8)
            widen_keys(c, run->audio, layer, head, first, n, wide);
        else
            keys = floats(c, run->audio, layer, 0) + (head * n_ctx + first) * d;
        for (size_t row = 0; row < run->n; row += CARA_FEW_ROWS) {
            size_t m = run->n - row < CARA_FEW_ROWS ? run->n - row : CARA_FEW_ROWS;
            const cara_gemm product = {.m = m,
                                       .n = n,
                                       .k = d,
                                       .a = pass->q + (run->first + row) * s + head * d,
                                       .lda = s,
                                       .w = keys,
                                       .type = CARA_WEIGHT_F32,
                                       .c = scores + row * n_ctx + first,
                                       .ldc = n_ctx};
            pass->compute->kernels->gemv(&product, 0, n);
        }
    }
    for (size_t i = 0; i < run->n * n_ctx; i++)
        scores[i] *= scale;
}

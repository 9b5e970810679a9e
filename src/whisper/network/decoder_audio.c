/* An audio's keys and values: made once a window for every layer, read for each token. With int8
 * weights they are int8, too: a quarter of what each token would read of them as floats. */
#include "whisper/network/decoder_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS CARA_I8_KEYS /* states of a task: a block of int8 keys */

static size_t whole(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t blocks_of(size_t n) {
    return (n + ROWS - 1) / ROWS;
}

int cara_decoder_audio_init(cara_decoder *d) {
    const size_t n = d->n_audio_ctx, s = d->n_state;
    d->has_audio = cara_arena_alloc(&d->arena, d->n_audios, sizeof *d->has_audio);
    d->audio_ctx = cara_arena_alloc(&d->arena, d->n_audios, sizeof *d->audio_ctx);
    for (size_t i = 0; d->audio_ctx && i < d->n_audios; i++)
        d->audio_ctx[i] = n;
    if (!d->has_audio || !d->audio_ctx || d->n_layer > SIZE_MAX / 8 / d->n_audios)
        return -1;
    if (!d->narrow) {
        d->audio_kv = cara_decoder_untouched(n * s, 2 * sizeof(float));
        d->cross = cara_decoder_untouched(n * s, 2 * d->n_audios * d->n_layer * sizeof(float));
        return d->audio_kv && d->cross ? 0 : -1;
    }
    /* A lane: keys or values of ROWS states, then the quantised states. */
    d->lane = whole(ROWS * s * sizeof(float)) +
              whole(cara_quantised_size(&d->compute, ROWS, d->blocks[0].cross_key.k));
    size_t lanes = (size_t)cara_pool_threads(d->compute.pool) * d->lane;
    d->lanes = lanes <= d->memory_size ? d->memory : cara_arena_alloc(&d->arena, 1, lanes);
    size_t all = d->n_audios * d->n_layer;
    d->cross_i8 =
        cara_decoder_untouched((cara_f16_keys_count(n, d->d) + n * d->d) * d->n_head, all);
    d->cross_scales = cara_decoder_untouched(2 * blocks_of(n) * s, all * sizeof(float));
    return d->lanes && d->cross_i8 && d->cross_scales ? 0 : -1;
}

void cara_decoder_audio_free(cara_decoder *d) {
    free(d->audio_kv);
    free(d->cross);
    free(d->cross_i8);
    free(d->cross_scales);
}

void cara_decoder_use_audio_ctx(cara_decoder *d, int audio, size_t n) {
    d->audio_ctx[audio] = n < 1 ? 1 : n < d->n_audio_ctx ? n : d->n_audio_ctx;
    d->has_audio[audio] = 0; /* what there is lies by the old number */
}

static float *cross_of(const cara_decoder *d, int audio, size_t layer, int values) {
    size_t first = (size_t)audio * d->n_layer * 2 * d->n_audio_ctx;
    return d->cross + (first + (layer * 2 + (size_t)values) * d->audio_ctx[audio]) * d->n_state;
}

typedef struct split_job {
    const cara_decoder *d;
    int audio;
    size_t layer;
} split_job;

/* [n_audio_ctx, n_head, d] to [n_head, n_audio_ctx, d]: a step then reads each head's keys as one
 * run of memory instead of hopping from row to row. */
static void split_heads(void *ctx, size_t task, int thread) {
    const split_job *job = ctx;
    (void)thread;
    const cara_decoder *d = job->d;
    int values = task >= d->n_head;
    size_t head = task % d->n_head, n = d->audio_ctx[job->audio];
    const float *src = d->audio_kv + (values ? n * d->n_state : 0) + head * d->d;
    float *dst = cross_of(d, job->audio, job->layer, values) + head * n * d->d;
    for (size_t t = 0; t < n; t++)
        memcpy(dst + t * d->d, src + t * d->n_state, d->d * sizeof *dst);
}

static void set_floats(cara_decoder *d, int audio, size_t layer, const float *states) {
    const cara_decoder_block *b = &d->blocks[layer];
    size_t n = d->audio_ctx[audio], s = d->n_state;
    cara_product kv[] = {
        {.dense = &b->cross_key, .a = states, .lda = b->cross_key.k, .c = d->audio_kv, .ldc = s},
        {.dense = &b->cross_value,
         .a = states,
         .lda = b->cross_value.k,
         .c = d->audio_kv + n * s,
         .ldc = s}};
    for (size_t i = 0; i < 2; i++) /* one may be int8, the other not */
        cara_products_run(&d->compute, &d->scratch, n, &kv[i], 1);
    split_job job = {d, audio, layer};
    cara_pool_run(d->compute.pool, split_heads, &job, 2 * d->n_head);
}

static int8_t *keys_of(const cara_decoder *d, int audio, size_t layer) {
    size_t full = cara_f16_keys_count(d->n_audio_ctx, d->d) + d->n_audio_ctx * d->d;
    size_t n = d->audio_ctx[audio], used = cara_f16_keys_count(n, d->d) + n * d->d;
    return d->cross_i8 + ((size_t)audio * d->n_layer * full + layer * used) * d->n_head;
}

static int8_t *values_of(const cara_decoder *d, int audio, size_t layer) {
    return keys_of(d, audio, layer) + d->n_head * cara_f16_keys_count(d->audio_ctx[audio], d->d);
}

/* The first head's; the others' follow, blocks_of(audio_ctx) * d apart. */
static float *scales_of(const cara_decoder *d, int audio, size_t layer, int values) {
    size_t at = ((size_t)audio * d->n_layer + layer) * 2 + (size_t)values;
    return d->cross_scales + at * blocks_of(d->n_audio_ctx) * d->n_state;
}

typedef struct narrow_job {
    const cara_decoder *d;
    int audio;
    size_t layer;
    const float *states;
} narrow_job;

/* ROWS states to a block of keys and one of values, of all heads. */
static void narrow_task(void *ctx, size_t task, int thread) {
    const narrow_job *job = ctx;
    const cara_decoder *d = job->d;
    const cara_kernels *kernels = d->compute.kernels;
    const cara_decoder_block *b = &d->blocks[job->layer];
    size_t n = d->audio_ctx[job->audio], s = d->n_state, k = b->cross_key.k;
    size_t r0 = task * ROWS, m = n - r0 < ROWS ? n - r0 : ROWS;
    size_t keys = cara_f16_keys_count(n, d->d);
    float *wide = (float *)(void *)(d->lanes + (size_t)thread * d->lane);
    float *k_scale = scales_of(d, job->audio, job->layer, 0) + task * d->d;
    float *v_scale = scales_of(d, job->audio, job->layer, 1) + task * d->d;
    cara_rows rows = {&d->compute, NULL, (char *)wide + whole(ROWS * s * sizeof *wide)};
    cara_rows_quantise(&rows, m, job->states + r0 * k, k, k);
    cara_rows_run(&rows, m, &(cara_product){.dense = &b->cross_key, .c = wide, .ldc = s});
    for (size_t h = 0; h < d->n_head; h++)
        kernels->block_keys(wide + h * d->d, s, m, d->d,
                            keys_of(d, job->audio, job->layer) + h * keys + r0 * d->d,
                            k_scale + h * blocks_of(n) * d->d);
    cara_rows_run(&rows, m, &(cara_product){.dense = &b->cross_value, .c = wide, .ldc = s});
    for (size_t h = 0; h < d->n_head; h++)
        kernels->block_values(wide + h * d->d, s, m, d->d,
                              values_of(d, job->audio, job->layer) + (h * n + r0) * d->d,
                              v_scale + h * blocks_of(n) * d->d);
}

int cara_decoder_set_audio(cara_decoder *d, int audio, const float *states, cara_error *err) {
    d->has_audio[audio] = 0;
    for (int i = 0; i < (int)d->n_slots; i++)
        if (d->slots[i].audio == audio)
            cara_decoder_truncate(d, i, 0);
    for (size_t i = 0; i < d->n_layer; i++) {
        int code = cara_compute_poll(&d->compute, err);
        if (!code)
            code = cara_decoder_load(d, i, err);
        if (code)
            return code;
        if (d->narrow)
            cara_pool_run(d->compute.pool, narrow_task, &(narrow_job){d, audio, i, states},
                          blocks_of(d->audio_ctx[audio]));
        else
            set_floats(d, audio, i, states);
    }
    int code = cara_decoder_load(d, d->n_layer, err);
    d->has_audio[audio] = !code;
    return code;
}

/* n queries from `row` on that listen to the same audio, which few are all or none of. */
static void attend_floats(cara_decoder *d, size_t layer, int audio, size_t row, size_t n, int few) {
    size_t s = d->n_state, ctx = d->audio_ctx[audio], groups = 0,
           each = few && n > CARA_FEW_ROWS ? CARA_FEW_ROWS : n;
    for (; n; groups++) {
        size_t here = n < each ? n : each;
        d->heads[groups] = (cara_heads){.n_head = d->n_head,
                                        .d = d->d,
                                        .n_q = here,
                                        .n_kv = ctx,
                                        .q = d->q + row * s,
                                        .ld_q = s,
                                        .k = cross_of(d, audio, layer, 0),
                                        .v = cross_of(d, audio, layer, 1),
                                        .ld_kv = d->d,
                                        .head_kv = ctx * d->d,
                                        .out = d->norm + row * s,
                                        .ld_o = s};
        row += here;
        n -= here;
    }
    size_t even = d->heads[groups - 1].n_q == each ? groups : groups - 1; /* of the same n_q */
    if (even)
        cara_heads_run(&d->compute, &d->scratch, d->heads, even);
    if (even < groups)
        cara_heads_run(&d->compute, &d->scratch, d->heads + even, 1);
}

static size_t add_narrow(cara_decoder *d, size_t layer, int audio, size_t row, size_t n,
                         size_t groups) {
    size_t s = d->n_state;
    for (; n; groups++) {
        size_t here = n < CARA_FEW_ROWS ? n : CARA_FEW_ROWS;
        d->heads_i8[groups] = (cara_attend_i8){.n_q = here,
                                               .n_kv = d->audio_ctx[audio],
                                               .d = d->d,
                                               .q = d->q + row * s,
                                               .ldq = s,
                                               .k = keys_of(d, audio, layer),
                                               .v = values_of(d, audio, layer),
                                               .k_scale = scales_of(d, audio, layer, 0),
                                               .v_scale = scales_of(d, audio, layer, 1),
                                               .out = d->norm + row * s,
                                               .ldo = s,
                                               .scale = 1.0f / sqrtf((float)d->d)};
        row += here;
        n -= here;
    }
    return groups;
}

static void head_task(void *ctx, size_t task, int thread) {
    const cara_decoder *d = ctx;
    (void)thread;
    cara_attend_i8 a = d->heads_i8[task / d->n_head];
    size_t head = task % d->n_head, scales = head * blocks_of(a.n_kv) * a.d;
    a.q += head * a.d;
    a.out += head * a.d;
    a.k += head * cara_f16_keys_count(a.n_kv, a.d);
    a.v += head * a.n_kv * a.d;
    a.k_scale += scales;
    a.v_scale += scales;
    d->compute.kernels->attend_i8(&a);
}

void cara_decoder_attend_audio(cara_decoder *d, size_t layer) {
    size_t groups = 0;
    for (size_t i = 0; i < d->n_planned;) { /* runs of an audio lie together */
        const cara_planned *p = &d->planned[i];
        size_t n = 0;
        for (; i < d->n_planned && d->planned[i].audio == p->audio && d->planned[i].few == p->few;
             i++)
            n += d->planned[i].n;
        if (d->narrow)
            groups = add_narrow(d, layer, p->audio, p->first, n, groups);
        else
            attend_floats(d, layer, p->audio, p->first, n, p->few);
    }
    if (groups)
        cara_pool_run(d->compute.pool, head_task, d, groups * d->n_head);
}

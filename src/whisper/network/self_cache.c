#include "whisper/network/self_cache.h"

#include <stdlib.h>
#include <string.h>

#define PANEL 16 /* keys of cara_attend_f16's */

typedef struct cached_slot {
    int buffer; /* which holds its keys and values */
    int audio;
    size_t length; /* tokens that the buffer holds */
} cached_slot;

struct cara_self_cache {
    const cara_pass *pass;
    cara_arena arena;
    size_t n_ctx, n_slots;
    int is_f16;
    void **buffers;     /* [n_slots] f32, or f16 as cara_attend_f16 [n_layer, 2, n_head, n_ctx, d],
                         * keys and values; NULL until reserved */
    cached_slot *slots; /* [n_slots] */
    cached_slot *next;  /* [n_slots] scratch of reorder */
    int *taken;         /* [n_slots] by buffer; the same */
    uint16_t *common;   /* [n_slots, n_slots] tokens that two buffers hold alike, from 0 on */
    uint16_t *row;      /* [n_state] on the way to f16 */
    cara_heads *heads;  /* [rows_max] attention of a pass; or NULL */
    cara_heads_f16 *heads_f16; /* the same for f16 */
};

/* Elements of a layer's keys of one buffer, and of its values. */
static size_t keys_size(const cara_self_cache *c) {
    const cara_text_shape *shape = &c->pass->shape;
    return c->is_f16 ? shape->n_head * cara_f16_keys_count(c->n_ctx, shape->d)
                     : c->n_ctx * c->pass->n_state;
}

static size_t values_size(const cara_self_cache *c) {
    return c->n_ctx * c->pass->n_state;
}

/* Where a layer's keys begin in a buffer, or the values, which are behind them. */
static size_t layer_offset(const cara_self_cache *c, size_t layer, int values) {
    return layer * (keys_size(c) + values_size(c)) + (values ? keys_size(c) : 0);
}

static float *floats(const cara_self_cache *c, int buffer, size_t layer, int values) {
    return (float *)c->buffers[buffer] + layer_offset(c, layer, values);
}

static uint16_t *halves(const cara_self_cache *c, int buffer, size_t layer, int values) {
    return (uint16_t *)c->buffers[buffer] + layer_offset(c, layer, values);
}

cara_self_cache *cara_self_cache_new(const cara_pass *pass, size_t n_ctx, size_t n_slots,
                                     int is_f16) {
    cara_self_cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    cara_arena_init(&c->arena, SIZE_MAX / 2);
    c->pass = pass;
    c->n_ctx = n_ctx;
    c->n_slots = n_slots;
    c->is_f16 = is_f16;
    c->buffers = cara_arena_alloc(&c->arena, n_slots, sizeof *c->buffers);
    c->slots = cara_arena_alloc(&c->arena, n_slots, sizeof *c->slots);
    c->next = cara_arena_alloc(&c->arena, n_slots, sizeof *c->next);
    c->taken = cara_arena_alloc(&c->arena, n_slots, sizeof *c->taken);
    c->common = cara_arena_alloc(&c->arena, n_slots * n_slots, sizeof *c->common);
    if (is_f16) {
        c->row = cara_arena_alloc(&c->arena, pass->n_state, sizeof *c->row);
        c->heads_f16 = cara_arena_alloc(&c->arena, pass->rows_max, sizeof *c->heads_f16);
    } else {
        c->heads = cara_arena_alloc(&c->arena, pass->rows_max, sizeof *c->heads);
    }
    if (!c->buffers || !c->slots || !c->next || !c->taken || !c->common ||
        !(is_f16 ? c->row && c->heads_f16 : c->heads != NULL)) {
        cara_self_cache_free(c);
        return NULL;
    }
    for (size_t i = 0; i < n_slots; i++)
        c->slots[i].buffer = (int)i;
    return c;
}

int cara_self_cache_reserve(cara_self_cache *c, int slot) {
    void **buffer = &c->buffers[c->slots[slot].buffer];
    size_t n_layer = c->pass->shape.n_layer, layer = keys_size(c) + values_size(c);
    if (!*buffer && layer <= SIZE_MAX / 8 / (n_layer + 1))
        *buffer =
            cara_alloc_untouched(n_layer * layer, c->is_f16 ? sizeof(uint16_t) : sizeof(float));
    return *buffer ? 0 : -1;
}

int cara_self_cache_is_reserved(const cara_self_cache *c, int slot) {
    return c->buffers[c->slots[slot].buffer] != NULL;
}

void cara_self_cache_free(cara_self_cache *c) {
    if (!c)
        return;
    for (size_t i = 0; c->buffers && i < c->n_slots; i++)
        free(c->buffers[i]);
    cara_arena_free(&c->arena);
    free(c);
}

/* ---- slots ---- */

void cara_self_cache_start(cara_self_cache *c, int slot, int audio) {
    cara_self_cache_truncate(c, slot, 0);
    c->slots[slot].audio = audio;
}

int cara_self_cache_audio(const cara_self_cache *c, int slot) {
    return c->slots[slot].audio;
}

size_t cara_self_cache_length(const cara_self_cache *c, int slot) {
    return c->slots[slot].length;
}

void cara_self_cache_extend(cara_self_cache *c, int slot, size_t n) {
    c->slots[slot].length += n;
}

static uint16_t *common_of(const cara_self_cache *c, int a, int b) {
    return &c->common[(size_t)a * c->n_slots + (size_t)b];
}

void cara_self_cache_truncate(cara_self_cache *c, int slot, size_t length) {
    int buffer = c->slots[slot].buffer;
    if (length >= c->slots[slot].length)
        return;
    c->slots[slot].length = length;
    for (int i = 0; i < (int)c->n_slots; i++)
        if (*common_of(c, buffer, i) > length)
            *common_of(c, buffer, i) = *common_of(c, i, buffer) = (uint16_t)length;
}

/* Positions [start, end) of every layer and head. */
static void copy_positions(const cara_self_cache *c, int from, int to, size_t start, size_t end) {
    size_t w = c->pass->shape.d, n = (end - start) * w;
    for (size_t i = 0; i < c->pass->shape.n_layer; i++)
        for (size_t h = 0; h < c->pass->shape.n_head; h++) {
            size_t at = (h * c->n_ctx + start) * w;
            if (!c->is_f16) {
                for (int values = 0; values < 2; values++)
                    memcpy(floats(c, to, i, values) + at, floats(c, from, i, values) + at,
                           n * sizeof(float));
                continue;
            }
            /* Keys by whole panels: those before `start` are the same in both. */
            size_t first = start / PANEL * PANEL, last = (end + PANEL - 1) / PANEL * PANEL;
            size_t panel = h * cara_f16_keys_count(c->n_ctx, w) + first * w;
            memcpy(halves(c, to, i, 0) + panel, halves(c, from, i, 0) + panel,
                   (last - first) * w * sizeof(uint16_t));
            memcpy(halves(c, to, i, 1) + at, halves(c, from, i, 1) + at, n * sizeof(uint16_t));
        }
}

static void copy_buffer(cara_self_cache *c, int from, int to, size_t length) {
    size_t start = *common_of(c, from, to);
    if (from == to)
        return;
    if (start < length)
        copy_positions(c, from, to, start, length);
    for (int i = 0; i < (int)c->n_slots; i++)
        if (i != to)
            *common_of(c, to, i) = *common_of(c, i, to) = *common_of(c, from, i);
    *common_of(c, to, from) = *common_of(c, from, to) = (uint16_t)length;
}

void cara_self_cache_fork(cara_self_cache *c, int from, int first, int n) {
    for (int i = first; i < first + n; i++) {
        if (i == from)
            continue;
        copy_buffer(c, c->slots[from].buffer, c->slots[i].buffer, c->slots[from].length);
        c->slots[i].length = c->slots[from].length;
        c->slots[i].audio = c->slots[from].audio;
    }
}

void cara_self_cache_reorder(cara_self_cache *c, int first, const int *source, int n) {
    cached_slot *slots = c->slots + first, *next = c->next;
    /* The first slot to ask for a source takes its buffer; the next ones get copies in buffers
     * that no slot goes on from. */
    for (int i = 0; i < n; i++)
        c->taken[slots[i].buffer] = 0;
    for (int i = 0; i < n; i++) {
        next[i] = slots[source[i]];
        if (c->taken[next[i].buffer])
            next[i].buffer = -1;
        else
            c->taken[next[i].buffer] = 1;
    }
    int spare = 0;
    for (int i = 0; i < n; i++) {
        if (next[i].buffer >= 0)
            continue;
        while (c->taken[slots[spare].buffer])
            spare++;
        next[i].buffer = slots[spare].buffer;
        c->taken[next[i].buffer] = 1;
        copy_buffer(c, slots[source[i]].buffer, next[i].buffer, next[i].length);
    }
    memcpy(slots, next, (size_t)n * sizeof *slots);
}

/* ---- attention ---- */

static void store_floats(const cara_self_cache *c, int buffer, size_t layer, size_t row,
                         size_t at) {
    const cara_pass *pass = c->pass;
    size_t d = pass->shape.d;
    const float *src[2] = {pass->k + row * pass->n_state, pass->v + row * pass->n_state};
    for (int values = 0; values < 2; values++)
        for (size_t h = 0; h < pass->shape.n_head; h++)
            memcpy(floats(c, buffer, layer, values) + (h * c->n_ctx + at) * d, src[values] + h * d,
                   d * sizeof(float));
}

static void store_halves(const cara_self_cache *c, int buffer, size_t layer, size_t row,
                         size_t at) {
    const cara_pass *pass = c->pass;
    const cara_kernels *kernels = pass->compute->kernels;
    size_t s = pass->n_state, d = pass->shape.d;
    uint16_t *keys = halves(c, buffer, layer, 0), *values = halves(c, buffer, layer, 1);
    kernels->narrow(pass->k + row * s, c->row, s);
    for (size_t h = 0; h < pass->shape.n_head; h++) {
        uint16_t *panel =
            keys + h * cara_f16_keys_count(c->n_ctx, d) + at / PANEL * PANEL * d + at % PANEL;
        for (size_t p = 0; p < d; p++)
            panel[p * PANEL] = c->row[h * d + p];
    }
    kernels->narrow(pass->v + row * s, c->row, s);
    for (size_t h = 0; h < pass->shape.n_head; h++)
        memcpy(values + (h * c->n_ctx + at) * d, c->row + h * d, d * sizeof *c->row);
}

/* Rows [first, first + n) of the pass, whose last one is at position `past` - 1 of the buffer. */
static cara_heads heads_of(const cara_self_cache *c, int buffer, size_t layer, size_t first,
                           size_t n, size_t past) {
    const cara_pass *pass = c->pass;
    size_t s = pass->n_state, d = pass->shape.d;
    return (cara_heads){.n_head = pass->shape.n_head,
                        .d = d,
                        .n_q = n,
                        .n_kv = past,
                        .q = pass->q + first * s,
                        .ld_q = s,
                        .k = floats(c, buffer, layer, 0),
                        .v = floats(c, buffer, layer, 1),
                        .ld_kv = d,
                        .head_kv = c->n_ctx * d,
                        .out = pass->norm + first * s,
                        .ld_o = s,
                        .causal = n > 1};
}

static cara_heads_f16 heads_f16_of(const cara_self_cache *c, int buffer, size_t layer, size_t row,
                                   size_t past) {
    const cara_pass *pass = c->pass;
    size_t s = pass->n_state, d = pass->shape.d;
    return (cara_heads_f16){.n_head = pass->shape.n_head,
                            .d = d,
                            .n_q = 1,
                            .n_kv = past,
                            .q = pass->q + row * s,
                            .ld_q = s,
                            .k = halves(c, buffer, layer, 0),
                            .v = halves(c, buffer, layer, 1),
                            .head_k = cara_f16_keys_count(c->n_ctx, d),
                            .head_v = c->n_ctx * d,
                            .out = pass->norm + row * s,
                            .ld_o = s};
}

void cara_self_cache_attend(cara_self_cache *c, size_t layer) {
    const cara_pass *pass = c->pass;
    size_t groups = 0;
    for (size_t i = 0; i < pass->n_runs; i++) {
        const cara_pass_run *run = &pass->runs[i];
        int buffer = c->slots[run->slot].buffer;
        for (size_t r = 0; r < run->n; r++) {
            if (c->is_f16)
                store_halves(c, buffer, layer, run->first + r, run->at + r);
            else
                store_floats(c, buffer, layer, run->first + r, run->at + r);
        }
        if (!c->is_f16 && !cara_pass_run_is_few(run)) {
            cara_heads heads = heads_of(c, buffer, layer, run->first, run->n, run->at + run->n);
            cara_heads_run(pass->compute, &pass->scratch, &heads, 1);
            continue;
        }
        /* Each row on its own: however a sequence is cut into runs, its rows compute the same. */
        for (size_t r = 0; r < run->n; r++, groups++) {
            size_t row = run->first + r, past = run->at + r + 1;
            if (c->is_f16)
                c->heads_f16[groups] = heads_f16_of(c, buffer, layer, row, past);
            else
                c->heads[groups] = heads_of(c, buffer, layer, row, 1, past);
        }
    }
    if (groups && c->is_f16)
        cara_heads_f16_run(pass->compute, c->heads_f16, groups);
    else if (groups)
        cara_heads_run(pass->compute, &pass->scratch, c->heads, groups);
}

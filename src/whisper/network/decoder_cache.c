/* The slots' keys and values: each token adds a position, which later tokens read. With int8
 * weights they are kept in f16, as the audios' are. */
#include "whisper/network/decoder_parts.h"

#include <stdlib.h>
#include <string.h>

#define PANEL 16 /* keys of cara_attend_f16's */

/* Elements of a layer's keys of one buffer, and of its values. */
static size_t keys_size(const cara_decoder *d) {
    return d->narrow ? d->n_head * cara_f16_keys_count(d->n_ctx, d->d) : d->n_ctx * d->n_state;
}

static size_t values_size(const cara_decoder *d) {
    return d->n_ctx * d->n_state;
}

/* Where the keys begin; the values are behind them. */
static size_t place(const cara_decoder *d, int buffer, size_t layer) {
    return ((size_t)buffer * d->n_layer + layer) * (keys_size(d) + values_size(d));
}

static float *floats(const cara_decoder *d, int buffer, size_t layer, int values) {
    return d->cache + place(d, buffer, layer) + (values ? keys_size(d) : 0);
}

static uint16_t *halves(const cara_decoder *d, int buffer, size_t layer, int values) {
    return d->cache_f16 + place(d, buffer, layer) + (values ? keys_size(d) : 0);
}

int cara_decoder_cache_init(cara_decoder *d) {
    cara_arena *arena = &d->arena;
    size_t n = d->n_slots, layer = keys_size(d) + values_size(d);
    d->slots = cara_arena_alloc(arena, n, sizeof *d->slots);
    d->next = cara_arena_alloc(arena, n, sizeof *d->next);
    d->taken = cara_arena_alloc(arena, n, sizeof *d->taken);
    d->common = cara_arena_alloc(arena, n * n, sizeof *d->common);
    d->half = cara_arena_alloc(arena, d->n_state, sizeof *d->half);
    if (layer > SIZE_MAX / 8 / (n * d->n_layer + 1))
        return -1;
    if (d->narrow)
        d->cache_f16 = cara_decoder_untouched(n * d->n_layer * layer, sizeof *d->cache_f16);
    else
        d->cache = cara_decoder_untouched(n * d->n_layer * layer, sizeof *d->cache);
    if (!d->slots || !d->next || !d->taken || !d->common || !d->half ||
        (!d->cache && !d->cache_f16))
        return -1;
    for (size_t i = 0; i < n; i++)
        d->slots[i].buffer = (int)i;
    return 0;
}

void cara_decoder_cache_free(cara_decoder *d) {
    free(d->cache);
    free(d->cache_f16);
}

/* ---- slots ---- */

void cara_decoder_start(cara_decoder *d, int slot, int audio) {
    cara_decoder_truncate(d, slot, 0);
    d->slots[slot].audio = audio;
}

size_t cara_decoder_length(const cara_decoder *d, int slot) {
    return d->slots[slot].length;
}

static size_t *common_of(const cara_decoder *d, int a, int b) {
    return &d->common[(size_t)a * d->n_slots + (size_t)b];
}

void cara_decoder_truncate(cara_decoder *d, int slot, size_t length) {
    cara_decoder_slot *s = &d->slots[slot];
    if (length >= s->length)
        return;
    s->length = length;
    for (int i = 0; i < (int)d->n_slots; i++)
        if (*common_of(d, s->buffer, i) > length)
            *common_of(d, s->buffer, i) = *common_of(d, i, s->buffer) = length;
}

/* Positions [start, end) of every layer and head. */
static void copy_positions(const cara_decoder *d, int from, int to, size_t start, size_t end) {
    size_t w = d->d, n = (end - start) * w;
    for (size_t i = 0; i < d->n_layer; i++)
        for (size_t h = 0; h < d->n_head; h++) {
            size_t at = (h * d->n_ctx + start) * w;
            if (!d->narrow) {
                for (int values = 0; values < 2; values++)
                    memcpy(floats(d, to, i, values) + at, floats(d, from, i, values) + at,
                           n * sizeof(float));
                continue;
            }
            /* Keys by whole panels: those before `start` are the same in both. */
            size_t first = start / PANEL * PANEL, last = (end + PANEL - 1) / PANEL * PANEL;
            size_t panel = h * cara_f16_keys_count(d->n_ctx, w) + first * w;
            memcpy(halves(d, to, i, 0) + panel, halves(d, from, i, 0) + panel,
                   (last - first) * w * sizeof(uint16_t));
            memcpy(halves(d, to, i, 1) + at, halves(d, from, i, 1) + at, n * sizeof(uint16_t));
        }
}

static void copy_buffer(cara_decoder *d, int from, int to, size_t length) {
    size_t start = *common_of(d, from, to);
    if (from == to)
        return;
    if (start < length)
        copy_positions(d, from, to, start, length);
    for (int i = 0; i < (int)d->n_slots; i++)
        if (i != to)
            *common_of(d, to, i) = *common_of(d, i, to) = *common_of(d, from, i);
    *common_of(d, to, from) = *common_of(d, from, to) = length;
}

void cara_decoder_fork(cara_decoder *d, int from, int first, int n) {
    for (int i = first; i < first + n; i++) {
        if (i == from)
            continue;
        copy_buffer(d, d->slots[from].buffer, d->slots[i].buffer, d->slots[from].length);
        d->slots[i].length = d->slots[from].length;
        d->slots[i].audio = d->slots[from].audio;
    }
}

void cara_decoder_reorder(cara_decoder *d, int first, const int *source, int n) {
    cara_decoder_slot *slots = d->slots + first, *next = d->next;
    /* The first slot to ask for a source takes its buffer; the next ones get copies in buffers
     * that nobody goes on from. */
    for (int i = 0; i < n; i++)
        d->taken[slots[i].buffer] = 0;
    for (int i = 0; i < n; i++) {
        next[i] = slots[source[i]];
        if (d->taken[next[i].buffer])
            next[i].buffer = -1;
        else
            d->taken[next[i].buffer] = 1;
    }
    int spare = 0;
    for (int i = 0; i < n; i++) {
        if (next[i].buffer >= 0)
            continue;
        while (d->taken[slots[spare].buffer])
            spare++;
        next[i].buffer = slots[spare].buffer;
        d->taken[next[i].buffer] = 1;
        copy_buffer(d, slots[source[i]].buffer, next[i].buffer, next[i].length);
    }
    memcpy(slots, next, (size_t)n * sizeof *slots);
}

/* ---- attention ---- */

static void keep_floats(const cara_decoder *d, int buffer, size_t layer, size_t row, size_t at) {
    const float *src[2] = {d->k + row * d->n_state, d->v + row * d->n_state};
    for (int values = 0; values < 2; values++)
        for (size_t h = 0; h < d->n_head; h++)
            memcpy(floats(d, buffer, layer, values) + (h * d->n_ctx + at) * d->d,
                   src[values] + h * d->d, d->d * sizeof(float));
}

static void keep_halves(const cara_decoder *d, int buffer, size_t layer, size_t row, size_t at) {
    const cara_kernels *kernels = d->compute.kernels;
    uint16_t *keys = halves(d, buffer, layer, 0), *values = halves(d, buffer, layer, 1);
    kernels->narrow(d->k + row * d->n_state, d->half, d->n_state);
    for (size_t h = 0; h < d->n_head; h++) {
        uint16_t *panel =
            keys + h * cara_f16_keys_count(d->n_ctx, d->d) + at / PANEL * PANEL * d->d + at % PANEL;
        for (size_t p = 0; p < d->d; p++)
            panel[p * PANEL] = d->half[h * d->d + p];
    }
    kernels->narrow(d->v + row * d->n_state, d->half, d->n_state);
    for (size_t h = 0; h < d->n_head; h++)
        memcpy(values + (h * d->n_ctx + at) * d->d, d->half + h * d->d, d->d * sizeof *d->half);
}

/* Rows [first, first + n) of a run that stands at `at`, each on its own: however a sequence is cut
 * into runs, its rows compute the same. */
static size_t add_rows(cara_decoder *d, size_t layer, const cara_planned *p, size_t groups) {
    size_t s = d->n_state;
    for (size_t i = 0; i < p->n; i++, groups++) {
        size_t row = p->first + i;
        if (d->narrow)
            d->heads_f16[groups] = (cara_heads_f16){.n_head = d->n_head,
                                                    .d = d->d,
                                                    .n_q = 1,
                                                    .n_kv = p->at + i + 1,
                                                    .q = d->q + row * s,
                                                    .ld_q = s,
                                                    .k = halves(d, p->buffer, layer, 0),
                                                    .v = halves(d, p->buffer, layer, 1),
                                                    .head_k = cara_f16_keys_count(d->n_ctx, d->d),
                                                    .head_v = d->n_ctx * d->d,
                                                    .out = d->norm + row * s,
                                                    .ld_o = s};
        else
            d->heads[groups] = (cara_heads){.n_head = d->n_head,
                                            .d = d->d,
                                            .n_q = 1,
                                            .n_kv = p->at + i + 1,
                                            .q = d->q + row * s,
                                            .ld_q = s,
                                            .k = floats(d, p->buffer, layer, 0),
                                            .v = floats(d, p->buffer, layer, 1),
                                            .ld_kv = d->d,
                                            .head_kv = d->n_ctx * d->d,
                                            .out = d->norm + row * s,
                                            .ld_o = s};
    }
    return groups;
}

static void attend_run(cara_decoder *d, size_t layer, const cara_planned *p) {
    size_t s = d->n_state;
    cara_heads heads = {.n_head = d->n_head,
                        .d = d->d,
                        .n_q = p->n,
                        .n_kv = p->at + p->n,
                        .q = d->q + p->first * s,
                        .ld_q = s,
                        .k = floats(d, p->buffer, layer, 0),
                        .v = floats(d, p->buffer, layer, 1),
                        .ld_kv = d->d,
                        .head_kv = d->n_ctx * d->d,
                        .out = d->norm + p->first * s,
                        .ld_o = s,
                        .causal = 1};
    cara_heads_run(&d->compute, &d->scratch, &heads, 1);
}

void cara_decoder_attend_cache(cara_decoder *d, size_t layer) {
    size_t groups = 0;
    for (size_t i = 0; i < d->n_planned; i++) {
        const cara_planned *p = &d->planned[i];
        for (size_t r = 0; r < p->n; r++) {
            if (d->narrow)
                keep_halves(d, p->buffer, layer, p->first + r, p->at + r);
            else
                keep_floats(d, p->buffer, layer, p->first + r, p->at + r);
        }
        if (d->narrow || p->few)
            groups = add_rows(d, layer, p, groups);
        else
            attend_run(d, layer, p);
    }
    if (groups && d->narrow)
        cara_heads_f16_run(&d->compute, d->heads_f16, groups);
    else if (groups)
        cara_heads_run(&d->compute, &d->scratch, d->heads, groups);
}

#include "whisper/decoder_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int init_block(cara_decoder_block *b, const cara_decoder_layer *l, size_t index,
                      cara_decoder *dec, cara_error *err) {
    char name[96];
    const struct {
        cara_dense *to;
        const cara_linear *from;
        const char *name;
    } dense[] = {
        {&b->query, &l->attn.query, "attn.query"},
        {&b->key, &l->attn.key, "attn.key"},
        {&b->value, &l->attn.value, "attn.value"},
        {&b->out, &l->attn.out, "attn.out"},
        {&b->cross_query, &l->cross_attn.query, "cross_attn.query"},
        {&b->cross_key, &l->cross_attn.key, "cross_attn.key"},
        {&b->cross_value, &l->cross_attn.value, "cross_attn.value"},
        {&b->cross_out, &l->cross_attn.out, "cross_attn.out"},
        {&b->mlp_0, &l->mlp_0, "mlp.0"},
        {&b->mlp_2, &l->mlp_2, "mlp.2"},
    };
    const struct {
        cara_norm *to;
        const cara_layer_norm *from;
        const char *name;
    } norms[] = {{&b->attn_ln, &l->attn_ln, "attn_ln"},
                 {&b->cross_ln, &l->cross_attn_ln, "cross_attn_ln"},
                 {&b->mlp_ln, &l->mlp_ln, "mlp_ln"}};
    int code;
    for (size_t i = 0; i < sizeof dense / sizeof *dense; i++) {
        snprintf(name, sizeof name, "decoder.blocks.%zu.%s", index, dense[i].name);
        if ((code = cara_dense_init(dense[i].to, dense[i].from, name, &dec->arena, err)))
            return code;
    }
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        snprintf(name, sizeof name, "decoder.blocks.%zu.%s", index, norms[i].name);
        if ((code = cara_norm_init(norms[i].to, norms[i].from, name, &dec->arena, err)))
            return code;
    }
    return CARA_OK;
}

/* count * size floats that are not touched yet: a cache costs memory only as far as it is filled.
 */
static float *untouched(size_t count, size_t size) {
    if (size && count > SIZE_MAX / 8 / size)
        return NULL;
    size_t bytes = (count * size * sizeof(float) + 63) / 64 * 64;
    return aligned_alloc(64, bytes ? bytes : 64);
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

/* 1 where any product has int8 weights. */
static int has_i8(const cara_decoder *d) {
    int any = cara_dense_is_i8(&d->logits);
    for (size_t i = 0; i < d->n_layer && !any; i++) {
        const cara_decoder_block *b = &d->blocks[i];
        const cara_dense *all[] = {&b->query,       &b->key,       &b->value,       &b->out,
                                   &b->cross_query, &b->cross_key, &b->cross_value, &b->cross_out,
                                   &b->mlp_0,       &b->mlp_2};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++)
            any |= cara_dense_is_i8(all[j]);
    }
    return any;
}

/* Rows that cara_products_run() may be given for int8 weights. */
static size_t i8_rows(const cara_decoder *d) {
    return !has_i8(d) ? 0 : d->halves ? d->rows_room : most(d->rows_room, d->n_audio_ctx);
}

static int allocate(cara_decoder *d) {
    cara_arena *arena = &d->arena;
    size_t rows = d->rows_room, s = d->n_state;
    d->slot = cara_arena_alloc(arena, d->max_rows, sizeof *d->slot);
    d->next = cara_arena_alloc(arena, d->max_rows, sizeof *d->next);
    d->taken = cara_arena_alloc(arena, d->max_rows, sizeof *d->taken);
    d->heads = cara_arena_alloc(arena, d->max_rows, sizeof *d->heads);
    d->x = cara_arena_alloc(arena, rows * s, sizeof(float));
    d->norm = cara_arena_alloc(arena, rows * s, sizeof(float));
    d->q = cara_arena_alloc(arena, rows * s, sizeof(float));
    d->k = cara_arena_alloc(arena, rows * s, sizeof(float));
    d->v = cara_arena_alloc(arena, rows * s, sizeof(float));
    d->wide = cara_arena_alloc(arena, rows * s, 4 * sizeof(float));
    d->cache = untouched(d->slot_floats, d->max_rows);
    return d->slot && d->next && d->taken && d->heads && d->x && d->norm && d->q && d->k && d->v &&
                   d->wide && d->cache && cara_decoder_audio_init(d) == 0 &&
                   cara_scratch_init(&d->scratch, &d->compute, i8_rows(d), 4 * s, arena) == 0
               ? 0
               : -1;
}

int cara_decoder_new(const cara_compute *compute, int max_rows, cara_decoder **out,
                     cara_error *err) {
    const cara_dims *dims = cara_model_dims(compute->model);
    const cara_weights *w = cara_compute_weights(compute);
    *out = NULL;
    if (max_rows < 1)
        return cara_fail(err, CARA_ERR_USAGE, -1, "%d candidates asked for; expected 1 or more",
                         max_rows);
    int code = cara_check_heads("text", dims->n_text_state, dims->n_text_head, err);
    if (code)
        return code;
    cara_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the decoder");
    d->compute = *compute;
    cara_arena_init(&d->arena, SIZE_MAX / 2);
    d->n_vocab = (size_t)dims->n_vocab;
    d->n_ctx = (size_t)dims->n_text_ctx;
    d->n_audio_ctx = (size_t)dims->n_audio_ctx;
    d->n_state = (size_t)dims->n_text_state;
    d->n_head = (size_t)dims->n_text_head;
    d->d = d->n_state / d->n_head;
    d->n_layer = (size_t)dims->n_text_layer;
    d->max_rows = (size_t)max_rows;
    d->rows_room = most(d->n_ctx, d->max_rows);
    d->kv_floats = d->n_ctx * d->n_state;
    d->slot_floats = d->n_layer * 2 * d->kv_floats;
    d->blocks = cara_arena_alloc(&d->arena, d->n_layer, sizeof *d->blocks);
    if (!d->blocks) {
        code = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the decoder");
        goto fail;
    }
    cara_linear embedding = {.weight = w->token_embedding};
    cara_weight_type type;
    if ((code =
             cara_dense_init(&d->logits, &embedding, "decoder.token_embedding", &d->arena, err)) ||
        (code = cara_check_type(&w->dec_positions, "decoder.positional_embedding", &type, err)) ||
        (code = cara_norm_init(&d->ln, &w->ln, "decoder.ln", &d->arena, err)))
        goto fail;
    d->positions = cara_vector_init(&w->dec_positions, &d->arena, &d->narrow_positions);
    if (!d->positions) {
        code = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the decoder");
        goto fail;
    }
    for (size_t i = 0; i < d->n_layer; i++)
        if ((code = init_block(&d->blocks[i], &w->decoder[i], i, d, err)))
            goto fail;
    if (allocate(d) != 0) {
        code = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the decoder's %d candidates",
                         max_rows);
        goto fail;
    }
    for (size_t i = 0; i < d->max_rows; i++)
        d->slot[i] = (int)i;

    *out = d;
    return CARA_OK;
fail:
    cara_decoder_free(d);
    return code;
}

int cara_decoder_load(cara_decoder *d, size_t stage, cara_error *err) {
    const cara_model *model = d->compute.model;
    const cara_weights *w = cara_model_weights(model);
    if (stage < d->loaded)
        return CARA_OK;
    int code = CARA_OK;
    if (stage < d->n_layer) {
        cara_decoder_block *b = &d->blocks[stage];
        code = cara_model_await(model, &w->decoder[stage], sizeof w->decoder[stage], err);
        if (code)
            return code;
        cara_dense *const dense[] = {&b->query,       &b->key,       &b->value,       &b->out,
                                     &b->cross_query, &b->cross_key, &b->cross_value, &b->cross_out,
                                     &b->mlp_0,       &b->mlp_2};
        for (size_t i = 0; i < sizeof dense / sizeof *dense; i++)
            cara_dense_load(dense[i], &d->compute);
        cara_norm_load(&b->attn_ln, &d->compute);
        cara_norm_load(&b->cross_ln, &d->compute);
        cara_norm_load(&b->mlp_ln, &d->compute);
    } else {
        code = cara_model_await(model, w, sizeof *w, err);
        if (code)
            return code;
        cara_norm_load(&d->ln, &d->compute);
        cara_vector_load(d->positions, &d->narrow_positions, &d->compute);
    }
    d->loaded = stage + 1;
    return CARA_OK;
}

void cara_decoder_free(cara_decoder *d) {
    if (!d)
        return;
    cara_decoder_audio_free(d);
    free(d->cache);
    cara_arena_free(&d->arena);
    free(d);
}

void cara_decoder_reset(cara_decoder *d) {
    d->offset = 0;
}

/* ---- the self-attention cache ---- */

static float *cache_of(const cara_decoder *d, int slot, size_t layer, int values) {
    return d->cache + (size_t)slot * d->slot_floats + (layer * 2 + (size_t)values) * d->kv_floats;
}

/* Row `src` [n_head, d] to position `at` of keys or values [n_head, n_ctx, d]. */
static void keep(const cara_decoder *d, float *cache, size_t at, const float *src) {
    for (size_t h = 0; h < d->n_head; h++)
        memcpy(cache + (h * d->n_ctx + at) * d->d, src + h * d->d, d->d * sizeof *src);
}

static void copy_slot(const cara_decoder *d, int from, int to) {
    size_t n = d->offset * d->d * sizeof(float);
    if (!n)
        return;
    for (size_t i = 0; i < d->n_layer; i++)
        for (int values = 0; values < 2; values++)
            for (size_t h = 0; h < d->n_head; h++)
                memcpy(cache_of(d, to, i, values) + h * d->n_ctx * d->d,
                       cache_of(d, from, i, values) + h * d->n_ctx * d->d, n);
}

void cara_decoder_reorder(cara_decoder *d, const int *source, int n_rows) {
    /* The first row to ask for a source takes its slot; the next ones get copies in slots that
     * nobody goes on from. */
    memset(d->taken, 0, d->max_rows * sizeof *d->taken);
    for (int i = 0; i < n_rows; i++) {
        int slot = d->slot[source[i]];
        d->next[i] = d->taken[slot] ? -1 : slot;
        d->taken[slot] = 1;
    }
    int spare = 0;
    for (int i = 0; i < n_rows; i++) {
        if (d->next[i] >= 0)
            continue;
        while (d->taken[spare])
            spare++;
        d->taken[spare] = 1;
        copy_slot(d, d->slot[source[i]], spare);
        d->next[i] = spare;
    }
    /* Rows beyond n_rows keep whatever slots are left. */
    spare = 0;
    for (int i = n_rows; i < (int)d->max_rows; i++) {
        while (d->taken[spare])
            spare++;
        d->taken[spare] = 1;
        d->next[i] = spare;
    }
    memcpy(d->slot, d->next, d->max_rows * sizeof *d->slot);
}

void cara_decoder_fork(cara_decoder *d, int n_rows) {
    for (int i = 1; i < n_rows; i++)
        copy_slot(d, d->slot[0], d->slot[i]);
}

/* ---- the forward pass ---- */

static void product(const cara_decoder *d, size_t m, cara_product p) {
    cara_products_run(&d->compute, &d->scratch, m, &p, 1);
}

/* `rows` tokens: consecutive ones of row 0 (prompt), or one of each row. */
static void self_attention(cara_decoder *d, const cara_decoder_block *b, size_t layer, size_t rows,
                           int is_prompt) {
    size_t s = d->n_state, groups = is_prompt ? 1 : rows;
    cara_norm_run(&d->compute, &b->attn_ln, rows, d->x, d->norm);
    cara_product qkv[] = {{.dense = &b->query, .a = d->norm, .lda = s, .c = d->q, .ldc = s},
                          {.dense = &b->key, .a = d->norm, .lda = s, .c = d->k, .ldc = s},
                          {.dense = &b->value, .a = d->norm, .lda = s, .c = d->v, .ldc = s}};
    cara_products_run(&d->compute, &d->scratch, rows, qkv, 3);
    for (size_t i = 0; i < rows; i++) {
        int slot = d->slot[is_prompt ? 0 : i];
        size_t at = d->offset + (is_prompt ? i : 0);
        keep(d, cache_of(d, slot, layer, 0), at, d->k + i * s);
        keep(d, cache_of(d, slot, layer, 1), at, d->v + i * s);
    }
    for (size_t i = 0; i < groups; i++)
        d->heads[i] = (cara_heads){.n_head = d->n_head,
                                   .d = d->d,
                                   .n_q = is_prompt ? rows : 1,
                                   .n_kv = d->offset + (is_prompt ? rows : 1),
                                   .q = d->q + i * s,
                                   .ld_q = s,
                                   .k = cache_of(d, d->slot[i], layer, 0),
                                   .v = cache_of(d, d->slot[i], layer, 1),
                                   .ld_kv = d->d,
                                   .head_kv = d->n_ctx * d->d,
                                   .out = d->norm + i * s,
                                   .ld_o = s,
                                   .causal = is_prompt};
    cara_heads_run(&d->compute, &d->scratch, d->heads, groups);
    product(d, rows,
            (cara_product){
                .dense = &b->out, .a = d->norm, .lda = s, .residual = d->x, .c = d->x, .ldc = s});
}

static void cross_attention(cara_decoder *d, const cara_decoder_block *b, size_t layer,
                            size_t rows) {
    size_t s = d->n_state;
    cara_norm_run(&d->compute, &b->cross_ln, rows, d->x, d->norm);
    product(d, rows,
            (cara_product){.dense = &b->cross_query, .a = d->norm, .lda = s, .c = d->q, .ldc = s});
    cara_decoder_attend_audio(d, layer, rows);
    product(
        d, rows,
        (cara_product){
            .dense = &b->cross_out, .a = d->norm, .lda = s, .residual = d->x, .c = d->x, .ldc = s});
}

static void mlp(cara_decoder *d, const cara_decoder_block *b, size_t rows) {
    size_t s = d->n_state;
    cara_norm_run(&d->compute, &b->mlp_ln, rows, d->x, d->norm);
    product(d, rows,
            (cara_product){.dense = &b->mlp_0,
                           .a = d->norm,
                           .lda = s,
                           .gelu = 1,
                           .c = d->wide,
                           .ldc = b->mlp_0.n});
    product(d, rows,
            (cara_product){.dense = &b->mlp_2,
                           .a = d->wide,
                           .lda = b->mlp_2.k,
                           .residual = d->x,
                           .c = d->x,
                           .ldc = s});
}

/* A token at a position: x [n_state]. */
static void embed(const cara_decoder *d, size_t token, size_t at, float *x) {
    const size_t s = d->n_state;
    const float *position = d->positions + at * s;
    if (cara_dense_is_i8(&d->logits)) {
        const cara_i8_weights *w = &d->logits.i8;
        for (size_t c = 0; c < s; c++)
            x[c] = w->scale[token] * w->packed[cara_i8_at(s, token, c)];
    } else {
        size_t size = d->logits.type == CARA_WEIGHT_F32 ? 4 : 2;
        d->compute.kernels->widen(d->logits.type, (const char *)d->logits.w + token * s * size, x,
                                  s);
    }
    for (size_t c = 0; c < s; c++)
        x[c] += position[c];
}

/* Leaves the residual stream of the `rows` tokens in d->x. */
static int forward(cara_decoder *d, const int32_t *tokens, size_t rows, int is_prompt,
                   cara_error *err) {
    size_t s = d->n_state;
    if (!d->has_audio)
        return cara_fail(err, CARA_ERR_USAGE, -1, "the decoder was given no audio yet");
    for (size_t i = 0; i < rows; i++)
        if (tokens[i] < 0 || (size_t)tokens[i] >= d->n_vocab)
            return cara_fail(err, CARA_ERR_USAGE, -1, "token %ld is outside the vocabulary of %zu",
                             (long)tokens[i], d->n_vocab);
    int code = cara_compute_poll(&d->compute, err);
    if (code)
        return code;
    for (size_t i = 0; i < rows; i++)
        embed(d, (size_t)tokens[i], d->offset + (is_prompt ? i : 0), d->x + i * s);
    for (size_t i = 0; i < d->n_layer; i++) {
        if (is_prompt && (code = cara_compute_poll(&d->compute, err)))
            return code;
        const cara_decoder_block *b = &d->blocks[i];
        self_attention(d, b, i, rows, is_prompt);
        cross_attention(d, b, i, rows);
        mlp(d, b, rows);
    }
    d->offset += is_prompt ? rows : 1;
    return CARA_OK;
}

int cara_decoder_prompt(cara_decoder *d, const int32_t *tokens, size_t n, const size_t *wanted,
                        size_t n_wanted, float *logits, cara_error *err) {
    size_t s = d->n_state;
    if (n == 0 || n > d->n_ctx)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "a prompt of %zu tokens does not fit; expected 1 to %zu", n, d->n_ctx);
    d->offset = 0;
    int code = forward(d, tokens, n, 1, err);
    if (code)
        return code;
    for (size_t i = 0; i < n_wanted; i++)
        d->compute.kernels->layer_norm(d->x + wanted[i] * s, d->ln.weight, d->ln.bias, s,
                                       d->norm + i * s);
    if (n_wanted)
        product(d, n_wanted,
                (cara_product){
                    .dense = &d->logits, .a = d->norm, .lda = s, .c = logits, .ldc = d->n_vocab});
    return CARA_OK;
}

int cara_decoder_step(cara_decoder *d, const int32_t *tokens, int n_rows, float *logits,
                      cara_error *err) {
    size_t s = d->n_state, rows = (size_t)n_rows;
    if (n_rows < 1 || rows > d->max_rows)
        return cara_fail(err, CARA_ERR_USAGE, -1, "%d candidates do not fit; expected 1 to %zu",
                         n_rows, d->max_rows);
    if (d->offset >= d->n_ctx)
        return cara_fail(err, CARA_ERR_USAGE, -1, "the model's context of %zu tokens is full",
                         d->n_ctx);
    int code = forward(d, tokens, rows, 0, err);
    if (code)
        return code;
    cara_norm_run(&d->compute, &d->ln, rows, d->x, d->norm);
    product(d, rows,
            (cara_product){
                .dense = &d->logits, .a = d->norm, .lda = s, .c = logits, .ldc = d->n_vocab});
    return CARA_OK;
}

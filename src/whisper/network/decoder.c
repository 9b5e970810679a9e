#include "whisper/network/decoder_parts.h"

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

void *cara_decoder_untouched(size_t count, size_t size) {
    if (size && count > SIZE_MAX / 8 / size)
        return NULL;
    return aligned_alloc(64, (count * size + 63) / 64 * 64 + 64);
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

/* 1 where any product has int8 weights (i8 is 1), or float ones (0). */
static int has(const cara_decoder *d, int i8) {
    int any = cara_dense_is_i8(&d->logits) == i8;
    for (size_t i = 0; i < d->n_layer && !any; i++) {
        const cara_decoder_block *b = &d->blocks[i];
        const cara_dense *all[] = {&b->query,       &b->key,       &b->value,       &b->out,
                                   &b->cross_query, &b->cross_key, &b->cross_value, &b->cross_out,
                                   &b->mlp_0,       &b->mlp_2};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++)
            any |= cara_dense_is_i8(all[j]) == i8;
    }
    return any;
}

/* Rows that cara_products_run() may be given for int8 weights. */
static size_t i8_rows(const cara_decoder *d) {
    return !has(d, 1) ? 0 : d->narrow ? d->rows_room : most(d->rows_room, d->n_audio_ctx);
}

static int allocate(cara_decoder *d) {
    cara_arena *arena = &d->arena;
    size_t rows = d->rows_room, s = d->n_state;
    d->planned = cara_arena_alloc(arena, d->n_slots, sizeof *d->planned);
    if (d->narrow) {
        d->heads_f16 = cara_arena_alloc(arena, rows, sizeof *d->heads_f16);
        d->heads_i8 = cara_arena_alloc(arena, rows, sizeof *d->heads_i8);
    } else
        d->heads = cara_arena_alloc(arena, rows, sizeof *d->heads);
    d->memory = cara_decoder_untouched(rows * s, 9 * sizeof(float));
    d->memory_size = rows * s * 9 * sizeof(float);
    if (!d->planned || (!d->heads && !(d->heads_f16 && d->heads_i8)) || !d->memory)
        return -1;
    float *at = (float *)(void *)d->memory;
    float **const to[] = {&d->x, &d->norm, &d->q, &d->k, &d->v};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++, at += rows * s)
        *to[i] = at;
    d->wide = at;
    if (cara_decoder_audio_init(d) != 0 || cara_decoder_cache_init(d) != 0)
        return -1;
    /* Int8 products and what reads narrow caches need no scratch of the threads'. */
    if ((!d->narrow || has(d, 0)) && cara_scratch_init(&d->scratch, &d->compute, 0, 0, arena) != 0)
        return -1;
    size_t quantised = i8_rows(d);
    if (quantised) /* few passes have so many rows: it is not touched before */
        d->scratch.quantised =
            cara_decoder_untouched(cara_quantised_size(&d->compute, quantised, 4 * s), 1);
    return d->scratch.quantised || !quantised ? 0 : -1;
}

int cara_decoder_new(const cara_compute *compute, int n_audios, int n_slots, cara_decoder **out,
                     cara_error *err) {
    const cara_dims *dims = cara_model_dims(compute->model);
    const cara_weights *w = cara_compute_weights(compute);
    *out = NULL;
    if (n_audios < 1 || n_slots < 1)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "%d audios and %d candidates asked for; expected 1 or more of each",
                         n_audios, n_slots);
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
    d->n_audios = (size_t)n_audios;
    d->n_slots = (size_t)n_slots;
    d->rows_room = d->n_ctx;
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
    d->positions = &w->dec_positions;
    d->positions_type = type;
    for (size_t i = 0; i < d->n_layer; i++)
        if ((code = init_block(&d->blocks[i], &w->decoder[i], i, d, err)))
            goto fail;
    d->narrow = d->n_layer > 0;
    for (size_t i = 0; i < d->n_layer; i++)
        d->narrow &= cara_dense_is_i8(&d->blocks[i].cross_key) &&
                     cara_dense_is_i8(&d->blocks[i].cross_value);
    if (allocate(d) != 0) {
        code = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the decoder's %d candidates",
                         n_slots);
        goto fail;
    }
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
    }
    d->loaded = stage + 1;
    return CARA_OK;
}

void cara_decoder_free(cara_decoder *d) {
    if (!d)
        return;
    cara_decoder_audio_free(d);
    cara_decoder_cache_free(d);
    free(d->memory);
    free(d->scratch.quantised);
    cara_arena_free(&d->arena);
    free(d);
}

/* ---- the forward pass ---- */

static cara_product moved(cara_product p, size_t rows) {
    p.a += rows * p.lda;
    p.c += rows * p.ldc;
    if (p.residual)
        p.residual += rows * p.ldc;
    return p;
}

/* Products of all rows of the pass. Float weights: those of longer runs by gemm, the others by
 * gemv, lest company decide. */
static void products(const cara_decoder *d, const cara_product *p, size_t n) {
    int all_i8 = 1;
    for (size_t i = 0; i < n; i++)
        all_i8 &= cara_dense_is_i8(p[i].dense);
    if (all_i8 || d->many == d->rows) {
        cara_products_run(&d->compute, &d->scratch, d->rows, p, n);
        return;
    }
    if (d->many)
        cara_products_run(&d->compute, &d->scratch, d->many, p, n);
    cara_product rest[CARA_PRODUCTS_MAX];
    for (size_t i = 0; i < n; i++)
        rest[i] = moved(p[i], d->many);
    cara_products_run_few(&d->compute, &d->scratch, d->rows - d->many, rest, n);
}

static void self_attention(cara_decoder *d, const cara_decoder_block *b, size_t layer) {
    size_t s = d->n_state;
    cara_norm_run(&d->compute, &b->attn_ln, d->rows, d->x, d->norm);
    cara_product qkv[] = {{.dense = &b->query, .a = d->norm, .lda = s, .c = d->q, .ldc = s},
                          {.dense = &b->key, .a = d->norm, .lda = s, .c = d->k, .ldc = s},
                          {.dense = &b->value, .a = d->norm, .lda = s, .c = d->v, .ldc = s}};
    products(d, qkv, 3);
    cara_decoder_attend_cache(d, layer);
    products(d,
             &(cara_product){
                 .dense = &b->out, .a = d->norm, .lda = s, .residual = d->x, .c = d->x, .ldc = s},
             1);
}

static void cross_attention(cara_decoder *d, const cara_decoder_block *b, size_t layer) {
    size_t s = d->n_state;
    cara_norm_run(&d->compute, &b->cross_ln, d->rows, d->x, d->norm);
    products(d,
             &(cara_product){.dense = &b->cross_query, .a = d->norm, .lda = s, .c = d->q, .ldc = s},
             1);
    cara_decoder_attend_audio(d, layer);
    products(
        d,
        &(cara_product){
            .dense = &b->cross_out, .a = d->norm, .lda = s, .residual = d->x, .c = d->x, .ldc = s},
        1);
}

static void mlp(cara_decoder *d, const cara_decoder_block *b) {
    size_t s = d->n_state;
    cara_norm_run(&d->compute, &b->mlp_ln, d->rows, d->x, d->norm);
    products(
        d,
        &(cara_product){
            .dense = &b->mlp_0, .a = d->norm, .lda = s, .gelu = 1, .c = d->wide, .ldc = b->mlp_0.n},
        1);
    products(d,
             &(cara_product){.dense = &b->mlp_2,
                             .a = d->wide,
                             .lda = b->mlp_2.k,
                             .residual = d->x,
                             .c = d->x,
                             .ldc = s},
             1);
}

/* A token at a position: x [n_state]. */
static void embed(const cara_decoder *d, size_t token, size_t at, float *x) {
    const size_t s = d->n_state;
    const size_t size = d->positions_type == CARA_WEIGHT_F32 ? 4 : 2;
    float *position = d->wide; /* free until the first MLP */
    d->compute.kernels->widen(d->positions_type, (const char *)d->positions->data + at * s * size,
                              position, s);
    if (cara_dense_is_i8(&d->logits)) {
        const cara_i8_weights *w = &d->logits.i8;
        for (size_t c = 0; c < s; c++)
            x[c] = w->scale[token] * w->packed[cara_i8_at(s, token, c)];
    } else {
        size_t each = d->logits.type == CARA_WEIGHT_F32 ? 4 : 2;
        d->compute.kernels->widen(d->logits.type, (const char *)d->logits.w + token * s * each, x,
                                  s);
    }
    for (size_t c = 0; c < s; c++)
        x[c] += position[c];
}

static int check_run(const cara_decoder *d, const cara_run *run, cara_error *err) {
    if (run->slot < 0 || (size_t)run->slot >= d->n_slots)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "candidate %d does not exist; expected one of 0 to %zu", run->slot,
                         d->n_slots - 1);
    const cara_decoder_slot *slot = &d->slots[run->slot];
    if (!d->has_audio[slot->audio])
        return cara_fail(err, CARA_ERR_USAGE, -1, "the decoder was given no audio yet");
    if (!run->n || run->n > d->n_ctx - slot->length)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "%zu tokens behind %zu do not fit; expected 1 or more, and at most %zu in "
                         "all",
                         run->n, slot->length, d->n_ctx);
    for (size_t i = 0; i < run->n; i++)
        if (run->tokens[i] < 0 || (size_t)run->tokens[i] >= d->n_vocab)
            return cara_fail(err, CARA_ERR_USAGE, -1, "token %ld is outside the vocabulary of %zu",
                             (long)run->tokens[i], d->n_vocab);
    return CARA_OK;
}

/* 1 where b comes later in a pass than a: longer runs first, those of an audio together. */
static int is_later(const cara_planned *a, const cara_planned *b) {
    return a->few != b->few ? b->few : a->audio < b->audio;
}

/* Lays out as many of the runs from `first` on as fit a pass; returns how many. */
static size_t plan(cara_decoder *d, const cara_run *runs, size_t n_runs, size_t first) {
    d->n_planned = d->rows = d->many = 0;
    size_t i = first;
    for (; i < n_runs && d->rows + runs[i].n <= d->rows_room; i++) {
        const cara_decoder_slot *slot = &d->slots[runs[i].slot];
        cara_planned p = {.run = i,
                          .n = runs[i].n,
                          .few = runs[i].n <= CARA_FEW_ROWS,
                          .buffer = slot->buffer,
                          .audio = slot->audio,
                          .at = slot->length};
        size_t to = d->n_planned++;
        for (; to && is_later(&p, &d->planned[to - 1]); to--)
            d->planned[to] = d->planned[to - 1];
        d->planned[to] = p;
        d->rows += p.n;
        d->many += p.few ? 0 : p.n;
    }
    size_t at = 0;
    for (size_t j = 0; j < d->n_planned; j++) {
        d->planned[j].first = at;
        at += d->planned[j].n;
    }
    return i - first;
}

/* Leaves the residual stream of the pass's rows in d->x. */
static int run_pass(cara_decoder *d, const cara_run *runs, cara_error *err) {
    int code = cara_compute_poll(&d->compute, err);
    if (code)
        return code;
    for (size_t i = 0; i < d->n_planned; i++) {
        const cara_planned *p = &d->planned[i];
        for (size_t j = 0; j < p->n; j++)
            embed(d, (size_t)runs[p->run].tokens[j], p->at + j, d->x + (p->first + j) * d->n_state);
    }
    for (size_t i = 0; i < d->n_layer; i++) {
        if (d->rows > d->n_planned && (code = cara_compute_poll(&d->compute, err)))
            return code;
        const cara_decoder_block *b = &d->blocks[i];
        self_attention(d, b, i);
        cross_attention(d, b, i);
        mlp(d, b);
    }
    return CARA_OK;
}

/* Row of the pass of a run's token. */
static size_t row_of(const cara_decoder *d, size_t run, size_t token) {
    size_t i = 0;
    while (d->planned[i].run != run)
        i++;
    return d->planned[i].first + token;
}

int cara_decoder_forward(cara_decoder *d, const cara_run *runs, size_t n_runs, const size_t *wanted,
                         size_t n_wanted, float *logits, cara_error *err) {
    size_t s = d->n_state, base = 0, done = 0; /* tokens, wanted ones of passes before */
    int code = CARA_OK;
    memset(d->taken, 0, d->n_slots * sizeof *d->taken);
    for (size_t i = 0; i < n_runs && !code; i++) {
        code = check_run(d, &runs[i], err);
        if (!code && d->taken[runs[i].slot]++)
            code = cara_fail(err, CARA_ERR_USAGE, -1, "candidate %d is fed twice at once",
                             runs[i].slot);
    }
    if (code)
        return code;
    size_t total = 0;
    for (size_t i = 0; i < n_runs; i++)
        total += runs[i].n;
    if (n_wanted && wanted[n_wanted - 1] >= total)
        return cara_fail(err, CARA_ERR_USAGE, -1, "logits of token %zu wanted; %zu are fed",
                         wanted[n_wanted - 1], total);
    for (size_t first = 0, n; first < n_runs; first += n) {
        n = plan(d, runs, n_runs, first);
        if ((code = run_pass(d, runs, err)))
            return code;
        size_t here = 0;
        for (size_t run = first; run < first + n; base += runs[run++].n)
            for (; done + here < n_wanted && wanted[done + here] < base + runs[run].n; here++)
                d->compute.kernels->layer_norm(d->x +
                                                   row_of(d, run, wanted[done + here] - base) * s,
                                               d->ln.weight, d->ln.bias, s, d->norm + here * s);
        if (here)
            cara_products_run_few(&d->compute, &d->scratch, here,
                                  &(cara_product){.dense = &d->logits,
                                                  .a = d->norm,
                                                  .lda = s,
                                                  .c = logits + done * d->n_vocab,
                                                  .ldc = d->n_vocab},
                                  1);
        done += here;
    }
    for (size_t i = 0; i < n_runs; i++)
        d->slots[runs[i].slot].length += runs[i].n;
    return CARA_OK;
}

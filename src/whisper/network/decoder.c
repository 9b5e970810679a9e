#include "whisper/network/decoder.h"

#include "whisper/network/block.h"
#include "whisper/network/cross_cache.h"
#include "whisper/network/self_cache.h"

#include <stdlib.h>
#include <string.h>

struct cara_decoder {
    cara_compute compute;
    cara_arena arena;
    size_t n_vocab, n_ctx, n_state, n_layer;
    int n_slots;

    cara_dense logits;        /* the token embedding, which is also the output layer */
    cara_positions positions; /* [n_ctx, n_state] */
    cara_block *blocks;       /* [n_layer] */
    cara_norm ln;
    size_t loaded; /* layers that have arrived and are widened; n_layer + 1: all else, too */

    cara_pass pass;
    cara_self_cache *self;
    cara_cross_cache *cross;
    int *fed;                        /* [n_slots] runs of a call for each */
    const cara_alignment *alignment; /* of the current call, or NULL */
};

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static int init_weights(cara_decoder *d, const cara_weights *w, cara_error *err) {
    cara_linear embedding = {.weight = w->token_embedding};
    int code = cara_dense_init(&d->logits, &embedding, "decoder.token_embedding", &d->arena, err);
    if (!code)
        code = cara_positions_init(&d->positions, &w->dec_positions, "decoder.positional_embedding",
                                   err);
    if (!code)
        code = cara_norm_init(&d->ln, &w->ln, "decoder.ln", &d->arena, err);
    for (size_t i = 0; i < d->n_layer && !code; i++)
        code = cara_block_init(&d->blocks[i], &cara_decoder_members, &w->decoder[i], i, &d->arena,
                               err);
    return code;
}

/* The pass and the caches, by how the weights are stored. -1 on no memory. */
static int init_caches(cara_decoder *d, const cara_dims *dims, int n_audios) {
    size_t n_audio_ctx = (size_t)dims->n_audio_ctx, n_head = (size_t)dims->n_text_head;
    cara_text_shape shape = {d->n_layer, n_head, d->n_state / n_head};
    size_t i8 = (size_t)cara_dense_is_i8(&d->logits), floats = !i8;
    int is_narrow = d->n_layer > 0; /* int8 audios and f16 slots */
    for (size_t i = 0; i < d->n_layer; i++) {
        const cara_block *b = &d->blocks[i];
        i8 += cara_block_count(b, 1);
        floats += cara_block_count(b, 0);
        is_narrow &= cara_dense_is_i8(cara_block_dense(b, CARA_CROSS_ATTN_KEY)) &&
                     cara_dense_is_i8(cara_block_dense(b, CARA_CROSS_ATTN_VALUE));
    }
    /* Audios that are not narrow are set by products of all their states. */
    size_t i8_rows = !i8 ? 0 : is_narrow ? d->n_ctx : max_size(d->n_ctx, n_audio_ctx);
    size_t n_slots = (size_t)d->n_slots;
    d->fed = cara_arena_alloc(&d->arena, n_slots, sizeof *d->fed);
    if (!d->fed || cara_pass_init(&d->pass, &d->compute, &shape, d->n_ctx, n_slots, i8_rows,
                                  is_narrow && !floats, &d->arena) != 0)
        return -1;
    d->self = cara_self_cache_new(&d->pass, d->n_ctx, n_slots, is_narrow);
    d->cross = cara_cross_cache_new(&d->pass, (size_t)n_audios, n_audio_ctx, is_narrow);
    return d->self && d->cross ? 0 : -1;
}

int cara_decoder_new(const cara_compute *compute, int n_audios, int n_slots, cara_decoder **out,
                     cara_error *err) {
    const cara_dims *dims = cara_model_dims(compute->model);
    *out = NULL;
    if (n_audios < 1 || n_slots < 1)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "%d audios and %d candidates requested; expected 1 or more of each",
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
    d->n_state = (size_t)dims->n_text_state;
    d->n_layer = (size_t)dims->n_text_layer;
    d->n_slots = n_slots;
    d->blocks = cara_arena_alloc(&d->arena, d->n_layer, sizeof *d->blocks);
    if (!d->blocks) {
        code = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the decoder");
        goto fail;
    }
    if ((code = init_weights(d, cara_compute_weights(compute), err)))
        goto fail;
    if (init_caches(d, dims, n_audios) != 0) {
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

void cara_decoder_free(cara_decoder *d) {
    if (!d)
        return;
    cara_self_cache_free(d->self);
    cara_cross_cache_free(d->cross);
    cara_pass_free(&d->pass);
    cara_arena_free(&d->arena);
    free(d);
}

/* ---- audios ---- */

/* Waits for the weights of stage `stage`, where that was not done yet: 0 .. n_layer - 1 the layers,
 * n_layer what is in none. As cara_model_await(). */
static int load(cara_decoder *d, size_t stage, cara_error *err) {
    const cara_model *model = d->compute.model;
    const cara_weights *w = cara_model_weights(model);
    if (stage < d->loaded)
        return CARA_OK;
    int is_layer = stage < d->n_layer;
    int code = is_layer ? cara_model_await(model, &w->decoder[stage], sizeof w->decoder[stage], err)
                        : cara_model_await(model, w, sizeof *w, err);
    if (code)
        return code;
    if (is_layer)
        cara_block_load(&d->blocks[stage], &d->compute);
    else
        cara_norm_load(&d->ln, &d->compute);
    d->loaded = stage + 1;
    return CARA_OK;
}

int cara_decoder_set_audio(cara_decoder *d, int audio, const float *states, cara_error *err) {
    int code;
    cara_cross_cache_clear(d->cross, audio);
    for (int i = 0; i < d->n_slots; i++)
        if (cara_self_cache_audio(d->self, i) == audio)
            cara_self_cache_truncate(d->self, i, 0);
    for (size_t i = 0; i < d->n_layer; i++) {
        if ((code = cara_compute_poll(&d->compute, err)) || (code = load(d, i, err)))
            return code;
        const cara_block *b = &d->blocks[i];
        cara_cross_cache_set_layer(d->cross, audio, i, cara_block_dense(b, CARA_CROSS_ATTN_KEY),
                                   cara_block_dense(b, CARA_CROSS_ATTN_VALUE), states);
    }
    if ((code = load(d, d->n_layer, err)))
        return code;
    cara_cross_cache_mark_set(d->cross, audio);
    return CARA_OK;
}

void cara_decoder_set_audio_ctx(cara_decoder *d, int audio, size_t n) {
    cara_cross_cache_set_ctx(d->cross, audio, n);
}

/* ---- slots ---- */

int cara_decoder_reserve(cara_decoder *d, int first, int n, cara_error *err) {
    if (first < 0 || n < 1 || first + n > d->n_slots)
        return cara_fail(err, CARA_ERR_USAGE, -1, "there are %d slots, and none from %d to %d",
                         d->n_slots, first, first + n - 1);
    for (int i = first; i < first + n; i++)
        if (cara_self_cache_reserve(d->self, i) != 0)
            return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %d candidates", n);
    return CARA_OK;
}

void cara_decoder_start(cara_decoder *d, int slot, int audio) {
    cara_self_cache_start(d->self, slot, audio);
}

void cara_decoder_truncate(cara_decoder *d, int slot, size_t length) {
    cara_self_cache_truncate(d->self, slot, length);
}

void cara_decoder_fork(cara_decoder *d, int from, int first, int n) {
    cara_self_cache_fork(d->self, from, first, n);
}

void cara_decoder_reorder(cara_decoder *d, int first, const int *source, int n) {
    cara_self_cache_reorder(d->self, first, source, n);
}

/* ---- the forward pass ---- */

/* One product of the pass's rows of width dense->k and dense->n. */
static void product(const cara_decoder *d, const cara_dense *dense, int gelu, const float *a,
                    const float *residual, float *c) {
    cara_pass_products(&d->pass,
                       &(cara_product){.dense = dense,
                                       .a = a,
                                       .lda = dense->k,
                                       .gelu = gelu,
                                       .residual = residual,
                                       .c = c,
                                       .ldc = dense->n},
                       1);
}

static void normalise(const cara_decoder *d, const cara_norm *norm) {
    cara_norm_run(&d->compute, norm, d->pass.rows, d->pass.x, d->pass.norm);
}

static void self_attention(cara_decoder *d, const cara_block *b, size_t layer) {
    const cara_pass *p = &d->pass;
    size_t s = d->n_state;
    normalise(d, cara_block_norm(b, CARA_ATTN_LN));
    cara_product qkv[] = {
        {.dense = cara_block_dense(b, CARA_ATTN_QUERY),
         .a = p->norm,
         .lda = s,
         .c = p->q,
         .ldc = s},
        {.dense = cara_block_dense(b, CARA_ATTN_KEY), .a = p->norm, .lda = s, .c = p->k, .ldc = s},
        {.dense = cara_block_dense(b, CARA_ATTN_VALUE),
         .a = p->norm,
         .lda = s,
         .c = p->v,
         .ldc = s}};
    cara_pass_products(p, qkv, 3);
    cara_self_cache_attend(d->self, layer);
    product(d, cara_block_dense(b, CARA_ATTN_OUT), 0, p->norm, p->x, p->x);
}

/* Scores of the heads of this layer, for the only run of the pass. */
static void align(const cara_decoder *d, size_t layer) {
    const cara_alignment *a = d->alignment;
    const cara_pass_run *run = &d->pass.runs[0];
    size_t size = run->n * cara_cross_cache_ctx(d->cross, run->audio);
    for (size_t i = 0; i < a->n_heads; i++)
        if (a->heads[i].layer == (int32_t)layer)
            cara_cross_cache_scores(d->cross, layer, (size_t)a->heads[i].head, run,
                                    a->scores + i * size);
}

static void cross_attention(cara_decoder *d, const cara_block *b, size_t layer) {
    const cara_pass *p = &d->pass;
    normalise(d, cara_block_norm(b, CARA_CROSS_ATTN_LN));
    product(d, cara_block_dense(b, CARA_CROSS_ATTN_QUERY), 0, p->norm, NULL, p->q);
    if (d->alignment)
        align(d, layer);
    cara_cross_cache_attend(d->cross, layer);
    product(d, cara_block_dense(b, CARA_CROSS_ATTN_OUT), 0, p->norm, p->x, p->x);
}

static void mlp(cara_decoder *d, const cara_block *b) {
    const cara_pass *p = &d->pass;
    normalise(d, cara_block_norm(b, CARA_MLP_LN));
    product(d, cara_block_dense(b, CARA_MLP_0), 1, p->norm, NULL, p->wide);
    product(d, cara_block_dense(b, CARA_MLP_2), 0, p->wide, p->x, p->x);
}

/* A token at a position: x [n_state]. */
static void embed(const cara_decoder *d, size_t token, size_t at, float *x) {
    const size_t s = d->n_state;
    float *position = d->pass.wide; /* free until the first MLP */
    cara_positions_read(&d->positions, &d->compute, at, 1, position);
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
    if (run->slot < 0 || run->slot >= d->n_slots)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "candidate %d does not exist; expected one of 0 to %d", run->slot,
                         d->n_slots - 1);
    if (!cara_self_cache_is_reserved(d->self, run->slot))
        return cara_fail(err, CARA_ERR_USAGE, -1, "candidate %d has no memory reserved", run->slot);
    if (!cara_cross_cache_is_set(d->cross, cara_self_cache_audio(d->self, run->slot)))
        return cara_fail(
            err, CARA_ERR_USAGE, -1,
            "no audio was set for this candidate; expected cara_decoder_set_audio() first");
    size_t length = cara_self_cache_length(d->self, run->slot);
    if (!run->n || run->n > d->n_ctx - length)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "%zu tokens after %zu do not fit; expected 1 or more, and at most %zu in "
                         "all",
                         run->n, length, d->n_ctx);
    for (size_t i = 0; i < run->n; i++)
        if (run->tokens[i] < 0 || (size_t)run->tokens[i] >= d->n_vocab)
            return cara_fail(err, CARA_ERR_USAGE, -1, "token %ld is outside the vocabulary of %zu",
                             (long)run->tokens[i], d->n_vocab);
    return CARA_OK;
}

static int check_call(const cara_decoder *d, const cara_run *runs, size_t n_runs,
                      const size_t *wanted, size_t n_wanted, cara_error *err) {
    size_t total = 0;
    memset(d->fed, 0, (size_t)d->n_slots * sizeof *d->fed);
    for (size_t i = 0; i < n_runs; i++) {
        int code = check_run(d, &runs[i], err);
        if (code)
            return code;
        if (d->fed[runs[i].slot]++)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "candidate %d has two runs in one call; expected one at most",
                             runs[i].slot);
        total += runs[i].n;
    }
    if (n_wanted && wanted[n_wanted - 1] >= total)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "logits of token %zu requested, but the runs have only %zu tokens",
                         wanted[n_wanted - 1], total);
    return CARA_OK;
}

/* Puts as many of the runs from `first` on as fit into the pass; returns how many. */
static size_t plan(cara_decoder *d, const cara_run *runs, size_t n_runs, size_t first) {
    size_t i = first;
    cara_pass_begin(&d->pass);
    for (; i < n_runs; i++) {
        int slot = runs[i].slot;
        if (!cara_pass_add(&d->pass, (cara_pass_run){.index = i,
                                                     .slot = slot,
                                                     .audio = cara_self_cache_audio(d->self, slot),
                                                     .at = cara_self_cache_length(d->self, slot),
                                                     .n = runs[i].n}))
            break;
    }
    return i - first;
}

/* Leaves the residual stream of the pass's rows in its x. */
static int run_pass(cara_decoder *d, const cara_run *runs, cara_error *err) {
    const cara_pass *pass = &d->pass;
    int code = cara_compute_poll(&d->compute, err);
    if (code)
        return code;
    for (size_t i = 0; i < pass->n_runs; i++) {
        const cara_pass_run *p = &pass->runs[i];
        for (size_t j = 0; j < p->n; j++)
            embed(d, (size_t)runs[p->index].tokens[j], p->at + j,
                  pass->x + (p->first + j) * d->n_state);
    }
    for (size_t i = 0; i < d->n_layer; i++) {
        if (pass->rows > pass->n_runs && (code = cara_compute_poll(&d->compute, err)))
            return code;
        const cara_block *b = &d->blocks[i];
        self_attention(d, b, i);
        cross_attention(d, b, i);
        mlp(d, b);
    }
    return CARA_OK;
}

/* The final layer norm of row `row` of the pass, to row `to` of its norm. */
static void finish_row(const cara_decoder *d, size_t row, size_t to) {
    const cara_pass *p = &d->pass;
    d->compute.kernels->layer_norm(p->x + row * d->n_state, d->ln.weight, d->ln.bias, d->n_state,
                                   p->norm + to * d->n_state);
}

int cara_decoder_forward(cara_decoder *d, const cara_run *runs, size_t n_runs, const size_t *wanted,
                         size_t n_wanted, float *logits, cara_error *err) {
    size_t base = 0, done = 0; /* tokens, wanted ones of passes before */
    int code = check_call(d, runs, n_runs, wanted, n_wanted, err);
    if (code)
        return code;
    for (size_t first = 0, n; first < n_runs; first += n) {
        n = plan(d, runs, n_runs, first);
        if ((code = run_pass(d, runs, err)))
            return code;
        size_t here = 0;
        for (size_t run = first; run < first + n; base += runs[run++].n)
            for (; done + here < n_wanted && wanted[done + here] < base + runs[run].n; here++)
                finish_row(d, cara_pass_row(&d->pass, run, wanted[done + here] - base), here);
        if (here)
            cara_products_run_few(&d->compute, &d->pass.scratch, here,
                                  &(cara_product){.dense = &d->logits,
                                                  .a = d->pass.norm,
                                                  .lda = d->n_state,
                                                  .c = logits + done * d->n_vocab,
                                                  .ldc = d->n_vocab},
                                  1);
        done += here;
    }
    for (size_t i = 0; i < n_runs; i++)
        cara_self_cache_extend(d->self, runs[i].slot, runs[i].n);
    return CARA_OK;
}

int cara_decoder_align(cara_decoder *d, const cara_run *run, const size_t *wanted, size_t n_wanted,
                       float *logits, const cara_alignment *alignment, cara_error *err) {
    const cara_text_shape *shape = &d->pass.shape;
    for (size_t i = 0; i < alignment->n_heads; i++) {
        const cara_alignment_head *head = &alignment->heads[i];
        if (head->layer < 0 || (size_t)head->layer >= shape->n_layer || head->head < 0 ||
            (size_t)head->head >= shape->n_head)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "there is no head %d in layer %d; expected 0 to %zu in 0 to %zu",
                             (int)head->head, (int)head->layer, shape->n_head - 1,
                             shape->n_layer - 1);
    }
    d->alignment = alignment;
    int code = cara_decoder_forward(d, run, 1, wanted, n_wanted, logits, err);
    d->alignment = NULL;
    return code;
}

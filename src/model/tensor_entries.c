#include "model/layers.h"
#include "model/model.h"

#include <stdio.h>
#include <string.h>

/* Counts at first, with `entries` NULL, then fills. */
typedef struct entry_list {
    cara_tensor_entry *entries;
    size_t n;
} entry_list;

/* a, b and c in one; all our names fit. */
static void join(char out[CARA_TENSOR_NAME_MAX + 1], const char *a, const char *b, const char *c) {
    size_t at = 0;
    const char *const parts[] = {a, b, c};
    for (int i = 0; i < 3; i++)
        for (const char *p = parts[i]; *p && at < CARA_TENSOR_NAME_MAX; p++)
            out[at++] = *p;
    out[at] = 0;
}

static void add(entry_list *list, cara_tensor *to, int64_t d0, int64_t d1, int64_t d2,
                const char *prefix, const char *name) {
    if (list->entries) {
        cara_tensor_entry *entry = &list->entries[list->n];
        *entry = (cara_tensor_entry){.n_dims = d2   ? 3
                                               : d1 ? 2
                                                    : 1,
                                     .shape = {d0, d1, d2},
                                     .to = to};
        join(entry->name, prefix, name, "");
        entry->kind = d2                                          ? CARA_TENSOR_CONVOLUTION
                      : !d1                                       ? CARA_TENSOR_VECTOR
                      : strcmp(name, "positional_embedding") == 0 ? CARA_TENSOR_POSITIONS
                                                                  : CARA_TENSOR_MATRIX;
    }
    list->n++;
}

/* nn.LayerNorm */
static void add_norm(entry_list *list, cara_layer_norm *norm, int64_t n, const char *prefix,
                     const char *name) {
    char inner[CARA_TENSOR_NAME_MAX + 1];
    join(inner, prefix, name, ".");
    add(list, &norm->weight, n, 0, 0, inner, "weight");
    add(list, &norm->bias, n, 0, 0, inner, "bias");
}

/* nn.Linear, or nn.Conv1d with `kernel` taps */
static void add_linear(entry_list *list, cara_linear *linear, int64_t out, int64_t in,
                       int64_t kernel, int bias, const char *prefix, const char *name) {
    char inner[CARA_TENSOR_NAME_MAX + 1];
    join(inner, prefix, name, ".");
    add(list, &linear->weight, out, in, kernel, inner, "weight");
    if (bias)
        add(list, &linear->bias, out, 0, 0, inner, "bias");
}

/* The tensors of layer `index`, whose struct is `layer`. */
static void add_layer(entry_list *list, const cara_layer_table *table, void *layer, int index,
                      int64_t n_state) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s.%d.", table->prefix, index);
    for (const cara_layer_member *m = table->members; m < table->members + table->n; m++)
        if (m->kind == CARA_MEMBER_NORM)
            add_norm(list, cara_member_norm(layer, m), n_state, prefix, m->name);
        else
            add_linear(list, cara_member_linear(layer, m), m->out * n_state, m->in * n_state, 0,
                       m->has_bias, prefix, m->name);
}

static void add_all(cara_model *m, entry_list *list) {
    const cara_dims *d = &m->dims;
    cara_weights *w = &m->weights;
    int64_t n = d->n_audio_state;
    add_linear(list, &w->conv1, n, d->n_mels, 3, 1, "encoder.", "conv1");
    add_linear(list, &w->conv2, n, n, 3, 1, "encoder.", "conv2");
    add(list, &w->enc_positions, d->n_audio_ctx, n, 0, "encoder.", "positional_embedding");
    for (int i = 0; i < d->n_audio_layer; i++)
        add_layer(list, &cara_encoder_members, &w->encoder[i], i, n);
    add_norm(list, &w->ln_post, n, "encoder.", "ln_post");
    n = d->n_text_state;
    add(list, &w->token_embedding, d->n_vocab, n, 0, "decoder.", "token_embedding.weight");
    add(list, &w->dec_positions, d->n_text_ctx, n, 0, "decoder.", "positional_embedding");
    for (int i = 0; i < d->n_text_layer; i++)
        add_layer(list, &cara_decoder_members, &w->decoder[i], i, n);
    add_norm(list, &w->ln, n, "decoder.", "ln");
}

int cara_tensor_entries_make(cara_model *model, cara_error *err) {
    cara_weights *w = &model->weights;
    w->encoder =
        cara_arena_alloc(&model->arena, (size_t)model->dims.n_audio_layer, sizeof *w->encoder);
    w->decoder =
        cara_arena_alloc(&model->arena, (size_t)model->dims.n_text_layer, sizeof *w->decoder);
    if (w->encoder && w->decoder) {
        entry_list list = {NULL, 0};
        add_all(model, &list);
        model->n_entries = list.n;
        model->entries = cara_arena_alloc(&model->arena, list.n, sizeof *model->entries);
    }
    if (!model->entries)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a list of %d + %d layers",
                         (int)model->dims.n_audio_layer, (int)model->dims.n_text_layer);
    entry_list list = {model->entries, 0};
    add_all(model, &list);
    return CARA_OK;
}

static void shape_text(char out[100], int n_dims, const int64_t *shape) {
    size_t at = 0;
    out[at++] = '[';
    for (int i = 0; i < n_dims; i++)
        at += (size_t)snprintf(out + at, 100 - at, "%s%lld", i ? ", " : "", (long long)shape[i]);
    snprintf(out + at, 100 - at, "]");
}

int cara_tensor_entries_bind(cara_model *model, cara_slice name, const cara_tensor *tensor,
                             cara_slice stored, uint32_t crc, cara_error *err) {
    int shown = name.len > 100 ? 100 : (int)name.len;
    const char *text = (const char *)name.ptr;
    cara_tensor_entry *entry = NULL;
    /* Files mostly come in our order: begin where the last one was found. */
    for (size_t i = 0; i < model->n_entries && !entry; i++) {
        size_t at = (model->next_entry + i) % model->n_entries;
        if (cara_slice_eq_str(name, model->entries[at].name)) {
            entry = &model->entries[at];
            model->next_entry = at + 1;
        }
    }
    if (!entry)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1,
                         "tensor %.*s is no part of a Whisper of %d + %d layers; only OpenAI's own "
                         "architecture is read",
                         shown, text, (int)model->dims.n_audio_layer,
                         (int)model->dims.n_text_layer);
    if (entry->to->data)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1, "tensor %s is there twice", entry->name);
    int same = tensor->n_dims == entry->n_dims;
    for (int i = 0; same && i < entry->n_dims; i++)
        same = tensor->shape[i] == entry->shape[i];
    if (!same) {
        char has[100], wants[100];
        shape_text(has, tensor->n_dims, tensor->shape);
        shape_text(wants, entry->n_dims, entry->shape);
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1,
                         "tensor %s has shape %s, but the model's dims ask for %s", entry->name,
                         has, wants);
    }
    if (tensor->dtype == CARA_I8 && entry->kind != CARA_TENSOR_MATRIX &&
        entry->kind != CARA_TENSOR_CONVOLUTION)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1,
                         "tensor %s is in int8, which only matrices are; convert the model again",
                         entry->name);
    *entry->to = *tensor;
    entry->stored = stored;
    entry->crc = crc;
    return CARA_OK;
}

int cara_tensor_entries_check_complete(const cara_model *model, cara_error *err) {
    size_t missing = 0;
    const cara_tensor_entry *first = NULL;
    for (size_t i = 0; i < model->n_entries; i++)
        if (!model->entries[i].to->data) {
            first = first ? first : &model->entries[i];
            missing++;
        }
    if (!first)
        return CARA_OK;
    char wants[100];
    shape_text(wants, first->n_dims, first->shape);
    if (missing == 1)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1, "tensor %s %s is missing", first->name,
                         wants);
    return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1, "tensor %s %s is missing, and %zu more",
                     first->name, wants, missing - 1);
}

/* Writes a `.cara` file, whose bytes do not depend on the time, the machine or the path. */
#include "model/bytes.h"
#include "model/cara/encode.h"
#include "model/cara/format.h"
#include "model/dims.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* Where everything goes. */
typedef struct plan {
    uint64_t heads, suppress, vocab, data, end;
    const void *vocab_bytes;
    size_t vocab_n;
    const int32_t *suppress_ids;
    size_t n_suppress;
    cara_encoding *tensors; /* [n_entries] */
} plan;

static uint64_t align(uint64_t at, uint64_t to) {
    return (at + to - 1) / to * to;
}

/* *p owns `tensors`. MEMORY. */
static int make_plan(const cara_model *m, const cara_write_options *options, plan *p,
                     cara_error *err) {
    *p = (plan){.tensors = calloc(m->n_entries, sizeof *p->tensors)};
    if (!p->tensors)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a list of tensors");
    p->vocab_bytes = cara_tokenizer_source(m->tokenizer, &p->vocab_n);
    p->suppress_ids = cara_tokenizer_non_speech(m->tokenizer, &p->n_suppress);
    p->heads = align(CARA_HEADER_SIZE + m->n_entries * CARA_ENTRY_SIZE, CARA_FILE_ALIGN);
    p->suppress = align(p->heads + m->n_heads * 8, CARA_FILE_ALIGN);
    p->vocab = align(p->suppress + p->n_suppress * 4, CARA_FILE_ALIGN);
    p->data = align(p->vocab + p->vocab_n, CARA_FILE_PAGE);
    p->end = p->data;
    for (size_t i = 0; i < m->n_entries; i++) {
        p->tensors[i] = cara_encoding_of(&m->entries[i], options);
        p->tensors[i].offset = align(p->end, CARA_FILE_ALIGN);
        p->end = p->tensors[i].offset + p->tensors[i].size + 2 * p->tensors[i].channels;
    }
    return CARA_OK;
}

/* All before the data, except the tensors' check sums and its own. */
static void fill_head(uint8_t *h, const cara_model *m, const char *name, const plan *p) {
    const cara_dims *d = &m->dims;
    const int32_t dims[10] = {d->n_mels,        d->n_audio_ctx, d->n_audio_state, d->n_audio_head,
                              d->n_audio_layer, d->n_vocab,     d->n_text_ctx,    d->n_text_state,
                              d->n_text_head,   d->n_text_layer};
    const cara_special_tokens *s = cara_tokenizer_special(m->tokenizer);
    const int32_t specials[10] = {
        s->eot,      s->sot,       s->translate,     s->transcribe,      s->sot_lm,
        s->sot_prev, s->no_speech, s->no_timestamps, s->timestamp_begin, s->language_begin};
    memcpy(h, CARA_FILE_MAGIC, 8);
    cara_put_le32(h + CARA_H_VERSION, CARA_FILE_VERSION);
    cara_put_le32(h + CARA_H_HEADER_SIZE, CARA_HEADER_SIZE);
    cara_put_le64(h + CARA_H_FILE_SIZE, p->end);
    for (size_t i = 0; i < 10; i++) {
        cara_put_le32(h + CARA_H_DIMS + 4 * i, (uint32_t)dims[i]);
        cara_put_le32(h + CARA_H_SPECIALS + 4 * i, (uint32_t)specials[i]);
    }
    memcpy(h + CARA_H_NAME, name, strlen(name));
    cara_put_le64(h + CARA_H_TENSORS, CARA_HEADER_SIZE);
    cara_put_le32(h + CARA_H_N_TENSORS, (uint32_t)m->n_entries);
    cara_put_le32(h + CARA_H_ENTRY_SIZE, CARA_ENTRY_SIZE);
    cara_put_le64(h + CARA_H_VOCAB, p->vocab);
    cara_put_le64(h + CARA_H_VOCAB_SIZE, p->vocab_n);
    cara_put_le64(h + CARA_H_HEADS, p->heads);
    cara_put_le32(h + CARA_H_N_HEADS, (uint32_t)m->n_heads);
    cara_put_le32(h + CARA_H_IS_MULTILINGUAL, (uint32_t)cara_dims_are_multilingual(&m->dims));
    cara_put_le64(h + CARA_H_SUPPRESS, p->suppress);
    cara_put_le32(h + CARA_H_N_SUPPRESS, (uint32_t)p->n_suppress);
    cara_put_le32(h + CARA_H_N_LANGUAGES, (uint32_t)cara_tokenizer_n_languages(m->tokenizer));
    cara_put_le64(h + CARA_H_DATA, p->data);
    cara_put_le64(h + CARA_H_DATA_SIZE, p->end - p->data);

    for (size_t i = 0; i < m->n_heads; i++) {
        cara_put_le32(h + p->heads + 8 * i, (uint32_t)m->heads[i].layer);
        cara_put_le32(h + p->heads + 8 * i + 4, (uint32_t)m->heads[i].head);
    }
    for (size_t i = 0; i < p->n_suppress; i++)
        cara_put_le32(h + p->suppress + 4 * i, (uint32_t)p->suppress_ids[i]);
    memcpy(h + p->vocab, p->vocab_bytes, p->vocab_n);

    for (size_t i = 0; i < m->n_entries; i++) {
        const cara_tensor_entry *entry = &m->entries[i];
        const cara_encoding *t = &p->tensors[i];
        uint8_t *e = h + CARA_HEADER_SIZE + i * CARA_ENTRY_SIZE;
        memcpy(e + CARA_E_NAME, entry->name, strlen(entry->name));
        cara_put_le32(e + CARA_E_DTYPE, (uint32_t)t->dtype);
        cara_put_le32(e + CARA_E_LAYOUT, (uint32_t)t->layout);
        cara_put_le32(e + CARA_E_N_DIMS, (uint32_t)entry->n_dims);
        for (int j = 0; j < entry->n_dims; j++)
            cara_put_le64(e + CARA_E_SHAPE + 8 * j, (uint64_t)entry->shape[j]);
        cara_put_le64(e + CARA_E_OFFSET, t->offset);
        cara_put_le64(e + CARA_E_SIZE, t->size);
        if (t->channels) {
            cara_put_le64(e + CARA_E_SCALE, t->offset + t->size);
            cara_put_le64(e + CARA_E_SCALE_SIZE, t->channels);
            cara_put_le64(e + CARA_E_SUM, t->offset + t->size + t->channels);
            cara_put_le64(e + CARA_E_SUM_SIZE, t->channels);
        }
    }
}

static int check_name(const char *name, cara_error *err) {
    size_t n = strlen(name);
    int good = n > 0 && n <= CARA_NAME_MAX;
    for (size_t i = 0; i < n && good; i++)
        good = name[i] > 0x20 && name[i] < 0x7f;
    if (good)
        return CARA_OK;
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "a model's name has 1 to %d printable ASCII characters and no blank, not "
                     "\"%.60s\"",
                     CARA_NAME_MAX, name);
}

int cara_model_write(const cara_model *model, const cara_write_options *options, const char *path,
                     cara_error *err) {
    const char *name = options->name ? options->name : model->name;
    int rc = check_name(name, err);
    if (rc)
        return rc;
    if (!model->tokenizer)
        return cara_fail(err, CARA_ERR_VOCAB, -1,
                         "a .cara file holds its vocabulary; open the model with one");
    /* Reported before the work; at its end the file system decides. */
    if (!options->replace && access(path, F_OK) == 0)
        return cara_fail(err, CARA_ERR_CONFLICT, -1, "%s is there already", path);
    plan p;
    rc = make_plan(model, options, &p, err);
    if (rc)
        return rc;
    cara_atomic_file file = {.fd = -1};
    uint8_t *head = calloc(1, (size_t)p.data);
    if (!head) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the header of %s", path);
        goto end;
    }
    fill_head(head, model, name, &p);
    rc = cara_atomic_begin(&file, path, 0644, err);
    if (rc)
        goto end;
    rc = cara_encode(model, options, p.tensors, &file, err);
    for (size_t i = 0; i < model->n_entries && !rc; i++)
        cara_put_le32(head + CARA_HEADER_SIZE + i * CARA_ENTRY_SIZE + CARA_E_CRC, p.tensors[i].crc);
    if (!rc) {
        cara_put_le32(head + CARA_H_CRC, (uint32_t)crc32_z(0, head, (size_t)p.data));
        rc = cara_atomic_put(&file, 0, head, (size_t)p.data, err);
    }
    if (!rc)
        rc = cara_atomic_commit(&file, options->replace, err);
    cara_atomic_abort(&file);
end:
    free(head);
    free(p.tensors);
    return rc;
}

#include "model/model.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Refuses files that are neither `.pt` nor `.cara`, with a sentence for the usual ones. */
static int unknown_format(cara_slice f, cara_error *err) {
    static const struct {
        size_t at;
        const char *magic;
        const char *says;
    } known[] = {
        {0, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46",
         "this is a checkpoint of PyTorch before 1.6; load it there and torch.save() it again"},
        {257, "ustar",
         "this is a tar archive, as PyTorch before 0.4 wrote; load it there and torch.save() it "
         "again"},
        {0, "lmgg", "this is a ggml model; ggml files are not read, use OpenAI's .pt"},
        {0, "GGUF", "this is a GGUF model, which is not read; use OpenAI's .pt"},
        {0, "version https://git-lfs",
         "this is a Git LFS pointer, not the model itself; run `git lfs pull`"},
        {0, "<", "this is a web page, not a model; the download went wrong, fetch it again"},
        {8, "{\"", "this looks like a safetensors file, which is not read; use OpenAI's .pt"},
    };
    if (f.len == 0)
        return cara_fail(err, CARA_ERR_MODEL_FORMAT, 0, "the file is empty");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t n = strlen(known[i].magic);
        if (f.len >= known[i].at + n && memcmp(f.ptr + known[i].at, known[i].magic, n) == 0)
            return cara_fail(err, CARA_ERR_MODEL_FORMAT, 0, "%s", known[i].says);
    }
    return cara_fail(err, CARA_ERR_MODEL_FORMAT, 0,
                     "this is no model file that is known; give OpenAI's .pt or a .cara");
}

int cara_model_open_bytes(cara_slice bytes, const char *path, cara_model **out, cara_error *err) {
    *out = NULL;
    cara_model *m = calloc(1, sizeof *m);
    if (!m)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a model");
    m->file = (cara_mapping){bytes.ptr, bytes.len};
    /* Tensors that cannot be used in place are copied: never more than the file holds. */
    cara_arena_init(&m->arena, 16 * CARA_MIB + bytes.len + bytes.len / 4);
    int rc;
    if (cara_cara_is(bytes)) {
        m->format = CARA_MODEL_FORMAT_CARA;
        rc = cara_cara_read(m, err);
    } else if (cara_pt_is(bytes)) {
        m->format = CARA_MODEL_FORMAT_PT;
        rc = cara_pt_read(m, path, err);
    } else {
        rc = unknown_format(bytes, err);
    }
    if (rc) {
        cara_model_close(m);
        return rc;
    }
    *out = m;
    return CARA_OK;
}

int cara_model_open_without_vocab(const char *path, cara_model **out, cara_error *err) {
    *out = NULL;
    cara_mapping file;
    int rc = cara_map_file(path, &file, err);
    if (rc)
        return rc;
    rc = cara_model_open_bytes(cara_slice_of(file.data, file.size), path, out, err);
    if (rc) {
        cara_unmap(&file);
        cara_error_prefix(err, "%s", path);
        return rc;
    }
    cara_model *m = *out;
    m->owns_file = 1;
    const uint8_t *weights = file.data + file.size; /* behind the head, which was read just now */
    for (size_t i = 0; i < m->n_entries; i++)
        if (m->entries[i].stored.ptr < weights)
            weights = m->entries[i].stored.ptr;
    m->ahead = cara_read_ahead_new(weights, (size_t)(file.data + file.size - weights));
    return CARA_OK;
}

int cara_model_open(const char *path, const char *vocab_path, cara_model **out, cara_error *err) {
    if (!out)
        return cara_fail_null(err, __func__, "out");
    *out = NULL;
    if (!path)
        return cara_fail_null(err, __func__, "path");
    int rc = cara_model_open_without_vocab(path, out, err);
    if (!rc)
        rc = cara_model_find_vocab(*out, path, vocab_path, err);
    if (rc) {
        cara_model_close(*out);
        *out = NULL;
    }
    return rc;
}

void cara_model_close(cara_model *model) {
    if (!model)
        return;
    cara_tokenizer_free(model->tokenizer);
    cara_arena_free(&model->arena);
    cara_read_ahead_free(model->ahead);
    if (model->owns_file)
        cara_unmap(&model->file);
    free(model);
}

const cara_dims *cara_model_dims(const cara_model *model) {
    static const cara_dims none;
    return model ? &model->dims : &none;
}

const char *cara_model_name(const cara_model *model) {
    return model ? model->name : "";
}

const char *cara_model_compute_type(const cara_model *model) {
    static const char *const names[] = {[CARA_F32] = "float32",
                                        [CARA_F16] = "float16",
                                        [CARA_BF16] = "bfloat16",
                                        [CARA_I8] = "int8"};
    uint64_t bytes[4] = {0};
    size_t most = 0;
    for (size_t i = 0; i < model->n_entries; i++)
        bytes[model->entries[i].to->dtype] += cara_tensor_bytes(model->entries[i].to);
    for (size_t i = 1; i < 4; i++)
        if (bytes[i] > bytes[most])
            most = i;
    return names[most];
}

int cara_model_is_multilingual(const cara_model *model) {
    return model && cara_dims_are_multilingual(&model->dims);
}

const cara_weights *cara_model_weights(const cara_model *model) {
    return &model->weights;
}

const cara_tokenizer *cara_model_tokenizer(const cara_model *model) {
    return model->tokenizer;
}

const cara_alignment_head *cara_model_alignment_heads(const cara_model *model, size_t *n) {
    *n = model->n_heads;
    return model->heads;
}

int cara_model_check(const cara_model *model, cara_model_progress_fn progress, void *cookie,
                     cara_error *err) {
    int64_t total = 0, done = 0;
    for (size_t i = 0; i < model->n_entries; i++)
        total += (int64_t)model->entries[i].stored.len;
    for (size_t i = 0; i < model->n_entries; i++) {
        const cara_tensor_entry *entry = &model->entries[i];
        uLong crc = crc32(0, NULL, 0);
        for (size_t at = 0; at < entry->stored.len;) {
            size_t n = entry->stored.len - at < CARA_MIB ? entry->stored.len - at : CARA_MIB;
            crc = crc32(crc, entry->stored.ptr + at, (uInt)n);
            at += n;
            done += (int64_t)n;
            if (progress && progress(cookie, done, total))
                return cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped");
        }
        if (crc != entry->crc)
            return cara_fail(err, CARA_ERR_MODEL_CORRUPT,
                             (int64_t)(entry->stored.ptr - model->file.data),
                             "the bytes of tensor %s are damaged (check sum %08lx, expected "
                             "%08lx); fetch or convert the model again",
                             entry->name, (unsigned long)crc, (unsigned long)entry->crc);
    }
    return CARA_OK;
}

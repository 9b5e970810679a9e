/* OpenAI's checkpoints: torch.save({"dims": {...}, "model_state_dict": {...}}), a zip archive of
 * one pickle, NAME/data.pkl, and one member for each storage, NAME/data/KEY. */
#include "base/limits.h"
#include "model/model.h"
#include "model/pt/pickle.h"
#include "model/pt/zip.h"

#include <stdio.h>
#include <string.h>

#define PICKLE_LIMIT (4 * CARA_MIB) /* large-v3's has 150 KiB */
#define PICKLE_MEMORY (64 * CARA_MIB)

typedef struct reader {
    cara_model *model;
    cara_zip zip;
    char prefix[192]; /* "archive/" */
    size_t prefix_n;
    cara_error *err;
} reader;

int cara_pt_is(cara_slice file) {
    return file.len >= 4 && memcmp(file.ptr, "PK\3\4", 4) == 0;
}

/* The member "<prefix><name>", whatever the archive's own name is. */
static const cara_zip_member *find(reader *r, const char *name, size_t n) {
    char path[256];
    if (r->prefix_n + n > sizeof path)
        return NULL;
    memcpy(path, r->prefix, r->prefix_n);
    memcpy(path + r->prefix_n, name, n);
    return cara_zip_find(&r->zip, path, r->prefix_n + n);
}

static int find_pickle(reader *r, cara_slice *out) {
    static const char name[] = "data.pkl";
    const size_t n = sizeof name - 1;
    const cara_zip_member *pickle = NULL;
    for (size_t i = 0; i < r->zip.n && !pickle; i++) {
        const cara_zip_member *m = &r->zip.members[i];
        if (m->name.len < n || m->name.len - n >= sizeof r->prefix ||
            memcmp(m->name.ptr + m->name.len - n, name, n) != 0)
            continue;
        r->prefix_n = m->name.len - n;
        memcpy(r->prefix, m->name.ptr, r->prefix_n);
        if (r->prefix_n == 0 || r->prefix[r->prefix_n - 1] == '/')
            pickle = m;
    }
    if (!pickle)
        return cara_fail(r->err, CARA_ERR_MODEL_FORMAT, -1,
                         "a zip archive without data.pkl is no PyTorch checkpoint; give a .pt file "
                         "of openai/whisper");
    if (pickle->size > PICKLE_LIMIT)
        return cara_fail(r->err, CARA_ERR_MODEL_FORMAT, (int64_t)pickle->offset,
                         "the checkpoint's data.pkl has %llu bytes, more than the %zu that a "
                         "Whisper's may have",
                         (unsigned long long)pickle->size, PICKLE_LIMIT);
    int rc = cara_zip_data(&r->zip, pickle, out, r->err);
    const cara_zip_member *order = rc ? NULL : find(r, "byteorder", 9);
    cara_slice word = {0};
    if (order && !(rc = cara_zip_data(&r->zip, order, &word, r->err)) &&
        !cara_slice_eq_str(word, "little"))
        return cara_fail(r->err, CARA_ERR_MODEL_FORMAT, -1,
                         "the checkpoint was saved on a big-endian machine; save it again on "
                         "another");
    return rc;
}

static int read_dims(reader *r, const cara_pickle *dict) {
    cara_dims *d = &r->model->dims;
    const struct {
        const char *name;
        int32_t *to;
    } members[] = {
        {"n_mels", &d->n_mels},
        {"n_audio_ctx", &d->n_audio_ctx},
        {"n_audio_state", &d->n_audio_state},
        {"n_audio_head", &d->n_audio_head},
        {"n_audio_layer", &d->n_audio_layer},
        {"n_vocab", &d->n_vocab},
        {"n_text_ctx", &d->n_text_ctx},
        {"n_text_state", &d->n_text_state},
        {"n_text_head", &d->n_text_head},
        {"n_text_layer", &d->n_text_layer},
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const cara_pickle *v = cara_pickle_get(dict, members[i].name);
        if (!v || v->type != CARA_PICKLE_INT)
            return cara_fail(r->err, CARA_ERR_MODEL_FORMAT, -1,
                             "the checkpoint's dims lack the number %s", members[i].name);
        if (v->integer < INT32_MIN || v->integer > INT32_MAX)
            return cara_fail(r->err, CARA_ERR_MODEL_SHAPE, -1, "%s is %lld, which no Whisper has",
                             members[i].name, (long long)v->integer);
        *members[i].to = (int32_t)v->integer;
    }
    return cara_dims_check(d, r->err);
}

/* ("storage", torch.HalfStorage, "0", "cpu", 288000) and the bytes that it names. */
static int read_storage(reader *r, const cara_pickle *v, const char *name, cara_dtype *dtype,
                        uint64_t *count, cara_slice *bytes, uint32_t *crc) {
    const cara_pickle *id = v->type == CARA_PICKLE_STORAGE ? v->items[0] : NULL;
    if (!id || id->type != CARA_PICKLE_TUPLE || id->n < 5 ||
        id->items[0]->type != CARA_PICKLE_STRING ||
        !cara_slice_eq_str(id->items[0]->text, "storage") ||
        id->items[1]->type != CARA_PICKLE_GLOBAL || id->items[2]->type != CARA_PICKLE_STRING ||
        id->items[4]->type != CARA_PICKLE_INT || id->items[4]->integer < 0)
        return cara_fail(r->err, CARA_ERR_MODEL_CORRUPT, (int64_t)v->position,
                         "tensor %s names its bytes in a way that torch.save() does not", name);
    cara_slice kind = id->items[1]->text;
    if (cara_slice_eq_str(kind, "torch.FloatStorage"))
        *dtype = CARA_F32;
    else if (cara_slice_eq_str(kind, "torch.HalfStorage"))
        *dtype = CARA_F16;
    else if (cara_slice_eq_str(kind, "torch.BFloat16Storage"))
        *dtype = CARA_BF16;
    else
        return cara_fail(r->err, CARA_ERR_MODEL_FORMAT, (int64_t)v->position,
                         "tensor %s is a %.*s; weights are read as float32, float16 or bfloat16",
                         name, (int)kind.len, (const char *)kind.ptr);
    cara_slice key = id->items[2]->text;
    char path[64];
    const cara_zip_member *member = NULL;
    if (key.len <= 40) {
        memcpy(path, "data/", 5);
        memcpy(path + 5, key.ptr, key.len);
        member = find(r, path, 5 + key.len);
    }
    if (!member)
        return cara_fail(r->err, CARA_ERR_MODEL_CORRUPT, (int64_t)v->position,
                         "the archive lacks data/%.*s, the bytes of tensor %s; fetch or save the "
                         "model again",
                         key.len > 40 ? 40 : (int)key.len, (const char *)key.ptr, name);
    int rc = cara_zip_data(&r->zip, member, bytes, r->err);
    if (rc)
        return rc;
    *count = (uint64_t)id->items[4]->integer;
    *crc = member->crc;
    if (*count > bytes->len / cara_dtype_size(*dtype))
        return cara_fail(r->err, CARA_ERR_MODEL_CORRUPT, (int64_t)member->offset,
                         "tensor %s declares %llu elements, but its %zu bytes hold fewer; "
                         "fetch or save the model again",
                         name, (unsigned long long)*count, bytes->len);
    return CARA_OK;
}

/* Reads a tuple of `n_dims` numbers from 0 up. */
static int read_numbers(const cara_pickle *v, size_t n_dims, int64_t *out) {
    if (v->type != CARA_PICKLE_TUPLE || v->n != n_dims)
        return -1;
    for (size_t i = 0; i < n_dims; i++) {
        if (v->items[i]->type != CARA_PICKLE_INT || v->items[i]->integer < 0)
            return -1;
        out[i] = v->items[i]->integer;
    }
    return 0;
}

/* Copies elements by their strides into C order. All is checked: the last element is in the
 * storage. */
static void gather(uint8_t *to, const uint8_t *from, size_t size, const cara_tensor *t,
                   const int64_t *stride) {
    int64_t shape[4] = {1, 1, 1, 1}, step[4] = {0};
    for (int i = 0; i < t->n_dims; i++) {
        shape[4 - t->n_dims + i] = t->shape[i];
        step[4 - t->n_dims + i] = stride[i];
    }
    for (int64_t a = 0; a < shape[0]; a++)
        for (int64_t b = 0; b < shape[1]; b++)
            for (int64_t c = 0; c < shape[2]; c++)
                for (int64_t d = 0; d < shape[3]; d++, to += size)
                    memcpy(to,
                           from + (size_t)(a * step[0] + b * step[1] + c * step[2] + d * step[3]) *
                                      size,
                           size);
}

/* Where the tensor lies in its storage: sets t->data in place where it can be, else to a copy. */
static int locate_data(reader *r, const char *name, cara_slice storage, uint64_t count,
                       int64_t offset, const int64_t *stride, cara_tensor *t) {
    size_t size = cara_dtype_size(t->dtype);
    /* The last element; every term fits since it must stay below count, itself below the file. */
    uint64_t last = (uint64_t)offset, elements = 1, expected = 1;
    int contiguous = 1, lies = last >= count;
    for (int i = t->n_dims - 1; i >= 0 && !lies; i--) {
        uint64_t n = (uint64_t)t->shape[i], step = (uint64_t)stride[i];
        lies = n == 0 || (step && n - 1 > (count - 1 - last) / step) || elements > UINT32_MAX / n;
        if (lies)
            break;
        last += (n - 1) * step;
        contiguous &= n == 1 || step == expected;
        elements *= n;
        expected = elements;
    }
    if (lies)
        return cara_fail(r->err, CARA_ERR_MODEL_CORRUPT, -1,
                         "tensor %s reaches beyond the %llu elements of its storage, or has none; "
                         "fetch or save the model again",
                         name, (unsigned long long)count);
    const uint8_t *first = storage.ptr + (uint64_t)offset * size;
    t->data = first;
    if (contiguous && (uintptr_t)first % 64 == 0)
        return CARA_OK;
    uint8_t *copy = cara_arena_alloc(&r->model->arena, (size_t)elements, size);
    if (!copy)
        return cara_fail(r->err, CARA_ERR_MEMORY, -1,
                         "no memory for a copy of tensor %s; save the model again with contiguous "
                         "tensors",
                         name);
    if (contiguous)
        memcpy(copy, first, (size_t)elements * size);
    else
        gather(copy, first, size, t, stride);
    t->data = copy;
    return CARA_OK;
}

/* (storage, offset, size, stride, requires_grad, hooks) of _rebuild_tensor_v2. */
static int read_tensor(reader *r, cara_slice key, const cara_pickle *v) {
    char name[80];
    snprintf(name, sizeof name, "%.*s", key.len > 79 ? 79 : (int)key.len, (const char *)key.ptr);
    const cara_pickle *args = v->type == CARA_PICKLE_TENSOR ? v->items[0] : NULL;
    if (!args)
        return cara_fail(r->err, CARA_ERR_MODEL_FORMAT, (int64_t)v->position,
                         "entry %s of the checkpoint is no tensor", name);
    cara_tensor t = {0};
    cara_slice storage = {0};
    uint64_t count = 0;
    uint32_t crc = 0;
    int64_t stride[4] = {0};
    size_t n_dims = args->n >= 4 ? args->items[2]->n : 0;
    if (args->n < 4 || args->items[1]->type != CARA_PICKLE_INT || args->items[1]->integer < 0 ||
        n_dims < 1 || n_dims > 4 || read_numbers(args->items[2], n_dims, t.shape) ||
        read_numbers(args->items[3], n_dims, stride))
        return cara_fail(r->err, CARA_ERR_MODEL_CORRUPT, (int64_t)v->position,
                         "tensor %s has a size or stride that no tensor of a Whisper has", name);
    t.n_dims = (int)n_dims;
    int rc = read_storage(r, args->items[0], name, &t.dtype, &count, &storage, &crc);
    /* The shape is compared first: its error says more than one about bytes. */
    if (!rc) {
        t.data = storage.ptr;
        rc = cara_tensor_entries_bind(r->model, key, &t, storage, crc, r->err);
    }
    if (!rc)
        rc = locate_data(r, name, storage, count, args->items[1]->integer, stride, &t);
    if (!rc)
        r->model->entries[r->model->next_entry - 1].to->data = t.data;
    return rc;
}

static int read_root(reader *r, const cara_pickle *root, const char *path) {
    const cara_pickle *dims = NULL, *state = NULL;
    if (root->type == CARA_PICKLE_DICT) {
        dims = cara_pickle_get(root, "dims");
        state = cara_pickle_get(root, "model_state_dict");
    }
    if (!dims || !state || dims->type != CARA_PICKLE_DICT || state->type != CARA_PICKLE_DICT)
        return cara_fail(r->err, CARA_ERR_MODEL_FORMAT, -1,
                         "the checkpoint has no \"dims\" and \"model_state_dict\" as "
                         "openai/whisper's have; other layouts, such as Hugging Face's, are not "
                         "read");
    int rc = read_dims(r, dims);
    if (rc)
        return rc;
    cara_model *m = r->model;
    snprintf(m->name, sizeof m->name, "%s", cara_dims_name(&m->dims, path));
    if ((rc = cara_tensor_entries_make(m, r->err)))
        return rc;
    for (size_t i = 0; i + 1 < state->n; i += 2) {
        if (state->items[i]->type != CARA_PICKLE_STRING)
            return cara_fail(r->err, CARA_ERR_MODEL_CORRUPT, (int64_t)state->items[i]->position,
                             "the checkpoint has a tensor whose name is no text");
        if ((rc = read_tensor(r, state->items[i]->text, state->items[i + 1])))
            return rc;
    }
    if ((rc = cara_tensor_entries_check_complete(m, r->err)))
        return rc;
    return cara_dims_alignment_heads(&m->dims, m->name, &m->arena, &m->heads, &m->n_heads, r->err);
}

int cara_pt_read(cara_model *model, const char *path, cara_error *err) {
    reader r = {.model = model, .err = err};
    cara_slice file = cara_slice_of(model->file.data, model->file.size), bytes = {0};
    cara_arena scratch;
    cara_arena_init(&scratch, PICKLE_MEMORY);
    cara_pickle *root = NULL;
    int rc = cara_zip_open(file, &scratch, &r.zip, err);
    if (!rc)
        rc = find_pickle(&r, &bytes);
    if (!rc)
        rc = cara_pickle_read(bytes, &scratch, &root, err);
    if (!rc)
        rc = read_root(&r, root, path);
    cara_arena_free(&scratch);
    return rc;
}

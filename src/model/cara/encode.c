/* The weights are cut into pieces of about a MiB; a thread takes a piece, encodes and writes it.
 * Check sums are combined from those of the pieces, so nothing depends on the order of the threads.
 */
#include "model/cara/encode.h"

#include "base/limits.h"
#include "base/numbers/half.h"
#include "base/threads.h"
#include "model/i8_pack.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define PIECE (1 * CARA_MIB)

static cara_dtype stored_type(const cara_tensor_entry *entry, const cara_write_options *options) {
    cara_dtype is =
        options->rows ? entry->kind == CARA_TENSOR_VECTOR ? CARA_F32 : CARA_F16 : entry->to->dtype;
    int weights = entry->kind == CARA_TENSOR_MATRIX || entry->kind == CARA_TENSOR_CONVOLUTION;
    switch (options->storage) {
    case CARA_STORAGE_AS_IS:
        return is;
    case CARA_STORAGE_INT8:
        return weights ? CARA_I8 : is;
    case CARA_STORAGE_FLOAT16:
        return entry->kind == CARA_TENSOR_VECTOR ? is : CARA_F16;
    case CARA_STORAGE_BFLOAT16:
        return weights ? CARA_BF16 : is;
    case CARA_STORAGE_FLOAT32:
        return CARA_F32;
    }
    return is;
}

cara_encoding cara_encoding_of(const cara_tensor_entry *entry, const cara_write_options *options) {
    size_t rows = cara_tensor_rows(entry->n_dims, entry->shape);
    size_t n = cara_tensor_row_size(entry->n_dims, entry->shape);
    cara_encoding e = {.dtype = stored_type(entry, options)};
    if (e.dtype == CARA_I8) {
        e.layout = CARA_I8_PANELS;
        e.size = cara_i8_packed_size(rows, n);
        e.channels = 4 * cara_i8_channels(rows);
    } else {
        e.size = (uint64_t)rows * n * cara_dtype_size(e.dtype);
    }
    return e;
}

/* Rows [row0, row1) of a tensor, or its scales and sums where they are equal. */
typedef struct piece {
    size_t entry, row0, row1;
    uint64_t offset, size; /* in the file */
    uint32_t crc;
} piece;

typedef struct job {
    const cara_model *model;
    const cara_write_options *options;
    const cara_encoding *tensors;
    cara_atomic_file *file;
    piece *pieces;
    size_t n_pieces;
    size_t room, row_room; /* bytes of a thread's output, floats of its row */
    char *memory;          /* [threads][room + 4 * row_room] */
    float **scale; /* [n_entries] each [channels / 4] behind it as many sums; NULL or owned */
    pthread_mutex_t mutex; /* guards what follows */
    int rc;
    cara_error err;
    int64_t done, total;
} job;

/* How many rows are written together: int8 panels are never cut. */
static size_t unit_rows(const cara_encoding *e) {
    return e->dtype == CARA_I8 ? CARA_I8_PANEL : 1;
}

static size_t row_bytes(const cara_tensor_entry *entry, const cara_encoding *e) {
    size_t n = cara_tensor_row_size(entry->n_dims, entry->shape);
    return e->dtype == CARA_I8 ? cara_i8_padded_k(n) : n * cara_dtype_size(e->dtype);
}

/* Counts at first, with job->pieces NULL, then fills. */
static void cut(job *j) {
    const cara_model *m = j->model;
    j->n_pieces = 0;
    for (size_t i = 0; i < m->n_entries; i++) {
        const cara_tensor_entry *entry = &m->entries[i];
        const cara_encoding *e = &j->tensors[i];
        size_t unit = unit_rows(e), per_row = row_bytes(entry, e);
        size_t rows = cara_tensor_rows(entry->n_dims, entry->shape);
        size_t step = (PIECE / per_row + unit - 1) / unit * unit;
        step = step ? step : unit;
        for (size_t r = 0; r < rows; r += step) {
            size_t end = r + step < rows ? r + step : rows;
            size_t stored = (end + unit - 1) / unit * unit - r;
            if (j->pieces)
                j->pieces[j->n_pieces] =
                    (piece){i, r, end, e->offset + (uint64_t)r * per_row, stored * per_row, 0};
            if (stored * per_row > j->room)
                j->room = stored * per_row;
            j->n_pieces++;
        }
        size_t n = cara_tensor_row_size(entry->n_dims, entry->shape);
        if (n > j->row_room)
            j->row_room = n;
    }
}

static void encode_rows(const job *j, const piece *p, void *out, float *row) {
    const cara_tensor_entry *entry = &j->model->entries[p->entry];
    const cara_encoding *e = &j->tensors[p->entry];
    size_t n = cara_tensor_row_size(entry->n_dims, entry->shape);
    size_t channels = (size_t)e->channels / 4;
    if (e->dtype == CARA_I8)
        memset(out, 0, (size_t)p->size);
    for (size_t r = p->row0; r < p->row1; r++) {
        if (j->options->rows)
            j->options->rows(j->options->rows_ctx, p->entry, r, row);
        else
            cara_tensor_row(entry->to, r, row);
        uint16_t *half = (uint16_t *)out + (r - p->row0) * n;
        switch (e->dtype) {
        case CARA_F32:
            memcpy((float *)out + (r - p->row0) * n, row, n * sizeof *row);
            break;
        case CARA_F16:
            for (size_t i = 0; i < n; i++)
                half[i] = cara_f32_to_f16(row[i]);
            break;
        case CARA_BF16:
            for (size_t i = 0; i < n; i++)
                half[i] = cara_f32_to_bf16(row[i]);
            break;
        case CARA_I8: {
            float *scale = j->scale[p->entry] + p->row0;
            int32_t *sum = (int32_t *)(void *)(j->scale[p->entry] + channels) + p->row0;
            cara_i8_pack_row(row, n, r - p->row0, out, scale, sum);
            break;
        }
        }
    }
}

static void report(job *j, int thread, int rc, const cara_error *err, uint64_t size) {
    pthread_mutex_lock(&j->mutex);
    j->done += (int64_t)size;
    if (rc && !j->rc) {
        j->rc = rc;
        j->err = *err;
    }
    int64_t done = j->done;
    int go_on = !j->rc;
    pthread_mutex_unlock(&j->mutex);
    /* Thread 0 is the caller's own. */
    if (thread != 0 || !go_on || !j->options->progress)
        return;
    if (j->options->progress(j->options->cookie, done, j->total)) {
        pthread_mutex_lock(&j->mutex);
        if (!j->rc)
            j->rc = cara_fail(&j->err, CARA_ERR_CANCELLED, -1, "stopped; nothing was written");
        pthread_mutex_unlock(&j->mutex);
    }
}

static void encode_piece(void *ctx, size_t task, int thread) {
    job *j = ctx;
    piece *p = &j->pieces[task];
    pthread_mutex_lock(&j->mutex);
    int stopped = j->rc;
    pthread_mutex_unlock(&j->mutex);
    if (stopped)
        return;
    const cara_tensor *t = j->model->entries[p->entry].to;
    const cara_encoding *e = &j->tensors[p->entry];
    const void *bytes;
    if (!j->options->rows && t->dtype == e->dtype) { /* as it lies */
        bytes = (const char *)t->data + (p->offset - e->offset);
    } else {
        char *out = j->memory + (size_t)thread * (j->room + j->row_room * sizeof(float));
        encode_rows(j, p, out, (float *)(void *)(out + j->room));
        bytes = out;
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    p->crc = (uint32_t)crc32_z(0, bytes, (size_t)p->size);
    int rc = cara_atomic_put(j->file, (int64_t)p->offset, bytes, (size_t)p->size, &err);
    report(j, thread, rc, &err, p->size);
}

/* Scales and sums go behind their data; the check sum runs over all three. */
static int finish(job *j, cara_encoding *tensors, cara_error *err) {
    size_t at = 0;
    int rc = CARA_OK;
    for (size_t i = 0; i < j->model->n_entries && !rc; i++) {
        cara_encoding *e = &tensors[i];
        const cara_tensor *t = j->model->entries[i].to;
        uLong crc = crc32(0, NULL, 0);
        for (; at < j->n_pieces && j->pieces[at].entry == i; at++)
            crc = crc32_combine(crc, j->pieces[at].crc, (z_off_t)j->pieces[at].size);
        if (e->channels) {
            const float *scale = j->scale[i];
            const void *sum = scale + e->channels / 4;
            if (!j->options->rows && t->dtype == CARA_I8) {
                scale = t->scale;
                sum = t->sum;
            }
            rc = cara_atomic_put(j->file, (int64_t)(e->offset + e->size), scale,
                                 (size_t)e->channels, err);
            if (!rc)
                rc = cara_atomic_put(j->file, (int64_t)(e->offset + e->size + e->channels), sum,
                                     (size_t)e->channels, err);
            crc = crc32_z(crc, (const Bytef *)scale, (size_t)e->channels);
            crc = crc32_z(crc, sum, (size_t)e->channels);
        }
        e->crc = (uint32_t)crc;
    }
    return rc;
}

int cara_encode(const cara_model *model, const cara_write_options *options, cara_encoding *tensors,
                cara_atomic_file *file, cara_error *err) {
    int threads = options->threads ? options->threads : cara_threads_available(), rc = CARA_OK;
    job j = {.model = model,
             .options = options,
             .tensors = tensors,
             .file = file,
             .err = {.code = CARA_OK, .position = -1}};
    cut(&j);
    j.room = (j.room + 63) / 64 * 64;
    j.row_room = (j.row_room + 15) / 16 * 16;
    cara_pool *pool = cara_pool_new(threads);
    size_t per_thread = j.room + j.row_room * sizeof(float);
    j.pieces = calloc(j.n_pieces, sizeof *j.pieces);
    j.scale = calloc(model->n_entries, sizeof *j.scale);
    j.memory = aligned_alloc(64, (size_t)cara_pool_threads(pool) * per_thread);
    if (!j.pieces || !j.scale || !j.memory)
        goto memory;
    for (size_t i = 0; i < model->n_entries; i++)
        if (tensors[i].channels && !(j.scale[i] = calloc(2, (size_t)tensors[i].channels)))
            goto memory;
    cut(&j);
    for (size_t i = 0; i < j.n_pieces; i++)
        j.total += (int64_t)j.pieces[i].size;
    pthread_mutex_init(&j.mutex, NULL);
    cara_pool_run(pool, encode_piece, &j, j.n_pieces);
    pthread_mutex_destroy(&j.mutex);
    rc = j.rc ? cara_fail(err, j.err.code, j.err.position, "%s", j.err.text)
              : finish(&j, tensors, err);
    goto end;
memory:
    rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to convert the weights");
end:
    for (size_t i = 0; j.scale && i < model->n_entries; i++)
        free(j.scale[i]);
    free(j.scale);
    free(j.pieces);
    free(j.memory);
    cara_pool_free(pool);
    return rc;
}

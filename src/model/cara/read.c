/* Reads a `.cara` file by checking its header: the weights are used in place. */
#include "base/limits.h"
#include "base/numbers/i8_layout.h"
#include "model/bytes.h"
#include "model/cara/format.h"
#include "model/model.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

int cara_cara_is(cara_slice file) {
    return file.len >= 8 && memcmp(file.ptr, CARA_FILE_MAGIC, 8) == 0;
}

static int corrupt(cara_error *err, int64_t at, const char *what) {
    return cara_fail(err, CARA_ERR_MODEL_CORRUPT, at,
                     "the .cara file %s; fetch it again, or convert the model again", what);
}

static int32_t i32(const uint8_t *p) {
    int32_t v;
    uint32_t u = cara_le32(p);
    memcpy(&v, &u, sizeof v);
    return v;
}

static int all_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return 0;
    return 1;
}

/* 1 where a field of n bytes holds a name: printable ASCII, then zeros, one at least. */
static int is_name(const uint8_t *p, size_t n) {
    size_t len = 0;
    while (len < n && p[len] > 0x20 && p[len] < 0x7f)
        len++;
    return len && len < n && all_zero(p + len, n - len);
}

static uint64_t align(uint64_t at, uint64_t to) {
    return (at + to - 1) / to * to;
}

/* CRC-32 of the bytes before the data with the field itself as zeros. */
static uint32_t head_crc(const uint8_t *p, uint64_t n) {
    static const uint8_t zeros[4];
    uLong crc = crc32(0, p, CARA_H_CRC);
    crc = crc32(crc, zeros, 4);
    return (uint32_t)crc32_z(crc, p + CARA_H_CRC + 4, (size_t)n - CARA_H_CRC - 4);
}

/* Checks that the parts are where the format puts them: every offset follows from the sizes before
 * it. */
static int check_parts(const uint8_t *h, uint64_t file_size, cara_error *err) {
    uint64_t n_tensors = cara_le32(h + CARA_H_N_TENSORS), n_heads = cara_le32(h + CARA_H_N_HEADS);
    uint64_t n_suppress = cara_le32(h + CARA_H_N_SUPPRESS);
    uint64_t vocab_size = cara_le64(h + CARA_H_VOCAB_SIZE);
    uint64_t data_size = cara_le64(h + CARA_H_DATA_SIZE);
    if (cara_le32(h + CARA_H_HEADER_SIZE) != CARA_HEADER_SIZE ||
        cara_le32(h + CARA_H_ENTRY_SIZE) != CARA_ENTRY_SIZE)
        return corrupt(err, CARA_H_HEADER_SIZE, "has a header of another size than its version's");
    if (cara_le32(h + CARA_H_FLAGS) ||
        !all_zero(h + CARA_H_RESERVED, CARA_HEADER_SIZE - CARA_H_RESERVED))
        return corrupt(err, CARA_H_FLAGS, "uses header fields that its version does not have");
    if (n_tensors > CARA_MODEL_MAX_TENSORS)
        return corrupt(err, CARA_H_N_TENSORS, "declares more tensors than any Whisper has");
    if (n_heads > 256 * 512 || n_suppress > 51866)
        return corrupt(err, CARA_H_N_HEADS, "declares more heads or tokens than any Whisper has");
    if (vocab_size == 0 || vocab_size > CARA_LIMIT_VOCAB_BYTES)
        return corrupt(err, CARA_H_VOCAB_SIZE, "has no vocabulary, or one that is too large");
    uint64_t at = CARA_HEADER_SIZE;
    if (cara_le64(h + CARA_H_TENSORS) != at)
        return corrupt(err, CARA_H_TENSORS, "has its directory at a wrong offset");
    at = align(at + n_tensors * CARA_ENTRY_SIZE, CARA_FILE_ALIGN);
    if (cara_le64(h + CARA_H_HEADS) != at)
        return corrupt(err, CARA_H_HEADS, "has its heads at a wrong offset");
    at = align(at + n_heads * 8, CARA_FILE_ALIGN);
    if (cara_le64(h + CARA_H_SUPPRESS) != at)
        return corrupt(err, CARA_H_SUPPRESS, "has its suppressed tokens at a wrong offset");
    at = align(at + n_suppress * 4, CARA_FILE_ALIGN);
    if (cara_le64(h + CARA_H_VOCAB) != at)
        return corrupt(err, CARA_H_VOCAB, "has its vocabulary at a wrong offset");
    at = align(at + vocab_size, CARA_FILE_PAGE);
    if (cara_le64(h + CARA_H_DATA) != at)
        return corrupt(err, CARA_H_DATA, "has its weights at a wrong offset");
    if (at > file_size || data_size != file_size - at)
        return corrupt(err, CARA_H_DATA_SIZE,
                       "declares more or fewer bytes of weights than it holds");
    if (head_crc(h, at) != cara_le32(h + CARA_H_CRC))
        return corrupt(err, CARA_H_CRC, "has a damaged header: its check sum differs");
    return CARA_OK;
}

static int read_dims(cara_model *m, const uint8_t *h, cara_error *err) {
    int32_t *const to[] = {
        &m->dims.n_mels,       &m->dims.n_audio_ctx,   &m->dims.n_audio_state,
        &m->dims.n_audio_head, &m->dims.n_audio_layer, &m->dims.n_vocab,
        &m->dims.n_text_ctx,   &m->dims.n_text_state,  &m->dims.n_text_head,
        &m->dims.n_text_layer,
    };
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++)
        *to[i] = i32(h + CARA_H_DIMS + 4 * i);
    if (!is_name(h + CARA_H_NAME, CARA_NAME_MAX + 1))
        return corrupt(err, CARA_H_NAME, "has a name that is no text");
    memcpy(m->name, h + CARA_H_NAME, CARA_NAME_MAX + 1);
    return cara_dims_check(&m->dims, err);
}

static int read_heads(cara_model *m, const uint8_t *h, cara_error *err) {
    m->n_heads = cara_le32(h + CARA_H_N_HEADS);
    m->heads = cara_arena_alloc(&m->arena, m->n_heads, sizeof *m->heads);
    if (!m->heads)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the alignment heads");
    uint64_t at = cara_le64(h + CARA_H_HEADS);
    for (size_t i = 0; i < m->n_heads; i++, at += 8) {
        cara_alignment_head *head = &m->heads[i];
        *head = (cara_alignment_head){i32(h + at), i32(h + at + 4)};
        if (head->layer < 0 || head->layer >= m->dims.n_text_layer || head->head < 0 ||
            head->head >= m->dims.n_text_head)
            return corrupt(err, (int64_t)at, "has an alignment head that the model does not have");
    }
    return CARA_OK;
}

/* The settings for readers without a tokenizer: sound in themselves. This program computes them
 * from the vocabulary. */
static int read_settings(const cara_model *m, const uint8_t *h, cara_error *err) {
    int32_t n_vocab = m->dims.n_vocab;
    if (cara_le32(h + CARA_H_IS_MULTILINGUAL) != (n_vocab >= 51865))
        return corrupt(err, CARA_H_IS_MULTILINGUAL,
                       "has languages that do not fit its size of vocabulary");
    if (cara_le32(h + CARA_H_N_LANGUAGES) != (n_vocab >= 51865 ? (uint32_t)n_vocab - 51766 : 0))
        return corrupt(err, CARA_H_N_LANGUAGES,
                       "has languages that do not fit its size of vocabulary");
    int32_t eot = n_vocab >= 51865 ? 50257 : 50256, begin = n_vocab - 1501;
    const int32_t specials[10] = {
        eot,       eot + 1,   begin - 6, begin - 5, begin - 4,
        begin - 3, begin - 2, begin - 1, begin,     n_vocab >= 51865 ? eot + 2 : -1};
    for (size_t i = 0; i < 10; i++)
        if (i32(h + CARA_H_SPECIALS + 4 * i) != specials[i])
            return corrupt(err, (int64_t)(CARA_H_SPECIALS + 4 * i),
                           "has special tokens that do not fit its size of vocabulary");
    uint64_t at = cara_le64(h + CARA_H_SUPPRESS);
    int32_t last = -1;
    for (size_t i = 0; i < cara_le32(h + CARA_H_N_SUPPRESS); i++, at += 4) {
        int32_t id = i32(h + at);
        if (id <= last || id >= eot)
            return corrupt(err, (int64_t)at,
                           "has suppressed tokens that are out of order or range");
        last = id;
    }
    return CARA_OK;
}

/* One entry of the directory. `*end` is where the data before it ended. */
static int read_entry(cara_model *m, const uint8_t *h, uint64_t at, uint64_t *end,
                      cara_error *err) {
    const uint8_t *e = h + at;
    int64_t position = (int64_t)at;
    if (!is_name(e + CARA_E_NAME, CARA_TENSOR_NAME_MAX + 1))
        return corrupt(err, position, "has a tensor whose name is no text");
    const char *name = (const char *)e;
    uint32_t dtype = cara_le32(e + CARA_E_DTYPE), layout = cara_le32(e + CARA_E_LAYOUT);
    if (dtype > CARA_I8 || layout != (dtype == CARA_I8 ? CARA_I8_PANELS : CARA_ROW_MAJOR))
        return cara_fail(err, CARA_ERR_MODEL_FORMAT, position,
                         "tensor %s has type %u in layout %u, which this caracola does not know; "
                         "use a newer one, or convert the model again",
                         name, (unsigned)dtype, (unsigned)layout);
    cara_tensor t = {.dtype = (cara_dtype)dtype, .layout = (cara_layout)layout};
    uint32_t n_dims = cara_le32(e + CARA_E_N_DIMS);
    if (n_dims < 1 || n_dims > 4)
        return corrupt(err, position, "has a tensor of less than one or more than four dimensions");
    t.n_dims = (int)n_dims;
    uint64_t size = cara_dtype_size(t.dtype);
    for (size_t i = 0; i < 4; i++) {
        uint64_t n = cara_le64(e + CARA_E_SHAPE + 8 * i);
        /* Padding makes an int8 matrix at most 1024 times as large. */
        if (i >= n_dims ? n != 0 : n == 0 || n > INT32_MAX || size > UINT64_MAX / 4096 / n)
            return corrupt(err, position, "has a tensor of an impossible shape");
        t.shape[i] = (int64_t)n;
        if (i < n_dims)
            size *= n;
    }
    uint64_t channels = 0; /* bytes of the scales, and of the sums */
    if (t.dtype == CARA_I8) {
        if (n_dims != 2 && n_dims != 3)
            return cara_fail(err, CARA_ERR_MODEL_FORMAT, position,
                             "tensor %s is in int8, which only matrices are; convert the model "
                             "again",
                             name);
        size_t n = cara_tensor_rows(t.n_dims, t.shape);
        size = cara_i8_packed_size(n, cara_tensor_row_size(t.n_dims, t.shape));
        channels = 4 * cara_i8_channels(n);
    }
    uint64_t offset = cara_le64(e + CARA_E_OFFSET);
    if (cara_le64(e + CARA_E_SIZE) != size)
        return cara_fail(err, CARA_ERR_MODEL_CORRUPT, position,
                         "tensor %s declares %llu bytes, but its shape takes %llu", name,
                         (unsigned long long)cara_le64(e + CARA_E_SIZE), (unsigned long long)size);
    uint64_t all = size + 2 * channels;
    if (offset % CARA_FILE_ALIGN || offset < *end || offset > m->file.size ||
        all > m->file.size - offset)
        return cara_fail(err, CARA_ERR_MODEL_CORRUPT, position,
                         "tensor %s lies outside the file, on another tensor or at no multiple of "
                         "64",
                         name);
    if (cara_le64(e + CARA_E_SCALE) != (channels ? offset + size : 0) ||
        cara_le64(e + CARA_E_SCALE_SIZE) != channels ||
        cara_le64(e + CARA_E_SUM) != (channels ? offset + size + channels : 0) ||
        cara_le64(e + CARA_E_SUM_SIZE) != channels)
        return corrupt(err, position,
                       "has a tensor with scales or sums that its type does not have, or "
                       "at a wrong offset");
    *end = offset + all;
    t.data = h + offset;
    if (channels) {
        t.scale = (const float *)(const void *)(h + offset + size);
        t.sum = (const int32_t *)(const void *)(h + offset + size + channels);
    }
    return cara_tensor_entries_bind(m, cara_slice_str(name), &t,
                                    cara_slice_of(h + offset, (size_t)all),
                                    cara_le32(e + CARA_E_CRC), err);
}

int cara_cara_read(cara_model *m, cara_error *err) {
    const uint8_t *h = m->file.data;
    if (m->file.size < 12)
        return corrupt(err, (int64_t)m->file.size, "is cut short");
    uint32_t version = cara_le32(h + CARA_H_VERSION);
    if (version != CARA_FILE_VERSION)
        return cara_fail(err, CARA_ERR_MODEL_FORMAT, CARA_H_VERSION,
                         "the .cara file has version %u, but this caracola reads version %u; use a "
                         "newer caracola, or convert the model again with this one",
                         (unsigned)version, CARA_FILE_VERSION);
    if (m->file.size < CARA_HEADER_SIZE)
        return corrupt(err, (int64_t)m->file.size, "is cut short");
    uint64_t size = cara_le64(h + CARA_H_FILE_SIZE);
    if (size != m->file.size)
        return cara_fail(err, CARA_ERR_MODEL_CORRUPT, CARA_H_FILE_SIZE,
                         "the .cara file has %zu bytes, but its header says %llu; fetch it again",
                         m->file.size, (unsigned long long)size);
    int rc = check_parts(h, size, err);
    if (!rc)
        rc = read_dims(m, h, err);
    if (!rc)
        rc = read_heads(m, h, err);
    if (!rc)
        rc = read_settings(m, h, err);
    if (!rc)
        rc = cara_tensor_entries_make(m, err);
    uint64_t end = cara_le64(h + CARA_H_DATA);
    for (size_t i = 0; i < cara_le32(h + CARA_H_N_TENSORS) && !rc; i++)
        rc = read_entry(m, h, CARA_HEADER_SIZE + (uint64_t)i * CARA_ENTRY_SIZE, &end, err);
    if (!rc)
        rc = cara_tensor_entries_check_complete(m, err);
    if (!rc)
        m->vocab = cara_slice_of(h + cara_le64(h + CARA_H_VOCAB),
                                 (size_t)cara_le64(h + CARA_H_VOCAB_SIZE));
    return rc;
}

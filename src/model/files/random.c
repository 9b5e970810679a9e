/* Models of true shapes with random weights, for measuring without a download. */
#include "base/limits.h"
#include "base/memory/buf.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct source {
    const cara_model *model;
    uint64_t seed;
} source;

/* splitmix64's finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators"):
 * any counter to 64 random bits. */
static inline uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Ones in 64 fair bits are binomial, of variance 16; what lies between two counts is uniform. The
 * sum is normal enough up to four deviations, and exact integer arithmetic on any machine. */
static inline float normal(uint64_t bits) {
    uint64_t b = bits;
    b -= b >> 1 & 0x5555555555555555u;
    b = (b & 0x3333333333333333u) + (b >> 2 & 0x3333333333333333u);
    b = (b + (b >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    int32_t ones = (int32_t)(b * 0x0101010101010101u >> 56);
    int32_t part = (int32_t)(bits * 0x9e3779b97f4a7c15u >> 56); /* 0..255 */
    /* 256 * 4.0104 is the deviation of the sum in 256ths. */
    return (float)((ones - 32) * 256 + part - 128) * (1.0f / 1026.66f);
}

static void random_row(const void *ctx, size_t index, size_t row, float *out) {
    const source *s = ctx;
    const cara_tensor_entry *entry = &s->model->entries[index];
    size_t n = cara_tensor_row_size(entry->n_dims, entry->shape);
    /* Vectors: layer norms' weights are ones, biases small. */
    float deviation = 0.02f, mean = 0.0f;
    if (entry->kind == CARA_TENSOR_MATRIX || entry->kind == CARA_TENSOR_CONVOLUTION)
        deviation = 1.0f / sqrtf((float)n);
    else if (entry->kind == CARA_TENSOR_VECTOR && strstr(entry->name, "ln") &&
             strstr(entry->name, ".weight"))
        mean = 1.0f;
    uint64_t at = mix(mix(s->seed ^ 0x63617261u) + index) + mix(row);
    for (size_t i = 0; i < n; i++, at += 0x9e3779b97f4a7c15u)
        out[i] = mean + deviation * normal(mix(at));
}

static void base64(cara_buf *out, const uint8_t *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t v = (uint32_t)bytes[0] << 16 | (n > 1 ? (uint32_t)bytes[1] << 8 : 0);
    cara_buf_char(out, digits[v >> 18]);
    cara_buf_char(out, digits[v >> 12 & 63]);
    cara_buf_char(out, n > 1 ? digits[v >> 6 & 63] : '=');
    cara_buf_char(out, '=');
}

/* All single bytes, then pairs of them: whatever the order, each pair is a merge of two tokens. */
static void make_vocabulary(cara_buf *out, int32_t n_ranks) {
    for (int32_t rank = 0; rank < n_ranks; rank++) {
        uint32_t pair = (uint32_t)(rank - 256);
        uint8_t bytes[2] = {(uint8_t)(rank < 256 ? (uint32_t)rank : pair >> 8), (uint8_t)pair};
        base64(out, bytes, rank < 256 ? 1 : 2);
        cara_buf_printf(out, " %d\n", (int)rank);
    }
}

static int unknown_shape(const char *shape, cara_error *err) {
    cara_buf names;
    cara_buf_init(&names, 1024);
    for (size_t i = 0; cara_dims_published_name(i); i++)
        cara_buf_printf(&names, "%s%s", i ? ", " : "", cara_dims_published_name(i));
    int rc =
        cara_fail(err, CARA_ERR_USAGE, -1, "there is no Whisper of shape \"%.40s\"; there are %s",
                  shape, names.data ? names.data : "tiny to large-v3-turbo");
    cara_buf_free(&names);
    return rc;
}

int cara_model_write_random(const char *shape, uint64_t seed, const cara_write_options *options,
                            const char *path, cara_error *err) {
    cara_model *m = calloc(1, sizeof *m);
    cara_buf vocab;
    cara_buf_init(&vocab, CARA_LIMIT_VOCAB_BYTES);
    int rc;
    if (!m) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a model");
        goto end;
    }
    cara_arena_init(&m->arena, 16 * CARA_MIB);
    if (cara_dims_published(shape, &m->dims) != 0) {
        rc = unknown_shape(shape, err);
        goto end;
    }
    rc = cara_tensor_entries_make(m, err);
    if (!rc)
        rc = cara_dims_alignment_heads(&m->dims, shape, &m->arena, &m->heads, &m->n_heads, err);
    if (rc)
        goto end;
    make_vocabulary(&vocab, cara_dims_are_multilingual(&m->dims) ? 50257 : 50256);
    if (!vocab.data || vocab.failed)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a vocabulary");
    else
        rc = cara_tokenizer_new(vocab.data, vocab.len, m->dims.n_vocab, &m->tokenizer, err);
    if (rc)
        goto end;
    char name[CARA_NAME_MAX + 1] = "random-";
    size_t n = strlen(shape), at = strlen(name); /* published names fit */
    memcpy(name + at, shape, n < sizeof name - at ? n : sizeof name - at - 1);
    const source rows = {m, seed};
    cara_write_options o = *options;
    o.name = o.name ? o.name : name;
    o.rows = random_row;
    o.rows_ctx = &rows;
    rc = cara_model_write(m, &o, path, err);
end:
    cara_buf_free(&vocab);
    cara_model_close(m);
    return rc;
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory/buf.h"
#include "model/bytes.h"
#include "pt_make.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define FILLED (1 << 20)

const cara_dims pt_tiny_dims = {80, 1500, 4, 2, 1, 51865, 8, 4, 2, 2};

uint8_t pt_byte(size_t index, size_t i) {
    return (uint8_t)((i * 31 + index * 7) & 0x3b); /* finite as any float */
}

/* ---- pickle ---- */

static void text(cara_buf *b, const char *s) {
    uint8_t n[4];
    cara_put_le32(n, (uint32_t)strlen(s));
    cara_buf_char(b, 'X');
    cara_buf_add(b, n, 4);
    cara_buf_str(b, s);
}

static void number(cara_buf *b, int64_t v) {
    uint8_t bytes[8];
    cara_put_le64(bytes, (uint64_t)v);
    cara_buf_add(b, "\x8a\x08", 2);
    cara_buf_add(b, bytes, 8);
}

static void numbers(cara_buf *b, int n, const int64_t *v) {
    cara_buf_char(b, '(');
    for (int i = 0; i < n; i++)
        number(b, v[i]);
    cara_buf_char(b, 't');
}

static void tensor(cara_buf *b, const pt_tensor *t, size_t key) {
    char k[24];
    snprintf(k, sizeof k, "%zu", key);
    text(b, t->name);
    cara_buf_str(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    text(b, "storage");
    cara_buf_printf(b, "ctorch\n%s\n", t->storage);
    text(b, k);
    text(b, "cpu");
    number(b, t->numel);
    cara_buf_str(b, "tQ");
    number(b, t->offset);
    numbers(b, t->n_dims, t->shape);
    numbers(b, t->n_dims, t->stride);
    cara_buf_str(b, "\x89"
                    "ccollections\nOrderedDict\n)RtR");
}

static void dims(cara_buf *b, const cara_dims *d) {
    const struct {
        const char *name;
        int32_t v;
    } all[] = {
        {"n_mels", d->n_mels},
        {"n_audio_ctx", d->n_audio_ctx},
        {"n_audio_state", d->n_audio_state},
        {"n_audio_head", d->n_audio_head},
        {"n_audio_layer", d->n_audio_layer},
        {"n_vocab", d->n_vocab},
        {"n_text_ctx", d->n_text_ctx},
        {"n_text_state", d->n_text_state},
        {"n_text_head", d->n_text_head},
        {"n_text_layer", d->n_text_layer},
    };
    cara_buf_str(b, "}(");
    for (size_t i = 0; i < 10; i++) {
        text(b, all[i].name);
        number(b, all[i].v);
    }
    cara_buf_char(b, 'u');
}

/* ---- zip ---- */

typedef struct zip {
    int fd;
    int64_t at;
    cara_buf directory;
    size_t n;
    const pt_spec *spec;
    const char *prefix;
} zip;

static void put(zip *z, const void *bytes, size_t n) {
    assert_int_equal(pwrite(z->fd, bytes, n, (off_t)z->at), (ssize_t)n);
    z->at += (int64_t)n;
}

/* One member; `bytes` NULL leaves a hole. */
static void member(zip *z, const char *name, const void *bytes, int64_t size) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", z->prefix, name);
    size_t name_n = strlen(path);
    int64_t header = z->at, data = header + 30 + (int64_t)name_n;
    size_t padding = z->spec->unaligned ? 1 : (size_t)((64 - (data + 4) % 64) % 64);
    uint8_t local[30] = {0}, central[46] = {0}, extra[28] = {0};
    int large = z->spec->zip64 && (size >= UINT32_MAX || header >= UINT32_MAX);
    uint32_t crc = bytes ? (uint32_t)crc32_z(0, bytes, (size_t)size) : 0;
    cara_put_le32(local, 0x04034b50);
    local[6] = 8; /* the sizes are in the directory */
    cara_put_le32(local + 26, (uint32_t)(name_n | (padding + 4) << 16));
    put(z, local, 30);
    put(z, path, name_n);
    uint8_t pad[80] = {'F', 'B', (uint8_t)padding, 0};
    put(z, pad, 4 + padding);
    if (bytes)
        put(z, bytes, (size_t)size);
    else
        z->at += size;

    cara_put_le32(central, 0x02014b50);
    central[8] = (uint8_t)z->spec->flags;
    central[10] = (uint8_t)z->spec->method;
    cara_put_le32(central + 16, crc);
    cara_put_le32(central + 20, large ? UINT32_MAX : (uint32_t)size);
    cara_put_le32(central + 24, large ? UINT32_MAX : (uint32_t)size);
    cara_put_le32(central + 28, (uint32_t)(name_n | (large ? 28u : 0) << 16));
    cara_put_le32(central + 42, large ? UINT32_MAX : (uint32_t)header);
    extra[0] = 1;
    extra[2] = 24;
    cara_put_le64(extra + 4, (uint64_t)size);
    cara_put_le64(extra + 12, (uint64_t)size);
    cara_put_le64(extra + 20, (uint64_t)header);
    cara_buf_add(&z->directory, central, 46);
    cara_buf_add(&z->directory, path, name_n);
    if (large)
        cara_buf_add(&z->directory, extra, 28);
    z->n++;
}

static void finish(zip *z) {
    uint64_t start = (uint64_t)z->at, n = z->directory.len;
    put(z, z->directory.data, z->directory.len);
    uint8_t end[22] = {0};
    cara_put_le32(end, 0x06054b50);
    if (z->spec->zip64) {
        uint8_t end64[56] = {0}, locator[20] = {0};
        uint64_t at = (uint64_t)z->at;
        cara_put_le32(end64, 0x06064b50);
        cara_put_le64(end64 + 4, 44);
        cara_put_le64(end64 + 24, z->n);
        cara_put_le64(end64 + 32, z->n);
        cara_put_le64(end64 + 40, n);
        cara_put_le64(end64 + 48, start);
        put(z, end64, 56);
        cara_put_le32(locator, 0x07064b50);
        cara_put_le64(locator + 8, at);
        cara_put_le32(locator + 16, 1);
        put(z, locator, 20);
        memset(end + 8, 0xff, 12);
    } else {
        assert_true(start + n < UINT32_MAX);
        cara_put_le32(end + 8, (uint32_t)(z->n | z->n << 16));
        cara_put_le32(end + 12, (uint32_t)n);
        cara_put_le32(end + 16, (uint32_t)start);
    }
    put(z, end, 22);
}

/* ---- the whole ---- */

static pt_tensor describe(const pt_spec *spec, const cara_tensor_entry *entry) {
    pt_tensor t = {.n_dims = entry->n_dims, .numel = 1};
    snprintf(t.name, sizeof t.name, "%s", entry->name);
    snprintf(t.storage, sizeof t.storage, "%s", spec->storage ? spec->storage : "HalfStorage");
    for (int i = entry->n_dims - 1; i >= 0; i--) {
        t.shape[i] = entry->shape[i];
        t.stride[i] = t.numel;
        t.numel *= entry->shape[i];
    }
    t.member_size = t.numel * (strcmp(t.storage, "FloatStorage") == 0 ? 4 : 2);
    if (spec->alter)
        spec->alter(&t, spec->cookie);
    return t;
}

void pt_write(const pt_spec *spec, const char *path) {
    cara_model names = {.dims = spec->dims};
    cara_arena_init(&names.arena, 64 << 20);
    assert_int_equal(cara_tensor_entries_make(&names, NULL), CARA_OK);
    cara_buf pickle;
    cara_buf_init(&pickle, 16 << 20);
    cara_buf_str(&pickle, "\x80\x02}(");
    text(&pickle, "dims");
    dims(&pickle, &spec->dims);
    text(&pickle, "model_state_dict");
    cara_buf_str(&pickle, spec->ordered ? "ccollections\nOrderedDict\n)R(" : "}(");
    pt_tensor *all = calloc(names.n_entries, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < names.n_entries; i++) {
        all[i] = describe(spec, &names.entries[i]);
        if (all[i].name[0])
            tensor(&pickle, &all[i], i);
    }
    cara_buf_str(&pickle, spec->ordered ? "u}" : "uu.");
    if (spec->ordered) {
        text(&pickle, "_metadata");
        cara_buf_str(&pickle, "}sbu.");
    }
    assert_int_equal(pickle.failed, 0);

    zip z = {.spec = spec, .prefix = spec->prefix ? spec->prefix : "archive"};
    cara_buf_init(&z.directory, 16 << 20);
    z.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(z.fd >= 0);
    member(&z, "data.pkl", spec->pickle ? spec->pickle : pickle.data,
           (int64_t)(spec->pickle ? spec->pickle_n : pickle.len));
    if (spec->byteorder)
        member(&z, "byteorder", spec->byteorder, (int64_t)strlen(spec->byteorder));
    for (size_t i = 0; i < names.n_entries; i++) {
        if (all[i].member_size < 0)
            continue;
        char name[40];
        snprintf(name, sizeof name, "data/%zu", i);
        size_t n = (size_t)all[i].member_size;
        uint8_t *bytes = n <= FILLED ? malloc(n + 1) : NULL;
        for (size_t j = 0; bytes && j < n; j++)
            bytes[j] = pt_byte(i, j);
        member(&z, name, bytes, all[i].member_size);
        free(bytes);
    }
    finish(&z);
    close(z.fd);
    free(all);
    cara_buf_free(&z.directory);
    cara_buf_free(&pickle);
    cara_arena_free(&names.arena);
}

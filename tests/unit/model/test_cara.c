#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/bytes.h"
#include "model/cara/format.h"
#include "model/model.h"
#include "pt_make.h"
#include "scratch.h"

#include <sys/stat.h>
#include <zlib.h>

#define VOCAB "tests/data/nano/nano.tiktoken"

static cara_model *open_model(const char *path, const char *vocab) {
    cara_model *m;
    cara_error err;
    if (cara_model_open(path, vocab, &m, &err))
        fail_msg("%s", err.text);
    return m;
}

static int write_with(const cara_model *m, const char *name, const char *path, int replace,
                      cara_model_progress_fn progress, void *cookie, cara_error *err) {
    cara_write_options options = {
        .name = name, .replace = replace, .threads = 1, .progress = progress, .cookie = cookie};
    return cara_model_write(m, &options, path, err);
}

static void write_model(const cara_model *m, const char *name, const char *path) {
    cara_error err;
    if (write_with(m, name, path, 1, NULL, NULL, &err))
        fail_msg("%s", err.text);
}

/* Everything that two files of one model must share. */
static void assert_equal_models(const cara_model *a, const cara_model *b) {
    assert_memory_equal(&a->dims, &b->dims, sizeof a->dims);
    assert_int_equal(a->n_heads, b->n_heads);
    assert_memory_equal(a->heads, b->heads, a->n_heads * sizeof *a->heads);
    size_t na, nb;
    const void *va = cara_tokenizer_source(a->tokenizer, &na);
    const void *vb = cara_tokenizer_source(b->tokenizer, &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(va, vb, na);
    assert_int_equal(a->n_entries, b->n_entries);
    for (size_t i = 0; i < a->n_entries; i++) {
        const cara_tensor *s = a->entries[i].to, *t = b->entries[i].to;
        assert_string_equal(a->entries[i].name, b->entries[i].name);
        assert_int_equal(s->dtype, t->dtype);
        assert_int_equal(s->n_dims, t->n_dims);
        assert_memory_equal(s->shape, t->shape, sizeof s->shape);
        assert_memory_equal(s->data, t->data,
                            (size_t)cara_tensor_count(s) * cara_dtype_size(s->dtype));
    }
}

static void a_converted_model_is_the_same(void **state) {
    (void)state;
    cara_model *pt = open_model(fixture_path("tests/data/nano/nano.pt"), NULL);
    write_model(pt, NULL, in_scratch("a.cara"));
    write_model(pt, NULL, in_scratch("b.cara"));
    cara_model *a = open_model(in_scratch("a.cara"), NULL);
    assert_string_equal(cara_model_name(a), "custom");
    assert_null(a->vocab_path);
    assert_equal_models(pt, a);
    /* In place, aligned, in order of execution. */
    const uint8_t *last = a->file.data;
    for (size_t i = 0; i < a->n_entries; i++) {
        const uint8_t *p = a->entries[i].to->data;
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(p > last && p < a->file.data + a->file.size);
        last = p;
    }
    assert_true(a->arena.used < 1 << 20);
    assert_int_equal(cara_model_check(a, NULL, NULL, NULL), CARA_OK);
    /* Equal bytes, also from a .cara. */
    write_model(a, NULL, in_scratch("c.cara"));
    cara_model *b = open_model(in_scratch("b.cara"), NULL);
    cara_model *c = open_model(in_scratch("c.cara"), NULL);
    assert_int_equal(a->file.size, b->file.size);
    assert_memory_equal(a->file.data, b->file.data, a->file.size);
    assert_int_equal(a->file.size, c->file.size);
    assert_memory_equal(a->file.data, c->file.data, a->file.size);
    cara_model_close(a);
    cara_model_close(b);
    cara_model_close(c);
    cara_model_close(pt);
}

/* The demo model is nano.pt, to the bit. */
static void the_demo_model_is_nano(void **state) {
    (void)state;
    cara_model *pt = open_model(fixture_path("tests/data/nano/nano.pt"), NULL);
    cara_model *demo = open_model(fixture_path("models/demo.cara"), NULL);
    assert_string_equal(cara_model_name(demo), "demo");
    assert_string_equal(cara_model_compute_type(demo), "float16");
    assert_equal_models(pt, demo);
    assert_int_equal(cara_model_check(demo, NULL, NULL, NULL), CARA_OK);
    cara_model_close(demo);
    cara_model_close(pt);
}

/* All types and layouts of tokens. */
static void other_kinds_convert(void **state) {
    (void)state;
    char *vocab, *english;
    size_t n;
    cara_error err;
    assert_int_equal(cara_read_file(fixture_path(VOCAB), 16 << 20, &vocab, &n, &err), CARA_OK);
    english = vocab + n - 1;
    while (english[-1] != '\n')
        english--;
    write_bytes(in_scratch("en.vocab"), vocab, (size_t)(english - vocab));
    free(vocab);
    static const struct {
        int32_t n_mels, n_vocab;
        const char *storage;
        cara_dtype dtype;
    } cases[] = {
        {80, 51864, "HalfStorage", CARA_F16},
        {80, 51865, "FloatStorage", CARA_F32},
        {128, 51866, "BFloat16Storage", CARA_BF16},
    };
    for (size_t i = 0; i < 3; i++) {
        pt_spec spec = {.dims = pt_tiny_dims, .storage = cases[i].storage};
        spec.dims.n_mels = cases[i].n_mels;
        spec.dims.n_vocab = cases[i].n_vocab;
        pt_write(&spec, in_scratch("k.pt"));
        const char *v = cases[i].n_vocab == 51864 ? in_scratch("en.vocab") : fixture_path(VOCAB);
        cara_model *pt = open_model(in_scratch("k.pt"), v);
        write_model(pt, "a-name", in_scratch("k.cara"));
        cara_model *m = open_model(in_scratch("k.cara"), NULL);
        assert_equal_models(pt, m);
        assert_string_equal(cara_model_name(m), "a-name");
        assert_int_equal(m->entries[0].to->dtype, cases[i].dtype);
        assert_string_equal(cara_model_compute_type(m), cases[i].dtype == CARA_F32    ? "float32"
                                                        : cases[i].dtype == CARA_BF16 ? "bfloat16"
                                                                                      : "float16");
        assert_int_equal(cara_tokenizer_special(m->tokenizer)->timestamp_begin + 1501,
                         cases[i].n_vocab);
        /* The settings for readers without a tokenizer. */
        const uint8_t *h = m->file.data;
        const cara_special_tokens *s = cara_tokenizer_special(m->tokenizer);
        assert_int_equal((int32_t)cara_le32(h + CARA_H_SPECIALS), s->eot);
        assert_int_equal((int32_t)cara_le32(h + CARA_H_SPECIALS + 32), s->timestamp_begin);
        assert_int_equal((int32_t)cara_le32(h + CARA_H_SPECIALS + 36), s->language_begin);
        assert_int_equal(cara_le32(h + CARA_H_N_LANGUAGES),
                         cara_tokenizer_n_languages(m->tokenizer));
        size_t n_suppress;
        const int32_t *ids = cara_tokenizer_non_speech(m->tokenizer, &n_suppress);
        assert_int_equal(cara_le32(h + CARA_H_N_SUPPRESS), n_suppress);
        for (size_t j = 0; j < n_suppress; j++)
            assert_int_equal(cara_le32(h + cara_le64(h + CARA_H_SUPPRESS) + 4 * j), ids[j]);
        cara_model_close(m);
        cara_model_close(pt);
    }
}

/* ---- wrong fields ---- */

static uint8_t *small; /* a good file */
static size_t small_n;
static uint64_t small_data; /* where its weights begin */

static void make_small(void) {
    pt_spec spec = {.dims = pt_tiny_dims};
    pt_write(&spec, in_scratch("s.pt"));
    cara_model *pt = open_model(in_scratch("s.pt"), fixture_path(VOCAB));
    write_model(pt, "small", in_scratch("s.cara"));
    cara_model_close(pt);
    char *bytes;
    assert_int_equal(cara_read_file(in_scratch("s.cara"), 64 << 20, &bytes, &small_n, NULL), 0);
    small = (uint8_t *)bytes;
    small_data = cara_le64(small + CARA_H_DATA);
}

/* The check sum is corrected, so that the wrong field itself must be found. */
static void sign(uint8_t *file) {
    cara_put_le32(file + CARA_H_CRC, 0);
    cara_put_le32(file + CARA_H_CRC, (uint32_t)crc32_z(0, file, (size_t)small_data));
}

static cara_code try_bytes(const uint8_t *bytes, size_t n, cara_error *err) {
    cara_model *m;
    int rc = cara_model_open_bytes(cara_slice_of(bytes, n), NULL, &m, err);
    cara_model_close(m);
    return (cara_code)rc;
}

typedef struct wrong_field {
    uint64_t at;
    int size;
    uint64_t value;
    cara_code code;
    const char *says;
} wrong_field;

static void check_wrong_field(const wrong_field *l, size_t i) {
    uint8_t kept[8];
    memcpy(kept, small + l->at, 8);
    if (l->size == 8)
        cara_put_le64(small + l->at, l->value);
    else if (l->size == 4)
        cara_put_le32(small + l->at, (uint32_t)l->value);
    else
        small[l->at] = (uint8_t)l->value;
    sign(small);
    cara_error err = {0};
    cara_code code = try_bytes(small, small_n, &err);
    memcpy(small + l->at, kept, 8);
    sign(small);
    if (code != l->code || !strstr(err.text, l->says))
        fail_msg("field %zu at %llu: %s: \"%s\" lacks \"%s\"", i, (unsigned long long)l->at,
                 cara_code_name(code), err.text, l->says);
}

static void each_wrong_field_is_found(void **state) {
    (void)state;
    const uint64_t e = CARA_HEADER_SIZE; /* the first entry: encoder.conv1.weight [4, 80, 3] */
    const uint64_t heads = cara_le64(small + CARA_H_HEADS);
    const uint64_t suppress = cara_le64(small + CARA_H_SUPPRESS);
    const uint64_t first = cara_le64(small + e + CARA_E_OFFSET);
    const cara_code C = CARA_ERR_MODEL_CORRUPT, F = CARA_ERR_MODEL_FORMAT, S = CARA_ERR_MODEL_SHAPE;
    const wrong_field fields[] = {
        {CARA_H_MAGIC, 1, 'x', F, "no model file"},
        {CARA_H_VERSION, 4, 2, F, "version 2, but this caracola reads version 1; use a newer"},
        {CARA_H_VERSION, 4, 0, F, "version 0"},
        {CARA_H_HEADER_SIZE, 4, 264, C, "another size"},
        {CARA_H_ENTRY_SIZE, 4, 0, C, "another size"},
        {CARA_H_FILE_SIZE, 8, small_n + 1, C, "its header says"},
        {CARA_H_FILE_SIZE, 8, UINT64_MAX, C, "its header says"},
        {CARA_H_FLAGS, 4, 1, C, "header fields"},
        {CARA_H_RESERVED, 4, 1, C, "header fields"},
        {CARA_HEADER_SIZE - 1, 1, 1, C, "header fields"},
        {CARA_H_DIMS, 4, 81, S, "n_mels is 81"},
        {CARA_H_DIMS + 4, 4, 0, S, "n_audio_ctx is 0"},
        {CARA_H_DIMS + 8, 4, 0x80000000u, S, "n_audio_state"},
        {CARA_H_DIMS + 12, 4, 0, S, "n_audio_head"},
        {CARA_H_DIMS + 16, 4, 2, S, "missing"},
        {CARA_H_DIMS + 16, 4, 0xffffffffu, S, "n_audio_layer"},
        {CARA_H_DIMS + 20, 4, 51864, C, "languages"},
        {CARA_H_DIMS + 24, 4, 9, S, "decoder.positional_embedding has shape [8, 4]"},
        {CARA_H_DIMS + 28, 4, 8, S, "n_text_state"},
        {CARA_H_DIMS + 32, 4, 3, S, "multiple"},
        {CARA_H_DIMS + 36, 4, 1, C, "alignment head"},
        {CARA_H_NAME, 1, 0, C, "name"},
        {CARA_H_NAME, 1, 0xc3, C, "name"},
        {CARA_H_NAME + 39, 1, 'x', C, "name"},
        {CARA_H_TENSORS, 8, 320, C, "directory"},
        {CARA_H_N_TENSORS, 4, 1, C, "wrong offset"},
        {CARA_H_N_TENSORS, 4, 0xffffffffu, C, "more tensors"},
        {CARA_H_VOCAB, 8, 0, C, "vocabulary"},
        {CARA_H_VOCAB, 8, UINT64_MAX, C, "vocabulary"},
        {CARA_H_VOCAB_SIZE, 8, 0, C, "no vocabulary"},
        {CARA_H_VOCAB_SIZE, 8, UINT64_MAX - 4096, C, "too large"},
        {CARA_H_VOCAB_SIZE, 8, 15u << 20, C, "weights"},
        {CARA_H_HEADS, 8, UINT64_MAX - 7, C, "heads"},
        {CARA_H_N_HEADS, 4, 0xffffffffu, C, "heads"},
        {CARA_H_N_HEADS, 4, 100000, C, "wrong offset"},
        {CARA_H_IS_MULTILINGUAL, 4, 0, C, "languages"},
        {CARA_H_SUPPRESS, 8, 4, C, "suppressed"},
        {CARA_H_N_SUPPRESS, 4, 0xffffffffu, C, "tokens"},
        {CARA_H_N_LANGUAGES, 4, 100, C, "languages"},
        {CARA_H_SPECIALS, 4, 50256, C, "special tokens"},
        {CARA_H_SPECIALS + 32, 4, 50363, C, "special tokens"},
        {CARA_H_SPECIALS + 36, 4, 0, C, "special tokens"},
        {CARA_H_DATA, 8, small_data + 64, C, "weights"},
        {CARA_H_DATA, 8, UINT64_MAX, C, "weights"},
        {CARA_H_DATA_SIZE, 8, 0, C, "weights"},
        {CARA_H_DATA_SIZE, 8, UINT64_MAX, C, "weights"},
        {heads, 4, 2, C, "alignment head"},
        {heads + 4, 4, 0xffffffffu, C, "alignment head"},
        {suppress, 4, 60000, C, "suppressed"},
        {suppress + 4, 4, 0, C, "suppressed"},
        {e + CARA_E_NAME, 1, 'x', S, "xncoder.conv1.weight"},
        {e + CARA_E_NAME, 1, 0, C, "name"},
        {e + CARA_E_NAME + 63, 1, 'x', C, "name"},
        {e + CARA_E_DTYPE, 4, 3, F, "encoder.conv1.weight has type 3 in layout 0"},
        {e + CARA_E_DTYPE, 4, 4, F, "encoder.conv1.weight has type 4 in layout 0"},
        {e + CARA_E_DTYPE, 4, 0xffffffffu, F, "newer"},
        {e + CARA_E_DTYPE, 4, 0, C, "bytes"},
        {e + CARA_E_LAYOUT, 4, 1, F, "layout 1"},
        {e + CARA_E_N_DIMS, 4, 0, C, "dimensions"},
        {e + CARA_E_N_DIMS, 4, 5, C, "dimensions"},
        {e + CARA_E_N_DIMS, 4, 2, C, "shape"},
        {e + CARA_E_SHAPE, 8, 0, C, "shape"},
        {e + CARA_E_SHAPE, 8, 5, C, "1920 bytes, but its shape takes 2400"},
        {e + CARA_E_SHAPE, 8, UINT64_MAX, C, "shape"},
        {e + CARA_E_SHAPE + 8, 8, 1u << 31, C, "shape"},
        {e + CARA_E_SHAPE + 24, 8, 1, C, "shape"},
        {e + CARA_E_OFFSET, 8, first + 1, C, "multiple"},
        {e + CARA_E_OFFSET, 8, first + 64, C, "another tensor"},
        {e + CARA_E_OFFSET, 8, 0, C, "outside"},
        {e + CARA_E_OFFSET, 8, UINT64_MAX - 63, C, "outside"},
        {e + CARA_E_SIZE, 8, 0, C, "bytes"},
        {e + CARA_E_SIZE, 8, UINT64_MAX, C, "bytes"},
        {e + CARA_E_SCALE, 8, first, C, "scales or sums"},
        {e + CARA_E_SCALE_SIZE, 8, 4, C, "scales or sums"},
        {e + CARA_E_SUM, 8, 1, C, "scales or sums"},
        {e + CARA_E_SUM_SIZE, 8, 4, C, "scales or sums"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        /* A wrong second offset shows at the tensor behind it. */
        check_wrong_field(&fields[i], i);
    }
    cara_error err;
    assert_int_equal(try_bytes(small, small_n, &err), CARA_OK);
    /* Two entries of one name. */
    uint8_t kept[CARA_ENTRY_SIZE];
    uint8_t *second = small + e + CARA_ENTRY_SIZE;
    memcpy(kept, second, sizeof kept);
    memcpy(second, small + e, 64);
    sign(small);
    assert_int_equal(try_bytes(small, small_n, &err), S);
    memcpy(second, kept, sizeof kept);
    sign(small);
}

/* Any changed bit of the header is found by its check sum. */
static void damage_is_found(void **state) {
    (void)state;
    cara_error err;
    for (uint64_t at = 0; at < small_data; at += at < 8192 ? 1 : 997) {
        small[at] ^= 0x10;
        if (try_bytes(small, small_n, &err) == CARA_OK)
            fail_msg("byte %llu was changed and the file still opened", (unsigned long long)at);
        small[at] ^= 0x10;
    }
    /* Damage in the weights is for --check. */
    small[small_n - 1] ^= 1;
    cara_model *m;
    assert_int_equal(cara_model_open_bytes(cara_slice_of(small, small_n), NULL, &m, &err), CARA_OK);
    assert_int_equal(cara_model_check(m, NULL, NULL, &err), CARA_ERR_MODEL_CORRUPT);
    says(&err, "decoder.ln.bias");
    cara_model_close(m);
    small[small_n - 1] ^= 1;
}

static void a_cut_file_is_refused(void **state) {
    (void)state;
    cara_error err;
    const size_t cuts[] = {8, 11, 12, 255, 256, 4096, (size_t)small_data, small_n / 2, small_n - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        uint8_t *copy = malloc(cuts[i]); /* the sanitizers watch its end */
        assert_non_null(copy);
        memcpy(copy, small, cuts[i]);
        assert_int_equal(try_bytes(copy, cuts[i], &err), CARA_ERR_MODEL_CORRUPT);
        free(copy);
    }
}

/* ---- writing ---- */

static int stop_at_once(void *cookie, int64_t done, int64_t total) {
    assert_true(done > 0 && done <= total);
    ++*(int *)cookie;
    return 1;
}

static int count_calls(void *cookie, int64_t done, int64_t total) {
    assert_true(done > 0 && done <= total);
    ++*(int *)cookie;
    return 0;
}

static int files_in_scratch(void) {
    int n = 0;
    DIR *dir = opendir(scratch);
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static void a_file_appears_whole_or_not_at_all(void **state) {
    (void)state;
    cara_error err;
    cara_model *m = open_model(in_scratch("s.cara"), NULL);
    const char *out = in_scratch("w.cara");
    int calls = 0, before = files_in_scratch();
    assert_int_equal(write_with(m, NULL, out, 0, stop_at_once, &calls, &err), CARA_ERR_CANCELLED);
    assert_int_equal(calls, 1);
    assert_int_equal(files_in_scratch(), before);
    calls = 0;
    assert_int_equal(write_with(m, NULL, out, 0, count_calls, &calls, &err), CARA_OK);
    assert_true(calls > 10);
    assert_int_equal(files_in_scratch(), before + 1);
    assert_int_equal(write_with(m, NULL, out, 0, NULL, NULL, &err), CARA_ERR_CONFLICT);
    says(&err, "w.cara");
    assert_int_equal(write_with(m, NULL, out, 1, NULL, NULL, &err), CARA_OK);
    assert_int_equal(files_in_scratch(), before + 1);
    assert_int_equal(write_with(m, NULL, "/no/such/folder/x.cara", 1, NULL, NULL, &err),
                     CARA_ERR_NOT_FOUND);
    static const char *const names[] = {"", "a b", "\xc3\xb1",
                                        "a-name-that-is-longer-than-forty-characters"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(write_with(m, names[i], out, 1, NULL, NULL, &err), CARA_ERR_USAGE);
    cara_model_close(m);
    /* Over itself: the old file is read until the new one is whole. */
    m = open_model(out, NULL);
    assert_int_equal(write_with(m, "other", out, 1, NULL, NULL, &err), CARA_OK);
    cara_model_close(m);
    m = open_model(out, NULL);
    assert_string_equal(cara_model_name(m), "other");
    assert_int_equal(cara_model_check(m, NULL, NULL, NULL), CARA_OK);
    cara_model_close(m);
    /* Without a vocabulary there is nothing to write. */
    assert_int_equal(cara_model_open_without_vocab(in_scratch("s.pt"), &m, &err), CARA_OK);
    assert_int_equal(write_with(m, NULL, out, 1, NULL, NULL, &err), CARA_ERR_VOCAB);
    cara_model_close(m);
}

static int setup(void **state) {
    if (scratch_make(state))
        return -1;
    make_small();
    return 0;
}

static int teardown(void **state) {
    free(small);
    return scratch_remove(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_converted_model_is_the_same),
        cmocka_unit_test(the_demo_model_is_nano),
        cmocka_unit_test(other_kinds_convert),
        cmocka_unit_test(each_wrong_field_is_found),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(a_cut_file_is_refused),
        cmocka_unit_test(a_file_appears_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

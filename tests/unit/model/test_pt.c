#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/bytes.h"
#include "model/model.h"
#include "pt_make.h"
#include "scratch.h"

static cara_model *open_file(const char *path) {
    cara_model *m;
    cara_error err;
    if (cara_model_open_without_vocab(path, &m, &err))
        fail_msg("%s", err.text);
    return m;
}

/* Opening must fail with this code and sentence. */
static void refused(const char *path, cara_code code, const char *sentence) {
    cara_model *m = (cara_model *)scratch;
    cara_error err = {0};
    int rc = cara_model_open_without_vocab(path, &m, &err);
    if (rc != (int)code)
        fail_msg("code %s, expected %s: %s", cara_code_name((cara_code)rc), cara_code_name(code),
                 err.text);
    assert_null(m);
    assert_int_equal(err.code, code);
    says(&err, sentence);
}

static void refused_spec(pt_spec spec, cara_code code, const char *sentence) {
    pt_write(&spec, in_scratch("bad.pt"));
    refused(in_scratch("bad.pt"), code, sentence);
}

static void nano_opens_in_place(void **state) {
    (void)state;
    cara_model *m;
    cara_error err;
    if (cara_model_open(fixture_path("tests/data/nano/nano.pt"), NULL, &m, &err))
        fail_msg("%s", err.text);
    const cara_dims *d = cara_model_dims(m);
    assert_int_equal(d->n_mels, 80);
    assert_int_equal(d->n_audio_state, 192);
    assert_int_equal(d->n_text_layer, 4);
    assert_string_equal(cara_model_name(m), "custom");
    assert_int_equal(cara_model_is_multilingual(m), 1);
    assert_int_equal(cara_tokenizer_special(cara_model_tokenizer(m))->eot, 50257);
    assert_int_equal(m->n_entries, 167);
    for (size_t i = 0; i < m->n_entries; i++) {
        const uint8_t *p = m->entries[i].to->data;
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(p > m->file.data && p < m->file.data + m->file.size);
        assert_int_equal(m->entries[i].to->dtype, CARA_F16);
    }
    const cara_weights *w = cara_model_weights(m);
    assert_int_equal(w->decoder[3].cross_attn.key.weight.shape[1], 192);
    assert_null(w->decoder[3].cross_attn.key.bias.data);
    assert_non_null(w->decoder[3].cross_attn.query.bias.data);
    assert_int_equal(w->conv2.weight.shape[2], 3);
    /* Layer norms are near one at the start of training: f16 1.0 is 0x3c00. */
    const uint8_t *gain = w->encoder[0].attn_ln.weight.data;
    assert_in_range(cara_le16(gain), 0x3400, 0x4200);
    size_t n;
    const cara_alignment_head *heads = cara_model_alignment_heads(m, &n);
    assert_int_equal(n, 6);
    assert_int_equal(heads[0].layer, 2);
    assert_int_equal(heads[5].layer, 3);
    assert_int_equal(heads[5].head, 2);
    assert_int_equal(cara_model_check(m, NULL, NULL, &err), CARA_OK);
    cara_model_close(m);
    cara_model_close(NULL);
}

static void the_golden_shapes_open(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int32_t n_mels, n_vocab;
    } cases[] = {{"tests/data/golden/shapes/micro-v3.pt", 128, 51866},
                 {"tests/data/golden/shapes/micro-en.pt", 80, 51864}};
    for (size_t i = 0; i < 2; i++) {
        cara_model *m = open_file(fixture_path(cases[i].path));
        assert_int_equal(m->dims.n_mels, cases[i].n_mels);
        assert_int_equal(m->dims.n_vocab, cases[i].n_vocab);
        assert_int_equal(cara_model_is_multilingual(m), cases[i].n_vocab > 51864);
        assert_null(cara_model_tokenizer(m));
        assert_int_equal(cara_model_check(m, NULL, NULL, NULL), CARA_OK);
        cara_model_close(m);
    }
}

/* Every published size in full, its weights a hole in the file. */
static void every_published_size_opens(void **state) {
    (void)state;
    static const struct {
        const char *file, *name;
        cara_dims dims;
        size_t n_heads;
        cara_alignment_head first, last;
    } cases[] = {
        {"a.pt", "tiny.en", {80, 1500, 384, 6, 4, 51864, 448, 384, 6, 4}, 8, {1, 0}, {3, 4}},
        {"a.pt", "tiny", {80, 1500, 384, 6, 4, 51865, 448, 384, 6, 4}, 6, {2, 2}, {3, 5}},
        {"a.pt", "base.en", {80, 1500, 512, 8, 6, 51864, 448, 512, 8, 6}, 5, {3, 3}, {5, 7}},
        {"a.pt", "base", {80, 1500, 512, 8, 6, 51865, 448, 512, 8, 6}, 8, {3, 1}, {5, 6}},
        {"a.pt", "small.en", {80, 1500, 768, 12, 12, 51864, 448, 768, 12, 12}, 19, {6, 6}, {11, 4}},
        {"a.pt", "small", {80, 1500, 768, 12, 12, 51865, 448, 768, 12, 12}, 10, {5, 3}, {10, 5}},
        {"a.pt",
         "medium.en",
         {80, 1500, 1024, 16, 24, 51864, 448, 1024, 16, 24},
         18,
         {11, 4},
         {21, 12}},
        {"a.pt",
         "medium",
         {80, 1500, 1024, 16, 24, 51865, 448, 1024, 16, 24},
         6,
         {13, 15},
         {23, 4}},
        {"large-v1.pt",
         "large-v1",
         {80, 1500, 1280, 20, 32, 51865, 448, 1280, 20, 32},
         9,
         {9, 19},
         {23, 15}},
        {"large-v2.pt",
         "large-v2",
         {80, 1500, 1280, 20, 32, 51865, 448, 1280, 20, 32},
         23,
         {10, 12},
         {27, 15}},
        {"a.pt",
         "large",
         {80, 1500, 1280, 20, 32, 51865, 448, 1280, 20, 32},
         320,
         {16, 0},
         {31, 19}},
        {"a.pt",
         "large-v3",
         {128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 32},
         10,
         {7, 0},
         {25, 6}},
        {"a.pt",
         "large-v3-turbo",
         {128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 4},
         6,
         {2, 4},
         {3, 14}},
        {"large-v3.pt",
         "custom",
         {128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 2},
         20,
         {1, 0},
         {1, 19}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* Odd ones in f32: large-v3 then has 6 GB, beyond what 32 bits can say. */
        pt_spec spec = {.dims = cases[i].dims,
                        .storage = i % 2 ? "FloatStorage" : "HalfStorage",
                        .zip64 = 1,
                        .ordered = i % 3 == 0};
        const char *path = in_scratch(cases[i].file);
        pt_write(&spec, path);
        cara_model *m = open_file(path);
        assert_string_equal(cara_model_name(m), cases[i].name);
        size_t n;
        const cara_alignment_head *heads = cara_model_alignment_heads(m, &n);
        assert_int_equal(n, cases[i].n_heads);
        assert_memory_equal(&heads[0], &cases[i].first, sizeof *heads);
        assert_memory_equal(&heads[n - 1], &cases[i].last, sizeof *heads);
        const cara_weights *w = cara_model_weights(m);
        assert_int_equal(w->ln.weight.dtype, i % 2 ? CARA_F32 : CARA_F16);
        assert_int_equal(w->token_embedding.shape[0], cases[i].dims.n_vocab);
        if (strcmp(cases[i].name, "large-v3") == 0)
            assert_true(m->file.size > UINT32_MAX);
        cara_model_close(m);
        unlink(path);
    }
}

static void a_file_cut_anywhere_is_refused(void **state) {
    (void)state;
    const char *path = fixture_path("tests/data/nano/nano.pt");
    cara_mapping file;
    cara_error err;
    assert_int_equal(cara_map_file(path, &file, &err), CARA_OK);
    const size_t cuts[] = {0,
                           1,
                           3,
                           4,
                           21,
                           22,
                           100,
                           64,
                           18,
                           18986,
                           20000,
                           file.size / 2,
                           file.size - 1,
                           file.size - 22};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        cara_model *m;
        assert_int_not_equal(
            cara_model_open_bytes(cara_slice_of(file.data, cuts[i]), NULL, &m, &err), CARA_OK);
        assert_null(m);
        if (cuts[i] >= 4) {
            assert_int_equal(err.code, CARA_ERR_MODEL_CORRUPT);
            says(&err, "cut short");
        }
    }
    write_bytes(in_scratch("half.pt"), file.data, file.size / 2);
    refused(in_scratch("half.pt"), CARA_ERR_MODEL_CORRUPT, "half.pt: ");
    cara_unmap(&file);
}

static void other_model_formats_are_named(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } cases[] = {
        {"", 0, "empty"},
        {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15, "PyTorch before 1.6"},
        {"lmgg\0\0\0\0", 8, "ggml"},
        {"GGUF\3\0\0\0", 8, "GGUF"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, "git lfs pull"},
        {"<!DOCTYPE html>", 15, "web page"},
        {"\x40\0\0\0\0\0\0\0{\"a\":{}}", 16, "safetensors"},
        {"RIFF....WAVE", 12, "no model file"},
        {"PK\5\6", 4, "no model file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_bytes(in_scratch("other"), cases[i].bytes, cases[i].n);
        refused(in_scratch("other"), CARA_ERR_MODEL_FORMAT, cases[i].says);
    }
    char tar[512] = "archive/data.pkl";
    memcpy(tar + 257, "ustar", 5);
    write_bytes(in_scratch("other"), tar, sizeof tar);
    refused(in_scratch("other"), CARA_ERR_MODEL_FORMAT, "tar archive");
    refused(in_scratch("not-there"), CARA_ERR_NOT_FOUND, "not-there");
    refused(scratch, CARA_ERR_IO, "regular file");
}

/* ---- tensors that are not what they should be ---- */

typedef struct change {
    const char *name;
    int what;
} change;

enum {
    OTHER_SHAPE,
    FEWER_DIMS,
    RENAMED,
    LEFT_OUT,
    TWICE,
    LONG_TYPE,
    OFFSET_OUT,
    STRIDE_OUT,
    STRIDE_HUGE,
    NUMEL_LIES,
    NUMEL_NEGATIVE,
    NO_MEMBER,
    SHORT_MEMBER,
    ZERO_SIZE,
    NEGATIVE_SIZE,
    HUGE_SIZE,
    NO_DIMS,
    TRANSPOSED,
    SHARED,
    EXPANDED,
    BF16,
};

static void alter(pt_tensor *t, void *cookie) {
    const change *c = cookie;
    if (strcmp(t->name, c->name) != 0)
        return;
    switch (c->what) {
    case OTHER_SHAPE:
        t->shape[0]++;
        break;
    case FEWER_DIMS:
        t->n_dims--;
        break;
    case RENAMED:
        snprintf(t->name, sizeof t->name, "encoder.blocks.7.attn.query.weight");
        break;
    case LEFT_OUT:
        t->name[0] = 0;
        break;
    case TWICE:
        snprintf(t->name, sizeof t->name, "encoder.conv1.weight");
        t->n_dims = 3;
        memcpy(t->shape, (int64_t[]){4, 80, 3}, 3 * sizeof(int64_t));
        break;
    case LONG_TYPE:
        snprintf(t->storage, sizeof t->storage, "LongStorage");
        break;
    case OFFSET_OUT:
        t->offset = 1;
        break;
    case STRIDE_OUT:
        t->stride[0]++;
        break;
    case STRIDE_HUGE:
        t->stride[0] = INT64_MAX;
        break;
    case NUMEL_LIES:
        t->numel++;
        break;
    case NUMEL_NEGATIVE:
        t->numel = -1;
        break;
    case NO_MEMBER:
        t->member_size = -1;
        break;
    case SHORT_MEMBER:
        t->member_size -= 2;
        break;
    case ZERO_SIZE:
        t->shape[0] = 0;
        break;
    case NEGATIVE_SIZE:
        t->shape[0] = -4;
        break;
    case HUGE_SIZE:
        t->shape[0] = INT64_MAX;
        break;
    case NO_DIMS:
        t->n_dims = 0;
        break;
    case TRANSPOSED:
        t->stride[0] = 1;
        t->stride[1] = t->shape[0];
        break;
    case SHARED: /* a view that begins inside a larger storage */
        t->offset = 3;
        t->numel += 5;
        t->member_size += 10;
        break;
    case EXPANDED:
        t->stride[0] = 0;
        t->numel = t->shape[1];
        t->member_size = t->numel * 2;
        break;
    case BF16:
        snprintf(t->storage, sizeof t->storage, "BFloat16Storage");
        break;
    }
}

static void bad_tensors_are_named(void **state) {
    (void)state;
    static const struct {
        change change;
        cara_code code;
        const char *says, *also;
    } cases[] = {
        {{"encoder.blocks.0.mlp.0.weight", OTHER_SHAPE},
         CARA_ERR_MODEL_SHAPE,
         "encoder.blocks.0.mlp.0.weight has shape [17, 4]",
         "ask for [16, 4]"},
        {{"encoder.conv2.weight", FEWER_DIMS}, CARA_ERR_MODEL_SHAPE, "[4, 4]", "[4, 4, 3]"},
        {{"decoder.ln.bias", RENAMED},
         CARA_ERR_MODEL_SHAPE,
         "encoder.blocks.7.attn.query",
         "no part"},
        {{"decoder.ln.bias", LEFT_OUT},
         CARA_ERR_MODEL_SHAPE,
         "decoder.ln.bias [4] is missing",
         "ln"},
        {{"encoder.conv2.weight", TWICE}, CARA_ERR_MODEL_SHAPE, "encoder.conv1.weight", "twice"},
        {{"decoder.ln.bias", LONG_TYPE},
         CARA_ERR_MODEL_FORMAT,
         "torch.LongStorage",
         "decoder.ln.bias"},
        {{"decoder.ln.bias", OFFSET_OUT}, CARA_ERR_MODEL_CORRUPT, "decoder.ln.bias", "beyond"},
        {{"encoder.conv2.weight", STRIDE_OUT}, CARA_ERR_MODEL_CORRUPT, "encoder.conv2", "beyond"},
        {{"encoder.conv2.weight", STRIDE_HUGE}, CARA_ERR_MODEL_CORRUPT, "encoder.conv2", "beyond"},
        {{"decoder.ln.bias", NUMEL_LIES}, CARA_ERR_MODEL_CORRUPT, "decoder.ln.bias", "5 elements"},
        {{"decoder.ln.bias", NUMEL_NEGATIVE}, CARA_ERR_MODEL_CORRUPT, "decoder.ln.bias", "names"},
        {{"decoder.ln.bias", NO_MEMBER}, CARA_ERR_MODEL_CORRUPT, "lacks data/", "decoder.ln.bias"},
        {{"decoder.ln.bias", SHORT_MEMBER}, CARA_ERR_MODEL_CORRUPT, "decoder.ln.bias", "6 bytes"},
        {{"decoder.ln.bias", ZERO_SIZE}, CARA_ERR_MODEL_SHAPE, "[0]", "[4]"},
        {{"decoder.ln.bias", NEGATIVE_SIZE}, CARA_ERR_MODEL_CORRUPT, "decoder.ln.bias", "size"},
        {{"decoder.ln.bias", HUGE_SIZE}, CARA_ERR_MODEL_SHAPE, "[9223372036854775807]", "[4]"},
        {{"decoder.ln.bias", NO_DIMS}, CARA_ERR_MODEL_CORRUPT, "decoder.ln.bias", "size"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        change c = cases[i].change;
        pt_spec spec = {.dims = pt_tiny_dims, .alter = alter, .cookie = &c};
        refused_spec(spec, cases[i].code, cases[i].says);
        refused_spec(spec, cases[i].code, cases[i].also);
    }
}

/* Element `i` of what tensor `entry` holds, as the bytes of its member have it at `at`. */
static void same_element(const cara_model *m, size_t entry, size_t i, size_t at) {
    const uint8_t *p = m->entries[entry].to->data;
    assert_int_equal(p[2 * i], pt_byte(entry, 2 * at));
    assert_int_equal(p[2 * i + 1], pt_byte(entry, 2 * at + 1));
}

static size_t entry_of(const cara_model *m, const char *name) {
    size_t i = 0;
    while (strcmp(m->entries[i].name, name) != 0)
        assert_true(++i < m->n_entries);
    return i;
}

/* Views that torch.save() may write: transposed, inside a larger storage, expanded. */
static void views_are_read(void **state) {
    (void)state;
    const char *const name = "encoder.blocks.0.mlp.0.weight"; /* [16, 4] */
    for (int what = TRANSPOSED; what <= BF16; what++) {
        change c = {name, what};
        pt_spec spec = {.dims = pt_tiny_dims, .alter = alter, .cookie = &c};
        pt_write(&spec, in_scratch("view.pt"));
        cara_model *m = open_file(in_scratch("view.pt"));
        size_t entry = entry_of(m, name);
        assert_int_equal((uintptr_t)m->entries[entry].to->data % 64, 0);
        for (size_t r = 0; r < 16; r++)
            for (size_t k = 0; k < 4; k++)
                same_element(m, entry, r * 4 + k,
                             what == TRANSPOSED ? k * 16 + r
                             : what == SHARED   ? r * 4 + k + 3
                             : what == EXPANDED ? k
                                                : r * 4 + k);
        assert_int_equal(m->entries[entry].to->dtype, what == BF16 ? CARA_BF16 : CARA_F16);
        cara_model_close(m);
    }
    pt_spec spec = {.dims = pt_tiny_dims, .unaligned = 1, .prefix = "any other name"};
    pt_write(&spec, in_scratch("view.pt"));
    cara_model *m = open_file(in_scratch("view.pt"));
    for (size_t i = 0; i < m->n_entries; i++) {
        assert_int_equal((uintptr_t)m->entries[i].to->data % 64, 0);
        same_element(m, i, 1, 1);
    }
    assert_int_equal(cara_model_check(m, NULL, NULL, NULL), CARA_OK);
    cara_model_close(m);
}

/* Every tensor of the state expanded from nothing: more memory than the file can ask for. */
static void expand_all(pt_tensor *t, void *cookie) {
    (void)cookie;
    for (int i = 0; i < t->n_dims; i++)
        t->stride[i] = 0;
    t->numel = 1;
    t->member_size = 2;
}

static void a_small_file_cannot_ask_for_much_memory(void **state) {
    (void)state;
    pt_spec spec = {.dims = {80, 1500, 1280, 20, 32, 51865, 448, 1280, 20, 32},
                    .alter = expand_all};
    refused_spec(spec, CARA_ERR_MEMORY, "contiguous");
}

static void malformed_zip_archives_are_refused(void **state) {
    (void)state;
    refused_spec((pt_spec){.dims = pt_tiny_dims, .method = 8}, CARA_ERR_MODEL_FORMAT,
                 "archive/data.pkl is compressed (method 8)");
    refused_spec((pt_spec){.dims = pt_tiny_dims, .flags = 1}, CARA_ERR_MODEL_FORMAT, "encrypted");
    refused_spec((pt_spec){.dims = pt_tiny_dims, .byteorder = "big"}, CARA_ERR_MODEL_FORMAT,
                 "big-endian");
    pt_spec little = {.dims = pt_tiny_dims, .byteorder = "little", .ordered = 1};
    pt_write(&little, in_scratch("little.pt"));
    cara_model_close(open_file(in_scratch("little.pt")));
}

static void impossible_dims_are_refused(void **state) {
    (void)state;
    static const struct {
        int member;
        int32_t value;
        const char *says;
    } cases[] = {
        {0, 64, "n_mels is 64"},
        {1, 1501, "n_audio_ctx is 1501"},
        {2, 0, "n_audio_state is 0"},
        {2, 16386, "n_audio_state is 16386"},
        {2, 6, "n_text_state 4"},
        {3, 0, "n_audio_head is 0"},
        {3, 3, "multiple"},
        {4, 257, "n_audio_layer is 257"},
        {4, -1, "n_audio_layer is -1"},
        {5, 50257, "n_vocab is 50257"},
        {5, 51867, "n_vocab is 51867"},
        {6, 7, "n_text_ctx is 7"},
        {6, INT32_MAX, "n_text_ctx is"},
        {7, 8, "n_text_state 8"},
        {8, 3, "multiple"},
        {9, 0, "n_text_layer is 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cara_dims d = pt_tiny_dims;
        memcpy((int32_t *)&d + cases[i].member, &cases[i].value, sizeof(int32_t));
        cara_error err;
        assert_int_equal(cara_dims_check(&d, &err), CARA_ERR_MODEL_SHAPE);
        says(&err, cases[i].says);
    }
}

/* Each byte of a small archive's ends and headers turned over: refused or harmless, never a crash.
 */
static void no_byte_of_the_archive_can_crash(void **state) {
    (void)state;
    pt_spec spec = {.dims = pt_tiny_dims, .zip64 = 1};
    pt_write(&spec, in_scratch("flip.pt"));
    char *bytes;
    size_t n;
    cara_error err;
    assert_int_equal(cara_read_file(in_scratch("flip.pt"), 64 << 20, &bytes, &n, &err), CARA_OK);
    size_t directory = n - 22 - 20 - 56;
    directory = (size_t)cara_le64((uint8_t *)bytes + directory + 48);
    int refusals = 0;
    for (size_t i = 0; i < n; i = i == 9000 ? directory : i + 1) {
        for (int bit = 0; bit < 2; bit++) {
            uint8_t flip = bit ? 0xff : 0x01;
            bytes[i] = (char)((uint8_t)bytes[i] ^ flip);
            cara_model *m;
            refusals += cara_model_open_bytes(cara_slice_of(bytes, n), NULL, &m, &err) != 0;
            cara_model_close(m);
            bytes[i] = (char)((uint8_t)bytes[i] ^ flip);
        }
    }
    assert_true(refusals > 1000);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nano_opens_in_place),
        cmocka_unit_test(the_golden_shapes_open),
        cmocka_unit_test(every_published_size_opens),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(other_model_formats_are_named),
        cmocka_unit_test(bad_tensors_are_named),
        cmocka_unit_test(views_are_read),
        cmocka_unit_test(a_small_file_cannot_ask_for_much_memory),
        cmocka_unit_test(malformed_zip_archives_are_refused),
        cmocka_unit_test(impossible_dims_are_refused),
        cmocka_unit_test(no_byte_of_the_archive_can_crash),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

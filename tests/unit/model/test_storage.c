/* Models written in another type than they had, and random ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/numbers/half.h"
#include "base/numbers/i8_layout.h"
#include "model/bytes.h"
#include "model/cara/format.h"
#include "model/i8_pack.h"
#include "model/model.h"
#include "scratch.h"

#include <math.h>
#include <zlib.h>

#define RANDOM_TINY_CRC 0x5c4c5e24u

static cara_model *open_model(const char *path) {
    cara_model *m;
    cara_error err;
    if (cara_model_open(path, NULL, &m, &err))
        fail_msg("%s", err.text);
    return m;
}

static void write_as(const cara_model *m, cara_storage storage, int threads, const char *path) {
    cara_error err;
    cara_write_options options = {.storage = storage, .threads = threads, .replace = 1};
    if (cara_model_write(m, &options, path, &err))
        fail_msg("%s", err.text);
}

static void assert_same_file(const char *a, const char *b) {
    char *x, *y;
    size_t nx, ny;
    assert_int_equal(cara_read_file(a, 256 << 20, &x, &nx, NULL), CARA_OK);
    assert_int_equal(cara_read_file(b, 256 << 20, &y, &ny, NULL), CARA_OK);
    assert_int_equal(nx, ny);
    if (memcmp(x, y, nx) != 0)
        fail_msg("%s and %s differ", a, b);
    free(x);
    free(y);
}

/* ---- numbers ---- */

static void halves_round_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = cara_f16_to_f32((uint16_t)h);
        if (isfinite(f)) {
            assert_int_equal(cara_f32_to_f16(f), h);
            /* The middle of two neighbours goes to the even one; a little more or less does not. */
            float above = cara_f16_to_f32((uint16_t)(h + 1));
            if (isfinite(above) && (h & 0x7fff) < 0x7bff) {
                float middle = (f + above) / 2;
                assert_int_equal(cara_f32_to_f16(middle), h + (h & 1));
                assert_int_equal(cara_f32_to_f16(nextafterf(middle, f)), h);
                assert_int_equal(cara_f32_to_f16(nextafterf(middle, above)), h + 1);
            }
        } else if (isnan(f)) {
            assert_true(isnan(cara_f16_to_f32(cara_f32_to_f16(f))));
        }
        float b = cara_bf16_to_f32((uint16_t)h);
        if (isnan(b)) {
            assert_true(isnan(cara_bf16_to_f32(cara_f32_to_bf16(b))));
        } else {
            assert_int_equal(cara_f32_to_bf16(b), h);
            float above = cara_bf16_to_f32((uint16_t)(h + 1));
            if ((h & 0x7fff) < 0x7f7f) {
                float middle = cara_bits_f32((h << 16) + 0x8000u);
                assert_int_equal(cara_f32_to_bf16(middle), h + (h & 1));
                assert_int_equal(cara_f32_to_bf16(nextafterf(middle, above)), h + 1);
            }
        }
    }
    assert_int_equal(cara_f32_to_f16(1e30f), 0x7bff);
    assert_int_equal(cara_f32_to_f16(-INFINITY), 0xfbff);
}

static void a_packed_row_is_rounded_to_nearest(void **state) {
    (void)state;
    enum { N = 19, K = 67 };
    static float w[N][K];
    int8_t *packed = calloc(1, cara_i8_packed_size(N, K));
    float scale[32] = {0};
    int32_t sum[32] = {0};
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < K; j++)
            w[i][j] = i == 7 ? 0 : (float)((i * 131 + j * 71) % 255 - 127) * 0.01f;
        cara_i8_pack_row(w[i], K, (size_t)i, packed, scale, sum);
    }
    for (size_t i = 0; i < N; i++) {
        int32_t total = 0;
        for (size_t j = 0; j < K; j++) {
            int q = packed[cara_i8_at(K, i, j)];
            total += q;
            assert_true(q >= -127 && q <= 127);
            assert_true(fabsf((float)q * scale[i] - w[i][j]) <= scale[i] * 0.5001f);
        }
        assert_int_equal(sum[i], total);
    }
    assert_true(scale[7] == 0); /* a channel of zeros */
    /* Ties go to the even number. */
    float ties[4] = {127, 0.5f, 1.5f, -2.5f};
    cara_i8_pack_row(ties, 4, 0, packed, scale, sum);
    assert_int_equal(packed[cara_i8_at(4, 0, 1)], 0);
    assert_int_equal(packed[cara_i8_at(4, 0, 2)], 2);
    assert_int_equal(packed[cara_i8_at(4, 0, 3)], -2);
    free(packed);
}

/* ---- files ---- */

/* Each storage against the model it came from: types, values, padding. */
static void each_storage_holds_the_weights(void **state) {
    (void)state;
    static const struct {
        cara_storage storage;
        cara_dtype matrix, positions, vector;
        double within; /* of the largest of a row */
    } cases[] = {
        {CARA_STORAGE_AS_IS, CARA_F16, CARA_F16, CARA_F16, 0},
        {CARA_STORAGE_INT8, CARA_I8, CARA_F16, CARA_F16, 0.5001 / 127},
        {CARA_STORAGE_FLOAT16, CARA_F16, CARA_F16, CARA_F16, 0},
        {CARA_STORAGE_BFLOAT16, CARA_BF16, CARA_F16, CARA_F16, 1.0 / 256},
        {CARA_STORAGE_FLOAT32, CARA_F32, CARA_F32, CARA_F32, 0},
    };
    cara_model *from = open_model(fixture_path("models/demo.cara"));
    float *a = malloc(1 << 20), *b = malloc(1 << 20);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        write_as(from, cases[c].storage, 2, in_scratch("m.cara"));
        write_as(from, cases[c].storage, 1, in_scratch("one.cara"));
        assert_same_file(in_scratch("m.cara"), in_scratch("one.cara"));
        cara_model *m = open_model(in_scratch("m.cara"));
        assert_int_equal(cara_model_check(m, NULL, NULL, NULL), CARA_OK);
        for (size_t i = 0; i < m->n_entries; i++) {
            const cara_tensor_entry *entry = &m->entries[i];
            const cara_tensor *t = entry->to, *was = from->entries[i].to;
            cara_dtype wants = entry->kind == CARA_TENSOR_VECTOR      ? cases[c].vector
                               : entry->kind == CARA_TENSOR_POSITIONS ? cases[c].positions
                                                                      : cases[c].matrix;
            assert_int_equal(t->dtype, wants);
            assert_int_equal((uintptr_t)t->data % 64, 0);
            assert_int_equal(!t->scale, wants != CARA_I8);
            assert_int_equal(!t->sum, wants != CARA_I8);
            size_t rows = cara_tensor_rows(t->n_dims, t->shape);
            size_t n = cara_tensor_row_size(t->n_dims, t->shape);
            for (size_t r = 0; r<rows; r += rows> 1000 ? 97 : 1) {
                cara_tensor_row(was, r, a);
                cara_tensor_row(t, r, b);
                double top = 0;
                int32_t sum = 0;
                for (size_t j = 0; j < n; j++)
                    top = fmax(top, fabs((double)a[j]));
                for (size_t j = 0; j < n; j++) {
                    if (!(fabs((double)a[j] - (double)b[j]) <= cases[c].within * top))
                        fail_msg("%s [%zu, %zu]: %g, not %g", entry->name, r, j, (double)b[j],
                                 (double)a[j]);
                    if (wants == CARA_I8)
                        sum += ((const int8_t *)t->data)[cara_i8_at(n, r, j)];
                }
                if (wants == CARA_I8)
                    assert_int_equal(t->sum[r], sum);
            }
            for (size_t r = rows; wants == CARA_I8 && r < cara_i8_channels(rows); r++) {
                assert_int_equal(t->sum[r], 0);
                assert_true(t->scale[r] == 0);
            }
        }
        /* The same again, from what was written. */
        write_as(m, cases[c].storage, 2, in_scratch("again.cara"));
        assert_same_file(in_scratch("m.cara"), in_scratch("again.cara"));
        cara_model_close(m);
    }
    free(a);
    free(b);
    cara_model_close(from);
}

/* ---- wrong fields of int8 tensors ---- */

static void sign(uint8_t *file) {
    size_t data = (size_t)cara_le64(file + CARA_H_DATA);
    cara_put_le32(file + CARA_H_CRC, 0);
    cara_put_le32(file + CARA_H_CRC, (uint32_t)crc32_z(0, file, data));
}

static void each_wrong_field_is_found(void **state) {
    (void)state;
    cara_model *from = open_model(fixture_path("models/demo.cara"));
    write_as(from, CARA_STORAGE_INT8, 2, in_scratch("i8.cara"));
    cara_model_close(from);
    char *bytes;
    size_t n;
    assert_int_equal(cara_read_file(in_scratch("i8.cara"), 64 << 20, &bytes, &n, NULL), CARA_OK);
    uint8_t *file = (uint8_t *)bytes;
    const uint64_t e = CARA_HEADER_SIZE; /* encoder.conv1.weight [192, 80, 3] */
    const uint64_t offset = cara_le64(file + e + CARA_E_OFFSET);
    const uint64_t size = cara_le64(file + e + CARA_E_SIZE);
    assert_int_equal(size, 192 * 256);
    const uint64_t positions = e + 4 * CARA_ENTRY_SIZE;
    assert_string_equal((char *)file + positions, "encoder.positional_embedding");
    const struct {
        uint64_t at;
        int size;
        uint64_t value;
        cara_code code;
        const char *says;
    } fields[] = {
        {e + CARA_E_LAYOUT, 4, 0, CARA_ERR_MODEL_FORMAT, "type 3 in layout 0"},
        {e + CARA_E_LAYOUT, 4, 2, CARA_ERR_MODEL_FORMAT, "type 3 in layout 2"},
        {e + CARA_E_DTYPE, 4, 1, CARA_ERR_MODEL_FORMAT, "type 1 in layout 1"},
        {e + CARA_E_SIZE, 8, size - 64, CARA_ERR_MODEL_CORRUPT, "its shape takes 49152"},
        {e + CARA_E_SIZE, 8, 192 * 240, CARA_ERR_MODEL_CORRUPT, "its shape takes 49152"},
        {e + CARA_E_SHAPE, 8, INT32_MAX, CARA_ERR_MODEL_CORRUPT, "takes"},
        {e + CARA_E_SCALE, 8, 0, CARA_ERR_MODEL_CORRUPT, "scales or sums"},
        {e + CARA_E_SCALE, 8, offset, CARA_ERR_MODEL_CORRUPT, "scales or sums"},
        {e + CARA_E_SCALE, 8, UINT64_MAX - 3, CARA_ERR_MODEL_CORRUPT, "scales or sums"},
        {e + CARA_E_SCALE_SIZE, 8, 4, CARA_ERR_MODEL_CORRUPT, "scales or sums"},
        {e + CARA_E_SUM, 8, offset + size, CARA_ERR_MODEL_CORRUPT, "scales or sums"},
        {e + CARA_E_SUM, 8, 0, CARA_ERR_MODEL_CORRUPT, "scales or sums"},
        {e + CARA_E_SUM_SIZE, 8, 0, CARA_ERR_MODEL_CORRUPT, "scales or sums"},
        {e + CARA_E_OFFSET, 8, (n + 63) / 64 * 64 - size, CARA_ERR_MODEL_CORRUPT, "outside"},
        {e + CARA_E_OFFSET, 8, UINT64_MAX - 63, CARA_ERR_MODEL_CORRUPT, "outside"},
        {e + CARA_E_N_DIMS, 4, 1, CARA_ERR_MODEL_CORRUPT, "shape"},
    };
    cara_error err;
    cara_model *m;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        uint8_t kept[8];
        memcpy(kept, file + fields[i].at, 8);
        if (fields[i].size == 8)
            cara_put_le64(file + fields[i].at, fields[i].value);
        else
            cara_put_le32(file + fields[i].at, (uint32_t)fields[i].value);
        sign(file);
        int rc = cara_model_open_bytes(cara_slice_of(file, n), NULL, &m, &err);
        cara_model_close(m);
        memcpy(file + fields[i].at, kept, 8);
        if (rc != (int)fields[i].code || !strstr(err.text, fields[i].says))
            fail_msg("field %zu: %s: \"%s\" lacks \"%s\"", i, cara_code_name((cara_code)rc),
                     err.text, fields[i].says);
    }
    /* Positions are never in int8, even where every size is right. */
    uint8_t *p = file + positions;
    uint64_t packed = cara_i8_packed_size(1500, 192), at = cara_le64(p + CARA_E_OFFSET);
    cara_put_le32(p + CARA_E_DTYPE, CARA_I8);
    cara_put_le32(p + CARA_E_LAYOUT, CARA_I8_PANELS);
    cara_put_le64(p + CARA_E_SIZE, packed);
    cara_put_le64(p + CARA_E_SCALE, at + packed);
    cara_put_le64(p + CARA_E_SCALE_SIZE, 4 * cara_i8_channels(1500));
    cara_put_le64(p + CARA_E_SUM, at + packed + 4 * cara_i8_channels(1500));
    cara_put_le64(p + CARA_E_SUM_SIZE, 4 * cara_i8_channels(1500));
    sign(file);
    assert_int_equal(cara_model_open_bytes(cara_slice_of(file, n), NULL, &m, &err),
                     CARA_ERR_MODEL_SHAPE);
    says(&err, "only matrices");
    free(bytes);
}

static void damage_in_scales_is_found(void **state) {
    (void)state;
    cara_model *from = open_model(fixture_path("models/demo.cara"));
    write_as(from, CARA_STORAGE_INT8, 2, in_scratch("x.cara"));
    cara_model_close(from);
    cara_model *m = open_model(in_scratch("x.cara"));
    size_t at = (size_t)((const uint8_t *)m->entries[0].to->sum - m->file.data) + 9;
    cara_model_close(m);
    FILE *f = fopen(in_scratch("x.cara"), "r+b");
    assert_non_null(f);
    fseek(f, (long)at, SEEK_SET);
    fputc(0x55, f);
    fclose(f);
    m = open_model(in_scratch("x.cara"));
    cara_error err;
    assert_int_equal(cara_model_check(m, NULL, NULL, &err), CARA_ERR_MODEL_CORRUPT);
    says(&err, "encoder.conv1.weight");
    cara_model_close(m);
}

static int stop(void *cookie, int64_t done, int64_t total) {
    (void)cookie;
    assert_true(done > 0 && done <= total);
    return 1;
}

static void a_stopped_conversion_leaves_no_file(void **state) {
    (void)state;
    cara_model *from = open_model(fixture_path("models/demo.cara"));
    cara_error err;
    cara_write_options options = {.storage = CARA_STORAGE_INT8, .threads = 1, .progress = stop};
    const char *path = in_scratch("stopped.cara");
    assert_int_equal(cara_model_write(from, &options, path, &err), CARA_ERR_CANCELLED);
    assert_int_not_equal(access(path, F_OK), 0);
    cara_model_close(from);
}

/* ---- random models ---- */

static void a_random_model_is_the_same_everywhere(void **state) {
    (void)state;
    cara_error err;
    cara_write_options options = {.threads = 2, .storage = CARA_STORAGE_INT8, .replace = 1};
    if (cara_model_write_random("tiny", 1, &options, in_scratch("r.cara"), &err))
        fail_msg("%s", err.text);
    options.threads = 1;
    assert_int_equal(cara_model_write_random("tiny", 1, &options, in_scratch("r1.cara"), &err),
                     CARA_OK);
    assert_same_file(in_scratch("r.cara"), in_scratch("r1.cara"));
    cara_model *m = open_model(in_scratch("r.cara"));
    assert_string_equal(cara_model_name(m), "random-tiny");
    /* Of every machine and compiler. */
    assert_int_equal(crc32_z(0, m->file.data, m->file.size), RANDOM_TINY_CRC);
    assert_int_equal(cara_model_check(m, NULL, NULL, NULL), CARA_OK);
    size_t n;
    assert_non_null(cara_model_alignment_heads(m, &n));
    assert_int_equal(n, 6); /* those of tiny */
    cara_model_close(m);
    /* Other seeds are other models. */
    assert_int_equal(cara_model_write_random("tiny", 2, &options, in_scratch("r2.cara"), &err),
                     CARA_OK);
    cara_model *a = open_model(in_scratch("r1.cara")), *b = open_model(in_scratch("r2.cara"));
    assert_memory_not_equal(a->entries[0].to->data, b->entries[0].to->data, 1000);
    cara_model_close(a);
    cara_model_close(b);
}

static void random_weights_are_normal(void **state) {
    (void)state;
    cara_error err;
    cara_write_options options = {.storage = CARA_STORAGE_FLOAT32, .replace = 1, .name = "x"};
    if (cara_model_write_random("tiny.en", 3, &options, in_scratch("n.cara"), &err))
        fail_msg("%s", err.text);
    cara_model *m = open_model(in_scratch("n.cara"));
    assert_string_equal(cara_model_name(m), "x");
    assert_int_equal(m->dims.n_vocab, 51864);
    for (size_t i = 0; i < m->n_entries; i++) {
        const cara_tensor_entry *entry = &m->entries[i];
        const float *w = entry->to->data;
        size_t n = (size_t)cara_tensor_count(entry->to);
        size_t fan_in = cara_tensor_row_size(entry->n_dims, entry->shape);
        double sum = 0, squares = 0, fourths = 0;
        size_t beyond = 0;
        for (size_t j = 0; j < n; j++) {
            double x = (double)w[j];
            if (entry->kind == CARA_TENSOR_MATRIX)
                x *= sqrt((double)fan_in);
            sum += x;
            squares += x * x;
            fourths += x * x * x * x;
            beyond += fabs(x) > 3;
        }
        if (entry->kind != CARA_TENSOR_MATRIX || n < 100000)
            continue;
        double count = (double)n;
        assert_true(fabs(sum / count) < 0.02);
        assert_true(fabs(squares / count - 1) < 0.02);
        assert_true(fabs(fourths / count - 3) < 0.15); /* a normal distribution's */
        assert_true((double)beyond / count > 0.0015 && (double)beyond / count < 0.004);
    }
    assert_true(((const float *)m->weights.encoder[0].attn_ln.weight.data)[5] > 0.9f);
    cara_model_close(m);
}

static void unknown_shapes_are_refused(void **state) {
    (void)state;
    cara_error err;
    cara_write_options options = {.replace = 1};
    static const char *const names[] = {"", "large", "Medium", "tiny.de", "custom"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(cara_model_write_random(names[i], 1, &options, in_scratch("u.cara"), &err),
                         CARA_ERR_USAGE);
        says(&err, "large-v3-turbo");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(a_packed_row_is_rounded_to_nearest),
        cmocka_unit_test(each_storage_holds_the_weights),
        cmocka_unit_test(each_wrong_field_is_found),
        cmocka_unit_test(damage_in_scales_is_found),
        cmocka_unit_test(a_stopped_conversion_leaves_no_file),
        cmocka_unit_test(a_random_model_is_the_same_everywhere),
        cmocka_unit_test(random_weights_are_normal),
        cmocka_unit_test(unknown_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

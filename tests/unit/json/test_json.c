#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "json/json.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_EVENT, CARA_LIMIT_EVENT_BYTES);

static char *written(const json_t *value, cara_json_style style) {
    cara_buf buf;
    cara_buf_init(&buf, CARA_MIB);
    assert_int_equal(cara_json_write(value, style, &buf), 0);
    return buf.data;
}

/* Takes over `value`. */
static void assert_writes(json_t *value, cara_json_style style, const char *expected) {
    char *out = written(value, style);
    assert_string_equal(out, expected);
    free(out);
    json_decref(value);
}

/* What is read and written again; NULL in `out` means refused. */
static void reads_repairs_and_refuses(void **state) {
    static const struct {
        const char *in;
        size_t n; /* 0: strlen */
        const char *out;
        int repaired;
    } cases[] = {
        {"{\"a\":[1,2.5,true,null,\"x\"]}", 0, "{\"a\":[1,2.5,true,null,\"x\"]}", 0},
        {"\xEF\xBB\xBF{\"bom\":1}", 0, "{\"bom\":1}", 0},
        {"{\"lat\":27.12,\"lon\":-111.98}", 0, "{\"lat\":27.12,\"lon\":-111.98}", 0},
        {"[0.1,1e100,1.0,-0.0,5e-324,123456789012345678]", 0,
         "[0.1,1e+100,1.0,-0.0,4.94065645841247e-324,123456789012345678]", 0},
        {"{\"a\":1,\"a\":2}", 0, "{\"a\":2}", 1},
        {"{\"s\":\"\\ud83d\\udc1f \\u00f1 \\u0000\"}", 0,
         "{\"s\":\"\xF0\x9F\x90\x9F \xC3\xB1 \\u0000\"}", 0},
        {"\"bare\"", 0, "\"bare\"", 0},
        /* flaws of one value */
        {"{\"s\":\"a\xFF\xC3z\"}", 0, "{\"s\":\"a\xEF\xBF\xBD\xEF\xBF\xBDz\"}", 1},
        {"{\"s\":\"\\ud83d cut\"}", 0, "{\"s\":\"\xEF\xBF\xBD cut\"}", 1},
        {"{\"s\":\"\\udc1f\\ud83d\"}", 0, "{\"s\":\"\xEF\xBF\xBD\xEF\xBF\xBD\"}", 1},
        {"{\"k\\u0000\":1}", 0, "{\"k\xEF\xBF\xBD\":1}", 1},
        {"{\"s\":\"tab\there\"}", 0, "{\"s\":\"tab\\there\"}", 1},
        {"{\"s\":\"a\0b\"}", 11,
         "{\"s\":\"a\xEF\xBF\xBD"
         "b\"}",
         1},
        {"{\"n\":123456789012345678901234567890}", 0, "{\"n\":\"123456789012345678901234567890\"}",
         1},
        {"{\"n\":[1e999,-1E+400,2]}", 0, "{\"n\":[\"1e999\",\"-1E+400\",2]}", 1},
        /* no JSON */
        {"", 0, NULL, 0},
        {"{", 0, NULL, 0},
        {"{\"a\":1} x", 0, NULL, 0},
        {"{\"a\":NaN}", 0, NULL, 0},
        {"not json", 0, NULL, 0},
        {"{\"a\":\"\\", 0, NULL, 0},
        {"{\"a\":\"\\ud8", 0, NULL, 0},
        {"{\"a\":\"\xF0\x9F", 0, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *value = NULL;
        int repaired = -1;
        cara_error err = {0};
        size_t n = cases[i].n ? cases[i].n : strlen(cases[i].in);
        char *copy =
            malloc(n + 1); /* of exactly n bytes, so that the sanitizer sees a step beyond */
        assert_non_null(copy);
        copy = realloc(copy, n ? n : 1);
        if (n)
            memcpy(copy, cases[i].in, n);
        int rc = cara_json_read_repaired(copy, n, &rules, &value, &repaired, &err);
        free(copy);
        if (!cases[i].out) {
            assert_int_equal(rc, CARA_ERR_EVENT);
            assert_null(value);
            assert_true(strlen(err.text) > 0);
            continue;
        }
        assert_int_equal(rc, CARA_OK);
        assert_int_equal(repaired, cases[i].repaired);
        char *out = written(value, CARA_JSON_COMPACT);
        assert_string_equal(out, cases[i].out);
        free(out);
        json_decref(value);
    }
}

static void ceilings_come_before_memory(void **state) {
    size_t n = 3 * CARA_MIB;
    char *text = malloc(n);
    assert_non_null(text);
    json_t *value = NULL;
    cara_error err = {0};
    for (size_t depth = CARA_LIMIT_JSON_DEPTH; depth <= CARA_LIMIT_JSON_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        int rc = cara_json_read(text, 2 * depth, &rules, &value, &err);
        assert_int_equal(rc, depth <= CARA_LIMIT_JSON_DEPTH ? CARA_OK : CARA_ERR_EVENT);
        json_decref(value);
    }
    memset(text, '[', n);
    assert_int_equal(cara_json_read(text, n, &rules, &value, &err), CARA_ERR_EVENT);
    assert_int_equal(err.position, CARA_LIMIT_JSON_DEPTH);
    for (size_t i = 1; i + 1 < n; i += 2)
        memcpy(text + i, "1,", 2);
    assert_int_equal(cara_json_read(text, n, &rules, &value, &err), CARA_ERR_EVENT);
    assert_null(value);
    assert_true(strstr(err.text, "values") != NULL);
    free(text);
}

/* What the reader without repair refuses, and where. */
static void reads_without_repair(void **state) {
    static const struct {
        const char *in;
        int64_t position; /* -1: accepted */
        const char *says;
    } cases[] = {
        {"{\"a\":[1,2.5,true,null,\"x\"]}", -1, NULL},
        {"{\"s\":\"a\\u0000b\"}", -1, NULL},
        {"\xEF\xBB\xBF[1]", -1, NULL},
        {"7", -1, NULL},
        {"{\"a\":1,\"a\":2}", 10, "second"},
        {"{\"s\":\"a\xFF\"}", 7, "UTF-8"},
        {"{\"k\\u0000\":1}", 10, "NUL"},
        {"[1e999]", 6, "too large"},
        {"[123456789012345678901234567890]", 31, "too large"},
        {"[1,]", 4, "syntax"},
        {"\xEF\xBB\xBF[1,]", 7, "syntax"},
        {"[1,", 3, "ends"},
        {"", 0, "ends"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *value = NULL;
        cara_error err = {.code = CARA_OK, .position = -1};
        int rc = cara_json_read(cases[i].in, strlen(cases[i].in), &rules, &value, &err);
        if (cases[i].position < 0) {
            assert_int_equal(rc, CARA_OK);
            assert_int_equal(err.code, CARA_OK);
            json_decref(value);
            continue;
        }
        assert_int_equal(rc, CARA_ERR_EVENT);
        assert_null(value);
        assert_int_equal(err.position, cases[i].position);
        assert_non_null(strstr(err.text, cases[i].says));
    }
    assert_int_equal(cara_json_read(NULL, 0, &rules, &(json_t *){NULL}, NULL), CARA_ERR_EVENT);
}

static void each_caller_chooses_its_ceilings(void **state) {
    static const struct {
        const char *in;
        cara_json_rules rules;
        int64_t position; /* -1: accepted */
        const char *says;
    } cases[] = {
        {"[1,2,3]", {CARA_ERR_VOCAB, 7, 3, 1, 0}, -1, NULL},
        {"[1,2,3]", {CARA_ERR_VOCAB, 6, 3, 1, 0}, 6, "7 bytes, more than the 6"},
        {"[1,2,3]", {CARA_ERR_NETWORK, 7, 2, 1, 0}, 4, "more than 2 values"},
        {"[1,[]]", {CARA_ERR_EVENT, 7, 3, 1, 0}, 3, "deeper than 1 levels at byte 3"},
        {"[1,[]]", {CARA_ERR_EVENT, 7, 3, 2, 0}, -1, NULL},
        {"[\"[,[,[,\\\"[,\"]", {CARA_ERR_EVENT, 99, 1, 1, 0}, -1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int repaired = 0; repaired < 2; repaired++) {
            json_t *value = NULL;
            cara_error err = {.code = CARA_OK, .position = -1};
            size_t n = strlen(cases[i].in);
            int rc = repaired ? cara_json_read_repaired(cases[i].in, n, &cases[i].rules, &value,
                                                        NULL, &err)
                              : cara_json_read(cases[i].in, n, &cases[i].rules, &value, &err);
            assert_int_equal(err.position, cases[i].position);
            if (cases[i].position < 0) {
                assert_int_equal(rc, CARA_OK);
                json_decref(value);
                continue;
            }
            assert_int_equal(rc, cases[i].rules.code);
            assert_null(value);
            assert_non_null(strstr(err.text, cases[i].says));
        }
    }
}

static void of_repeated_names_the_last_counts_where_allowed(void **state) {
    static const char in[] = "{\"a\":1,\"b\":2,\"a\":3}";
    cara_json_rules allowed = rules;
    allowed.repeated_names = 1;
    json_t *value = NULL;
    assert_int_equal(cara_json_read(in, strlen(in), &rules, &value, NULL), CARA_ERR_EVENT);
    assert_null(value);
    assert_int_equal(cara_json_read(in, strlen(in), &allowed, &value, NULL), CARA_OK);
    assert_int_equal(json_object_size(value), 2);
    assert_int_equal(json_integer_value(json_object_get(value, "a")), 3);
    json_decref(value);
}

/* A Hugging Face vocab.json: {"token": id, ...}. */
static void a_vocabulary_fits_the_ceilings(void **state) {
    enum { ENTRIES = 52000 };
    cara_buf text;
    cara_buf_init(&text, CARA_LIMIT_VOCAB_BYTES);
    cara_buf_char(&text, '{');
    for (int i = 0; i < ENTRIES; i++)
        cara_buf_printf(&text, "%s\"\\u0120token%d\": %d", i ? ", " : "", i, i);
    cara_buf_char(&text, '}');
    assert_false(text.failed);
    const cara_json_rules vocab = CARA_JSON_RULES(CARA_ERR_VOCAB, CARA_LIMIT_VOCAB_BYTES);
    json_t *value = NULL;
    cara_error err = {.code = CARA_OK};
    double start = cara_clock_monotonic();
    assert_int_equal(cara_json_read(text.data, text.len, &vocab, &value, &err), CARA_OK);
    double took = cara_clock_monotonic() - start;
    print_message("%d entries in %.0f ms\n", ENTRIES, 1000 * took);
    assert_true(took < 5); /* some 20 ms; a hundred times that under sanitizers on a busy machine */
    assert_int_equal(json_object_size(value), ENTRIES);
    assert_int_equal(json_integer_value(json_object_get(value, "\xC4\xA0token51999")), 51999);
    json_decref(value);
    const cara_json_rules few = {CARA_ERR_VOCAB, CARA_LIMIT_VOCAB_BYTES, ENTRIES - 1, 64, 0};
    assert_int_equal(cara_json_read(text.data, text.len, &few, &value, &err), CARA_ERR_VOCAB);
    assert_null(value);
    assert_true(err.position > 0 && text.data[err.position] == ',');
    cara_buf_free(&text);
}

static void writes_nan_as_null_and_reals_as_reals(void **state) {
    json_t *value = json_array();
    assert_null(json_real(NAN)); /* jansson refuses it */
    json_array_append_new(value, json_real(0.1 + 0.2));
    json_array_append_new(value, json_real(4.02));
    json_array_append_new(value, json_real(1e16));
    json_array_append_new(value, json_real(-7));
    json_array_append_new(value, cara_json_real(NAN));
    json_array_append_new(value, cara_json_real(-INFINITY));
    assert_writes(value, CARA_JSON_COMPACT, "[0.30000000000000004,4.02,1e+16,-7.0,null,null]");
}

/* The bytes of records: C's %.15g, or %.16g or %.17g where fewer digits do not read back. */
static void reals_of_records_are_as_g_writes_them(void **state) {
    static const double values[] = {0.1,   1.0 / 3, 1e15,     1.5e15,        1234567890123456.0,
                                    1e-4,  1e-5,    123456.0, 0x1p-24,       12345678901234568.0,
                                    -0.0,  DBL_MAX, DBL_MIN,  5e-324,        999999999999999.9,
                                    27.12, 0x1p60,  1e100,    0.00012345678, 123456789012345.0};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char expected[40];
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(expected, sizeof expected, "%.*g", digits, values[i]);
            if (strtod(expected, NULL) == values[i])
                break;
        }
        if (!strpbrk(expected, ".e")) {
            size_t n = strlen(expected);
            snprintf(expected + n, sizeof expected - n, ".0");
        }
        assert_writes(json_real(values[i]), CARA_JSON_COMPACT, expected);
        assert_writes(json_real(values[i]), CARA_JSON_INDENTED, expected);
    }
}

static void numbers_are_as_repr_writes_them(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *expected;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-10.0, "-10.0"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {0.001, "0.001"},
        {0.0001, "0.0001"},
        {0.00012, "0.00012"},
        {0.00001, "1e-05"},
        {0.000012, "1.2e-05"},
        {1.0 / 3, "0.3333333333333333"},
        {123456.75, "123456.75"},
        {1e15, "1000000000000000.0"},
        {9999999999999998.0, "9999999999999998.0"},
        {1e16, "1e+16"},
        {1.5e16, "1.5e+16"},
        {1e22, "1e+22"},
        {1e100, "1e+100"},
        {1e-100, "1e-100"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {4.9406564584124654e-324, "5e-324"},
        {-0.23583528399467468, "-0.23583528399467468"},
        {9.5367431640625e-07, "9.5367431640625e-07"},
        /* powers of two, where the nearest 16 digits do not read back but the next do */
        {0x1p-24, "5.960464477539063e-08"},
        {0x1p-44, "5.684341886080802e-14"},
        {0x1p-1017, "7.120236347223045e-307"},
        {0x1p60, "1.152921504606847e+18"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_writes(cara_json_real(cases[i].value), CARA_JSON_PYTHON, cases[i].expected);
    }
}

static void numbers_read_back_as_themselves(void **state) {
    (void)state;
    uint64_t x = 88172645463325252u; /* xorshift64: any bit pattern */
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        double value;
        memcpy(&value, &x, sizeof value);
        if (!isfinite(value))
            continue;
        for (int style = CARA_JSON_COMPACT; style <= CARA_JSON_SPREAD; style++) {
            json_t *real = json_real(value);
            char *out = written(real, (cara_json_style)style);
            assert_true(strtod(out, NULL) == value);
            free(out);
            json_decref(real);
        }
    }
}

static void each_style_has_its_bytes(void **state) {
    static const char *const expected[] = {
        [CARA_JSON_COMPACT] = "{\"tokens\":[1,2],\"segments\":[{\"text\":\"a\\\"\\\\\\n\\t\\u0001"
                              "\\u0008\\u000c\\u007f\xC3\xB1\"},[]],\"none\":{},\"empty\":[]}",
        [CARA_JSON_INDENTED] =
            "{\n \"tokens\": [1, 2],\n \"segments\": [\n  {\n   \"text\": "
            "\"a\\\"\\\\\\n\\t\\u0001\\u0008\\u000c\\u007f\xC3\xB1\"\n  },\n  []\n ],\n "
            "\"none\": {},\n \"empty\": []\n}",
        [CARA_JSON_PYTHON] = "{\"tokens\": [1, 2], \"segments\": [{\"text\": \"a\\\"\\\\\\n\\t"
                             "\\u0001\\b\\f\x7F\xC3\xB1\"}, []], \"none\": {}, \"empty\": []}",
        [CARA_JSON_SPREAD] =
            "{\n  \"tokens\": [\n    1,\n    2\n  ],\n  \"segments\": [\n    {\n      \"text\": "
            "\"a\\\"\\\\\\n\\t\\u0001\\b\\f\x7F\xC3\xB1\"\n    },\n    []\n  ],\n  "
            "\"none\": {},\n  \"empty\": []\n}",
    };
    json_t *value = json_pack("{s:[i,i],s:[{s:s},[]],s:{},s:[]}", "tokens", 1, 2, "segments",
                              "text", "a\"\\\n\t\x01\b\f\x7F\xC3\xB1", "none", "empty");
    for (int style = CARA_JSON_COMPACT; style <= CARA_JSON_SPREAD; style++) {
        assert_writes(json_incref(value), (cara_json_style)style, expected[style]);
        for (size_t limit = 0; limit < 20; limit++) {
            cara_buf buf;
            cara_buf_init(&buf, limit);
            assert_int_equal(cara_json_write(value, (cara_json_style)style, &buf), -1);
            cara_buf_free(&buf);
        }
    }
    json_decref(value);
    cara_buf buf;
    cara_buf_init(&buf, 100);
    assert_int_equal(cara_json_write(NULL, CARA_JSON_COMPACT, &buf), -1);
}

static void text_refuses_half_strings(void **state) {
    json_t *value = NULL;
    const char *in = "{\"a\":\"x\",\"b\":\"x\\u0000y\",\"c\":5,\"d\":\"\"}";
    assert_int_equal(cara_json_read(in, strlen(in), &rules, &value, NULL), CARA_OK);
    assert_string_equal(cara_json_text(value, "a"), "x");
    assert_null(cara_json_text(value, "b"));
    assert_null(cara_json_text(value, "c"));
    assert_string_equal(cara_json_text(value, "d"), "");
    assert_null(cara_json_text(value, "e"));
    assert_null(cara_json_text(NULL, "a"));
    assert_string_equal(cara_json_text_or(value, "a", "-"), "x");
    assert_string_equal(cara_json_text_or(value, "b", "-"), "-");
    assert_string_equal(cara_json_text_or(NULL, "a", ""), "");
    json_decref(value);
}

static void strings_take_any_bytes(void **state) {
    assert_writes(cara_json_string("a\xC3", 2), CARA_JSON_COMPACT, "\"a\xEF\xBF\xBD\"");
    assert_writes(cara_json_string("\xC3\xB1", 2), CARA_JSON_COMPACT, "\"\xC3\xB1\"");
    assert_writes(cara_json_string("\0", 1), CARA_JSON_COMPACT, "\"\\u0000\"");
    assert_writes(cara_json_string("", 0), CARA_JSON_COMPACT, "\"\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_repairs_and_refuses),
        cmocka_unit_test(reads_without_repair),
        cmocka_unit_test(ceilings_come_before_memory),
        cmocka_unit_test(each_caller_chooses_its_ceilings),
        cmocka_unit_test(of_repeated_names_the_last_counts_where_allowed),
        cmocka_unit_test(a_vocabulary_fits_the_ceilings),
        cmocka_unit_test(writes_nan_as_null_and_reals_as_reals),
        cmocka_unit_test(reals_of_records_are_as_g_writes_them),
        cmocka_unit_test(numbers_are_as_repr_writes_them),
        cmocka_unit_test(numbers_read_back_as_themselves),
        cmocka_unit_test(each_style_has_its_bytes),
        cmocka_unit_test(text_refuses_half_strings),
        cmocka_unit_test(strings_take_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "inbox/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *written(const json_t *value, int pretty) {
    cara_buf buf;
    cara_buf_init(&buf, CARA_MIB);
    assert_int_equal(cara_json_write(value, pretty, &buf), 0);
    return buf.data;
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
        {"{\"a\":1,\"a\":2}", 0, "{\"a\":2}", 0},
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
        int rc = cara_json_parse(copy, n, &value, &repaired, &err);
        free(copy);
        if (!cases[i].out) {
            assert_int_equal(rc, CARA_ERR_EVENT);
            assert_null(value);
            assert_true(strlen(err.text) > 0);
            continue;
        }
        assert_int_equal(rc, CARA_OK);
        assert_int_equal(repaired, cases[i].repaired);
        char *out = written(value, 0);
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
        int rc = cara_json_parse(text, 2 * depth, &value, NULL, &err);
        assert_int_equal(rc, depth <= CARA_LIMIT_JSON_DEPTH ? CARA_OK : CARA_ERR_EVENT);
        json_decref(value);
    }
    memset(text, '[', n);
    assert_int_equal(cara_json_parse(text, n, &value, NULL, &err), CARA_ERR_EVENT);
    assert_int_equal(err.position, CARA_LIMIT_JSON_DEPTH);
    for (size_t i = 1; i + 1 < n; i += 2)
        memcpy(text + i, "1,", 2);
    assert_int_equal(cara_json_parse(text, n, &value, NULL, &err), CARA_ERR_EVENT);
    assert_null(value);
    assert_true(strstr(err.text, "values") != NULL);
    free(text);
}

static void writes_nan_as_null_and_reals_as_reals(void **state) {
    json_t *value = json_array();
    /* jansson refuses NaN in its constructor; a result's NaN comes as null from the record. */
    assert_null(json_real(NAN));
    json_array_append_new(value, json_real(0.1 + 0.2));
    json_array_append_new(value, json_real(4.02));
    json_array_append_new(value, json_real(1e16));
    json_array_append_new(value, json_real(-7));
    char *out = written(value, 0);
    assert_string_equal(out, "[0.30000000000000004,4.02,1e+16,-7.0]");
    free(out);
    json_decref(value);
}

static void pretty_keeps_plain_arrays_on_a_line(void **state) {
    json_t *value = json_pack("{s:[i,i],s:[{s:s}],s:{},s:[]}", "tokens", 1, 2, "segments", "text",
                              "a\"\\\n\x01", "none", "empty");
    char *out = written(value, 1);
    assert_string_equal(out,
                        "{\n \"tokens\": [1, 2],\n \"segments\": [\n  {\n   \"text\": "
                        "\"a\\\"\\\\\\n\\u0001\"\n  }\n ],\n \"none\": {},\n \"empty\": []\n}");
    free(out);
    cara_buf buf;
    cara_buf_init(&buf, 10);
    assert_int_equal(cara_json_write(value, 1, &buf), -1);
    cara_buf_free(&buf);
    json_decref(value);
}

static void text_refuses_half_strings(void **state) {
    json_t *value = NULL;
    const char *in = "{\"a\":\"x\",\"b\":\"x\\u0000y\",\"c\":5,\"d\":\"\"}";
    assert_int_equal(cara_json_parse(in, strlen(in), &value, NULL, NULL), CARA_OK);
    assert_string_equal(cara_json_text(value, "a"), "x");
    assert_null(cara_json_text(value, "b"));
    assert_null(cara_json_text(value, "c"));
    assert_string_equal(cara_json_text(value, "d"), "");
    assert_null(cara_json_text(value, "e"));
    assert_null(cara_json_text(NULL, "a"));
    json_decref(value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_repairs_and_refuses),
        cmocka_unit_test(ceilings_come_before_memory),
        cmocka_unit_test(writes_nan_as_null_and_reals_as_reals),
        cmocka_unit_test(pretty_keeps_plain_arrays_on_a_line),
        cmocka_unit_test(text_refuses_half_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

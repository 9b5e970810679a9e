/* Every stage of SigV4 against vectors: our own (see sigv4_vectors.py), or those of a file named on
 * the command line, as AWS's suite turned into the same form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/signing/dates.h"
#include "aws/signing/sigv4.h"
#include "net/url.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const char *vectors_path;

static const char *str(const json_t *v, const char *name) {
    const char *s = json_string_value(json_object_get(v, name));
    if (!s)
        fail_msg("a vector lacks %s", name);
    return s;
}

static void same(const json_t *v, const char *stage, const cara_buf *got) {
    const char *want = str(v, stage);
    if (got->len != strlen(want) || memcmp(got->data, want, got->len) != 0)
        fail_msg("%s, %s:\n%s\n--- expected:\n%s", str(v, "name"), stage, got->data, want);
}

static void every_stage_of_every_vector(void **state) {
    (void)state;
    json_error_t trouble;
    json_t *vectors = json_load_file(vectors_path, 0, &trouble);
    if (!vectors)
        fail_msg("%s: %s", vectors_path, trouble.text);
    assert_true(json_array_size(vectors) >= 30);
    size_t i;
    json_t *v;
    json_array_foreach(vectors, i, v) {
        cara_http_header headers[16];
        json_t *list = json_object_get(v, "headers");
        size_t n = json_array_size(list);
        assert_true(n <= COUNT(headers));
        for (size_t h = 0; h < n; h++) {
            json_t *pair = json_array_get(list, h);
            headers[h].name = json_string_value(json_array_get(pair, 0));
            headers[h].value = json_string_value(json_array_get(pair, 1));
        }
        cara_sigv4_request request = {.method = str(v, "method"),
                                      .path = str(v, "path"),
                                      .query = str(v, "query"),
                                      .headers = headers,
                                      .n_headers = n,
                                      .payload_hash = str(v, "payload_hash"),
                                      .s3 = json_is_true(json_object_get(v, "s3")),
                                      .keep_path = json_is_true(json_object_get(v, "keep_path"))};
        cara_sigv4_key key = {str(v, "access_key"), str(v, "secret_key"), str(v, "region"),
                              str(v, "service"), json_integer_value(json_object_get(v, "time_ms"))};
        cara_error err;
        cara_buf canonical, string, authorization;
        cara_buf_init(&canonical, 100000);
        cara_buf_init(&string, 100000);
        cara_buf_init(&authorization, 100000);
        assert_int_equal(cara_sigv4_canonical(&request, &canonical, &err), CARA_OK);
        same(v, "canonical", &canonical);
        assert_int_equal(
            cara_sigv4_string_to_sign(&key, canonical.data, canonical.len, &string, &err), CARA_OK);
        same(v, "string_to_sign", &string);
        char signature[65];
        assert_int_equal(cara_sigv4_signature(&key, string.data, string.len, signature, &err),
                         CARA_OK);
        assert_string_equal(signature, str(v, "signature"));
        assert_int_equal(cara_sigv4_authorization(&key, &request, &authorization, &err), CARA_OK);
        if (json_object_get(v, "authorization"))
            same(v, "authorization", &authorization);
        const char *object = json_string_value(json_object_get(v, "key"));
        if (object) { /* the path that we would send for this key */
            cara_buf path;
            cara_buf_init(&path, 10000);
            assert_int_equal(cara_buf_str(&path, "/bucket/"), 0);
            assert_int_equal(cara_url_encode(&path, object, strlen(object), 1), 0);
            same(v, "path", &path);
            cara_buf_free(&path);
        }
        cara_buf_free(&canonical);
        cara_buf_free(&string);
        cara_buf_free(&authorization);
    }
    printf("%zu vectors, every stage\n", json_array_size(vectors));
    json_decref(vectors);
}

static void unsignable_requests_are_refused(void **state) {
    (void)state;
    cara_error err;
    cara_buf out;
    cara_buf_init(&out, 10000);
    const cara_http_header no_host[] = {{"X-Host", "a"}};
    cara_sigv4_request request = {"GET", "/", NULL, no_host, 1, CARA_SIGV4_EMPTY, 1, 0};
    assert_int_equal(cara_sigv4_canonical(&request, &out, &err), CARA_ERR_USAGE);
    cara_sigv4_key key = {"a", "b", "us-east-1", "s3", -1};
    assert_int_equal(cara_sigv4_string_to_sign(&key, "", 0, &out, &err), CARA_ERR_USAGE);
    key.time_ms = 0;
    cara_buf_free(&out);
    cara_buf_init(&out, 20);
    assert_int_equal(cara_sigv4_string_to_sign(&key, "", 0, &out, &err), CARA_ERR_MEMORY);
    const cara_http_header host[] = {{"Host", "a.example"}};
    request.headers = host;
    assert_int_equal(cara_sigv4_canonical(&request, &out, &err), CARA_ERR_MEMORY);
    cara_buf_free(&out);
}

static void dates(void **state) {
    (void)state;
    static const struct {
        const char *http, *iso, *amz;
        int64_t ms;
    } good[] = {
        {"Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z", "19700101T000000Z", 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z", "19941106T084937Z",
         INT64_C(784111777000)},
        {"Tue, 29 Feb 2000 23:59:59 GMT", "2000-02-29T23:59:59.000Z", "20000229T235959Z",
         INT64_C(951868799000)},
        {"Wed, 31 Dec 2025 12:00:00 GMT", "2025-12-31T13:30:00+01:30", "20251231T120000Z",
         INT64_C(1767182400000)},
        {"Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T22:59:59-0100", "99991231T235959Z",
         INT64_C(253402300799000)},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t ms = -1;
        char amz[17];
        assert_int_equal(cara_time_http(good[i].http, &ms), 0);
        assert_int_equal(ms, good[i].ms);
        assert_int_equal(cara_time_iso8601(good[i].iso, &ms), 0);
        assert_int_equal(ms, good[i].ms);
        assert_int_equal(cara_sigv4_date(ms, amz), 0);
        assert_string_equal(amz, good[i].amz);
    }
    int64_t ms;
    assert_int_equal(cara_time_iso8601("2015-08-30T12:36:00.1239Z", &ms), 0);
    assert_int_equal(ms % 1000, 123);
    static const char *const bad[] = {
        "",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 PST",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "2015-08-30",
        "2015-08-30T12:36:00",
        "2015-13-30T12:36:00Z",
        "2015-02-29T12:36:00Z",
        "2015-08-30T12:36:00Zx",
        "2015-08-30T12:36:00+25:00",
        "1969-08-30T12:36:00Z",
        "2015-8-30T12:36:00Z",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (cara_time_http(bad[i], &ms) == 0 || cara_time_iso8601(bad[i], &ms) == 0)
            fail_msg("took \"%s\" for a date", bad[i]);
    char amz[17];
    assert_int_equal(cara_sigv4_date(-1, amz), -1);
    assert_int_equal(cara_sigv4_date(INT64_MAX, amz), -1);
}

int main(int argc, char **argv) {
    char path[4096];
    const char *source = getenv("CARACOLA_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/data/aws/sigv4-vectors.json", source ? source : ".");
    vectors_path = argc > 1 ? argv[1] : path;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stage_of_every_vector),
        cmocka_unit_test(unsignable_requests_are_refused),
        cmocka_unit_test(dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

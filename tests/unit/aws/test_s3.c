#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/s3/checksum.h"
#include "aws/s3/s3.h"
#include "base/limits.h"
#include "fake_platform.h"
#include "fake_s3.h"
#include "test_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

typedef struct fixture {
    fake_s3 s3;
    test_server *server;
    fake_platform platform;
    cara_aws *aws;
    cara_error err;
} fixture;

static void begin_at(fixture *f, test_server *server) {
    f->server = server;
    f->platform = (fake_platform){.env = {{"AWS_ACCESS_KEY_ID", "AKID"},
                                          {"AWS_SECRET_ACCESS_KEY", "secret"},
                                          {"AWS_REGION", "us-east-1"},
                                          {"AWS_ENDPOINT_URL_S3", test_server_url(f->server)}},
                                  .now_ms = FAKE_NOW,
                                  .random = 0.5};
    cara_platform platform = fake_platform_of(&f->platform);
    const cara_aws_options options = {.platform = &platform};
    if (cara_aws_open(&options, &f->aws, &f->err))
        fail_msg("%s", f->err.text);
}

static void begin(fixture *f, const test_reply *replies, size_t n) {
    memset(f, 0, sizeof *f);
    begin_at(f, replies ? test_server_start(replies, n)
                        : test_server_start_handler(fake_s3_handle, &f->s3));
}

static void end(fixture *f) {
    cara_aws_close(f->aws);
    test_server_stop(f->server);
    fake_s3_free(&f->s3);
}

static const char *const keys[] = {"plain.json", "with space",  "a+b=c",  "María José.json",
                                   "a//b/../c",  "per%cent%2F", "a\"<&>'"};

static void put_head_get_and_delete(void **state) {
    (void)state;
    fixture f;
    begin(&f, NULL, 0);
    for (size_t i = 0; i < COUNT(keys); i++) {
        cara_s3_object object = {0}, again = {0};
        const cara_s3_put_options options = {
            .content_type = "application/json", .if_absent = 1, .metadata = "x=1"};
        char *bytes;
        size_t n;
        assert_int_equal(cara_s3_head(f.aws, "bucket", keys[i], NULL, &f.err), CARA_ERR_NOT_FOUND);
        assert_int_equal(cara_s3_get(f.aws, "bucket", keys[i], 100, &bytes, &n, NULL, &f.err),
                         CARA_ERR_NOT_FOUND);
        assert_null(bytes);
        assert_int_equal(
            cara_s3_put(f.aws, "bucket", keys[i], "a\0b", 3, &options, &object, &f.err), CARA_OK);
        assert_non_null(fake_s3_find(&f.s3, keys[i]));
        assert_int_equal(cara_s3_put(f.aws, "bucket", keys[i], "other", 5, &options, NULL, &f.err),
                         CARA_ERR_CONFLICT);
        assert_int_equal(cara_s3_get(f.aws, "bucket", keys[i], 3, &bytes, &n, &again, &f.err),
                         CARA_OK);
        assert_int_equal(n, 3);
        assert_memory_equal(bytes, "a\0b", 4);
        assert_string_equal(again.etag, object.etag);
        assert_string_equal(again.content_type, "application/json");
        assert_string_equal(again.metadata, "x=1");
        free(bytes);
        assert_int_equal(cara_s3_get(f.aws, "bucket", keys[i], 2, &bytes, &n, NULL, &f.err),
                         CARA_ERR_LIMIT);
        const cara_s3_put_options stale = {.if_match = "\"0\""}, right = {.if_match = again.etag};
        assert_int_equal(cara_s3_put(f.aws, "bucket", keys[i], "", 0, &stale, NULL, &f.err),
                         CARA_ERR_CONFLICT);
        assert_int_equal(cara_s3_put(f.aws, "bucket", keys[i], "", 0, &right, NULL, &f.err),
                         CARA_OK);
        assert_int_equal(cara_s3_head(f.aws, "bucket", keys[i], &again, &f.err), CARA_OK);
        assert_int_equal(again.size, 0);
        assert_int_equal(cara_s3_get(f.aws, "bucket", keys[i], 0, &bytes, &n, NULL, &f.err),
                         CARA_OK);
        assert_int_equal(n, 0);
        assert_string_equal(bytes, "");
        free(bytes);
        assert_int_equal(cara_s3_delete(f.aws, "bucket", keys[i], &f.err), CARA_OK);
        assert_int_equal(cara_s3_delete(f.aws, "bucket", keys[i], &f.err), CARA_OK);
    }
    char text[128];
    const cara_s3_put_options kms = {.sse = "aws:kms", .sse_kms_key_id = "arn:k"};
    assert_int_equal(cara_s3_put(f.aws, "bucket", "k", "x", 1, &kms, NULL, &f.err), CARA_OK);
    test_request r = test_server_request(f.server, test_server_count(f.server) - 1);
    assert_string_equal(test_request_header(&r, "x-amz-server-side-encryption", text, sizeof text),
                        "aws:kms");
    assert_string_equal(
        test_request_header(&r, "x-amz-server-side-encryption-aws-kms-key-id", text, sizeof text),
        "arn:k");
    assert_string_equal(test_request_header(&r, "x-amz-content-sha256", text, sizeof text),
                        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    end(&f);
}

typedef struct collected {
    char keys[20][64];
    int n, stop_at;
} collected;

static int collect(void *ctx, const char *key, int64_t size) {
    collected *c = ctx;
    if (c->n == c->stop_at)
        return 77;
    assert_true(c->n < 20);
    snprintf(c->keys[c->n++], sizeof c->keys[0], "%s:%lld", key, (long long)size);
    return 0;
}

static void lists_over_pages(void **state) {
    (void)state;
    fixture f;
    begin(&f, NULL, 0);
    static const char *const names[] = {"d/1.ogg", "d/2 +=é.ogg", "d/3&<.ogg", "d/4.ogg", "e/5"};
    for (size_t i = 0; i < COUNT(names); i++)
        fake_s3_set(&f.s3, names[i], "12345");
    collected c = {.stop_at = 20};
    assert_int_equal(cara_s3_list(f.aws, "bucket", "d/", collect, &c, &f.err), CARA_OK);
    assert_int_equal(c.n, 4);
    for (int i = 0; i < 4; i++) {
        char want[64];
        snprintf(want, sizeof want, "%s:5", names[i]);
        assert_string_equal(c.keys[i], want);
    }
    assert_int_equal(test_server_count(f.server), 2);
    c = (collected){.stop_at = 3};
    assert_int_equal(cara_s3_list(f.aws, "bucket", "", collect, &c, &f.err), 77);
    assert_int_equal(c.n, 3);
    c = (collected){.stop_at = 20};
    assert_int_equal(cara_s3_list(f.aws, "bucket", "zzz", collect, &c, &f.err), CARA_OK);
    assert_int_equal(c.n, 0);
    assert_int_equal(cara_s3_list(f.aws, "other-bucket", "", collect, &c, &f.err), CARA_ERR_DENIED);
    end(&f);
}

/* Always another page with another token. */
static void give_a_page(void *ctx, const test_request *request, test_reply *reply) {
    static char xml[200];
    (void)request;
    snprintf(xml, sizeof xml,
             "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d"
             "</NextContinuationToken></ListBucketResult>",
             ++*(int *)ctx);
    reply->status = 200;
    reply->body = xml;
}

static void a_list_without_an_end_is_given_up(void **state) {
    (void)state;
    int pages = 0;
    fixture f = {.server = NULL};
    begin_at(&f, test_server_start_handler(give_a_page, &pages));
    collected c = {.stop_at = 20};
    assert_int_equal(cara_s3_list(f.aws, "bucket", "", collect, &c, &f.err), CARA_ERR_NETWORK);
    assert_int_equal(pages, CARA_LIMIT_LIST_PAGES);
    end(&f);
}

static void answers_that_are_no_list_are_refused(void **state) {
    (void)state;
#define L(inside) "<ListBucketResult>" inside "</ListBucketResult>"
    static const struct {
        const char *xml;
        int code;
        int n;
    } cases[] = {
        {L(""), CARA_OK, 0},
        {L("<Contents><Key>a&amp;b</Key><Size>x</Size></Contents>"), CARA_OK, 1},
        {L("<Contents><Size>1</Size></Contents>"), CARA_OK, 0},
        {L("<EncodingType>url</EncodingType><Contents><Key>%zz</Key></Contents>"), CARA_OK, 1},
        {L("<EncodingType>url</EncodingType><Contents><Key>a%00b</Key></Contents>"),
         CARA_ERR_NETWORK, 0},
        {L("<IsTruncated>true</IsTruncated>"), CARA_ERR_NETWORK, 0},
        {"<html></html>", CARA_ERR_NETWORK, 0},
        {"<ListBucketResult><Contents>", CARA_ERR_NETWORK, 0},
        {"", CARA_ERR_NETWORK, 0},
        {"<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult/>", CARA_ERR_NETWORK, 0},
        {L("<a><b><c><d><e><f><g><h><i></i></h></g></f></e></d></c></b></a>"), CARA_OK, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        collected c = {.stop_at = 20};
        cara_buf token;
        cara_buf_init(&token, 100);
        cara_error err = {0};
        int rc = cara_s3_list_page(cases[i].xml, strlen(cases[i].xml), collect, &c, &token, &err);
        if (rc != cases[i].code || c.n != cases[i].n || (rc && !err.text[0]))
            fail_msg("%zu: %d, %d keys, %s", i, rc, c.n, err.text);
        cara_buf_free(&token);
    }
    /* The same page for ever. */
    static const char page[] = L("<IsTruncated>true</IsTruncated><NextContinuationToken>t"
                                 "</NextContinuationToken>");
    static const test_reply replies[] = {{.body = page}, {.body = page}, {.body = page}};
    fixture f;
    begin(&f, replies, 3);
    collected c = {.stop_at = 20};
    assert_int_equal(cara_s3_list(f.aws, "bucket", "", collect, &c, &f.err), CARA_ERR_NETWORK);
    assert_int_equal(test_server_count(f.server), 2);
    end(&f);
}

static void checksums_are_compared(void **state) {
    (void)state;
    /* Of "123456789"; the CRCs are the check values that their definitions publish. */
    static const char *const right[] = {
        "x-amz-checksum-crc32: y/Q5Jg==\r\n",
        "x-amz-checksum-crc32c: 4waSgw==\r\n",
        "x-amz-checksum-crc64nvme: rosUhgp5mIg=\r\n",
        "x-amz-checksum-sha1: 98O8HYCOBHMq32eZZczDTKeuNEE=\r\n",
        "x-amz-checksum-sha256: FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=\r\n",
        "x-amz-checksum-crc32: AAAAAA==-3\r\n", /* of parts */
        "x-amz-checksum-new: AAAA\r\n",
    };
    static const char *const wrong[] = {
        "x-amz-checksum-crc32: y/Q5Jw==\r\n", "x-amz-checksum-crc32: \r\n",
        "x-amz-checksum-crc32c: y/Q5Jg==\r\n", "x-amz-checksum-sha256: FeKw1A+k\r\n",
        "x-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n"};
    for (size_t i = 0; i < COUNT(right) + COUNT(wrong); i++) {
        int good = i < COUNT(right);
        test_reply replies[3] = {
            {.body = "123456789", .headers = good ? right[i] : wrong[i - COUNT(right)]}};
        replies[1] = replies[2] = replies[0];
        fixture f;
        begin(&f, replies, 3);
        char *bytes;
        size_t n;
        int rc = cara_s3_get(f.aws, "bucket", "k", 100, &bytes, &n, NULL, &f.err);
        if (rc != (good ? CARA_OK : CARA_ERR_NETWORK))
            fail_msg("%s: %d %s", replies[0].headers, rc, f.err.text);
        assert_int_equal(test_server_count(f.server), good ? 1 : 3);
        free(bytes);
        end(&f);
    }
    /* Damaged once, whole the next time. */
    static const test_reply replies[] = {
        {.body = "123456780", .headers = "x-amz-checksum-crc32: y/Q5Jg==\r\n"},
        {.body = "1234", .declared = 9},
        {.body = "123456789", .headers = "x-amz-checksum-crc32: y/Q5Jg==\r\n"}};
    fixture f;
    begin(&f, replies, 3);
    char *bytes, text[32];
    size_t n;
    assert_int_equal(cara_s3_get(f.aws, "bucket", "k", 100, &bytes, &n, NULL, &f.err), CARA_OK);
    assert_string_equal(bytes, "123456789");
    test_request r = test_server_request(f.server, 0);
    assert_string_equal(test_request_header(&r, "x-amz-checksum-mode", text, sizeof text),
                        "ENABLED");
    free(bytes);
    end(&f);
}

static void invalid_bucket_names_and_keys_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "ab",
                                      "UPPER",
                                      "a_b",
                                      "a/b",
                                      "-ab",
                                      "ab-",
                                      "a..b",
                                      ".ab",
                                      "a b",
                                      "bückt",
                                      "a%2Fb",
                                      "a:b",
                                      "a@evil.example#x",
                                      "evil.example/x"};
    fixture f;
    begin(&f, NULL, 0);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(cara_s3_head(f.aws, bad[i], "k", NULL, &f.err), CARA_ERR_USAGE);
        assert_int_equal(cara_s3_list(f.aws, bad[i], "k", collect, NULL, &f.err), CARA_ERR_USAGE);
    }
    char key[1026];
    memset(key, 'k', sizeof key - 1);
    key[1025] = 0;
    assert_int_equal(cara_s3_head(f.aws, "bucket", "", NULL, &f.err), CARA_ERR_USAGE);
    assert_int_equal(cara_s3_head(f.aws, "bucket", key, NULL, &f.err), CARA_ERR_USAGE);
    assert_int_equal(test_server_count(f.server), 0);
    /* The longest one goes, fully encoded. */
    static char longest[1025];
    memset(longest, '+', 1024);
    assert_int_equal(cara_s3_head(f.aws, "bucket", longest, NULL, &f.err), CARA_ERR_NOT_FOUND);
    assert_int_equal(test_server_count(f.server), 1);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_head_get_and_delete),
        cmocka_unit_test(lists_over_pages),
        cmocka_unit_test(a_list_without_an_end_is_given_up),
        cmocka_unit_test(answers_that_are_no_list_are_refused),
        cmocka_unit_test(checksums_are_compared),
        cmocka_unit_test(invalid_bucket_names_and_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Signed calls, retries and every fault that a service or network can have, over loopback HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/client/client.h"
#include "aws/exchange/retry.h"
#include "base/clock.h"
#include "fake_platform.h"
#include "test_server.h"

#include <caracola/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

typedef struct fixture {
    test_server *server;
    fake_platform platform;
    cara_aws *aws;
    cara_http_response response;
    cara_error err;
} fixture;

static void begin(fixture *f, const test_reply *replies, size_t n) {
    memset(f, 0, sizeof *f);
    f->server = test_server_start(replies, n);
    f->platform = (fake_platform){.env = {{"AWS_ACCESS_KEY_ID", "AKID"},
                                          {"AWS_SECRET_ACCESS_KEY", "secret"},
                                          {"AWS_REGION", "us-east-1"},
                                          {"AWS_ENDPOINT_URL", test_server_url(f->server)}},
                                  .now_ms = FAKE_NOW,
                                  .random = 0.5};
    cara_platform platform = fake_platform_of(&f->platform);
    const cara_aws_options options = {.platform = &platform, .timeout_s = 0.5};
    if (cara_aws_open(&options, &f->aws, &f->err))
        fail_msg("%s", f->err.text);
}

static void end(fixture *f) {
    cara_http_response_free(&f->response);
    cara_aws_close(f->aws);
    test_server_stop(f->server);
}

static int call(fixture *f) {
    const cara_aws_call c = {.service = &cara_service_social,
                             .what = "Test Call",
                             .method = "POST",
                             .path = "/v1/x",
                             .body = "{}",
                             .body_len = 2};
    memset(&f->err, 0, sizeof f->err);
    return cara_aws_do(f->aws, &c, &f->response, &f->err);
}

static void signs_and_sends(void **state) {
    (void)state;
    static const test_reply replies[] = {{.body = "{}"}};
    fixture f;
    begin(&f, replies, 1);
    assert_int_equal(call(&f), CARA_OK);
    test_request r = test_server_request(f.server, 0);
    char text[512];
    test_request_header(&r, "authorization", text, sizeof text);
    static const char start[] =
        "AWS4-HMAC-SHA256 Credential=AKID/20251015/us-east-1/social-messaging/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=";
    assert_memory_equal(text, start, sizeof start - 1);
    assert_int_equal(strlen(text), sizeof start - 1 + 64);
    assert_string_equal(test_request_header(&r, "x-amz-date", text, sizeof text),
                        "20251015T011013Z");
    assert_string_equal(test_request_header(&r, "user-agent", text, sizeof text),
                        "caracola/" CARA_VERSION);
    assert_string_equal(test_request_header(&r, "x-amz-content-sha256", text, sizeof text), "");
    assert_int_equal(cara_aws_last_fault(f.aws)->status, 0);
    end(&f);
}

static void temporary_errors_are_retried(void **state) {
    (void)state;
    static const struct {
        const char *what;
        test_reply first;
    } cases[] = {
        {"429", {.status = 429}},
        {"500", {.status = 500}},
        {"502", {.status = 502}},
        {"503 SlowDown", {.status = 503, .body = "<Error><Code>SlowDown</Code></Error>"}},
        {"504", {.status = 504}},
        {"throttled by name", {.status = 400, .body = "{\"__type\":\"a#ThrottlingException\"}"}},
        {"409", {.status = 409, .body = "<Error><Code>ConditionalRequestConflict</Code></Error>"}},
        {"RequestTimeout", {.status = 400, .body = "<Error><Code>RequestTimeout</Code></Error>"}},
        {"dropped", {.drop = 1}},
        {"reset mid-body", {.body = "0123456789", .cut = 5}},
        {"short", {.body = "01", .declared = 9}},
        {"hang", {.hang = 1}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        test_reply replies[] = {cases[i].first, {.body = "fine"}};
        fixture f;
        begin(&f, replies, 2);
        if (call(&f) || strcmp(f.response.body.data, "fine") != 0)
            fail_msg("%s: %s", cases[i].what, f.err.text);
        assert_int_equal(test_server_count(f.server), 2);
        assert_true(f.platform.slept == 0.5); /* 0.5 * 2^0 */
        end(&f);
    }
}

static void lasting_errors_end_after_three_attempts(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.status = 503,
         .headers = "x-amzn-requestid: id-1\r\n",
         .body = "{\"__type\":\"ns#InternalServiceException\",\"message\":\"oh\"}"},
        {.status = 500},
        {.status = 429,
         .headers = "x-amzn-errortype: ThrottledRequestException:http://x\r\n"
                    "x-amzn-requestid: id-3\r\n",
         .body = "{\"message\":\"slow\\ndown\"}"}};
    fixture f;
    begin(&f, replies, 3);
    assert_int_equal(call(&f), CARA_ERR_NETWORK);
    assert_string_equal(f.err.text, "Test Call failed after 3 attempts: ThrottledRequestException "
                                    "(HTTP 429): slow down");
    const cara_aws_fault *fault = cara_aws_last_fault(f.aws);
    assert_int_equal(fault->status, 429);
    assert_int_equal(fault->attempts, 3);
    assert_string_equal(fault->type, "ThrottledRequestException");
    assert_string_equal(fault->request_id, "id-3");
    assert_true(f.platform.slept == 0.5 + 1.0);
    assert_int_equal(test_server_count(f.server), 3);
    end(&f);
}

static void refusals_are_final(void **state) {
    (void)state;
    static const struct {
        test_reply reply;
        int code;
        const char *words;
    } cases[] = {
        {{.status = 400,
          .headers = "x-amzn-errortype: ValidationException\r\n",
          .body = "{\"message\":\"bad id\"}"},
         CARA_ERR_DENIED,
         "ValidationException (HTTP 400): bad id"},
        {{.status = 403, .body = "{\"__type\":\"AccessDeniedByMetaException\"}"},
         CARA_ERR_DENIED,
         "permissions"},
        {{.status = 403, .body = "{\"__type\":\"InvalidSignatureException\"}"},
         CARA_ERR_DENIED,
         "secret key"},
        {{.status = 404, .body = "{\"code\":\"ResourceNotFoundException\"}"},
         CARA_ERR_NOT_FOUND,
         "ResourceNotFoundException"},
        {{.status = 412, .body = "<Error><Code>PreconditionFailed</Code></Error>"},
         CARA_ERR_CONFLICT,
         "PreconditionFailed"},
        {{.status = 301, .headers = "x-amz-bucket-region: eu-west-1\r\nLocation: http://x/\r\n"},
         CARA_ERR_DENIED,
         "the bucket is in eu-west-1; set AWS_REGION"},
        {{.status = 307}, CARA_ERR_DENIED, "wrong Region or endpoint (HTTP 307)"},
        {{.status = 404, .body = "<Error><Code>NoSuchBucket</Code></Error>"},
         CARA_ERR_DENIED,
         "no such bucket"},
        {{.status = 418, .body = "<<<"}, CARA_ERR_DENIED, "HTTP 418"},
        {{.status = 400, .body = "{\"__type\":[1],\"message\":7}"}, CARA_ERR_DENIED, "HTTP 400"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f;
        begin(&f, &cases[i].reply, 1);
        int rc = call(&f);
        if (rc != cases[i].code || !strstr(f.err.text, cases[i].words))
            fail_msg("%zu: %d %s", i, rc, f.err.text);
        assert_int_equal(test_server_count(f.server), 1);
        assert_int_equal(cara_aws_last_fault(f.aws)->status, cases[i].reply.status);
        end(&f);
    }
}

static void retry_after_is_obeyed(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.status = 503, .headers = "Retry-After: 7\r\n"},
        {.status = 429, .headers = "Retry-After: Wed, 15 Oct 2025 01:10:30 GMT\r\n"},
        {.body = "ok"},
        {.status = 503, .headers = "Retry-After: 3600\r\n"},
        {.status = 503, .headers = "x-amz-retry-after: 1500\r\nRetry-After: 9\r\n"},
        {.status = 503, .headers = "Retry-After: soon\r\n"},
        {.body = "ok"},
    };
    fixture f;
    begin(&f, replies, COUNT(replies));
    assert_int_equal(call(&f), CARA_OK);
    assert_true(f.platform.slept == 17); /* 7, then the 10 s that are left until the date */
    assert_int_equal(call(&f), CARA_ERR_NETWORK);
    assert_int_equal(test_server_count(f.server), 4); /* an hour is too long to wait here */
    assert_true(f.platform.slept == 17);
    assert_int_equal(call(&f), CARA_OK);
    assert_true(f.platform.slept == 17 + 1.5 + 1.0);
    end(&f);
}

static void a_wrong_clock_is_corrected(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.status = 403,
         .headers = "Date: Wed, 15 Oct 2025 02:10:13 GMT\r\n",
         .body = "<Error><Code>RequestTimeTooSkewed</Code></Error>"},
        {.body = "ok"},
        {.body = "ok"},
        /* Near our corrected clock: the signature is wrong for another reason. */
        {.status = 403,
         .headers = "Date: Wed, 15 Oct 2025 02:10:43 GMT\r\n",
         .body = "{\"__type\":\"InvalidSignatureException\"}"},
        /* Far from it: the clock is the reason, for any name of the error. */
        {.status = 403,
         .headers = "Date: Wed, 15 Oct 2025 01:00:00 GMT\r\n",
         .body = "{\"__type\":\"InvalidSignatureException\"}"},
        {.body = "ok"},
        /* Corrected once a call, not for ever. */
        {.status = 403,
         .headers = "Date: Wed, 15 Oct 2025 05:00:00 GMT\r\n",
         .body = "<Error><Code>RequestTimeTooSkewed</Code></Error>"},
        {.status = 403,
         .headers = "Date: Wed, 15 Oct 2025 09:00:00 GMT\r\n",
         .body = "<Error><Code>RequestTimeTooSkewed</Code></Error>"},
    };
    fixture f;
    begin(&f, replies, COUNT(replies));
    char text[64];
    assert_int_equal(call(&f), CARA_OK);
    test_request r = test_server_request(f.server, 1);
    assert_string_equal(test_request_header(&r, "x-amz-date", text, sizeof text),
                        "20251015T021013Z");
    assert_int_equal(call(&f), CARA_OK); /* remembered */
    r = test_server_request(f.server, 2);
    assert_string_equal(test_request_header(&r, "x-amz-date", text, sizeof text),
                        "20251015T021013Z");
    assert_int_equal(call(&f), CARA_ERR_DENIED);
    assert_int_equal(call(&f), CARA_OK);
    r = test_server_request(f.server, 5);
    assert_string_equal(test_request_header(&r, "x-amz-date", text, sizeof text),
                        "20251015T010000Z");
    assert_int_equal(call(&f), CARA_ERR_NETWORK);
    assert_int_equal(test_server_count(f.server), 8);
    assert_true(f.platform.slept == 0);
    end(&f);
}

static void an_expired_token_is_renewed_once(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.status = 400, .body = "<Error><Code>ExpiredToken</Code></Error>"},
        {.body = "ok"},
        {.status = 403, .body = "{\"__type\":\"ExpiredTokenException\"}"},
        {.status = 403, .body = "{\"__type\":\"ExpiredTokenException\"}"},
    };
    fixture f;
    begin(&f, replies, COUNT(replies));
    fake_set(&f.platform, "AWS_SESSION_TOKEN", "old");
    const char *source;
    assert_int_equal(cara_aws_check_credentials(f.aws, &source, &f.err), CARA_OK);
    assert_string_equal(source, "environment");
    fake_set(&f.platform, "AWS_SESSION_TOKEN", "new");
    assert_int_equal(call(&f), CARA_OK);
    char text[64];
    test_request r = test_server_request(f.server, 0);
    assert_string_equal(test_request_header(&r, "x-amz-security-token", text, sizeof text), "old");
    r = test_server_request(f.server, 1);
    assert_string_equal(test_request_header(&r, "x-amz-security-token", text, sizeof text), "new");
    assert_int_equal(call(&f), CARA_ERR_NETWORK); /* another sandbox may have a better one */
    assert_int_equal(test_server_count(f.server), 4);
    end(&f);
}

#define KEYS(id, time)                                                                             \
    "{\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"" time \
    "\"}"

static void credentials_are_renewed_before_they_end(void **state) {
    (void)state;
    static const test_reply agent_replies[] = {
        {.body = KEYS("ASIA1", "2025-10-15T02:10:13Z")}, /* an hour */
        {.body = KEYS("ASIA2", "2025-10-15T03:06:13Z")},
        {.status = 403}, /* renewal fails: the old ones still hold */
        {.status = 403},
    };
    static const test_reply replies[] = {{.body = "1"}, {.body = "2"}, {.body = "3"},
                                         {.body = "4"}, {.body = "5"}, {.body = "6"}};
    test_server *agent = test_server_start(agent_replies, COUNT(agent_replies));
    fixture f;
    begin(&f, replies, COUNT(replies));
    f.platform.env[0][0] = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    f.platform.env[0][1] = test_server_url(agent);
    f.platform.env[1][0] = "UNUSED";
    assert_int_equal(call(&f), CARA_OK);
    f.platform.now_ms += 54 * 60 * 1000;
    assert_int_equal(call(&f), CARA_OK);
    assert_int_equal(test_server_count(agent), 1);
    f.platform.now_ms += 2 * 60 * 1000; /* four minutes before the end */
    assert_int_equal(call(&f), CARA_OK);
    assert_int_equal(test_server_count(agent), 2);
    f.platform.now_ms += 58 * 60 * 1000;
    assert_int_equal(call(&f), CARA_OK);
    assert_int_equal(test_server_count(agent), 3);
    assert_int_equal(call(&f), CARA_OK); /* and is not tried again at once */
    assert_int_equal(test_server_count(agent), 3);
    char text[256];
    test_request r = test_server_request(f.server, 4);
    assert_non_null(
        strstr(test_request_header(&r, "authorization", text, sizeof text), "Credential=ASIA2/"));
    f.platform.now_ms += 10 * 60 * 1000; /* now they are over */
    assert_int_equal(call(&f), CARA_ERR_DENIED);
    assert_int_equal(test_server_count(f.server), 5);
    end(&f);
    test_server_stop(agent);
}

static void a_deadline_bounds_everything(void **state) {
    (void)state;
    static const test_reply replies[] = {{.status = 503}, {.hang = 1}};
    fixture f;
    begin(&f, replies, 2);
    f.platform.random = 0.99; /* would wait 0.99 s */
    cara_aws_set_deadline(f.aws, cara_clock_monotonic() + 0.6);
    assert_int_equal(call(&f), CARA_ERR_NETWORK);
    assert_non_null(strstr(f.err.text, "HTTP 503"));
    assert_int_equal(test_server_count(f.server), 1);
    assert_true(f.platform.slept == 0);
    double start = cara_clock_monotonic();
    cara_aws_set_deadline(f.aws, start + 0.2);
    assert_int_equal(call(&f), CARA_ERR_NETWORK);
    assert_non_null(strstr(f.err.text, "no time"));
    assert_true(cara_clock_monotonic() - start < 2);
    assert_int_equal(call(&f), CARA_ERR_NETWORK); /* and sends nothing more */
    assert_int_equal(test_server_count(f.server), 2);
    end(&f);
}

static int after_three(void *cookie) {
    return ++*(int *)cookie > 3;
}

static void stopping_is_noticed_while_waiting(void **state) {
    (void)state;
    static const test_reply replies[] = {{.status = 503, .headers = "Retry-After: 20\r\n"}};
    fixture f;
    begin(&f, replies, 1);
    int polls = 0;
    cara_aws_set_stop(f.aws, after_three, &polls);
    assert_int_equal(call(&f), CARA_ERR_CANCELLED);
    assert_true(f.platform.slept < 2);
    end(&f);
}

static void some_calls_are_sent_once(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.status = 500}, {.drop = 1}, {.status = 429}, {.body = "{}"}};
    fixture f;
    begin(&f, replies, COUNT(replies));
    const cara_aws_call c = {.service = &cara_service_social,
                             .what = "Send",
                             .method = "POST",
                             .path = "/",
                             .body = "{}",
                             .body_len = 2,
                             .retry = CARA_RETRY_UNLESS_SENT};
    assert_int_equal(cara_aws_do(f.aws, &c, &f.response, &f.err), CARA_ERR_NETWORK);
    assert_int_equal(test_server_count(f.server), 1);
    assert_int_equal(cara_aws_do(f.aws, &c, &f.response, &f.err), CARA_ERR_NETWORK);
    assert_int_equal(test_server_count(f.server), 2);
    assert_int_equal(cara_aws_do(f.aws, &c, &f.response, &f.err), CARA_OK);
    assert_int_equal(test_server_count(f.server), 4);
    end(&f);
}

static void retries_end_with_the_bucket(void **state) {
    (void)state;
    test_reply replies[400];
    for (size_t i = 0; i < COUNT(replies); i++)
        replies[i] = (test_reply){.status = 500};
    fixture f;
    begin(&f, replies, COUNT(replies));
    size_t before = 0, calls = 0;
    for (; calls < 100; calls++) {
        assert_int_equal(call(&f), CARA_ERR_NETWORK);
        size_t now = test_server_count(f.server);
        if (now - before == 1)
            break;
        before = now;
    }
    assert_int_equal(calls, 50); /* two retries of 5 a call, out of 500 */
    end(&f);
    cara_retry_bucket bucket;
    cara_retry_bucket_init(&bucket);
    for (int i = 0; i < 50; i++)
        assert_int_equal(cara_retry_bucket_take(&bucket, 1), 10);
    assert_int_equal(cara_retry_bucket_take(&bucket, 0), 0);
    cara_retry_bucket_success(&bucket, 0);
    assert_int_equal(cara_retry_bucket_take(&bucket, 0), 0);
    cara_retry_bucket_success(&bucket, 10);
    assert_int_equal(cara_retry_bucket_take(&bucket, 0), 5);
    assert_true(cara_retry_delay(0, -1, 0.25) == 0.25);
    assert_true(cara_retry_delay(4, -1, 1) == 16);
    assert_true(cara_retry_delay(5, -1, 1) == 20);
    assert_true(cara_retry_delay(99, -1, 1) == 20);
    assert_true(cara_retry_delay(0, 20, 0.1) == 20);
    assert_true(cara_retry_delay(0, 20.5, 0.1) == -1);
}

static void buckets_in_hosts_and_paths(void **state) {
    (void)state;
    /* Which host AWS's own endpoint would be called: the test server is the proxy that is asked to
     * connect to it. */
    static const char *const cases[][2] = {
        {"my-bucket", "CONNECT my-bucket.s3.us-east-1.amazonaws.com:443 "},
        {"my.bucket",
         "CONNECT s3.us-east-1.amazonaws.com:443 "}, /* no certificate has two levels */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        static const test_reply no[] = {{.status = 403}, {.status = 403}, {.status = 403}};
        fixture g;
        begin(&g, no, 3);
        setenv("https_proxy", test_server_url(g.server), 1);
        fake_set(&g.platform, "AWS_ENDPOINT_URL", "");
        const cara_aws_call c = {.service = &cara_service_s3,
                                 .what = "S3 Test",
                                 .method = "GET",
                                 .bucket = cases[i][0],
                                 .path = "/key"};
        assert_int_equal(cara_aws_do(g.aws, &c, &g.response, &g.err), CARA_ERR_NETWORK);
        test_request r = test_server_request(g.server, 0);
        assert_memory_equal(r.raw, cases[i][1], strlen(cases[i][1]));
        unsetenv("https_proxy");
        end(&g);
    }
    static const test_reply replies[] = {{.status = 200}, {.status = 200}};
    fixture f;
    begin(&f, replies, 2);
    cara_aws_call c = {.service = &cara_service_s3,
                       .what = "S3 Test",
                       .method = "GET",
                       .bucket = "my-bucket",
                       .path = "/a%20b",
                       .query = "list-type=2"};
    assert_int_equal(cara_aws_do(f.aws, &c, &f.response, &f.err), CARA_OK);
    test_request r = test_server_request(f.server, 0);
    assert_memory_equal(r.raw, "GET /my-bucket/a%20b?list-type=2 HTTP/1.1\r\n", 43);
    char text[128];
    assert_string_equal(test_request_header(&r, "x-amz-content-sha256", text, sizeof text),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    end(&f);
}

static void without_credentials_nothing_is_sent(void **state) {
    (void)state;
    fixture f;
    begin(&f, NULL, 0);
    f.platform.env[0][0] = "AWS_EC2_METADATA_DISABLED";
    f.platform.env[0][1] = "true";
    f.platform.env[1][0] = "UNUSED";
    assert_int_equal(call(&f), CARA_ERR_DENIED);
    assert_int_equal(test_server_count(f.server), 0);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_and_sends),
        cmocka_unit_test(temporary_errors_are_retried),
        cmocka_unit_test(lasting_errors_end_after_three_attempts),
        cmocka_unit_test(refusals_are_final),
        cmocka_unit_test(retry_after_is_obeyed),
        cmocka_unit_test(a_wrong_clock_is_corrected),
        cmocka_unit_test(an_expired_token_is_renewed_once),
        cmocka_unit_test(credentials_are_renewed_before_they_end),
        cmocka_unit_test(a_deadline_bounds_everything),
        cmocka_unit_test(stopping_is_noticed_while_waiting),
        cmocka_unit_test(some_calls_are_sent_once),
        cmocka_unit_test(retries_end_with_the_bucket),
        cmocka_unit_test(buckets_in_hosts_and_paths),
        cmocka_unit_test(without_credentials_nothing_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Social messaging, SQS, SNS and the Lambda Runtime API, over loopback HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/services/lambda_runtime.h"
#include "aws/services/sns.h"
#include "aws/services/social.h"
#include "aws/services/sqs.h"
#include "fake_platform.h"
#include "test_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define PHONE "phone-number-id-0123456789abcdef"

typedef struct fixture {
    test_server *server;
    fake_platform platform;
    cara_aws *aws;
    cara_error err;
    char text[512];
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
    const cara_aws_options options = {.platform = &platform};
    if (cara_aws_open(&options, &f->aws, &f->err))
        fail_msg("%s", f->err.text);
}

static void end(fixture *f) {
    cara_aws_close(f->aws);
    test_server_stop(f->server);
}

static const char *header(fixture *f, size_t i, const char *name) {
    test_request r = test_server_request(f->server, i);
    return test_request_header(&r, name, f->text, sizeof f->text);
}

static void media(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.body = "{\"mimeType\":\"audio/ogg\",\"fileSize\":9031}"},
        {.body = "{}"},
        {.body = "not json"},
        {.status = 429,
         .headers = "x-amzn-errortype: ThrottledRequestException\r\n",
         .body = "{\"message\":\"slow\"}"},
        {.body = "{\"mimeType\":7}"},
        {.status = 404, .headers = "x-amzn-errortype: ResourceNotFoundException\r\n"},
        {.status = 403, .headers = "x-amzn-errortype: AccessDeniedByMetaException\r\n"},
    };
    fixture f;
    begin(&f, replies, COUNT(replies));
    cara_social_media m;
    assert_int_equal(cara_social_get_media(f.aws, "1908647269898587", PHONE, "bucket",
                                           "2025-10-15/", &m, &f.err),
                     CARA_OK);
    assert_string_equal(m.mime_type, "audio/ogg");
    assert_int_equal(m.file_size, 9031);
    test_request r = test_server_request(f.server, 0);
    assert_memory_equal(r.raw, "POST /v1/whatsapp/media/get HTTP/1.1\r\n", 38);
    assert_string_equal(
        r.body, "{\"mediaId\":\"1908647269898587\",\"originationPhoneNumberId\":\"" PHONE
                "\",\"destinationS3File\":{\"bucketName\":\"bucket\",\"key\":\"2025-10-15/\"}}");
    assert_string_equal(header(&f, 0, "content-type"), "application/json");
    assert_int_equal(cara_social_get_media(f.aws, "1", PHONE, NULL, NULL, &m, &f.err), CARA_OK);
    assert_string_equal(m.mime_type, "");
    assert_int_equal(m.file_size, -1);
    assert_non_null(strstr(test_server_request(f.server, 1).body, "\"metadataOnly\":true"));
    /* Damaged, then throttled, then an answer. */
    assert_int_equal(cara_social_get_media(f.aws, "1", PHONE, "bucket", "", &m, &f.err), CARA_OK);
    assert_int_equal(test_server_count(f.server), 5);
    assert_int_equal(cara_social_get_media(f.aws, "1", PHONE, "bucket", "", &m, &f.err),
                     CARA_ERR_NOT_FOUND);
    assert_int_equal(cara_social_get_media(f.aws, "1", PHONE, "bucket", "", &m, &f.err),
                     CARA_ERR_DENIED);
    assert_string_equal(cara_aws_last_fault(f.aws)->type, "AccessDeniedByMetaException");
    static const char *const bad_media[] = {"", "a/b", "a b", "../x", "é"};
    for (size_t i = 0; i < COUNT(bad_media); i++)
        assert_int_equal(
            cara_social_get_media(f.aws, bad_media[i], PHONE, "bucket", "", &m, &f.err),
            CARA_ERR_USAGE);
    static const char *const bad_phone[] = {"", "108123456789012", "phone-number-id-\n"};
    for (size_t i = 0; i < COUNT(bad_phone); i++)
        assert_int_equal(cara_social_get_media(f.aws, "1", bad_phone[i], "bucket", "", &m, &f.err),
                         CARA_ERR_USAGE);
    assert_int_equal(cara_social_get_media(f.aws, "1",
                                           "arn:aws:social-messaging:us-east-1:111122223333:"
                                           "phone-number-id/0123",
                                           "bucket", "\xff", &m, &f.err),
                     CARA_ERR_MEMORY); /* jansson's one answer to what is not UTF-8 */
    assert_int_equal(test_server_count(f.server), 7);
    end(&f);
}

static void sending_a_message(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.body = "{\"messageId\":\"m-1\"}"}, {.status = 500}, {.drop = 1}};
    fixture f;
    begin(&f, replies, COUNT(replies));
    char id[8];
    assert_int_equal(
        cara_social_send(f.aws, PHONE, "{\"to\":\"1\"}", 10, NULL, id, sizeof id, &f.err), CARA_OK);
    assert_string_equal(id, "m-1");
    assert_string_equal(test_server_request(f.server, 0).body,
                        "{\"originationPhoneNumberId\":\"" PHONE
                        "\",\"message\":\"eyJ0byI6IjEifQ==\",\"metaApiVersion\":\"v20.0\"}");
    /* Whether these were sent cannot be known, so they are not sent again. */
    for (size_t i = 2; i < 4; i++) {
        assert_int_equal(cara_social_send(f.aws, PHONE, "x", 1, "v21.0", id, sizeof id, &f.err),
                         CARA_ERR_NETWORK);
        assert_int_equal(test_server_count(f.server), i);
        assert_int_equal(test_server_request(f.server, i - 1).connection, i);
    }
    assert_int_equal(cara_social_send(f.aws, PHONE, "", 0, NULL, id, sizeof id, &f.err),
                     CARA_ERR_USAGE);
    end(&f);
}

typedef struct seen_accounts {
    char text[256];
    size_t n;
} seen_accounts;

static int see_account(void *ctx, const cara_social_account *a) {
    seen_accounts *seen = ctx;
    seen->n += (size_t)snprintf(seen->text + seen->n, sizeof seen->text - seen->n, "%s=%s;", a->id,
                                a->destination);
    return strcmp(a->id, "waba-stop") == 0 ? 5 : 0;
}

static void accounts_and_destinations(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.body =
             "{\"linkedAccounts\":[{\"id\":\"waba-1\",\"eventDestinations\":[{"
             "\"eventDestinationArn\":\"arn:t\"}]},{\"id\":\"waba-2\"}],\"nextToken\":\"a+b/=\"}"},
        {.body = "{\"linkedAccounts\":[{\"id\":\"waba-3\"}],\"nextToken\":null}"},
        {.body = "{\"linkedAccounts\":[{\"id\":\"waba-stop\"},{\"id\":\"waba-5\"}]}"},
        {.body = ""},
        {.body = "{}"},
    };
    fixture f;
    begin(&f, replies, COUNT(replies));
    seen_accounts seen = {.n = 0};
    assert_int_equal(cara_social_list_accounts(f.aws, see_account, &seen, &f.err), CARA_OK);
    assert_string_equal(seen.text, "waba-1=arn:t;waba-2=;waba-3=;");
    test_request r = test_server_request(f.server, 0);
    assert_memory_equal(r.raw, "GET /v1/whatsapp/waba/list HTTP/1.1\r\n", 37);
    r = test_server_request(f.server, 1);
    assert_memory_equal(r.raw, "GET /v1/whatsapp/waba/list?nextToken=a%2Bb%2F%3D HTTP", 53);
    seen.n = 0;
    assert_int_equal(cara_social_list_accounts(f.aws, see_account, &seen, &f.err), 5);
    assert_string_equal(seen.text, "waba-stop=;");
    assert_int_equal(cara_social_set_destination(f.aws, "waba-1", "arn:topic", "arn:role", &f.err),
                     CARA_OK);
    r = test_server_request(f.server, 3);
    assert_memory_equal(r.raw, "PUT /v1/whatsapp/waba/eventdestinations HTTP", 44);
    assert_string_equal(r.body,
                        "{\"id\":\"waba-1\",\"eventDestinations\":[{\"eventDestinationArn\":"
                        "\"arn:topic\",\"roleArn\":\"arn:role\"}]}");
    assert_int_equal(cara_social_set_destination(f.aws, "waba-1", NULL, NULL, &f.err), CARA_OK);
    assert_string_equal(test_server_request(f.server, 4).body,
                        "{\"id\":\"waba-1\",\"eventDestinations\":[]}");
    assert_int_equal(cara_social_set_destination(f.aws, "123", NULL, NULL, &f.err), CARA_ERR_USAGE);
    end(&f);
}

#define QUEUE "https://sqs.eu-west-1.amazonaws.com/111122223333/voice"

static void queues(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.body =
             "{\"Messages\":[{\"MessageId\":\"i1\",\"ReceiptHandle\":\"r1\",\"Body\":\"a\\u00e9\","
             "\"MD5OfBody\":\"6bb1a9a5b2f1a2a0b5a0a1d9a2ad9c36\"},"
             "{\"MessageId\":\"i2\",\"ReceiptHandle\":\"r2\",\"Body\":\"hello\",\"MD5OfBody\":"
             "\"5d41402abc4b2a76b9719d911017c592\",\"Attributes\":{\"ApproximateReceiveCount\":"
             "\"3\"}},{\"MessageId\":\"i3\",\"Body\":\"no receipt\"}]}"},
        {.body = "{}"},
        {.body = "{\"Messages\":[{\"ReceiptHandle\":\"r\",\"Body\":\"x\",\"MD5OfBody\":"
                 "\"00000000000000000000000000000000\"}]}"},
        {.body = ""},
        {.body = ""},
        {.status = 400,
         .headers = "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\r\n",
         .body = "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"none\"}"},
    };
    fixture f;
    begin(&f, replies, COUNT(replies));
    cara_sqs_messages got;
    assert_int_equal(cara_sqs_receive(f.aws, QUEUE, 10, 20, 120, &got, &f.err), CARA_OK);
    assert_int_equal(got.n, 1); /* the first was damaged on its way */
    assert_string_equal(got.items[0].id, "i2");
    assert_string_equal(got.items[0].receipt, "r2");
    assert_string_equal(got.items[0].body, "hello");
    assert_int_equal(got.items[0].receive_count, 3);
    cara_sqs_messages_free(&got);
    test_request r = test_server_request(f.server, 0);
    assert_memory_equal(r.raw, "POST / HTTP/1.1\r\n", 17);
    assert_string_equal(header(&f, 0, "x-amz-target"), "AmazonSQS.ReceiveMessage");
    assert_string_equal(header(&f, 0, "content-type"), "application/x-amz-json-1.0");
    assert_non_null(strstr(r.body, "\"QueueUrl\":\"" QUEUE "\""));
    assert_non_null(strstr(r.body, "\"WaitTimeSeconds\":20"));
    assert_non_null(strstr(r.body, "\"VisibilityTimeout\":120"));
    assert_int_equal(cara_sqs_receive(f.aws, QUEUE, 1, 0, -1, &got, &f.err), CARA_OK);
    assert_int_equal(got.n, 0);
    assert_null(strstr(test_server_request(f.server, 1).body, "VisibilityTimeout"));
    cara_sqs_messages_free(&got);
    assert_int_equal(cara_sqs_receive(f.aws, QUEUE, 1, 0, -1, &got, &f.err), CARA_ERR_NETWORK);
    assert_int_equal(cara_sqs_delete(f.aws, QUEUE, "r2", &f.err), CARA_OK);
    assert_string_equal(test_server_request(f.server, 3).body,
                        "{\"ReceiptHandle\":\"r2\",\"QueueUrl\":\"" QUEUE "\"}");
    assert_int_equal(cara_sqs_change_visibility(f.aws, QUEUE, "r", 60, &f.err), CARA_OK);
    assert_string_equal(test_server_request(f.server, 4).body,
                        "{\"ReceiptHandle\":\"r\",\"VisibilityTimeout\":60,\"QueueUrl\":\"" QUEUE
                        "\"}");
    assert_int_equal(cara_sqs_change_visibility(f.aws, QUEUE, "r", 0, &f.err), CARA_ERR_DENIED);
    assert_non_null(strstr(f.err.text, "QueueDoesNotExist (HTTP 400): none"));
    assert_int_equal(cara_sqs_receive(f.aws, QUEUE, 11, 0, -1, &got, &f.err), CARA_ERR_USAGE);
    assert_int_equal(cara_sqs_receive(f.aws, "voice", 1, 0, -1, &got, &f.err), CARA_ERR_USAGE);
    end(&f);
}

static void a_queue_is_called_at_the_host_of_its_url(void **state) {
    (void)state;
    static const test_reply replies[] = {{.body = "{}"}};
    fixture f;
    begin(&f, replies, 1);
    fake_set(&f.platform, "AWS_ENDPOINT_URL", "");
    char url[128];
    snprintf(url, sizeof url, "%s/111122223333/voice", test_server_url(f.server));
    cara_sqs_messages got;
    assert_int_equal(cara_sqs_receive(f.aws, url, 1, 0, -1, &got, &f.err), CARA_OK);
    cara_sqs_messages_free(&got);
    assert_int_equal(test_server_count(f.server), 1);
    assert_non_null(strstr(header(&f, 0, "authorization"), "/us-east-1/sqs/"));
    end(&f);
}

static void a_subscription(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.body = "<ConfirmSubscriptionResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">"
                 "<ConfirmSubscriptionResult><SubscriptionArn>arn:aws:sns:eu-west-1:1:t:uuid"
                 "</SubscriptionArn></ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"},
        {.body = "<Other/>"},
        {.status = 400,
         .body = "<ErrorResponse><Error><Code>InvalidParameter</Code><Message>Invalid token"
                 "</Message></Error></ErrorResponse>"}};
    static const char topic[] = "arn:aws:sns:eu-west-1:111122223333:t";
    fixture f;
    begin(&f, replies, COUNT(replies));
    char arn[64];
    assert_int_equal(cara_sns_confirm(f.aws, topic, "tok+en", arn, sizeof arn, &f.err), CARA_OK);
    assert_string_equal(arn, "arn:aws:sns:eu-west-1:1:t:uuid");
    assert_string_equal(header(&f, 0, "authorization"), "");
    assert_string_equal(test_server_request(f.server, 0).body,
                        "Action=ConfirmSubscription&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3A"
                        "eu-west-1%3A111122223333%3At&Token=tok%2Ben");
    assert_int_equal(cara_sns_confirm(f.aws, topic, "t", arn, sizeof arn, &f.err),
                     CARA_ERR_NETWORK);
    assert_int_equal(cara_sns_confirm(f.aws, topic, "t", arn, sizeof arn, &f.err), CARA_ERR_DENIED);
    assert_non_null(strstr(f.err.text, "Invalid token"));
    static const char *const bad[] = {"", "arn:aws:sqs:a:1:t", "arn:aws:sns::1:t", "arn:aws:sns:a",
                                      "arn:aws:sns:a:1"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(cara_sns_confirm(f.aws, bad[i], "t", arn, sizeof arn, &f.err),
                         CARA_ERR_USAGE);
    end(&f);
}

static cara_lambda *open_lambda(test_server *server) {
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%d", test_server_port(server));
    cara_lambda *lambda;
    cara_error err;
    assert_int_equal(cara_lambda_open(address, &lambda, &err), CARA_OK);
    return lambda;
}

#define ID "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

static void invocations(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.headers = "Lambda-Runtime-Aws-Request-Id: " ID "\r\nlambda-runtime-deadline-ms: "
                    "1760490673000\r\nLambda-Runtime-Invoked-Function-Arn: arn:f\r\n"
                    "Lambda-Runtime-Trace-Id: Root=1-a;Sampled=1\r\n",
         .body = "{\"Records\":[]}",
         .delay_s = 0.2},
        {.status = 202, .body = "{\"status\":\"OK\"}"},
        {.headers = "Lambda-Runtime-Aws-Request-Id: two\r\n", .body = "0123456789"},
        {.status = 202},
        {.headers = "Lambda-Runtime-Deadline-Ms: x\r\n", .body = "{}"}, /* no id */
        {.headers = "Lambda-Runtime-Aws-Request-Id: a/../b\r\n", .body = "{}"},
        {.status = 500, .close = 1}, /* or libcurl would send again by itself after the drop */
        {.drop = 1},
        {.status = 202},
    };
    test_server *server = test_server_start(replies, COUNT(replies));
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* is not obeyed */
    cara_lambda *lambda = open_lambda(server);
    cara_invocation in;
    cara_error err = {0};
    char text[128];
    assert_int_equal(cara_lambda_next(lambda, 100, &in, &err), CARA_OK);
    assert_string_equal(in.request_id, ID);
    assert_int_equal(in.deadline_ms, INT64_C(1760490673000));
    assert_string_equal(in.function_arn, "arn:f");
    assert_string_equal(in.trace_id, "Root=1-a;Sampled=1");
    assert_string_equal(in.body, "{\"Records\":[]}");
    cara_invocation_free(&in);
    assert_int_equal(cara_lambda_respond(lambda, ID, "{}", 2, &err), CARA_OK);
    test_request r = test_server_request(server, 0);
    assert_memory_equal(r.raw, "GET /2018-06-01/runtime/invocation/next HTTP", 44);
    r = test_server_request(server, 1);
    assert_memory_equal(r.raw, "POST /2018-06-01/runtime/invocation/" ID "/response HTTP",
                        36 + 36 + 14);
    assert_int_equal(r.connection, 1); /* kept */
    /* Of a larger event the beginning. */
    assert_int_equal(cara_lambda_next(lambda, 5, &in, &err), CARA_OK);
    assert_string_equal(in.request_id, "two");
    assert_int_equal(in.body_len, 5);
    assert_memory_equal(in.body, "01234", 6);
    assert_int_equal(
        cara_lambda_fail(lambda, in.request_id, "Runtime.TooLarge", "so\xff \"big\"", &err),
        CARA_OK);
    cara_invocation_free(&in);
    r = test_server_request(server, 3);
    assert_memory_equal(r.raw, "POST /2018-06-01/runtime/invocation/two/error HTTP", 50);
    assert_string_equal(
        test_request_header(&r, "lambda-runtime-function-error-type", text, sizeof text),
        "Runtime.TooLarge");
    assert_string_equal(r.body, "{\"errorMessage\":\"so\xef\xbf\xbd \\\"big\\\"\",\"errorType\":"
                                "\"Runtime.TooLarge\",\"stackTrace\":[]}");
    for (int i = 0; i < 4; i++)
        assert_int_equal(cara_lambda_next(lambda, 100, &in, &err), CARA_ERR_NETWORK);
    assert_int_equal(cara_lambda_init_error(lambda, "Runtime.NoStore", "no store", &err), CARA_OK);
    r = test_server_request(server, 8);
    assert_memory_equal(r.raw, "POST /2018-06-01/runtime/init/error HTTP", 40);
    unsetenv("http_proxy");
    cara_lambda_close(lambda);
    test_server_stop(server);
}

static void answers_of_the_runtime_api_to_responses(void **state) {
    (void)state;
    static const struct {
        test_reply reply;
        int code;
    } cases[] = {
        {{.status = 202}, CARA_OK},          {{.status = 400}, CARA_ERR_USAGE},
        {{.status = 403}, CARA_ERR_DENIED},  {{.status = 413}, CARA_ERR_MEMORY},
        {{.status = 500}, CARA_ERR_NETWORK}, {{.drop = 1}, CARA_ERR_NETWORK},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        test_server *server = test_server_start(&cases[i].reply, 1);
        cara_lambda *lambda = open_lambda(server);
        cara_error err = {0};
        int rc = cara_lambda_respond(lambda, ID, "{}", 2, &err);
        if (rc != cases[i].code)
            fail_msg("%d: %d %s", cases[i].reply.status, rc, err.text);
        assert_int_equal(cara_lambda_respond(lambda, "../x", "{}", 2, &err), CARA_ERR_USAGE);
        assert_int_equal(cara_lambda_fail(lambda, "", "a", "b", &err), CARA_ERR_USAGE);
        assert_int_equal(test_server_count(server), 1);
        cara_lambda_close(lambda);
        test_server_stop(server);
    }
    static const char *const bad[] = {"", "host:port", "a b:1", "127.0.0.1:1/x", "u@127.0.0.1:1"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        cara_lambda *lambda;
        cara_error err;
        if (cara_lambda_open(bad[i], &lambda, &err) != CARA_ERR_USAGE)
            fail_msg("took %s", bad[i]);
        assert_null(lambda);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media),
        cmocka_unit_test(sending_a_message),
        cmocka_unit_test(accounts_and_destinations),
        cmocka_unit_test(queues),
        cmocka_unit_test(a_queue_is_called_at_the_host_of_its_url),
        cmocka_unit_test(a_subscription),
        cmocka_unit_test(invocations),
        cmocka_unit_test(answers_of_the_runtime_api_to_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* No memory, at every single allocation: each call must return an error, and leak nothing.
 *
 * Of our own allocations, jansson's and expat's the code must be MEMORY. libcurl and libcrypto may
 * handle theirs as they like, but nothing may crash or leak (the balance is kept here; the
 * sanitizer's build checks theirs too). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/s3/s3.h"
#include "aws/s3/s3_file.h"
#include "aws/s3/s3_memory.h"
#include "aws/services/lambda_runtime.h"
#include "aws/services/sns.h"
#include "aws/services/social.h"
#include "aws/services/sqs.h"
#include "failing_memory.h"
#include "fake_platform.h"
#include "fake_s3.h"
#include "store/store.h"
#include "test_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The services, by path. */
static fake_s3 s3;

static void handle(void *ctx, const test_request *r, test_reply *reply) {
    static const char keys[] = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
                               "\"Expiration\":\"2025-10-15T07:10:13Z\"}";
    static const struct {
        const char *start;
        test_reply reply;
    } answers[] = {
        {"POST /v1/whatsapp/media/get ", {.body = "{\"mimeType\":\"audio/ogg\",\"fileSize\":1}"}},
        {"POST /v1/whatsapp/send ", {.body = "{\"messageId\":\"m\"}"}},
        {"PUT /v1/whatsapp/waba/", {.body = "{}"}},
        {"GET /v1/whatsapp/waba/list ",
         {.body = "{\"linkedAccounts\":[{\"id\":\"a\"}],\"nextToken\":\"t\"}"}},
        {"GET /v1/whatsapp/waba/list?", {.body = "{\"linkedAccounts\":[]}"}},
        {"GET /container", {.body = keys}},
        {"PUT /latest/api/token", {.body = "T"}},
        {"GET /latest/meta-data/iam/security-credentials/ ", {.body = "role"}},
        {"GET /latest/meta-data/iam/security-credentials/role", {.body = keys}},
        {"POST /sts/ ",
         {.body = "<R><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s"
                  "</SecretAccessKey><SessionToken>t</SessionToken></Credentials></R>"}},
        {"POST /sns/ ",
         {.body = "<ConfirmSubscriptionResponse><ConfirmSubscriptionResult><SubscriptionArn>arn"
                  "</SubscriptionArn></ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"}},
        {"POST /sqs/ ",
         {.body = "{\"Messages\":[{\"MessageId\":\"i\",\"ReceiptHandle\":\"r\",\"Body\":\"b\"}]}"}},
        {"GET /2018-06-01/runtime/invocation/next ",
         {.headers = "Lambda-Runtime-Aws-Request-Id: id\r\n", .body = "{}"}},
        {"POST /2018-06-01/", {.status = 202}},
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (strncmp(r->raw, answers[i].start, strlen(answers[i].start)) == 0) {
            *reply = answers[i].reply;
            return;
        }
    fake_s3_handle(&s3, r, reply);
}

static test_server *server;
static char sts_url[128], sns_url[128], sqs_url[128], container_url[128];
static char folder[] = "/tmp/caracola-alloc-XXXXXX";
static char config_path[64], token_path[64];

static int one_key(void *ctx, const char *key, int64_t size) {
    ++*(int *)ctx;
    return 0;
}

static int one_account(void *ctx, const cara_social_account *account) {
    ++*(int *)ctx;
    return 0;
}

#define TRY(call)                                                                                  \
    do {                                                                                           \
        if (!rc)                                                                                   \
            rc = (call);                                                                           \
    } while (0)
#define QUEUE "https://sqs.us-east-1.amazonaws.com/1/q"
#define PHONE "phone-number-id-0"
#define KEY "2025-10-15/1-01-10-13-a.json"

static int use_s3(cara_aws *aws, cara_error *err) {
    char *bytes = NULL;
    size_t n;
    int keys = 0, rc = 0;
    cara_s3_object object;
    TRY(cara_s3_put(aws, "bucket", "k 1", "abc", 3, NULL, &object, err));
    TRY(cara_s3_get(aws, "bucket", "k 1", 10, &bytes, &n, &object, err));
    free(bytes);
    TRY(cara_s3_head(aws, "bucket", "k 1", &object, err));
    TRY(cara_s3_list(aws, "bucket", "k", one_key, &keys, err));
    return rc;
}

static const char abc_sha256[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/* Only the calling thread runs out of memory, not the threads of the connections and the server. */
static int use_fetch(cara_aws *aws, cara_error *err) {
    const cara_aws_options options = {.platform = &cara_aws_settings(aws)->platform};
    const cara_s3_fetch_options from = {
        .aws = &options, .bucket = "bucket", .key = "k 1", .part = 2, .connections = 2};
    char into[2], path[100];
    const cara_s3_range range = {.offset = 1, .into = into, .n = 2};
    cara_s3_memory *m = NULL;
    cara_s3_filled filled = {0};
    snprintf(path, sizeof path, "%s/filled", folder);
    const cara_s3_fill fill = {.from = from, .sha256 = abc_sha256, .path = path};
    int rc = cara_s3_put(aws, "bucket", "k 1", "abc", 3, NULL, NULL, err);
    TRY(cara_s3_get_range(aws, "bucket", "k 1", &range, err));
    TRY(cara_s3_memory_open(&from, abc_sha256, 0, &m, err));
    if (!rc) {
        rc = cara_s3_memory_verify(m, NULL, NULL, err);
        cara_s3_memory_close(m);
    }
    TRY(cara_s3_fill_file(&fill, &filled, err));
    TRY(cara_s3_fill_file(&fill, &filled, err));
    unlink(path);
    snprintf(path, sizeof path, "%s/filled.part", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/filled.fill", folder);
    unlink(path);
    return rc;
}

static int use_store(cara_aws *aws, cara_error *err) {
    cara_store *store = NULL;
    cara_store_claim *claim = NULL;
    int rc = cara_store_open_s3("s3://bucket/p", aws, NULL, &store, err);
    TRY(cara_store_put(store, KEY, "{}", 2, 0, err));
    TRY(cara_store_claim_take(store, KEY, &claim, err));
    TRY(cara_store_claim_put(claim, "{ }", 3, err));
    cara_store_claim_release(claim);
    cara_store_close(store);
    /* A lease that could not be taken back is no failure of this test. */
    if (fake_s3_find(&s3, "p/" KEY))
        fake_s3_find(&s3, "p/" KEY)->note[0] = 0;
    return rc;
}

static int use_social(cara_aws *aws, cara_error *err) {
    cara_social_media media;
    char id[32];
    int n = 0, rc = 0;
    TRY(cara_social_get_media(aws, "1", PHONE, "bucket", "p/", &media, err));
    TRY(cara_social_send(aws, PHONE, "{}", 2, NULL, id, sizeof id, err));
    TRY(cara_social_set_destination(aws, "waba-1", "arn:t", NULL, err));
    TRY(cara_social_list_accounts(aws, one_account, &n, err));
    return rc;
}

static int use_queues(cara_aws *aws, cara_error *err) {
    cara_sqs_messages messages = {.n = 0};
    char arn[64];
    int rc = 0;
    TRY(cara_sqs_receive(aws, QUEUE, 1, 0, 5, &messages, err));
    cara_sqs_messages_free(&messages);
    TRY(cara_sqs_delete(aws, QUEUE, "r", err));
    TRY(cara_sqs_change_visibility(aws, QUEUE, "r", 5, err));
    TRY(cara_sns_confirm(aws, "arn:aws:sns:us-east-1:1:t", "tok", arn, sizeof arn, err));
    return rc;
}

static int use_credentials(cara_aws *aws, cara_error *err) {
    const char *source;
    return cara_aws_check_credentials(aws, &source, err);
}

static int use_lambda(cara_aws *aws, cara_error *err) {
    cara_lambda *lambda = NULL;
    cara_invocation in = {.body = NULL};
    int rc = cara_lambda_open(test_server_url(server) + 7, &lambda, err);
    TRY(cara_lambda_next(lambda, 100, &in, err));
    TRY(cara_lambda_respond(lambda, "id", "{}", 2, err));
    TRY(cara_lambda_fail(lambda, "id", "A.B", "words", err));
    cara_invocation_free(&in);
    cara_lambda_close(lambda);
    return rc;
}

static int use_refusals(cara_aws *aws, cara_error *err) {
    cara_s3_object object;
    int rc = cara_s3_head(aws, "bucket", "none", &object, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = 0;
    char *bytes;
    size_t n;
    TRY(cara_s3_get(aws, "bucket", "none", 10, &bytes, &n, NULL, err));
    return rc == CARA_ERR_NOT_FOUND ? 0 : rc;
}

typedef struct scenario {
    const char *name;
    int (*use)(cara_aws *aws, cara_error *err);
    const char *env[4][2];
    int lenient; /* some of the memory is not needed: success without it is right */
} scenario;

static int run(const scenario *s, cara_error *err) {
    fake_platform platform_state = {.env = {{"AWS_REGION", "us-east-1"},
                                            {"AWS_CONFIG_FILE", config_path},
                                            {"AWS_ENDPOINT_URL", test_server_url(server)},
                                            {"AWS_ENDPOINT_URL_STS", sts_url},
                                            {"AWS_ENDPOINT_URL_SNS", sns_url},
                                            {"AWS_ENDPOINT_URL_SQS", sqs_url}},
                                    .now_ms = FAKE_NOW,
                                    .random = 0.5};
    if (!s->env[0][0]) {
        fake_set(&platform_state, "AWS_ACCESS_KEY_ID", "AKID");
        fake_set(&platform_state, "AWS_SECRET_ACCESS_KEY", "secret");
    }
    for (size_t i = 0; i < 4 && s->env[i][0]; i++)
        fake_set(&platform_state, s->env[i][0], s->env[i][1]);
    cara_platform platform = fake_platform_of(&platform_state);
    const cara_aws_options options = {.platform = &platform, .timeout_s = 5};
    cara_aws *aws;
    int rc = cara_aws_open(&options, &aws, err);
    TRY(s->use(aws, err));
    cara_aws_close(aws);
    return rc;
}

static void every_allocation_of(const scenario *s, int kind) {
    cara_error err = {0};
    for (long n = 1;; n++) {
        failing_memory_arm(kind, n);
        int rc = run(s, &err);
        int reached = failing_memory_disarm();
        if (memory.live)
            fail_msg("%s: allocation %ld of kind %d: %ld pieces are left over (code %d)", s->name,
                     n, kind, memory.live, rc);
        if (!reached) { /* there are fewer allocations: nothing failed */
            if (rc)
                fail_msg("%s: %d %s", s->name, rc, err.text);
            printf("%s: %ld allocations of kind %d\n", s->name, n - 1, kind);
            return;
        }
        if (kind == 1 && rc != CARA_ERR_MEMORY && !(s->lenient && !rc))
            fail_msg("%s: allocation %ld gave %d: %s", s->name, n, rc, err.text);
    }
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    const scenario scenarios[] = {
        {.name = "s3", .use = use_s3},
        {.name = "fetch", .use = use_fetch},
        {.name = "store", .use = use_store, .lenient = 1},
        {.name = "social", .use = use_social},
        {.name = "queues", .use = use_queues},
        {.name = "lambda", .use = use_lambda, .lenient = 1},
        {.name = "refusals", .use = use_refusals, .lenient = 1},
        {.name = "profile", .use = use_credentials, .env = {{"AWS_PROFILE", "keys"}}},
        {.name = "role", .use = use_credentials, .env = {{"AWS_PROFILE", "role"}}},
        {.name = "web identity",
         .use = use_credentials,
         .env = {{"AWS_WEB_IDENTITY_TOKEN_FILE", token_path}, {"AWS_ROLE_ARN", "arn:r"}}},
        {.name = "container",
         .use = use_credentials,
         .env = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", container_url},
                 {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_path}}},
        {.name = "instance",
         .use = use_credentials,
         .env = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT", test_server_url(server)}}},
    };
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        for (int kind = 1; kind <= 2; kind++)
            every_allocation_of(&scenarios[i], kind);
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state) {
    (void)state;
    server = test_server_start_handler(handle, NULL);
    snprintf(sts_url, sizeof sts_url, "%s/sts", test_server_url(server));
    snprintf(sns_url, sizeof sns_url, "%s/sns", test_server_url(server));
    snprintf(sqs_url, sizeof sqs_url, "%s/sqs", test_server_url(server));
    snprintf(container_url, sizeof container_url, "%s/container", test_server_url(server));
    if (!mkdtemp(folder))
        return -1;
    snprintf(config_path, sizeof config_path, "%s/config", folder);
    snprintf(token_path, sizeof token_path, "%s/token", folder);
    write_text(config_path, "[profile keys]\naws_access_key_id = A\naws_secret_access_key = s\n"
                            "[profile role]\nrole_arn = arn:r\nsource_profile = keys\n");
    write_text(token_path, "token\n");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    test_server_stop(server);
    fake_s3_free(&s3);
    unlink(config_path);
    unlink(token_path);
    return rmdir(folder);
}

int main(void) {
    if (failing_memory_init())
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failed_allocation_is_reported)};
    int rc = cmocka_run_group_tests(tests, set_up, tear_down);
    curl_global_cleanup();
    return rc;
}

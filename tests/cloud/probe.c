/* One call of the aws room a run, so that the test cloud can see on the wire what our client sends.
 * Settings come from the environment, as for every AWS client.
 * Exit status: 0 done; 1 the call failed (its sentence is on stderr); 2 wrong use. */
#include "aws/s3/s3.h"
#include "aws/services/function.h"
#include "aws/services/sns.h"
#include "aws/services/social.h"
#include "aws/services/sqs.h"
#include "aws/services/stack.h"
#include "base/files/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_LIMIT ((size_t)64 << 20)

typedef int (*probe_run)(cara_aws *aws, char **argv, int n, cara_error *err);

static int print_key(void *ctx, const char *key, int64_t size) {
    (void)ctx;
    printf("%lld\t%s\n", (long long)size, key);
    return 0;
}

/* put BUCKET KEY FILE [absent | match ETAG] */
static int probe_put(cara_aws *aws, char **argv, int n, cara_error *err) {
    cara_s3_put_options options = {0};
    if (n > 3 && strcmp(argv[3], "absent") == 0)
        options.if_absent = 1;
    if (n > 4 && strcmp(argv[3], "match") == 0)
        options.if_match = argv[4];
    char *bytes = NULL;
    size_t size = 0;
    int code = cara_read_file(argv[2], BODY_LIMIT, &bytes, &size, err);
    if (code == CARA_OK) {
        cara_s3_object object = {0};
        code = cara_s3_put(aws, argv[0], argv[1], bytes, size, &options, &object, err);
        if (code == CARA_OK)
            printf("%s\n", object.etag);
    }
    free(bytes);
    return code;
}

/* get BUCKET KEY */
static int probe_get(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    char *bytes = NULL;
    size_t size = 0;
    int code = cara_s3_get(aws, argv[0], argv[1], BODY_LIMIT, &bytes, &size, NULL, err);
    if (code == CARA_OK)
        fwrite(bytes, 1, size, stdout);
    free(bytes);
    return code;
}

/* head BUCKET KEY */
static int probe_head(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    cara_s3_object object = {0};
    int code = cara_s3_head(aws, argv[0], argv[1], &object, err);
    if (code == CARA_OK)
        printf("%lld\t%s\n", (long long)object.size, object.etag);
    return code;
}

/* delete BUCKET KEY */
static int probe_delete(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    return cara_s3_delete(aws, argv[0], argv[1], err);
}

/* list BUCKET PREFIX */
static int probe_list(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    return cara_s3_list(aws, argv[0], argv[1], print_key, NULL, err);
}

/* media MEDIA-ID PHONE-NUMBER-ID BUCKET PREFIX */
static int probe_media(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    cara_social_media media = {0};
    int code = cara_social_get_media(aws, argv[0], argv[1], argv[2], argv[3], &media, err);
    if (code == CARA_OK)
        printf("%s\t%lld\n", media.mime_type, (long long)media.file_size);
    return code;
}

/* send PHONE-NUMBER-ID MESSAGE */
static int probe_send(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    char id[128] = "";
    int code = cara_social_send(aws, argv[0], argv[1], strlen(argv[1]), NULL, id, sizeof id, err);
    if (code == CARA_OK)
        printf("%s\n", id);
    return code;
}

/* destination WABA-ID TOPIC-ARN */
static int probe_destination(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    return cara_social_set_destination(aws, argv[0], argv[1], NULL, err);
}

static int print_account(void *ctx, const cara_social_account *account) {
    (void)ctx;
    printf("%s\t%s\t%s\n", account->id, account->waba_id, account->destination);
    return 0;
}

/* accounts */
static int probe_accounts(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)argv;
    (void)n;
    return cara_social_list_accounts(aws, print_account, NULL, err);
}

static int print_phone(void *ctx, const cara_social_phone *phone) {
    (void)ctx;
    printf("%s\t%s\n", phone->id, phone->display);
    return 0;
}

/* phones WABA-ID */
static int probe_phones(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    return cara_social_phones(aws, argv[0], print_phone, NULL, err);
}

/* topic TOPIC-ARN */
static int probe_topic(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    cara_sns_topic topic;
    int code = cara_sns_topic_attributes(aws, argv[0], &topic, err);
    if (code == CARA_OK)
        printf("%d\n", topic.whatsapp_may_publish);
    return code;
}

static int print_subscription(void *ctx, const cara_sns_subscription *subscription) {
    (void)ctx;
    printf("%s\t%s\t%d\n", subscription->protocol, subscription->endpoint, subscription->confirmed);
    return 0;
}

/* subscriptions TOPIC-ARN */
static int probe_subscriptions(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    return cara_sns_subscriptions(aws, argv[0], print_subscription, NULL, err);
}

/* queue QUEUE-URL */
static int probe_queue(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    cara_sqs_queue q;
    int code = cara_sqs_attributes(aws, argv[0], &q, err);
    if (code == CARA_OK)
        printf("%lld\t%lld\t%d\t%d\t%d\t%s\n", (long long)q.waiting, (long long)q.in_work,
               q.visibility_s, q.retention_s, q.max_receives, q.dead_letters);
    return code;
}

/* function NAME */
static int probe_function(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    cara_function f;
    int code = cara_function_get(aws, argv[0], &f, err);
    if (code != CARA_OK)
        return code;
    printf("%s\t%s\t%d\t%d\t%d\t%s\n", f.arn, f.state, f.timeout_s, f.memory_mb, f.storage_mb,
           cara_function_variable(&f, "CARACOLA_STORE"));
    cara_function_free(&f);
    return CARA_OK;
}

/* failures NAME */
static int probe_failures(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    cara_function_failures failures;
    int code = cara_function_failures_get(aws, argv[0], &failures, err);
    if (code == CARA_OK)
        printf("%d\t%s\n", failures.retries, failures.destination);
    return code;
}

static int print_source(void *ctx, const cara_function_source *source) {
    (void)ctx;
    printf("%s\t%s\t%d\n", source->arn, source->state, source->partial);
    return 0;
}

/* sources NAME */
static int probe_sources(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    return cara_function_sources(aws, argv[0], print_source, NULL, err);
}

/* invoke NAME PAYLOAD */
static int probe_invoke(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    cara_buf answer;
    cara_buf_init(&answer, BODY_LIMIT);
    int failed = 0;
    int code =
        cara_function_invoke(aws, argv[0], argv[1], strlen(argv[1]), 20, &answer, &failed, err);
    if (code == CARA_OK)
        printf("%d\t%s\n", failed, answer.data ? answer.data : "");
    cara_buf_free(&answer);
    return code;
}

/* stack NAME */
static int probe_stack(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    cara_stack stack;
    int code = cara_stack_get(aws, argv[0], &stack, err);
    const json_t *outputs = json_object_get(stack.json, "Outputs");
    for (size_t i = 0; code == CARA_OK && i < json_array_size(outputs); i++)
        printf("%s\t%s\n",
               json_string_value(json_object_get(json_array_get(outputs, i), "OutputKey")),
               json_string_value(json_object_get(json_array_get(outputs, i), "OutputValue")));
    if (code == CARA_OK)
        printf("%s\n", stack.status);
    cara_stack_free(&stack);
    return code;
}

/* identity */
static int probe_identity(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)argv;
    (void)n;
    char arn[256];
    int code = cara_sts_caller_identity(aws, arn, sizeof arn, err);
    if (code == CARA_OK)
        printf("%s\n", arn);
    return code;
}

/* receive QUEUE-URL MOST WAIT-SECONDS VISIBILITY-SECONDS */
static int probe_receive(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    cara_sqs_messages messages;
    int code = cara_sqs_receive(aws, argv[0], (int)strtol(argv[1], NULL, 10),
                                (int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10),
                                &messages, err);
    if (code != CARA_OK)
        return code;
    for (size_t i = 0; i < messages.n; i++)
        printf("%s\t%s\t%lld\t%s\n", messages.items[i].id, messages.items[i].receipt,
               (long long)messages.items[i].receive_count, messages.items[i].body);
    cara_sqs_messages_free(&messages);
    return CARA_OK;
}

/* done QUEUE-URL RECEIPT */
static int probe_done(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    return cara_sqs_delete(aws, argv[0], argv[1], err);
}

/* visibility QUEUE-URL RECEIPT SECONDS */
static int probe_visibility(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)n;
    return cara_sqs_change_visibility(aws, argv[0], argv[1], (int)strtol(argv[2], NULL, 10), err);
}

/* whoami */
static int probe_whoami(cara_aws *aws, char **argv, int n, cara_error *err) {
    (void)argv;
    (void)n;
    const char *source = "";
    int code = cara_aws_check_credentials(aws, &source, err);
    if (code == CARA_OK)
        printf("%s\n", source);
    return code;
}

static const struct {
    const char *name;
    int least, most; /* arguments */
    probe_run run;
} PROBES[] = {
    {"put", 3, 5, probe_put},           {"get", 2, 2, probe_get},
    {"head", 2, 2, probe_head},         {"delete", 2, 2, probe_delete},
    {"list", 2, 2, probe_list},         {"media", 4, 4, probe_media},
    {"send", 2, 2, probe_send},         {"destination", 2, 2, probe_destination},
    {"accounts", 0, 0, probe_accounts}, {"phones", 1, 1, probe_phones},
    {"topic", 1, 1, probe_topic},       {"subscriptions", 1, 1, probe_subscriptions},
    {"queue", 1, 1, probe_queue},       {"function", 1, 1, probe_function},
    {"failures", 1, 1, probe_failures}, {"sources", 1, 1, probe_sources},
    {"invoke", 2, 2, probe_invoke},     {"stack", 1, 1, probe_stack},
    {"identity", 0, 0, probe_identity}, {"receive", 4, 4, probe_receive},
    {"done", 2, 2, probe_done},         {"visibility", 3, 3, probe_visibility},
    {"whoami", 0, 0, probe_whoami},
};

int main(int argc, char **argv) {
    probe_run run = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof PROBES / sizeof PROBES[0]; i++)
        if (strcmp(argv[1], PROBES[i].name) == 0 && argc - 2 >= PROBES[i].least &&
            argc - 2 <= PROBES[i].most)
            run = PROBES[i].run;
    if (!run) {
        fprintf(stderr, "usage: cloud_probe CALL ARGUMENT... (see tests/cloud/probe.c)\n");
        return 2;
    }
    cara_error err = {0};
    cara_aws_options options = {0};
    const char *timeout = getenv("PROBE_TIMEOUT"); /* seconds of one attempt */
    if (timeout)
        options.timeout_s = options.stall_s = strtod(timeout, NULL);
    cara_aws *aws = NULL;
    int code = cara_aws_open(&options, &aws, &err);
    if (code == CARA_OK)
        code = run(aws, argv + 2, argc - 2, &err);
    if (code != CARA_OK)
        fprintf(stderr, "%d %s\n", code, err.text);
    cara_aws_close(aws);
    return code == CARA_OK ? 0 : 1;
}

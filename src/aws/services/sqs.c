#include "aws/services/sqs.h"

#include "aws/client/json_call.h"
#include "base/limits.h"
#include "crypto/encoding.h"
#include "net/url.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a call to SQS");
}

/* Where a queue is called: a configured endpoint, else the host of its URL, with that Region. */
typedef struct place {
    char endpoint[320];
    char region[64];
    int from_url;
} place;

static int find_place(cara_aws *aws, const char *queue_url, place *out, cara_error *err) {
    *out = (place){.from_url = 0};
    cara_url url;
    if (cara_url_split(queue_url, &url) || url.path.len < 2)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "\"%.128s\" is no queue; give its URL, as "
                         "https://sqs.us-east-1.amazonaws.com/111122223333/name",
                         queue_url);
    cara_buf endpoint;
    cara_buf_init(&endpoint, 4096);
    int custom = 0;
    int rc = cara_aws_endpoint(cara_aws_settings(aws), &cara_service_sqs, NULL, &endpoint, &custom,
                               NULL);
    cara_buf_free(&endpoint);
    if (rc == CARA_ERR_MEMORY)
        return no_memory(err);
    if (custom)
        return CARA_OK;
    out->from_url = 1;
    int n =
        snprintf(out->endpoint, sizeof out->endpoint, "%s://%.*s", url.secure ? "https" : "http",
                 (int)url.authority.len, (const char *)url.authority.ptr);
    if (n < 0 || (size_t)n >= sizeof out->endpoint)
        return cara_fail(err, CARA_ERR_USAGE, -1, "the queue's host name is too long");
    const char *host = (const char *)url.host.ptr;
    if (url.host.len > 4 && memcmp(host, "sqs.", 4) == 0) {
        const char *dot = memchr(host + 4, '.', url.host.len - 4);
        if (dot && (size_t)(dot - host - 4) < sizeof out->region)
            snprintf(out->region, sizeof out->region, "%.*s", (int)(dot - host - 4), host + 4);
    }
    return CARA_OK;
}

/* `timeout_s` as in cara_aws_call. Takes the reference to `request`. */
static int call_sqs(cara_aws *aws, const char *action, const char *queue_url, json_t *request,
                    double timeout_s, json_t **answer, cara_error *err) {
    *answer = NULL;
    place where;
    int rc = request ? find_place(aws, queue_url, &where, err) : no_memory(err);
    if (!rc && json_object_set_new(request, "QueueUrl", json_string(queue_url)))
        rc = no_memory(err);
    if (rc) {
        json_decref(request);
        return rc;
    }
    char target[64], what[64];
    snprintf(target, sizeof target, "AmazonSQS.%s", action);
    snprintf(what, sizeof what, "SQS %s", action);
    const cara_http_header headers[] = {{"Content-Type", "application/x-amz-json-1.0"},
                                        {"X-Amz-Target", target}};
    const cara_aws_call call = {.service = &cara_service_sqs,
                                .what = what,
                                .region = where.region[0] ? where.region : NULL,
                                .endpoint = where.from_url ? where.endpoint : NULL,
                                .method = "POST",
                                .path = "/",
                                .headers = headers,
                                .n_headers = 2,
                                .max_body = 16 * CARA_MIB, /* ten messages of 1 MiB, escaped */
                                .timeout_s = timeout_s};
    return cara_aws_json(aws, call, request, answer, err);
}

/* 1 where the body is what its MD5 says, or where that cannot be computed. */
static int md5_fits(const char *body, size_t n, const char *want) {
    unsigned char digest[64];
    unsigned len = 0;
    char hex[33];
    if (strlen(want) != 32 || EVP_Digest(body, n, digest, &len, EVP_md5(), NULL) != 1 || len != 16)
        return 1; /* a libcrypto in FIPS mode has no MD5 */
    cara_hex_encode(digest, 16, hex);
    return strcmp(hex, want) == 0;
}

void cara_sqs_messages_free(cara_sqs_messages *messages) {
    json_decref(messages->memory);
    *messages = (cara_sqs_messages){.n = 0};
}

int cara_sqs_receive(cara_aws *aws, const char *queue_url, int most, int wait_s, int visibility_s,
                     cara_sqs_messages *out, cara_error *err) {
    *out = (cara_sqs_messages){.n = 0};
    if (most < 1 || most > CARA_SQS_BATCH || wait_s < 0 || wait_s > 20 || visibility_s > 43200)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "SQS gives 1 to 10 messages, waits 0 to 20 s and hides for 0 to 43200 s");
    json_t *request =
        json_pack("{s:i, s:i, s:[ss], s:[ss]}", "MaxNumberOfMessages", most, "WaitTimeSeconds",
                  wait_s, "AttributeNames", "ApproximateReceiveCount", "SentTimestamp",
                  "MessageSystemAttributeNames", "ApproximateReceiveCount", "SentTimestamp");
    if (request && visibility_s >= 0 &&
        json_object_set_new(request, "VisibilityTimeout", json_integer(visibility_s))) {
        json_decref(request);
        request = NULL;
    }
    json_t *answer;
    int rc = call_sqs(aws, "ReceiveMessage", queue_url, request, wait_s + 10, &answer, err);
    if (rc)
        return rc;
    const json_t *list = json_object_get(answer, "Messages");
    for (size_t i = 0; i < json_array_size(list) && out->n < CARA_SQS_BATCH; i++) {
        const json_t *m = json_array_get(list, i);
        const json_t *body = json_object_get(m, "Body");
        cara_sqs_message *item = &out->items[out->n];
        item->id = cara_json_text_or(m, "MessageId", "");
        item->receipt = cara_json_text_or(m, "ReceiptHandle", "");
        item->body = json_is_string(body) ? json_string_value(body) : ""; /* may hold NUL */
        item->body_len = json_string_length(body);
        const json_t *attributes = json_object_get(m, "Attributes");
        item->receive_count =
            strtoll(cara_json_text_or(attributes, "ApproximateReceiveCount", ""), NULL, 10);
        item->sent_ms = strtoll(cara_json_text_or(attributes, "SentTimestamp", ""), NULL, 10);
        /* A message without a receipt can never be deleted, and a damaged one must not be: both are
         * delivered again when their visibility timeout ends. */
        if (item->receipt[0] &&
            md5_fits(item->body, item->body_len, cara_json_text_or(m, "MD5OfBody", "")))
            out->n++;
    }
    if (json_array_size(list) && !out->n) {
        json_decref(answer);
        return cara_fail(err, CARA_ERR_NETWORK, -1,
                         "SQS ReceiveMessage gave messages that were damaged on their way");
    }
    out->memory = answer;
    return CARA_OK;
}

int cara_sqs_delete(cara_aws *aws, const char *queue_url, const char *receipt, cara_error *err) {
    json_t *answer;
    int rc = call_sqs(aws, "DeleteMessage", queue_url, json_pack("{s:s}", "ReceiptHandle", receipt),
                      0, &answer, err);
    json_decref(answer);
    return rc;
}

int cara_sqs_change_visibility(cara_aws *aws, const char *queue_url, const char *receipt,
                               int visibility_s, cara_error *err) {
    json_t *answer;
    int rc = call_sqs(
        aws, "ChangeMessageVisibility", queue_url,
        json_pack("{s:s, s:i}", "ReceiptHandle", receipt, "VisibilityTimeout", visibility_s), 0,
        &answer, err);
    json_decref(answer);
    return rc;
}

static int64_t number(const json_t *attributes, const char *name) {
    return strtoll(cara_json_text_or(attributes, name, ""), NULL, 10);
}

/* {"deadLetterTargetArn":"arn:...","maxReceiveCount":3}, as a text in a text. */
static void read_redrive(const char *text, cara_sqs_queue *out) {
    static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_NETWORK, CARA_LIMIT_ANSWER_BYTES);
    json_t *policy;
    (void)cara_json_read(text, strlen(text), &rules, &policy, NULL);
    const json_t *most = json_object_get(policy, "maxReceiveCount");
    json_int_t n = json_is_string(most) ? strtoll(json_string_value(most), NULL, 10)
                                        : json_integer_value(most);
    out->max_receives = n > 0 && n <= 1000 ? (int)n : 0;
    snprintf(out->dead_letters, sizeof out->dead_letters, "%s",
             cara_json_text_or(policy, "deadLetterTargetArn", ""));
    json_decref(policy);
}

int cara_sqs_attributes(cara_aws *aws, const char *queue_url, cara_sqs_queue *out,
                        cara_error *err) {
    *out = (cara_sqs_queue){.waiting = 0};
    json_t *answer;
    int rc = call_sqs(aws, "GetQueueAttributes", queue_url,
                      json_pack("{s:[s]}", "AttributeNames", "All"), 0, &answer, err);
    if (rc)
        return rc;
    const json_t *attributes = json_object_get(answer, "Attributes");
    out->waiting = number(attributes, "ApproximateNumberOfMessages");
    out->in_work = number(attributes, "ApproximateNumberOfMessagesNotVisible");
    out->visibility_s = (int)number(attributes, "VisibilityTimeout");
    out->retention_s = (int)number(attributes, "MessageRetentionPeriod");
    read_redrive(cara_json_text_or(attributes, "RedrivePolicy", ""), out);
    json_decref(answer);
    return CARA_OK;
}

int cara_sqs_url_of(const char *arn, char *url, size_t size) {
    /* arn:partition:sqs:region:account:name */
    const char *part[6];
    size_t len[6];
    const char *p = arn;
    for (int i = 0; i < 6; i++) {
        part[i] = p;
        len[i] = strcspn(p, ":");
        if (len[i] == 0 || len[i] > 80 || (p[len[i]] == ':') != (i < 5))
            return -1;
        p += len[i] + 1;
    }
    if (len[0] != 3 || memcmp(part[0], "arn", 3) != 0 || len[2] != 3 ||
        memcmp(part[2], "sqs", 3) != 0)
        return -1;
    int china = len[1] == 6 && memcmp(part[1], "aws-cn", 6) == 0;
    int n = snprintf(url, size, "https://sqs.%.*s.amazonaws.com%s/%.*s/%.*s", (int)len[3], part[3],
                     china ? ".cn" : "", (int)len[4], part[4], (int)len[5], part[5]);
    return n < 0 || (size_t)n >= size ? -1 : 0;
}

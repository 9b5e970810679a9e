#include "aws/exchange/fault.h"

#include "aws/exchange/xml.h"
#include "aws/signing/dates.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* One line of at most size - 1 bytes. */
static void copy(char *dst, size_t size, const char *src, size_t n) {
    size_t i = 0;
    for (; i < n && i < size - 1 && src[i]; i++)
        dst[i] = (unsigned char)src[i] < 0x20 || src[i] == 0x7f ? ' ' : src[i];
    dst[i] = 0;
    /* Not in the middle of a UTF-8 character. */
    if (i == size - 1 && i < n && ((unsigned char)src[i] & 0xc0) == 0x80) {
        while (i && ((unsigned char)dst[i - 1] & 0xc0) == 0x80)
            i--;
        dst[i ? i - 1 : 0] = 0;
    }
}

/* "aws.protocoltests#Name:http://..." is "Name": the body's form may have a namespace before '#',
 * and the header's a URI behind ':' or ','. */
static void copy_type(cara_aws_fault *out, const char *text) {
    const char *hash = strchr(text, '#');
    if (hash)
        text = hash + 1;
    copy(out->type, sizeof out->type, text, strcspn(text, ":, "));
}

static void read_json(const cara_buf *body, cara_aws_fault *out) {
    static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_NETWORK, CARA_LIMIT_ANSWER_BYTES);
    json_t *root;
    (void)cara_json_read(body->data, body->len, &rules, &root, NULL);
    static const char *const types[] = {"__type", "code", "Code"};
    static const char *const messages[] = {"message", "Message", "errorMessage"};
    for (size_t i = 0; i < 3 && !out->type[0]; i++) {
        const char *text = cara_json_text(root, types[i]);
        if (text)
            copy_type(out, text);
    }
    for (size_t i = 0; i < 3 && !out->message[0]; i++) {
        const char *text = cara_json_text(root, messages[i]);
        if (text)
            copy(out->message, sizeof out->message, text, strlen(text));
    }
    json_decref(root);
}

static int on_xml(void *ctx, const char *path, const char *text, size_t n) {
    cara_aws_fault *out = ctx;
    if (!out->type[0] && cara_xml_path_ends(path, "Error/Code"))
        copy(out->type, sizeof out->type, text, n);
    else if (!out->message[0] && cara_xml_path_ends(path, "Error/Message"))
        copy(out->message, sizeof out->message, text, n);
    else if (!out->request_id[0] &&
             (cara_xml_path_ends(path, "RequestId") || cara_xml_path_ends(path, "RequestID")))
        copy(out->request_id, sizeof out->request_id, text, n);
    else if (!out->region[0] && cara_xml_path_ends(path, "Error/Region"))
        copy(out->region, sizeof out->region, text, n);
    return 0;
}

void cara_aws_fault_read(const cara_http_response *response, cara_aws_fault *out) {
    *out = (cara_aws_fault){.status = response->status};
    static const char *const ids[] = {"x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"};
    for (size_t i = 0; i < 3 && !out->request_id[0]; i++) {
        const char *id = cara_http_header_of(response, ids[i]);
        if (id)
            copy(out->request_id, sizeof out->request_id, id, strlen(id));
    }
    const char *region = cara_http_header_of(response, "x-amz-bucket-region");
    if (region)
        copy(out->region, sizeof out->region, region, strlen(region));
    const char *type = cara_http_header_of(response, "x-amzn-errortype");
    if (type)
        copy_type(out, type);
    const char *body = response->body.data;
    size_t n = response->body.len, at = 0;
    while (at < n && (body[at] == ' ' || body[at] == '\n' || body[at] == '\r' || body[at] == '\t'))
        at++;
    if (at < n && body[at] == '{') {
        read_json(&response->body, out);
    } else if (at < n && body[at] == '<') {
        const cara_xml_handler handler = {.end = on_xml, .ctx = out};
        /* Members before the damage are still used. */
        (void)cara_xml_parse(body + at, n - at, &handler, NULL);
    }
    /* SQS's JSON protocol gives the code that its query protocol had in a header: "Code;Sender". */
    const char *query = cara_http_header_of(response, "x-amzn-query-error");
    if (query && !out->type[0])
        copy(out->type, sizeof out->type, query, strcspn(query, ";"));
}

void cara_aws_fault_text(const cara_aws_fault *fault, char *dst, size_t size) {
    snprintf(dst, size, "%s%sHTTP %d%s%s%s", fault->type, fault->type[0] ? " (" : "", fault->status,
             fault->type[0] ? ")" : "", fault->message[0] ? ": " : "", fault->message);
}

static int is_one_of(const char *type, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(type, list[i]) == 0)
            return 1;
    return 0;
}
#define IS_ONE_OF(type, list) is_one_of(type, list, sizeof(list) / sizeof(list)[0])

int cara_aws_fault_is_throttling(const cara_aws_fault *fault) {
    static const char *const list[] = {"Throttling",
                                       "ThrottlingException",
                                       "ThrottledException",
                                       "ThrottledRequestException",
                                       "RequestThrottledException",
                                       "RequestThrottled",
                                       "TooManyRequestsException",
                                       "ProvisionedThroughputExceededException",
                                       "TransactionInProgressException",
                                       "RequestLimitExceeded",
                                       "BandwidthLimitExceeded",
                                       "LimitExceededException",
                                       "SlowDown",
                                       "PriorRequestNotComplete",
                                       "EC2ThrottledException",
                                       "KmsThrottled",
                                       "KMS.ThrottlingException"};
    return fault->status == 429 || IS_ONE_OF(fault->type, list);
}

int cara_aws_fault_is_transient(const cara_aws_fault *fault) {
    static const char *const list[] = {"RequestTimeout", "RequestTimeoutException", "InternalError",
                                       "IDPCommunicationError",
                                       /* S3: another write to that key is under way */
                                       "ConditionalRequestConflict", "OperationAborted"};
    return fault->status == 500 || fault->status == 502 || fault->status == 503 ||
           fault->status == 504 || fault->status == 408 ||
           (fault->status == 409 && !fault->type[0]) || IS_ONE_OF(fault->type, list);
}

int cara_aws_fault_is_expired_token(const cara_aws_fault *fault) {
    static const char *const list[] = {"ExpiredToken", "ExpiredTokenException",
                                       "TokenRefreshRequired"};
    return IS_ONE_OF(fault->type, list);
}

int cara_aws_fault_is_clock(const cara_aws_fault *fault) {
    static const char *const sure[] = {"RequestTimeTooSkewed", "RequestExpired",
                                       "RequestInTheFuture"};
    static const char *const possible[] = {"InvalidSignatureException", "SignatureDoesNotMatch",
                                           "AuthFailure"};
    if (IS_ONE_OF(fault->type, sure))
        return 2;
    /* An answer to HEAD has no body to name its type in. */
    return IS_ONE_OF(fault->type, possible) || (!fault->type[0] && fault->status == 403);
}

double cara_retry_after(const cara_http_response *response, int64_t now_ms) {
    const char *text = cara_http_header_of(response, "x-amz-retry-after");
    double unit = 1e-3;
    if (!text) {
        text = cara_http_header_of(response, "retry-after");
        unit = 1;
    }
    if (!text || !text[0])
        return -1;
    size_t n = strspn(text, "0123456789");
    if (!text[n]) {
        double value = 0;
        if (n > 9)
            return -1;
        for (const char *p = text; *p; p++)
            value = value * 10 + (*p - '0');
        return value * unit;
    }
    int64_t date;
    if (cara_time_http(text, &date))
        return -1;
    return date > now_ms ? (double)(date - now_ms) / 1e3 : 0;
}

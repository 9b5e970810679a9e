#include "aws/sns.h"

#include "aws/xml.h"
#include "net/url.h"

#include <stdio.h>
#include <string.h>

typedef struct answer {
    char *dst;
    size_t size;
} answer;

static int on_end(void *ctx, const char *path, const char *text, size_t n) {
    answer *a = ctx;
    if (strcmp(path, "ConfirmSubscriptionResponse/ConfirmSubscriptionResult/SubscriptionArn") == 0)
        snprintf(a->dst, a->size, "%s", text);
    return 0;
}

/* arn:<partition>:sns:<region>:<account>:<name> */
static int region_of(const char *arn, char *dst, size_t size) {
    const char *p = strncmp(arn, "arn:", 4) == 0 ? strchr(arn + 4, ':') : NULL;
    if (!p || strncmp(p, ":sns:", 5) != 0)
        return -1;
    p += 5;
    size_t n = strcspn(p, ":");
    if (n == 0 || n >= size || p[n] != ':' || !strchr(p + n + 1, ':'))
        return -1;
    memcpy(dst, p, n);
    dst[n] = 0;
    return 0;
}

int cara_sns_confirm(cara_aws *aws, const char *topic_arn, const char *token,
                     char *subscription_arn, size_t size, cara_error *err) {
    char region[64];
    subscription_arn[0] = 0;
    if (region_of(topic_arn, region, sizeof region))
        return cara_fail(err, CARA_ERR_USAGE, -1, "\"%.128s\" is no ARN of an SNS topic",
                         topic_arn);
    cara_buf form;
    cara_buf_init(&form, 8192);
    cara_http_response response = {0};
    int rc;
    if (cara_buf_str(&form, "Action=ConfirmSubscription&Version=2010-03-31&TopicArn=") ||
        cara_url_encode(&form, topic_arn, strlen(topic_arn), 0) || cara_buf_str(&form, "&Token=") ||
        cara_url_encode(&form, token, strlen(token), 0)) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a call to SNS");
    } else {
        const cara_http_header header = {"Content-Type",
                                         "application/x-www-form-urlencoded; charset=utf-8"};
        const cara_aws_call call = {.service = &cara_service_sns,
                                    .what = "SNS ConfirmSubscription",
                                    .region = region,
                                    .method = "POST",
                                    .path = "/",
                                    .headers = &header,
                                    .n_headers = 1,
                                    .body = form.data,
                                    .body_len = form.len,
                                    .unsigned_call = 1};
        rc = cara_aws_do(aws, &call, &response, err);
    }
    if (!rc) {
        answer a = {subscription_arn, size};
        const cara_xml_handler handler = {.end = on_end, .ctx = &a};
        rc = cara_xml_parse(response.body.data, response.body.len, &handler, err);
        if (!rc && !subscription_arn[0])
            rc = cara_fail(err, CARA_ERR_NETWORK, -1, "SNS confirmed without a subscription's ARN");
    }
    cara_http_response_free(&response);
    cara_buf_free(&form);
    return rc;
}

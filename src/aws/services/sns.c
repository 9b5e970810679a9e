#include "aws/services/sns.h"

#include "aws/client/query_call.h"

#include <stdio.h>
#include <string.h>

#define VERSION "2010-03-31"
#define MAX_PAGES 100 /* of 100 subscriptions */

typedef struct confirmation {
    char *dst;
    size_t size;
} confirmation;

static int on_end(void *ctx, const char *path, const char *text, size_t n) {
    confirmation *a = ctx;
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

static int topic_region(const char *topic_arn, char region[64], cara_error *err) {
    if (region_of(topic_arn, region, 64))
        return cara_fail(err, CARA_ERR_USAGE, -1, "\"%.128s\" is no ARN of an SNS topic",
                         topic_arn);
    return CARA_OK;
}

int cara_sns_confirm(cara_aws *aws, const char *topic_arn, const char *token,
                     char *subscription_arn, size_t size, cara_error *err) {
    char region[64];
    subscription_arn[0] = 0;
    int rc = topic_region(topic_arn, region, err);
    if (rc)
        return rc;
    confirmation a = {subscription_arn, size};
    const cara_xml_handler handler = {.end = on_end, .ctx = &a};
    const cara_query_pair pairs[] = {{"TopicArn", topic_arn}, {"Token", token}};
    const cara_aws_query_call call = {.service = &cara_service_sns,
                                      .what = "SNS ConfirmSubscription",
                                      .action = "ConfirmSubscription",
                                      .version = VERSION,
                                      .region = region,
                                      .pairs = pairs,
                                      .n_pairs = 2,
                                      .unsigned_call = 1,
                                      .handler = &handler};
    rc = cara_aws_query(aws, &call, err);
    if (!rc && !subscription_arn[0])
        rc = cara_fail(err, CARA_ERR_NETWORK, -1, "SNS confirmed without a subscription's ARN");
    return rc;
}

/* One <entry> after the other. */
typedef struct topic_reader {
    cara_sns_topic *out;
    char key[64];
} topic_reader;

static int on_attribute(void *ctx, const char *path, const char *text, size_t n) {
    topic_reader *r = ctx;
    if (cara_xml_path_ends(path, "Attributes/entry/key")) {
        snprintf(r->key, sizeof r->key, "%s", text);
    } else if (cara_xml_path_ends(path, "Attributes/entry/value")) {
        if (strcmp(r->key, "Policy") == 0)
            r->out->whatsapp_may_publish = strstr(text, "social-messaging.amazonaws.com") != NULL;
        else if (strcmp(r->key, "TopicArn") == 0)
            r->out->found = 1;
        r->key[0] = 0;
    }
    return 0;
}

int cara_sns_topic_attributes(cara_aws *aws, const char *topic_arn, cara_sns_topic *out,
                              cara_error *err) {
    char region[64];
    *out = (cara_sns_topic){0};
    int rc = topic_region(topic_arn, region, err);
    if (rc)
        return rc;
    topic_reader reader = {.out = out};
    const cara_xml_handler handler = {.end = on_attribute, .ctx = &reader};
    const cara_query_pair pair = {"TopicArn", topic_arn};
    const cara_aws_query_call call = {.service = &cara_service_sns,
                                      .what = "SNS GetTopicAttributes",
                                      .action = "GetTopicAttributes",
                                      .version = VERSION,
                                      .region = region,
                                      .pairs = &pair,
                                      .n_pairs = 1,
                                      .handler = &handler};
    rc = cara_aws_query(aws, &call, err);
    if (!rc && !out->found)
        rc = cara_fail(err, CARA_ERR_NETWORK, -1, "SNS answered without the topic's attributes");
    return rc;
}

typedef struct subscriptions_reader {
    cara_sns_each each;
    void *ctx;
    char arn[256], protocol[32], endpoint[512];
    char token[2048];
} subscriptions_reader;

static void on_member(void *ctx, const char *path) {
    subscriptions_reader *r = ctx;
    if (cara_xml_path_ends(path, "Subscriptions/member"))
        r->arn[0] = r->protocol[0] = r->endpoint[0] = 0;
}

static int on_subscription(void *ctx, const char *path, const char *text, size_t n) {
    subscriptions_reader *r = ctx;
    if (cara_xml_path_ends(path, "member/SubscriptionArn"))
        snprintf(r->arn, sizeof r->arn, "%s", text);
    else if (cara_xml_path_ends(path, "member/Protocol"))
        snprintf(r->protocol, sizeof r->protocol, "%s", text);
    else if (cara_xml_path_ends(path, "member/Endpoint"))
        snprintf(r->endpoint, sizeof r->endpoint, "%s", text);
    else if (cara_xml_path_ends(path, "ListSubscriptionsByTopicResult/NextToken"))
        snprintf(r->token, sizeof r->token, "%s", text);
    else if (cara_xml_path_ends(path, "Subscriptions/member"))
        return r->each(r->ctx,
                       &(cara_sns_subscription){.protocol = r->protocol,
                                                .endpoint = r->endpoint,
                                                .confirmed = strncmp(r->arn, "arn:", 4) == 0});
    return 0;
}

int cara_sns_read_page(const char *xml, size_t n, cara_sns_each each, void *ctx, char token[2048],
                       cara_error *err) {
    subscriptions_reader reader = {.each = each, .ctx = ctx};
    const cara_xml_handler handler = {.start = on_member, .end = on_subscription, .ctx = &reader};
    int rc = cara_xml_parse(xml, n, &handler, err);
    memcpy(token, reader.token, sizeof reader.token);
    return rc;
}

int cara_sns_subscriptions(cara_aws *aws, const char *topic_arn, cara_sns_each each, void *ctx,
                           cara_error *err) {
    char region[64];
    int rc = topic_region(topic_arn, region, err);
    subscriptions_reader reader = {.each = each, .ctx = ctx};
    for (int pages = 0; !rc; pages++) {
        char token[sizeof reader.token];
        memcpy(token, reader.token, sizeof token);
        reader.token[0] = 0;
        const cara_xml_handler handler = {
            .start = on_member, .end = on_subscription, .ctx = &reader};
        const cara_query_pair pairs[] = {{"TopicArn", topic_arn}, {"NextToken", token}};
        const cara_aws_query_call call = {.service = &cara_service_sns,
                                          .what = "SNS ListSubscriptionsByTopic",
                                          .action = "ListSubscriptionsByTopic",
                                          .version = VERSION,
                                          .region = region,
                                          .pairs = pairs,
                                          .n_pairs = token[0] ? 2 : 1,
                                          .handler = &handler};
        rc = cara_aws_query(aws, &call, err);
        if (rc || !reader.token[0])
            break;
        if (pages == MAX_PAGES)
            rc = cara_fail(err, CARA_ERR_NETWORK, -1, "the list of subscriptions has no end");
    }
    return rc;
}

/* Amazon SNS, as far as a subscriber and `doctor` need it. */
#ifndef AWS_SNS_H
#define AWS_SNS_H

#include "aws/client/client.h"

/* For an HTTP endpoint, to which SNS delivers only once it has confirmed: ConfirmSubscription with
 * the token that SNS sent to the endpoint, in the topic's own Region. `subscription_arn` receives
 * the new subscription's, cut to size. Needs no credentials: the token proves the right to do it.
 * USAGE: `topic_arn` is no ARN of a topic. */
int cara_sns_confirm(cara_aws *aws, const char *topic_arn, const char *token,
                     char *subscription_arn, size_t size, cara_error *err);

typedef struct cara_sns_topic {
    int found;
    int whatsapp_may_publish; /* its policy names End User Messaging Social */
} cara_sns_topic;

/* GetTopicAttributes. NOT_FOUND; USAGE as above. */
int cara_sns_topic_attributes(cara_aws *aws, const char *topic_arn, cara_sns_topic *out,
                              cara_error *err);

typedef struct cara_sns_subscription { /* texts are borrowed for the call, "" where missing */
    const char *protocol;              /* "lambda", "sqs", "email", "https" */
    const char *endpoint;              /* an ARN, address or URL */
    int confirmed;
} cara_sns_subscription;

/* ListSubscriptionsByTopic over all pages; non-zero from `each` ends it and is returned. */
typedef int (*cara_sns_each)(void *ctx, const cara_sns_subscription *subscription);
int cara_sns_subscriptions(cara_aws *aws, const char *topic_arn, cara_sns_each each, void *ctx,
                           cara_error *err);

/* One page of them (exposed for tests and fuzzing); `token` receives that of the next page, or "".
 * `each` as above. */
int cara_sns_read_page(const char *xml, size_t n, cara_sns_each each, void *ctx, char token[2048],
                       cara_error *err);

#endif

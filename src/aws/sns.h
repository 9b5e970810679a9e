/* Amazon SNS, as far as a subscriber needs it. */
#ifndef AWS_SNS_H
#define AWS_SNS_H

#include "aws/client.h"

/* ConfirmSubscription with the token that SNS sent to the endpoint, in the topic's own Region.
 * `subscription_arn` receives the new subscription's, cut to size. Needs no credentials: the token
 * is the proof. USAGE: `topic_arn` is no ARN of a topic. */
int cara_sns_confirm(cara_aws *aws, const char *topic_arn, const char *token,
                     char *subscription_arn, size_t size, cara_error *err);

#endif

/* The mail that AWS sends to the address of alarms. */
#include "aws/services/sns.h"
#include "deploy/deploy.h"

#include <string.h>

typedef struct search {
    const char *address;
    int confirmed;
} search;

static int look(void *ctx, const cara_sns_subscription *s) {
    search *found = ctx;
    if (strcmp(s->protocol, "email") == 0 && strcmp(s->endpoint, found->address) == 0)
        found->confirmed |= s->confirmed;
    return found->confirmed;
}

int cara_deploy_mail_is_confirmed(cara_deploy *d) {
    search found = {.address = cara_deploy_value(d, CARA_SET_EMAIL)};
    const char *topic = cara_stack_output(&d->stack, "AlarmTopicArn");
    cara_error unsaid;
    if (topic)
        (void)cara_sns_subscriptions(d->aws, topic, look, &found, &unsaid);
    return found.confirmed;
}

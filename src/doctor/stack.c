/* The stack: its state, what it was made with, and whether its alarm mails reach somebody. */
#include "doctor/account.h"

#include "aws/s3/s3.h"
#include "aws/services/sns.h"
#include "aws/services/stack.h"
#include "doctor/calls.h"

#include <stdio.h>
#include <string.h>

/* What the stack has made, where no flag named it. */
static void use_outputs(cara_doctor *d, const cara_stack *stack) {
    const struct {
        const char *output;
        char *dst;
        size_t size;
    } names[] = {{"TopicArn", d->topic, sizeof d->topic},
                 {"FunctionName", d->function, sizeof d->function},
                 {"QueueUrl", d->queue, sizeof d->queue},
                 {"DeadLetterQueueUrl", d->dead_letters, sizeof d->dead_letters}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cara_doctor_name(names[i].dst, names[i].size, cara_stack_output(stack, names[i].output));
    const char *bucket = cara_stack_output(stack, "BucketName");
    if (bucket && bucket[0] && strlen(bucket) < 64 && !d->bucket_store[0])
        snprintf(d->bucket_store, sizeof d->bucket_store, "s3://%.63s", bucket);
}

static const char *parameter(const cara_stack *stack, const char *key) {
    const char *value = cara_stack_parameter(stack, key);
    return value ? value : "";
}

/* The model's object, which a function streams or fills from: without it nothing starts again. */
static void check_object(cara_doctor *d, const cara_stack *stack, const char *delivery) {
    const char *bucket = parameter(stack, "ModelBucket"), *key = parameter(stack, "ModelKey");
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_s3_object object = {.size = -1};
    cara_doctor_limit_calls(d);
    int rc = cara_s3_head(d->aws, bucket, key, &object, &err);
    if (!rc) {
        cara_checkup_add(d->checkup, "stack-model", CARA_FINDING_OK,
                         "the stack's model is s3://%s/%.200s (%.1f MB), by %s", bucket, key,
                         (double)object.size / 1e6, delivery);
        return;
    }
    cara_doctor_read_failed(d, "stack-model", "the stack's model cannot be looked at", rc, &err,
                            "s3:GetObject of the model");
    if (rc == CARA_ERR_NOT_FOUND)
        cara_checkup_advise(d->checkup,
                            "upload it again: `caracola setup --stack %.100s --model "
                            "FILE`",
                            d->stack);
}

static void check_model(account *a, const cara_stack *stack) {
    cara_doctor *d = a->doctor;
    const char *delivery = parameter(stack, "ModelDelivery");
    a->knows_model = delivery[0] != 0;
    if (strcmp(delivery, "image") != 0) {
        if (parameter(stack, "ModelKey")[0])
            check_object(d, stack, delivery);
    } else if (strcmp(parameter(stack, "PackageType"), "zip") == 0) {
        cara_checkup_add(d->checkup, "stack-model", CARA_FINDING_WARNING,
                         "the stack has only the demo model of its package, which knows some 420 "
                         "words of fishing reports and no human voice");
        cara_checkup_advise(d->checkup,
                            "give it a real one: `caracola setup --stack %.100s --model "
                            "FILE`, a .cara",
                            d->stack);
    } else {
        cara_checkup_add(d->checkup, "stack-model", CARA_FINDING_OK,
                         "the stack's model is the one inside its image%s",
                         a->is_worker ? "; a worker's log says which when it starts" : "");
    }
}

static void check_parameters(account *a, const cara_stack *stack) {
    cara_doctor *d = a->doctor;
    const char *variant = parameter(stack, "Variant"), *zone = parameter(stack, "TimeZone");
    const char *language = parameter(stack, "Language"), *test = parameter(stack, "TestEmail");
    if (!variant[0]) {
        cara_checkup_add(d->checkup, "parameters", CARA_FINDING_WARNING,
                         "the stack %s has no parameter Variant, so it was not made by `caracola "
                         "setup`",
                         d->stack);
        cara_checkup_advise(d->checkup, "is it the right one? --stack names another");
        return;
    }
    a->is_worker = strcmp(variant, "worker") == 0;
    if (test[0]) {
        cara_checkup_add(d->checkup, "parameters", CARA_FINDING_WARNING,
                         "every event goes to %.100s by mail, with names, numbers and texts", test);
        cara_checkup_advise(d->checkup,
                            "that is for trying out: `caracola setup --stack %.100s --test_email "
                            "none`",
                            d->stack);
    } else {
        cara_checkup_add(d->checkup, "parameters", CARA_FINDING_OK,
                         "it runs as %s, with language %s and time zone %.64s", variant,
                         language[0] ? language : "detected", zone[0] ? zone : "UTC");
    }
    check_model(a, stack);
}

/* ---- alarm mails ---- */

typedef struct mail {
    const char *address;
    int confirmed; /* -1: there is no subscription */
} mail;

static int on_mail(void *ctx, const cara_sns_subscription *s) {
    mail *m = ctx;
    if (strcmp(s->protocol, "email") == 0 && strcmp(s->endpoint, m->address) == 0 &&
        m->confirmed < s->confirmed)
        m->confirmed = s->confirmed;
    return 0;
}

static void check_mail(cara_doctor *d, const cara_stack *stack) {
    mail m = {parameter(stack, "AlarmEmail"), -1};
    const char *topic = cara_stack_output(stack, "AlarmTopicArn");
    if (!m.address[0]) {
        cara_checkup_add(d->checkup, "alarm-mail", CARA_FINDING_SKIPPED,
                         "alarms send no mail: `caracola setup --email ADDRESS` sets one");
        return;
    }
    if (!topic) {
        cara_checkup_add(d->checkup, "alarm-mail", CARA_FINDING_WARNING,
                         "the stack is of an earlier version, and does not say which topic its "
                         "alarms go to");
        cara_checkup_advise(d->checkup, "run `caracola setup --stack %.100s` again", d->stack);
        return;
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_doctor_limit_calls(d);
    int rc = cara_sns_subscriptions(d->aws, topic, on_mail, &m, &err);
    if (rc) {
        cara_doctor_read_failed(d, "alarm-mail", "the subscriptions to alarms cannot be listed", rc,
                                &err, "sns:ListSubscriptionsByTopic");
    } else if (m.confirmed == 1) {
        cara_checkup_add(d->checkup, "alarm-mail", CARA_FINDING_OK, "alarms go to %.100s by mail",
                         m.address);
    } else if (m.confirmed == 0) {
        cara_checkup_add(d->checkup, "alarm-mail", CARA_FINDING_WARNING,
                         "%.100s gets no alarms yet: the subscription is not confirmed", m.address);
        cara_checkup_advise(d->checkup, "confirm the mail that AWS sent to that address (\"AWS "
                                        "Notification - Subscription Confirmation\")");
    } else {
        cara_checkup_add(d->checkup, "alarm-mail", CARA_FINDING_WARNING,
                         "%.100s gets no alarms: the subscription is gone, as it was not confirmed "
                         "in time or ended by a mail's link",
                         m.address);
        cara_checkup_advise(d->checkup,
                            "`aws sns subscribe --topic-arn %.200s --protocol email "
                            "--notification-endpoint %.100s`, and confirm the mail",
                            topic, m.address);
    }
}

/* ---- all of it ---- */

void cara_doctor_stack(account *a) {
    cara_doctor *d = a->doctor;
    if (!d->stack)
        return;
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_stack stack;
    cara_doctor_limit_calls(d);
    int rc = cara_stack_get(d->aws, d->stack, &stack, &err);
    const char *status = stack.status;
    size_t n = strlen(status);
    if (rc) {
        cara_doctor_read_failed(d, "stack", "the stack cannot be read", rc, &err,
                                "cloudformation:DescribeStacks");
        if (rc == CARA_ERR_NOT_FOUND)
            cara_checkup_advise(d->checkup, "make it with `caracola setup`, or name another with "
                                            "--stack; is the --region right?");
    } else if (strstr(status, "ROLLBACK") || strstr(status, "FAILED") || strstr(status, "DELETE")) {
        cara_checkup_add(d->checkup, "stack", CARA_FINDING_FAILURE,
                         "the stack %s is in the state %s", d->stack, status);
        cara_checkup_advise(d->checkup,
                            "`aws cloudformation describe-stack-events --stack-name %s` "
                            "says why; then run `caracola setup` again",
                            d->stack);
    } else if (n < 9 || strcmp(status + n - 9, "_COMPLETE") != 0) {
        cara_checkup_add(d->checkup, "stack", CARA_FINDING_WARNING,
                         "the stack %s is in the state %s", d->stack, status);
        cara_checkup_advise(d->checkup, "wait until it is complete");
    } else {
        cara_checkup_add(d->checkup, "stack", CARA_FINDING_OK, "the stack %s is complete (%s)",
                         d->stack, status);
    }
    cara_checkup_flush(d->checkup);
    use_outputs(d, &stack);
    if (!rc && stack.exists) {
        check_parameters(a, &stack);
        cara_checkup_flush(d->checkup);
        check_mail(d, &stack);
    }
    cara_stack_free(&stack);
}

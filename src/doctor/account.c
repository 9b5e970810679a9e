/* What the account holds: the function and its settings, the topic, WhatsApp's event destination.
 */
#include "doctor/account.h"

#include "aws/services/function.h"
#include "aws/services/sns.h"
#include "aws/services/social.h"
#include "doctor/calls.h"
#include "doctor/credentials.h"
#include "pipeline/service/lambda.h"

#include <stdio.h>
#include <string.h>

/* ---- the function ---- */

static int on_source(void *ctx, const cara_function_source *source) {
    account *a = ctx;
    if (!strstr(source->arn, ":sqs:"))
        return 0;
    snprintf(a->source, sizeof a->source, "%s", source->arn);
    snprintf(a->source_state, sizeof a->source_state, "%s", source->state);
    a->partial = source->partial;
    return strcmp(source->state, "Enabled") == 0; /* the first that works is enough */
}

/* A warning for each setting that may cause failures. */
static void check_settings(account *a, const cara_function *f) {
    cara_checkup *c = a->doctor->checkup;
    size_t before = c->n;
    if (strcmp(f->state, "Failed") == 0 || strcmp(f->state, "Inactive") == 0) {
        cara_checkup_add(c, "function", CARA_FINDING_FAILURE,
                         "the function is in the state %s: %.300s", f->state,
                         f->reason[0] ? f->reason : "no reason is given");
        cara_checkup_advise(c, "deploy it again: `caracola setup`");
    }
    if (f->timeout_s < 120) {
        cara_checkup_add(
            c, "timeout", f->timeout_s < 15 ? CARA_FINDING_FAILURE : CARA_FINDING_WARNING,
            "the function has %d s for an event, which is %s", f->timeout_s,
            f->timeout_s < 15 ? "too little to transcribe anything" : "little for a long note");
        cara_checkup_advise(c, "raise its timeout, to 900 s at most: template parameter Timeout");
    }
    if (f->memory_mb < 1024) {
        cara_checkup_add(
            c, "function-memory", f->memory_mb < 256 ? CARA_FINDING_FAILURE : CARA_FINDING_WARNING,
            "the function has %d MB, which is %s", f->memory_mb,
            f->memory_mb < 256 ? "too little for any model" : "little for a real model");
        cara_checkup_advise(
            c, "raise it: template parameter MemorySize; medium takes 3 GB, and Lambda "
               "gives one processor for each 1,769 MB");
    }
    const char *store = cara_function_variable(f, "CARACOLA_STORE");
    if (strncmp(store, "s3://", 5) != 0) {
        cara_checkup_add(c, "environment", CARA_FINDING_FAILURE,
                         "the function's CARACOLA_STORE is %s%.100s%s", store[0] ? "\"" : "not set",
                         store, store[0] ? "\", which is no bucket" : "");
        cara_checkup_advise(c, "set it to s3://bucket/prefix");
    } else if (!cara_function_variable(f, "CARACOLA_MODEL")[0] && !a->knows_model &&
               strcmp(f->package, "Image") != 0) { /* an image has variables of its own */
        cara_checkup_add(c, "environment", CARA_FINDING_WARNING,
                         "the function's CARACOLA_MODEL is not set, so it uses the demo model");
        cara_checkup_advise(c, "deliver a real model: template parameter ModelDelivery");
    }
    if (!a->failures.destination[0] && !a->source[0]) {
        cara_checkup_add(c, "failures", CARA_FINDING_WARNING,
                         "an event that fails three times is lost: the function has no on-failure "
                         "destination");
        cara_checkup_advise(c, "give it one, a queue: the template does");
    } else if (a->source[0] && !a->partial) {
        cara_checkup_add(
            c, "failures", CARA_FINDING_WARNING,
            "one bad event makes its whole batch come again: ReportBatchItemFailures is not "
            "set");
        cara_checkup_advise(c, "set it on the function's event source");
    }
    if (c->n == before)
        cara_checkup_add(
            c, "function", CARA_FINDING_OK,
            "the function %.140s is set right: %d s, %d MB (%d processor%s' worth), %d MB "
            "of storage, %s%s%s",
            f->name, f->timeout_s, f->memory_mb, a->cpus, a->cpus == 1 ? "" : "s", f->storage_mb,
            f->architecture, f->in_vpc ? ", in a VPC" : "", f->has_file_system ? ", with EFS" : "");
}

static void check_function(account *a) {
    cara_doctor *d = a->doctor;
    if (!d->function[0]) {
        cara_checkup_add(d->checkup, "function", CARA_FINDING_SKIPPED, "%s",
                         a->is_worker ? "the stack runs workers, not a function"
                                      : "no function is named; --function or --stack names one");
        return;
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_function f;
    cara_doctor_limit_calls(d);
    int rc = cara_function_get(d->aws, d->function, &f, &err);
    if (rc) {
        cara_doctor_read_failed(d, "function", "the function's settings cannot be read", rc, &err,
                                "lambda:GetFunctionConfiguration");
        if (rc == CARA_ERR_NOT_FOUND)
            cara_checkup_advise(d->checkup, "name it with --function, or deploy it with `caracola "
                                            "setup`; is the --region right?");
        return;
    }
    snprintf(a->function_arn, sizeof a->function_arn, "%s", f.arn);
    a->timeout_s = f.timeout_s;
    char memory[16];
    snprintf(memory, sizeof memory, "%d", f.memory_mb);
    a->cpus = cara_lambda_threads(memory);
    cara_doctor_limit_calls(d);
    rc = cara_function_failures_get(d->aws, d->function, &a->failures, &err);
    if (!rc)
        rc = cara_function_sources(d->aws, d->function, on_source, a, &err);
    if (rc < 0)
        cara_doctor_read_failed(
            d, "failures", "the function's failure destination and event sources cannot be read",
            rc, &err,
            "lambda:GetFunctionEventInvokeConfig and "
            "lambda:ListEventSourceMappings");
    else
        check_settings(a, &f);
    cara_function_free(&f);
    /* What the settings name, unless it was named. */
    char url[512];
    if (cara_sqs_url_of(a->source, url, sizeof url) == 0)
        cara_doctor_name(d->queue, sizeof d->queue, url);
    if (cara_sqs_url_of(a->failures.destination, url, sizeof url) == 0)
        cara_doctor_name(d->dead_letters, sizeof d->dead_letters, url);
}

/* ---- WhatsApp ---- */

static int on_phone(void *ctx, const cara_social_phone *phone) {
    account *a = ctx;
    cara_doctor_name(a->doctor->phone, sizeof a->doctor->phone, phone->id);
    cara_doctor_name(a->number, sizeof a->number, phone->display);
    a->n_phones++;
    return 0;
}

static int on_account(void *ctx, const cara_social_account *one) {
    account *a = ctx;
    a->n_accounts++;
    /* The one that feeds the topic; where no topic is named, the first that feeds any. */
    const char *topic = a->doctor->topic;
    int better = topic[0] ? strcmp(one->destination, topic) == 0 : one->destination[0] != 0;
    if (a->linked || (a->waba[0] && !better))
        return 0;
    a->linked = better;
    snprintf(a->waba, sizeof a->waba, "%s", one->id);
    snprintf(a->destination, sizeof a->destination, "%s", one->destination);
    snprintf(a->waba_status, sizeof a->waba_status, "%s", one->status);
    return 0;
}

static void check_destination(account *a) {
    cara_doctor *d = a->doctor;
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_doctor_limit_calls(d);
    int rc = cara_social_list_accounts(d->aws, on_account, a, &err);
    if (rc) {
        cara_doctor_read_failed(d, "whatsapp", "the WhatsApp accounts cannot be listed", rc, &err,
                                "social-messaging:ListLinkedWhatsAppBusinessAccounts");
        return;
    }
    if (!a->n_accounts) {
        cara_checkup_add(d->checkup, "whatsapp", CARA_FINDING_FAILURE,
                         "no WhatsApp account is linked in this Region");
        cara_checkup_advise(d->checkup,
                            "link one in the console of AWS End User Messaging Social, in "
                            "the Region of the bucket");
        return;
    }
    cara_doctor_limit_calls(d);
    rc = cara_social_phones(d->aws, a->waba, on_phone, a, &err);
    if (rc)
        cara_doctor_read_failed(d, "whatsapp", "the WhatsApp account's numbers cannot be listed",
                                rc, &err, "social-messaging:GetLinkedWhatsAppBusinessAccount");
    else if (!a->n_phones) {
        cara_checkup_add(d->checkup, "whatsapp", CARA_FINDING_FAILURE,
                         "the WhatsApp account %s has no phone number", a->waba);
        cara_checkup_advise(d->checkup, "add one in the console of AWS End User Messaging Social");
    } else if (a->waba_status[0] && strcmp(a->waba_status, "COMPLETE") != 0) {
        cara_checkup_add(d->checkup, "whatsapp", CARA_FINDING_WARNING,
                         "the registration of the WhatsApp account %s is %s", a->waba,
                         a->waba_status);
        cara_checkup_advise(d->checkup,
                            "complete it in the console of AWS End User Messaging Social");
    } else
        cara_checkup_add(d->checkup, "whatsapp", CARA_FINDING_OK,
                         "the WhatsApp account %s is linked, with the number %s%s", a->waba,
                         a->number, a->n_phones > 1 ? " and others" : "");
    cara_checkup_flush(d->checkup);
    const char *topic = d->topic[0] ? d->topic : "TOPIC-ARN";
    if (a->linked) {
        cara_checkup_add(d->checkup, "destination", CARA_FINDING_OK, "its messages go to %s",
                         a->destination);
        cara_doctor_name(d->topic, sizeof d->topic, a->destination);
        return;
    }
    if (a->destination[0])
        cara_checkup_add(d->checkup, "destination", CARA_FINDING_FAILURE,
                         "WhatsApp's messages do not go to the topic but to %.300s",
                         a->destination);
    else
        cara_checkup_add(d->checkup, "destination", CARA_FINDING_FAILURE,
                         "WhatsApp's messages go nowhere: the account has no event destination");
    cara_checkup_advise(
        d->checkup,
        "aws socialmessaging put-whatsapp-business-account-event-destinations --id %s "
        "--event-destinations eventDestinationArn=%.200s, or `caracola setup`",
        a->waba, topic);
}

/* ---- the topic ---- */

static int ends_at(const char *endpoint, const char *arn) {
    size_t n = strlen(arn);
    /* A function's ARN may have an alias or version behind it. */
    return n && strncmp(endpoint, arn, n) == 0 && (!endpoint[n] || endpoint[n] == ':');
}

static int on_subscription(void *ctx, const cara_sns_subscription *s) {
    account *a = ctx;
    a->n_subscriptions++;
    int queue = strcmp(s->protocol, "sqs") == 0 &&
                (a->source[0] ? ends_at(s->endpoint, a->source)
                              : cara_doctor_same_queue(s->endpoint, a->doctor->queue));
    int function = strcmp(s->protocol, "lambda") == 0 &&
                   (ends_at(s->endpoint, a->function_arn) || !a->function_arn[0]);
    int https = strcmp(s->protocol, "https") == 0;
    int ours = queue || function || (https && !a->doctor->function[0] && !a->doctor->queue[0]);
    if (ours && (s->confirmed || !a->subscribed)) {
        a->subscribed = s->confirmed ? 2 : 1;
        snprintf(a->endpoint, sizeof a->endpoint, "%s", s->endpoint);
    }
    return 0;
}

static void check_topic(account *a) {
    cara_doctor *d = a->doctor;
    if (!d->topic[0]) {
        cara_checkup_add(d->checkup, "topic", CARA_FINDING_SKIPPED,
                         "no topic is known; --topic or --stack names one");
        return;
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_sns_topic topic;
    cara_doctor_limit_calls(d);
    int rc = cara_sns_topic_attributes(d->aws, d->topic, &topic, &err);
    if (rc) {
        cara_doctor_read_failed(d, "topic", "the topic cannot be read", rc, &err,
                                "sns:GetTopicAttributes");
        if (rc == CARA_ERR_NOT_FOUND)
            cara_checkup_advise(d->checkup, "correct --topic or --region, or make it: `caracola "
                                            "setup`");
        return;
    }
    if (!topic.whatsapp_may_publish) {
        cara_checkup_add(d->checkup, "topic", CARA_FINDING_WARNING,
                         "the topic's policy does not name social-messaging.amazonaws.com, so that "
                         "WhatsApp's messages may not get into it");
        cara_checkup_advise(d->checkup, "allow that service sns:Publish in the topic's policy");
    } else {
        cara_checkup_add(d->checkup, "topic", CARA_FINDING_OK,
                         "the topic takes messages from End User Messaging Social");
    }
    cara_checkup_flush(d->checkup);
    cara_doctor_limit_calls(d);
    rc = cara_sns_subscriptions(d->aws, d->topic, on_subscription, a, &err);
    if (rc) {
        cara_doctor_read_failed(d, "subscription", "the topic's subscriptions cannot be listed", rc,
                                &err, "sns:ListSubscriptionsByTopic");
    } else if (a->subscribed == 2) {
        cara_checkup_add(d->checkup, "subscription", CARA_FINDING_OK,
                         "the topic delivers its messages to "
                         "%.300s",
                         a->endpoint);
    } else if (a->subscribed) {
        cara_checkup_add(d->checkup, "subscription", CARA_FINDING_FAILURE,
                         "the subscription of %.300s waits for its confirmation", a->endpoint);
        cara_checkup_advise(d->checkup,
                            "confirm it with the address that SNS has sent, or subscribe "
                            "again");
    } else {
        cara_checkup_add(d->checkup, "subscription", CARA_FINDING_FAILURE,
                         "of %d subscriptions of the topic none leads to %s", a->n_subscriptions,
                         d->function[0] ? "the function"
                         : d->queue[0]  ? "the queue"
                                        : "caracola");
        cara_checkup_advise(d->checkup,
                            "subscribe it: `caracola setup` does, or `aws sns subscribe "
                            "--topic-arn %.200s`",
                            d->topic);
    }
}

void cara_doctor_account(cara_doctor *doctor) {
    cara_doctor_credentials(doctor);
    cara_checkup_flush(doctor->checkup);
    if (!doctor->aws || doctor->unreachable)
        return;
    account a = {.doctor = doctor};
    static void (*const checks[])(account *) = {cara_doctor_stack, check_function,
                                                check_destination, check_topic, cara_doctor_queues};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (doctor->stop && doctor->stop(doctor->stop_cookie))
            return;
        checks[i](&a);
        cara_checkup_flush(doctor->checkup);
    }
}

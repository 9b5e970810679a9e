/* Queues: the messages that wait, and how long their audio can still be fetched. */
#include "doctor/account.h"

#include "base/clock.h"
#include "base/limits.h"
#include "doctor/calls.h"
#include "inbox/inbox.h"

#include <stdio.h>
#include <string.h>

#define MEDIA_DAYS 7 /* WhatsApp deletes media of messages after so long */

static void check_queue(account *a) {
    cara_doctor *d = a->doctor;
    if (!d->queue[0])
        return;
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_sqs_queue q;
    cara_doctor_limit_calls(d);
    int rc = cara_sqs_attributes(d->aws, d->queue, &q, &err);
    if (rc) {
        cara_doctor_read_failed(d, "queue", "the queue cannot be read", rc, &err,
                                "sqs:GetQueueAttributes");
        if (strstr(err.text, "NonExistentQueue") || strstr(err.text, "QueueDoesNotExist"))
            cara_checkup_advise(d->checkup, "correct %s",
                                CARA_DOCTOR_SETTING(d, "--queue", "CARACOLA_QUEUE"));
        return;
    }
    if (a->source[0] && strcmp(a->source_state, "Enabled") != 0) {
        cara_checkup_add(d->checkup, "queue", CARA_FINDING_FAILURE,
                         "the queue does not feed the function: its event source is %s",
                         a->source_state);
        cara_checkup_advise(d->checkup,
                            "enable it: `aws lambda update-event-source-mapping --enabled`");
    } else if (a->source[0] && q.visibility_s < 6 * a->timeout_s) {
        cara_checkup_add(d->checkup, "queue",
                         q.visibility_s < a->timeout_s ? CARA_FINDING_FAILURE
                                                       : CARA_FINDING_WARNING,
                         "the queue hides an event for %d s, while the function may take %d s",
                         q.visibility_s, a->timeout_s);
        cara_checkup_advise(d->checkup,
                            "AWS advises a visibility timeout of six times the function's");
    } else if (!q.dead_letters[0]) {
        cara_checkup_add(
            d->checkup, "queue", CARA_FINDING_WARNING,
            "the queue has no dead-letter queue, so that an event that always fails comes "
            "again until it expires");
        cara_checkup_advise(d->checkup, "give it a redrive policy: the template does");
    } else {
        cara_checkup_add(d->checkup, "queue", CARA_FINDING_OK,
                         "the queue works: %lld events wait, %lld are in work",
                         (long long)q.waiting, (long long)q.in_work);
    }
    char url[512];
    if (cara_sqs_url_of(q.dead_letters, url, sizeof url) == 0)
        cara_doctor_name(d->dead_letters, sizeof d->dead_letters, url);
}

/* When the oldest message in a dead letter was sent, in s since 1970; the letter's own date where
 * it holds none that can be read. */
static int64_t sent_at(const cara_sqs_message *letter) {
    int64_t oldest = letter->sent_ms / 1000;
    cara_inbox inbox;
    if (cara_inbox_parse(letter->body, letter->body_len, &inbox, NULL) == CARA_OK)
        for (size_t i = 0; i < inbox.n_messages; i++)
            if (inbox.messages[i].timestamp > 0 &&
                (oldest <= 0 || inbox.messages[i].timestamp < oldest))
                oldest = inbox.messages[i].timestamp;
    cara_inbox_free(&inbox);
    return oldest;
}

static void check_age(cara_doctor *d, int64_t waiting, int64_t oldest) {
    int64_t now = cara_clock_wall_ms() / 1000;
    int64_t left = oldest + MEDIA_DAYS * 86400 - now;
    const char *s = waiting == 1 ? "" : "s", *wait = waiting == 1 ? "waits" : "wait";
    if (oldest <= 0)
        cara_checkup_add(d->checkup, "dead-letters", CARA_FINDING_WARNING,
                         "%lld dead letter%s %s, and how old it is does not show",
                         (long long)waiting, s, wait);
    else if (left <= 0)
        cara_checkup_add(
            d->checkup, "dead-letters", CARA_FINDING_FAILURE,
            "%lld dead letter%s %s, and WhatsApp has deleted the audio of the oldest: it "
            "was sent %lld days ago, and media is kept for %d",
            (long long)waiting, s, wait, (long long)((now - oldest) / 86400), MEDIA_DAYS);
    else
        cara_checkup_add(
            d->checkup, "dead-letters", left < 86400 ? CARA_FINDING_FAILURE : CARA_FINDING_WARNING,
            "%lld dead letter%s %s; the audio of the oldest can be fetched for another %lld "
            "days and %lld hours",
            (long long)waiting, s, wait, (long long)(left / 86400),
            (long long)(left % 86400 / 3600));
    cara_checkup_advise(d->checkup,
                        "find out why in the log, then have them handled: `caracola worker "
                        "--queue %.300s`",
                        d->dead_letters);
}

static void check_letters(account *a) {
    cara_doctor *d = a->doctor;
    if (!d->dead_letters[0]) {
        cara_checkup_add(d->checkup, "dead-letters", CARA_FINDING_SKIPPED,
                         "no queue of dead letters is known; --dead_letters or --stack names one");
        return;
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_sqs_queue q;
    cara_doctor_limit_calls(d);
    int rc = cara_sqs_attributes(d->aws, d->dead_letters, &q, &err);
    if (rc) {
        cara_doctor_read_failed(d, "dead-letters", "the dead letters cannot be read", rc, &err,
                                "sqs:GetQueueAttributes");
        return;
    }
    if (q.retention_s && q.retention_s < MEDIA_DAYS * 86400) {
        cara_checkup_add(d->checkup, "dead-letters", CARA_FINDING_WARNING,
                         "dead letters are kept for %d hours only, and their audio for %d days",
                         q.retention_s / 3600, MEDIA_DAYS);
        cara_checkup_advise(d->checkup, "raise the queue's retention to 14 days");
        cara_checkup_flush(d->checkup);
    }
    if (q.waiting + q.in_work == 0) {
        cara_checkup_add(d->checkup, "dead-letters", CARA_FINDING_OK, "no dead letters wait");
        return;
    }
    /* Reads some without removing them. */
    cara_sqs_messages letters;
    int64_t oldest = 0;
    cara_doctor_limit_calls(d);
    rc = cara_sqs_receive(d->aws, d->dead_letters, CARA_SQS_BATCH, 0, 0, &letters, &err);
    for (size_t i = 0; !rc && i < letters.n; i++) {
        int64_t sent = sent_at(&letters.items[i]);
        if (sent > 0 && (!oldest || sent < oldest))
            oldest = sent;
    }
    if (!rc)
        cara_sqs_messages_free(&letters);
    check_age(d, q.waiting + q.in_work, oldest);
}

void cara_doctor_queues(account *a) {
    check_queue(a);
    cara_checkup_flush(a->doctor->checkup);
    check_letters(a);
}

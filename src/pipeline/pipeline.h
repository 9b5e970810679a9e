/* Events in, records out: one message, one record, however often it is delivered.
 *
 * A message is kept first; only then its audio is fetched, put beside it and transcribed, and the
 * transcript completes the record. A crash at any point leaves a record that says "pending", and
 * handling the same event again completes it. No message stops another. */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include "base/error.h"
#include "base/failure.h"
#include "base/log.h"
#include "inbox/inbox.h"
#include "pipeline/media/media.h"
#include "pipeline/record/key.h"
#include "pipeline/transcriber/transcriber.h"
#include "store/store.h"

#include <stddef.h>

typedef struct cara_pipeline { /* everything is borrowed */
    cara_store *store;
    const cara_media *media;
    const cara_transcriber *transcriber;
    cara_local_time_fn local_time; /* the day and time in keys; NULL: UTC */
    /* Called with the whole transcript once its record is complete; NULL: no replies. A failure is
     * logged and changes nothing. */
    int (*reply)(void *ctx, const cara_inbox_message *message, const char *key, const char *text,
                 cara_error *err);
    void *reply_ctx;
    int retry_failed;  /* also try audio again whose failure is final */
    cara_stop_fn stop; /* the time is over, or the user stops; may be NULL */
    void *stop_cookie;
    const cara_log *log; /* may be NULL; texts are not logged; keys are (see cara_key_hide()) */
} cara_pipeline;

/* Seconds that an audio message took; zeros for what was not done. */
typedef struct cara_report_times {
    double media, model, total;
    cara_timings transcription;
} cara_report_times;

typedef struct cara_report {
    cara_outcome outcome;
    cara_stage stage;
    const char *key;      /* of the record or the quarantined piece; "" where there is none */
    const char *type;     /* the message's; "" for what was not understood */
    double audio_seconds; /* transcribed just now; 0 for none */
    cara_gaps audio_gaps; /* in the whole audio */
    int no_speech;
    cara_report_times times;
    size_t record;           /* index of its SNS/SQS record */
    const char *record_id;   /* SQS messageId, or NULL */
    const cara_error *error; /* NULL unless FAILED, RETRY or QUARANTINED */
} cara_report;

/* Called once for each message and piece, when its outcome is known; all is borrowed for the call.
 */
typedef void (*cara_report_fn)(void *cookie, const cara_report *report);

typedef struct cara_summary {
    size_t n_messages; /* understood ones */
    size_t by_outcome[CARA_OUTCOME_QUARANTINED + 1];
    size_t n_statuses, n_errors, n_other_fields, n_confirmations;
    int unreadable; /* nothing in the event was understood */
    int is_sqs;
    int stopped; /* by `stop` */
} cara_summary;

/* Handles one event. `report` may be NULL. Fails (MEMORY) only where nothing could be reported:
 * then the whole event is to be delivered again. Everything else is reported by message. */
int cara_pipeline_handle(const cara_pipeline *pipeline, const char *event, size_t n,
                         cara_report_fn report, void *cookie, cara_summary *summary,
                         cara_error *err);

#endif

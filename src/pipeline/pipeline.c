#include "pipeline/pipeline.h"
#include "json/json.h"

#include "base/limits.h"
#include "pipeline/audio_message.h"
#include "pipeline/record/record.h"

#include <stdlib.h>
#include <string.h>

typedef struct run {
    const cara_pipeline *p;
    cara_report_fn report;
    void *cookie;
    cara_summary *summary;
} run;

static void send_report(run *r, const cara_report *report) {
    r->summary->by_outcome[report->outcome]++;
    if (report->outcome == CARA_OUTCOME_RETRY || report->outcome == CARA_OUTCOME_FAILED)
        cara_log_line(r->p->log, CARA_LOG_WARN, "%s: %s: %s", report->key,
                      cara_outcome_name(report->outcome), report->error->text);
    if (r->report)
        r->report(r->cookie, report);
}

static cara_report report_of(const cara_inbox_message *m, const char *key) {
    return (cara_report){
        .key = key, .type = m->type, .record = m->record, .record_id = m->record_id};
}

static void report_failure(run *r, cara_stage stage, const cara_error *err, cara_report report) {
    cara_failure failure = cara_failure_of(stage, err->code);
    report.outcome = failure.outcome;
    report.stage = failure.stage;
    report.error = err;
    send_report(r, &report);
}

/* How much of a piece is kept: up to the limit, and no part of a character. */
static size_t kept_of(const char *bytes, size_t n) {
    if (n <= CARA_LIMIT_QUARANTINE_BYTES)
        return n;
    size_t kept = CARA_LIMIT_QUARANTINE_BYTES;
    while (kept > CARA_LIMIT_QUARANTINE_BYTES - 3 && ((unsigned char)bytes[kept] & 0xC0) == 0x80)
        kept--;
    return kept;
}

/* Keeps a piece under quarantine/. */
static void quarantine(run *r, const char *bytes, size_t n, const char *reason, const char *type,
                       size_t record, const char *record_id) {
    char key[CARA_KEY_SIZE] = "";
    cara_error err = {0};
    size_t kept = kept_of(bytes, n);
    cara_buf json;
    cara_buf_init(&json, 8 * CARA_LIMIT_QUARANTINE_BYTES); /* an escape has up to six bytes */
    int rc = cara_key_quarantine(bytes, kept, key)
                 ? cara_fail(&err, CARA_ERR_MEMORY, -1, "no memory to name a quarantined piece")
                 : cara_record_quarantine(bytes, kept, kept < n, reason, &json, &err);
    if (!rc)
        rc = cara_store_put(r->p->store, key, json.data, json.len, 1, &err);
    cara_buf_free(&json);
    cara_stage stage = CARA_STAGE_STORE;
    if (rc == CARA_OK || rc == CARA_ERR_CONFLICT) {
        stage = CARA_STAGE_EVENT;
        (void)cara_fail(&err, CARA_ERR_EVENT, -1, "%s", reason);
    }
    report_failure(
        r, stage, &err,
        (cara_report){.key = key, .type = type, .record = record, .record_id = record_id});
}

static void quarantine_message(run *r, const cara_inbox_message *m, const char *reason) {
    cara_error err = {0};
    cara_buf json;
    cara_buf_init(&json, CARA_INBOX_TEXT_MAX);
    if (cara_json_write(m->message, CARA_JSON_COMPACT, &json)) {
        (void)cara_fail(&err, CARA_ERR_MEMORY, -1, "no memory to keep a message");
        report_failure(r, CARA_STAGE_STORE, &err, report_of(m, ""));
    } else {
        quarantine(r, json.data, json.len, reason, m->type, m->record, m->record_id);
    }
    cara_buf_free(&json);
}

/* What is left to do for a message once it is stored. */
typedef enum step { STEP_NONE, STEP_TRANSCRIBE } step;

/* A record is there already. Is it of the same message, and undamaged? */
static int check_existing(run *r, const cara_inbox_message *m, const char *key, const char *json,
                          size_t n, cara_outcome *outcome, int *foreign, cara_error *err) {
    char *bytes = NULL, *id = NULL;
    size_t len = 0;
    cara_record_state state = CARA_RECORD_DAMAGED;
    *foreign = 0;
    *outcome = CARA_OUTCOME_ALREADY;
    int rc = cara_store_get(r->p->store, key, CARA_LIMIT_RECORD_BYTES, &bytes, &len, err);
    if (!rc)
        rc = cara_record_read(bytes, len, &state, &id, err);
    if (!rc && state == CARA_RECORD_DAMAGED) {
        /* Another program wrote it, or the disk is damaged. The message is here: write it again. */
        rc = cara_store_put(r->p->store, key, json, n, 0, err);
        *outcome = CARA_OUTCOME_DONE;
    } else if (rc == CARA_ERR_LIMIT) { /* no record of ours is so large */
        *foreign = 1;
        rc = CARA_OK;
    } else if (!rc) {
        *foreign = !id || strcmp(id, m->id) != 0;
    }
    free(id);
    free(bytes);
    return rc;
}

/* Stores the message before any work: as complete, or as pending where it has audio. */
static step store_message(run *r, const cara_inbox_message *m, char key[CARA_KEY_SIZE]) {
    key[0] = 0;
    if (cara_key_message(m->id, m->from, m->timestamp, r->p->local_time, key)) {
        quarantine_message(r, m, "a message whose time has no date in the zone in use");
        return STEP_NONE;
    }
    int is_audio = strcmp(m->type, "audio") == 0;
    cara_error err = {0};
    cara_outcome outcome = CARA_OUTCOME_DONE;
    cara_buf json;
    cara_buf_init(&json, CARA_RECORD_MESSAGE_MAX);
    cara_record record;
    cara_record_init(&record, m);
    if (is_audio) {
        cara_record_audio_file(&record, NULL);
        cara_record_error(&record, CARA_RECORD_WAITING, "the audio has not been transcribed yet");
    }
    int foreign = 0;
    int rc = cara_record_write(&record, &json, &err);
    int too_large = rc == CARA_ERR_LIMIT;
    if (!rc) {
        rc = cara_store_put(r->p->store, key, json.data, json.len, 1, &err);
        if (rc == CARA_ERR_CONFLICT)
            rc = check_existing(r, m, key, json.data, json.len, &outcome, &foreign, &err);
    }
    cara_record_free(&record);
    cara_buf_free(&json);
    if (too_large || (!rc && foreign)) {
        quarantine_message(r, m,
                           too_large ? "a message whose record would be larger than the limit"
                                     : "a message whose key is taken by one with another id, or by "
                                       "something that is too large for a record");
        return STEP_NONE;
    }
    if (!rc && is_audio)
        return STEP_TRANSCRIBE;
    cara_report report = report_of(m, key);
    report.outcome = outcome;
    if (rc)
        report_failure(r, CARA_STAGE_STORE, &err, report);
    else
        send_report(r, &report);
    return STEP_NONE;
}

int cara_pipeline_handle(const cara_pipeline *pipeline, const char *event, size_t n,
                         cara_report_fn report, void *cookie, cara_summary *summary,
                         cara_error *err) {
    typedef char key_text[CARA_KEY_SIZE];
    cara_summary ignored;
    run r = {pipeline, report, cookie, summary ? summary : &ignored};
    *r.summary = (cara_summary){0};
    cara_inbox inbox;
    key_text *keys = NULL; /* of the messages to transcribe; "" for the others */
    int rc = cara_inbox_parse(event, n, &inbox, err);
    if (rc)
        goto done;
    r.summary->n_messages = inbox.n_messages;
    r.summary->n_statuses = inbox.n_statuses;
    r.summary->n_errors = inbox.n_errors;
    r.summary->n_other_fields = inbox.n_other_fields;
    r.summary->n_confirmations = inbox.n_confirmations;
    r.summary->unreadable = cara_inbox_is_unreadable(&inbox);
    r.summary->is_sqs = inbox.is_sqs;
    if (inbox.n_messages && !(keys = calloc(inbox.n_messages, sizeof *keys))) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %zu messages", inbox.n_messages);
        goto done;
    }
    for (size_t i = 0; i < inbox.n_rejects; i++) {
        const cara_inbox_reject *reject = &inbox.rejects[i];
        quarantine(&r, reject->bytes, reject->n, reject->reason, "", reject->record,
                   reject->record_id);
    }
    /* All are stored before the first is transcribed, which takes long and may crash. */
    for (size_t i = 0; i < inbox.n_messages; i++)
        if (store_message(&r, &inbox.messages[i], keys[i]) == STEP_NONE)
            keys[i][0] = 0;
    for (size_t i = 0; i < inbox.n_messages; i++) {
        if (!keys[i][0])
            continue;
        const cara_inbox_message *m = &inbox.messages[i];
        cara_error failure = {0};
        cara_report result = report_of(m, keys[i]);
        cara_audio_message(pipeline, m, keys[i], &result, &failure);
        if (failure.code == CARA_ERR_CANCELLED)
            r.summary->stopped = 1;
        if (result.outcome != CARA_OUTCOME_DONE && result.outcome != CARA_OUTCOME_ALREADY)
            result.error = &failure;
        send_report(&r, &result);
    }
done:
    free(keys);
    cara_inbox_free(&inbox);
    return rc;
}

#include "pipeline/audio_message.h"
#include "json/json.h"

#include "base/clock.h"
#include "base/failure.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "pipeline/record/partial.h"
#include "pipeline/record/record.h"

#include <stdlib.h>
#include <string.h>

#define RENEW_S 1.0

typedef struct job {
    const cara_pipeline *p;
    const cara_inbox_message *m;
    const char *key;
    cara_report *report;
    cara_error *err;
    cara_store_claim *claim;
    json_t *reply_text; /* or NULL */
    double renewed;     /* when the claim was last renewed; cara_clock_monotonic() */
    int claim_lost;
    cara_record_state before; /* its state when we claimed it */
    char *record;             /* [record_len], as it was then */
    size_t record_len;
    cara_partial partial; /* what it holds of a transcript */
    int64_t frame;        /* all before it is transcribed now */
    cara_record_times times;
    double started;
    const char *media_id, *mime_type;
    cara_media_file file;
    char audio_file[CARA_KEY_SIZE]; /* "" while the audio is not in the store */
} job;

static void report_outcome(job *j, cara_outcome outcome) {
    j->report->outcome = outcome;
    j->report->stage = CARA_STAGE_NONE;
}

/* Reports *j->err. The record stays as it is. */
static void report_failure(job *j, cara_stage stage) {
    cara_failure failure = cara_failure_of(stage, j->err->code);
    j->report->outcome = failure.outcome;
    j->report->stage = failure.stage;
}

static int should_stop(const job *j) {
    return j->p->stop && j->p->stop(j->p->stop_cookie);
}

/* Completes the record with `result`, or with an error's name and sentence where that is NULL. */
static int write_record(job *j, const cara_result *result, const char *error_name,
                        const char *message) {
    cara_record record;
    cara_error err = {0};
    cara_buf json;
    cara_buf_init(&json, CARA_RECORD_MAX);
    cara_record_init(&record, j->m);
    cara_record_audio_file(&record, j->audio_file[0] ? j->audio_file : NULL);
    if (result) {
        cara_record_result(&record, result, j->p->transcriber->model_name(j->p->transcriber->ctx));
        cara_partial_join(&j->partial, j->frame, &record);
        if (j->p->reply && !result->cut_short)
            j->reply_text =
                json_incref(json_object_get(json_object_get(record.root, "transcription"), "text"));
    } else {
        cara_record_error(&record, error_name, message);
    }
    j->times.total = cara_clock_monotonic() - j->started;
    cara_record_times_set(&record, &j->times);
    int rc = cara_record_write(&record, &json, &err);
    if (!rc)
        rc = cara_store_claim_put(j->claim, json.data, json.len, &err);
    cara_record_free(&record);
    cara_buf_free(&json);
    if (rc) {
        *j->err = err;
        report_failure(j, CARA_STAGE_STORE);
    }
    return rc;
}

/* Reports *j->err, and writes it into the record, so that a reader sees why there is no transcript.
 * A partial transcript stays where a retry may succeed, and too little time is no error of the
 * audio. */
static void record_failure(job *j, cara_stage stage) {
    cara_failure failure = cara_failure_of(stage, j->err->code);
    int keep_record = failure.outcome == CARA_OUTCOME_RETRY &&
                      (j->before == CARA_RECORD_PARTIAL || failure.code == CARA_ERR_CANCELLED);
    const char *name = stage == CARA_STAGE_CHECK && failure.code == CARA_ERR_AUDIO_CORRUPT
                           ? CARA_RECORD_DIGEST
                           : cara_code_name(failure.code);
    cara_error why = *j->err;
    if (keep_record || write_record(j, NULL, name, why.text) == CARA_OK)
        report_failure(j, stage);
}

/* Reads the record that we claimed; 1 where nothing is left to do and the outcome is reported. */
static int is_complete(job *j) {
    int rc = cara_store_get(j->p->store, j->key, CARA_LIMIT_RECORD_BYTES, &j->record,
                            &j->record_len, j->err);
    if (!rc)
        rc = cara_record_read(j->record, j->record_len, &j->before, NULL, j->err);
    if (rc) {
        report_failure(j, CARA_STAGE_STORE);
        return 1;
    }
    if (j->before == CARA_RECORD_COMPLETE ||
        (j->before == CARA_RECORD_FAILED && !j->p->retry_failed)) {
        report_outcome(j, CARA_OUTCOME_ALREADY);
        return 1;
    }
    return 0;
}

/* The audio that an earlier attempt stored, in case its source no longer has it. NOT_FOUND: there
 * is none; other codes: not known. */
static int read_stored_audio(job *j, cara_error *err) {
    char ext[CARA_MEDIA_EXT], key[CARA_KEY_SIZE];
    cara_media_ext_of_mime(j->mime_type, ext);
    if (cara_key_media(j->key, j->media_id, ext, key))
        return CARA_ERR_NOT_FOUND;
    int rc =
        cara_store_get(j->p->store, key, CARA_LIMIT_MEDIA_BYTES, &j->file.bytes, &j->file.n, err);
    if (rc)
        return rc;
    memcpy(j->file.ext, ext, sizeof ext);
    memcpy(j->file.stored, key, sizeof key);
    return CARA_OK;
}

/* Gets the audio's bytes. 0, or -1 where the outcome is reported. */
static int fetch(job *j) {
    const json_t *audio = json_object_get(j->m->message, "audio");
    j->media_id = cara_json_text(audio, "id");
    j->mime_type = cara_json_text(audio, "mime_type");
    if (!cara_media_id_is_valid(j->media_id)) {
        (void)cara_fail(j->err, CARA_ERR_EVENT, -1,
                        "the message has no audio.id of 1 to %d letters and digits",
                        CARA_MEDIA_ID_MAX);
        record_failure(j, CARA_STAGE_MESSAGE);
        return -1;
    }
    cara_media_request request = {.media_id = j->media_id,
                                  .mime_type = j->mime_type,
                                  .phone_number_arn = j->m->phone_number_arn,
                                  .record_key = j->key};
    double started = cara_clock_monotonic();
    int rc = j->p->media->fetch(j->p->media->ctx, &request, &j->file, j->err);
    j->times.media = cara_clock_monotonic() - started;
    if (rc == CARA_ERR_NOT_FOUND) {
        cara_error err = {.code = CARA_OK, .position = -1};
        int kept = read_stored_audio(j, &err);
        /* STORE may mean NOT_FOUND: S3 denies a missing key to a role that may not list. */
        if (kept == CARA_ERR_MEMORY || kept == CARA_ERR_CANCELLED)
            *j->err = err;
        if (!kept || kept == CARA_ERR_MEMORY || kept == CARA_ERR_CANCELLED)
            rc = kept;
    }
    if (rc == CARA_OK)
        return 0;
    record_failure(j, CARA_STAGE_MEDIA);
    return -1;
}

/* 1 where the bytes are those that the sender's phone hashed, 0 where they are not; -1 where the
 * message has no SHA-256 that we can read, -2 where there is no memory to hash. */
static int verify(const job *j) {
    uint8_t expected[32], found[32];
    const char *text = cara_json_text(json_object_get(j->m->message, "audio"), "sha256");
    if (!text || cara_sha256_read(text, expected))
        return -1;
    if (cara_sha256(j->file.bytes, j->file.n, found))
        return -2;
    return memcmp(expected, found, sizeof found) == 0;
}

/* Puts the audio beside the record. 0, or -1 where the outcome is reported. */
static int store_audio(job *j, int verified) {
    char key[CARA_KEY_SIZE];
    if (j->file.stored[0]) {
        memcpy(j->audio_file, j->file.stored, sizeof key);
        return 0;
    }
    if (!j->file.ext[0])
        cara_media_ext_of_mime(j->mime_type, j->file.ext);
    if (cara_key_media(j->key, j->media_id, j->file.ext, key)) {
        (void)cara_fail(j->err, CARA_ERR_INTERNAL, -1, "no key for the audio");
        record_failure(j, CARA_STAGE_CHECK);
        return -1;
    }
    int rc = cara_store_put(j->p->store, key, j->file.bytes, j->file.n, 1, j->err);
    if (rc == CARA_ERR_CONFLICT) {
        /* An earlier attempt may have stored it. Only verified bytes replace other ones. */
        char *kept = NULL;
        size_t n = 0;
        rc = cara_store_get(j->p->store, key, CARA_LIMIT_MEDIA_BYTES, &kept, &n, j->err);
        if (rc == CARA_ERR_LIMIT) /* so it is other audio */
            rc = CARA_OK;
        int same = kept && n == j->file.n && (n == 0 || memcmp(kept, j->file.bytes, n) == 0);
        free(kept);
        if (!rc && !same && verified == 1)
            rc = cara_store_put(j->p->store, key, j->file.bytes, j->file.n, 0, j->err);
        else if (!rc && !same) {
            memcpy(j->audio_file, key, sizeof key);
            (void)cara_fail(j->err, CARA_ERR_CONFLICT, -1,
                            "the store holds other audio under %s, and nothing shows which is "
                            "right",
                            key);
            record_failure(j, CARA_STAGE_CHECK);
            return -1;
        }
    }
    if (rc) {
        record_failure(j, CARA_STAGE_STORE);
        return -1;
    }
    memcpy(j->audio_file, key, sizeof key);
    return 0;
}

/* Polled while the audio is transcribed; also renews the claim. */
static int renew_claim_or_stop(void *cookie) {
    job *j = cookie;
    double now = cara_clock_monotonic();
    if (now - j->renewed > RENEW_S) {
        j->renewed = now;
        /* A failure of the store may be temporary; a lost claim stays lost. */
        j->claim_lost |= cara_store_claim_renew(j->claim, NULL) == CARA_ERR_CONFLICT;
    }
    return j->claim_lost || should_stop(j);
}

static void report_lost_claim(job *j) {
    (void)cara_fail(j->err, CARA_ERR_CONFLICT, -1, "another process has taken over the audio");
    report_failure(j, CARA_STAGE_STORE);
}

/* Completes the record, or keeps the partial transcript in it. */
static void complete(job *j, const cara_result *result) {
    if (result->cut_short && j->frame <= j->partial.kept_frame) {
        /* The record already has as much. */
        (void)cara_fail(j->err, CARA_ERR_CANCELLED, -1,
                        "stopped before anything more was transcribed");
        record_failure(j, CARA_STAGE_TRANSCRIBE);
        return;
    }
    int rc = write_record(j, result, NULL, NULL);
    if (rc == CARA_ERR_LIMIT) {
        (void)cara_fail(j->err, CARA_ERR_AUDIO_LIMIT, -1,
                        "the record with this transcript is larger than the limit of %zu MiB",
                        CARA_LIMIT_RECORD_BYTES / CARA_MIB);
        record_failure(j, CARA_STAGE_TRANSCRIBE);
    }
    if (rc)
        return;
    double end_s = result->cut_short ? (double)j->frame / 100 : result->duration_s;
    j->report->audio_seconds = end_s - (double)j->partial.resume.frame / 100;
    j->report->times.transcription = result->timings;
    j->report->audio_gaps = result->audio_gaps;
    j->report->no_speech = result->no_speech;
    report_outcome(j, CARA_OUTCOME_DONE);
    if (result->cut_short) {
        (void)cara_fail(j->err, CARA_ERR_CANCELLED, -1,
                        "stopped in the middle; what was transcribed is kept");
        report_failure(j, CARA_STAGE_TRANSCRIBE);
    }
}

/* 1 where the partial transcript does not fit its audio or the model, which only a damaged record
 * causes: tokens or a language that the model does not have, or a time past the end. */
static int is_unusable(const cara_partial *partial, int rc, const cara_result *result) {
    int64_t frame = partial->resume.frame;
    if (frame <= 0)
        return 0;
    return rc == CARA_ERR_USAGE || (!rc && (double)frame > result->duration_s * 100);
}

static void transcribe_audio(job *j) {
    const cara_transcriber *t = j->p->transcriber;
    double started = cara_clock_monotonic();
    int rc = t->prepare(t->ctx, renew_claim_or_stop, j, j->err);
    j->times.model = cara_clock_monotonic() - started;
    if (j->claim_lost) {
        report_lost_claim(j);
        return;
    }
    if (rc) {
        record_failure(j, CARA_STAGE_MODEL);
        return;
    }
    if (j->before == CARA_RECORD_PARTIAL &&
        cara_partial_read(j->record, j->record_len, t->model_name(t->ctx), &j->partial, j->err)) {
        report_failure(j, CARA_STAGE_STORE);
        return;
    }
    cara_result *result = NULL;
    cara_resume resume = j->partial.resume;
    const cara_encoded_audio encoded = {j->file.bytes, j->file.n, j->file.ext};
    rc = t->transcribe(t->ctx, &encoded, renew_claim_or_stop, j, &resume, &result, j->err);
    if (!j->claim_lost && is_unusable(&j->partial, rc, result)) {
        if (result)
            t->release(t->ctx, result);
        cara_partial_free(&j->partial);
        resume = (cara_resume){.frame = 0};
        rc = t->transcribe(t->ctx, &encoded, renew_claim_or_stop, j, &resume, &result, j->err);
    }
    j->frame = resume.frame;
    if (j->claim_lost)
        report_lost_claim(j);
    else if (rc)
        record_failure(j, CARA_STAGE_TRANSCRIBE);
    else
        complete(j, result);
    if (result)
        t->release(t->ctx, result);
}

static void reply(const job *j) {
    cara_error err = {.code = CARA_OK, .position = -1};
    const char *text = json_string_value(j->reply_text);
    if (!text || !*text)
        return;
    int rc = j->p->reply(j->p->reply_ctx, j->m, j->key, text, &err);
    if (rc)
        cara_log_line(j->p->log, CARA_LOG_WARN, "%s: no reply: %s", j->key, err.text);
}

void cara_audio_message(const cara_pipeline *pipeline, const cara_inbox_message *message,
                        const char *key, cara_report *report, cara_error *err) {
    job j = {.p = pipeline,
             .m = message,
             .key = key,
             .report = report,
             .err = err,
             .times = {-1, -1, -1},
             .started = cara_clock_monotonic()};
    if (should_stop(&j)) {
        (void)cara_fail(err, CARA_ERR_CANCELLED, -1, "no time was left for the audio");
        report_failure(&j, CARA_STAGE_TRANSCRIBE);
        return;
    }
    if (cara_store_claim_take(pipeline->store, key, &j.claim, err)) {
        report_failure(&j, CARA_STAGE_STORE);
        return;
    }
    if (!is_complete(&j) && fetch(&j) == 0) {
        int verified = verify(&j);
        if (verified == -2) {
            (void)cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to hash the audio");
            record_failure(&j, CARA_STAGE_CHECK);
        } else if (store_audio(&j, verified) == 0) {
            if (verified == 0) {
                (void)cara_fail(err, CARA_ERR_AUDIO_CORRUPT, -1,
                                "the audio's SHA-256 is not the one in the message: it was changed "
                                "or cut on its way");
                record_failure(&j, CARA_STAGE_CHECK);
            } else {
                transcribe_audio(&j);
            }
        }
    }
    cara_store_claim_release(j.claim);
    if (report->outcome == CARA_OUTCOME_DONE)
        reply(&j);
    json_decref(j.reply_text);
    free(j.file.bytes);
    free(j.record);
    cara_partial_free(&j.partial);
    report->times.media = j.times.media > 0 ? j.times.media : 0;
    report->times.model = j.times.model > 0 ? j.times.model : 0;
    report->times.total = cara_clock_monotonic() - j.started;
}

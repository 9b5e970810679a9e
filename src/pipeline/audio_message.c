#include "pipeline/audio_message.h"

#include "base/clock.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "inbox/json.h"
#include "pipeline/partial.h"
#include "pipeline/record.h"

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
    json_t *heard;  /* the text to reply with, or NULL */
    double renewed; /* when we last saw to it that the claim goes on */
    int claim_lost;
    cara_record_state before; /* of the record when we claimed it */
    char *record;             /* [record_len], as it was then */
    size_t record_len;
    cara_partial partial; /* what it holds of a transcript */
    int64_t frame;        /* how far we have come now */
    cara_record_times times;
    double started;
    const char *media_id, *mime_type;
    cara_media_file file;
    char audio_file[CARA_KEY_SIZE]; /* "" while the audio is not in the store */
} job;

static int settle(job *j, cara_outcome outcome, cara_stage stage) {
    j->report->outcome = outcome;
    j->report->stage = stage;
    return CARA_OK;
}

static int stopping(const job *j) {
    return j->p->stop && j->p->stop(j->p->stop_cookie);
}

/* Completes the record with `result`, or with an error's name and sentence where that is NULL. */
static int write_record(job *j, const cara_result *result, const char *error_name,
                        const char *message) {
    cara_record record;
    cara_error err = {0};
    cara_buf json;
    cara_buf_init(&json, CARA_LIMIT_RECORD_BYTES);
    cara_record_init(&record, j->m);
    cara_record_audio_file(&record, j->audio_file[0] ? j->audio_file : NULL);
    if (result) {
        cara_record_result(&record, result, j->p->transcriber->model_name(j->p->transcriber->ctx));
        cara_partial_join(&j->partial, j->frame, &record);
        if (j->p->reply && !result->cut_short)
            j->heard =
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
        settle(j, CARA_OUTCOME_RETRY, CARA_STAGE_STORE);
    }
    return rc;
}

/* A retry will not cure it: the record says so, and the message is done with. */
static void fail(job *j, cara_stage stage, const char *error_name) {
    if (write_record(j, NULL, error_name, j->err->text) == CARA_OK)
        settle(j, CARA_OUTCOME_FAILED, stage);
}

/* A retry can cure it. The record tells a human why it still waits; a transcript in part, if there
 * is one from before, stays. */
static void wait_for_retry(job *j, cara_stage stage) {
    if (j->before != CARA_RECORD_PARTIAL && j->err->code != CARA_ERR_CANCELLED) {
        cara_error why = *j->err;
        if (write_record(j, NULL, cara_code_name(why.code), why.text))
            return;
    }
    settle(j, CARA_OUTCOME_RETRY, stage);
}

/* Reads the record that we claimed; 1 where there is nothing left to do. */
static int is_settled(job *j) {
    int rc = cara_store_get(j->p->store, j->key, CARA_LIMIT_RECORD_BYTES, &j->record,
                            &j->record_len, j->err);
    if (!rc)
        rc = cara_record_read(j->record, j->record_len, &j->before, NULL, j->err);
    if (rc)
        return settle(j, CARA_OUTCOME_RETRY, CARA_STAGE_STORE), 1;
    if (j->before == CARA_RECORD_COMPLETE || (j->before == CARA_RECORD_FAILED && !j->p->again))
        return settle(j, CARA_OUTCOME_ALREADY, CARA_STAGE_NONE), 1;
    return 0;
}

/* The audio as an earlier try kept it, for when its source has forgotten it meanwhile.
 * NOT_FOUND where there is none; other codes leave that open. */
static int fetch_kept(job *j, cara_error *err) {
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

/* Gets the audio's bytes. 0, or -1 where the message is settled. */
static int fetch(job *j) {
    const json_t *audio = json_object_get(j->m->message, "audio");
    j->media_id = cara_json_text(audio, "id");
    j->mime_type = cara_json_text(audio, "mime_type");
    if (!cara_media_id_is_valid(j->media_id)) {
        (void)cara_fail(j->err, CARA_ERR_EVENT, -1,
                        "the message has no audio.id of 1 to %d letters and digits",
                        CARA_MEDIA_ID_MAX);
        fail(j, CARA_STAGE_INBOX, cara_code_name(CARA_ERR_EVENT));
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
        int kept = fetch_kept(j, &err);
        /* STORE says too little: S3 denies a missing key to a role that may not list. */
        if (kept == CARA_ERR_MEMORY || kept == CARA_ERR_CANCELLED)
            *j->err = err;
        if (!kept || kept == CARA_ERR_MEMORY || kept == CARA_ERR_CANCELLED)
            rc = kept;
    }
    if (rc == CARA_OK)
        return 0;
    if (cara_media_may_come(rc))
        wait_for_retry(j, CARA_STAGE_MEDIA);
    else
        fail(j, CARA_STAGE_MEDIA, cara_code_name(j->err->code));
    return -1;
}

/* The bytes are those that the sender's phone hashed: 1; they are not: 0; nobody can say (the
 * message has no SHA-256 that we can read): -1; there is no memory to hash them: -2. */
static int verify(const job *j) {
    uint8_t expected[32], found[32];
    const char *text = cara_json_text(json_object_get(j->m->message, "audio"), "sha256");
    if (!text || cara_sha256_read(text, expected))
        return -1;
    if (cara_sha256(j->file.bytes, j->file.n, found))
        return -2;
    return memcmp(expected, found, sizeof found) == 0;
}

/* Puts the audio beside the record. 0, or -1 where the message is settled. */
static int keep_audio(job *j, int verified) {
    char key[CARA_KEY_SIZE];
    if (j->file.stored[0]) {
        memcpy(j->audio_file, j->file.stored, sizeof key);
        return 0;
    }
    if (!j->file.ext[0])
        cara_media_ext_of_mime(j->mime_type, j->file.ext);
    if (cara_key_media(j->key, j->media_id, j->file.ext, key)) {
        (void)cara_fail(j->err, CARA_ERR_INTERNAL, -1, "no key for the audio");
        fail(j, CARA_STAGE_STORE, cara_code_name(CARA_ERR_INTERNAL));
        return -1;
    }
    int rc = cara_store_put(j->p->store, key, j->file.bytes, j->file.n, 1, j->err);
    if (rc == CARA_ERR_CONFLICT) {
        /* An earlier try kept it, or tried to. Other bytes give way only to verified ones. */
        char *kept = NULL;
        size_t n = 0;
        rc = cara_store_get(j->p->store, key, CARA_LIMIT_MEDIA_BYTES, &kept, &n, j->err);
        int same = !rc && n == j->file.n && (n == 0 || memcmp(kept, j->file.bytes, n) == 0);
        free(kept);
        if (!rc && !same && verified == 1)
            rc = cara_store_put(j->p->store, key, j->file.bytes, j->file.n, 0, j->err);
        else if (!rc && !same) {
            memcpy(j->audio_file, key, sizeof key);
            (void)cara_fail(j->err, CARA_ERR_CONFLICT, -1,
                            "the store holds other audio under %s, and nothing tells which is "
                            "right",
                            key);
            fail(j, CARA_STAGE_MEDIA, cara_code_name(CARA_ERR_CONFLICT));
            return -1;
        }
    }
    if (rc) {
        wait_for_retry(j, CARA_STAGE_STORE);
        return -1;
    }
    memcpy(j->audio_file, key, sizeof key);
    return 0;
}

/* Polled while listening: also the time to say that we are still at it. */
static int stop_listening(void *cookie) {
    job *j = cookie;
    double now = cara_clock_monotonic();
    if (now - j->renewed > RENEW_S) {
        j->renewed = now;
        /* Trouble with the store may pass until the next time; a lost claim does not. */
        j->claim_lost |= cara_store_claim_renew(j->claim, NULL) == CARA_ERR_CONFLICT;
    }
    return j->claim_lost || stopping(j);
}

/* 1 where the claim is another's, which ends the work. */
static int lost_claim(job *j, cara_result *result) {
    if (!j->claim_lost)
        return 0;
    if (result)
        j->p->transcriber->release(j->p->transcriber->ctx, result);
    (void)cara_fail(j->err, CARA_ERR_CONFLICT, -1,
                    "another process has taken over the audio meanwhile");
    return settle(j, CARA_OUTCOME_RETRY, CARA_STAGE_STORE), 1;
}

static void listen(job *j) {
    const cara_transcriber *t = j->p->transcriber;
    double started = cara_clock_monotonic();
    int rc = t->prepare(t->ctx, stop_listening, j, j->err);
    j->times.model = cara_clock_monotonic() - started;
    if (lost_claim(j, NULL))
        return;
    if (rc) {
        wait_for_retry(j, CARA_STAGE_MODEL);
        return;
    }
    if (j->before == CARA_RECORD_PARTIAL &&
        cara_partial_read(j->record, j->record_len, t->model_name(t->ctx), &j->partial, j->err)) {
        settle(j, CARA_OUTCOME_RETRY, CARA_STAGE_STORE);
        return;
    }
    cara_result *result = NULL;
    cara_resume resume = j->partial.resume;
    rc = t->transcribe(t->ctx, j->file.bytes, j->file.n, stop_listening, j, &resume, &result,
                       j->err);
    j->frame = resume.frame;
    if (lost_claim(j, result))
        return;
    if (rc == CARA_ERR_MEMORY || rc == CARA_ERR_CANCELLED) {
        wait_for_retry(j, CARA_STAGE_AUDIO);
    } else if (cara_transcriber_is_model(rc)) {
        wait_for_retry(j, CARA_STAGE_MODEL);
    } else if (rc) {
        fail(j, CARA_STAGE_AUDIO, cara_code_name(j->err->code));
    } else if (result->cut_short && resume.frame <= j->partial.kept_frame) {
        /* No further than the record is already. */
        (void)cara_fail(j->err, CARA_ERR_CANCELLED, -1, "stopped before anything more was heard");
        wait_for_retry(j, CARA_STAGE_AUDIO);
    } else if (write_record(j, result, NULL, NULL) == CARA_OK) {
        j->report->audio_seconds =
            (result->cut_short ? (double)resume.frame / 100 : result->duration_s) -
            (double)j->partial.resume.frame / 100;
        j->report->times.heard = result->timings;
        j->report->no_speech = result->no_speech;
        settle(j, CARA_OUTCOME_DONE, CARA_STAGE_NONE);
        if (result->cut_short) {
            (void)cara_fail(j->err, CARA_ERR_CANCELLED, -1,
                            "stopped in the middle; what was heard is kept");
            settle(j, CARA_OUTCOME_RETRY, CARA_STAGE_AUDIO);
        }
    }
    if (result)
        t->release(t->ctx, result);
}

static void reply(const job *j) {
    cara_error err = {.code = CARA_OK, .position = -1};
    const char *text = json_string_value(j->heard);
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
    settle(&j, CARA_OUTCOME_RETRY, CARA_STAGE_STORE);
    if (stopping(&j)) {
        (void)cara_fail(err, CARA_ERR_CANCELLED, -1, "no time was left for the audio");
        settle(&j, CARA_OUTCOME_RETRY, CARA_STAGE_AUDIO);
        return;
    }
    if (cara_store_claim_take(pipeline->store, key, &j.claim, err))
        return;
    if (!is_settled(&j) && fetch(&j) == 0) {
        int verified = verify(&j);
        if (verified == -2) {
            (void)cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to hash the audio");
            wait_for_retry(&j, CARA_STAGE_MEDIA);
        } else if (keep_audio(&j, verified) == 0) {
            if (verified == 0) {
                (void)cara_fail(err, CARA_ERR_AUDIO_CORRUPT, -1,
                                "the audio's SHA-256 is not the one in the message: it was changed "
                                "or cut on its way");
                fail(&j, CARA_STAGE_MEDIA, CARA_RECORD_DIGEST);
            } else {
                listen(&j);
            }
        }
    }
    cara_store_claim_release(j.claim);
    if (report->outcome == CARA_OUTCOME_DONE)
        reply(&j);
    json_decref(j.heard);
    free(j.file.bytes);
    free(j.record);
    cara_partial_free(&j.partial);
    report->times.media = j.times.media > 0 ? j.times.media : 0;
    report->times.model = j.times.model > 0 ? j.times.model : 0;
    report->times.total = cara_clock_monotonic() - j.started;
}

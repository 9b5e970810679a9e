#include "pipeline/record/record.h"

#include "base/clock.h"
#include "base/failure.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "crypto/encoding.h"
#include "transcript/result_json.h"
#include "json/json.h"

#include <caracola/version.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Takes over `value`; NULL is "no memory". */
static void set(cara_record *record, json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value))
        record->failed = 1;
}

static void set_text(cara_record *record, json_t *object, const char *key, const char *s) {
    set(record, object, key, cara_json_string(s, strlen(s)));
}

static void set_known(cara_record *record, json_t *object, const char *key, const char *s) {
    if (s)
        set_text(record, object, key, s);
}

/* Times to the millisecond. */
static void set_time(cara_record *record, json_t *object, const char *key, double seconds) {
    if (isfinite(seconds) && seconds >= 0)
        set(record, object, key, json_real(round(seconds * 1000) / 1000));
}

void cara_record_init(cara_record *record, const cara_inbox_message *m) {
    static const char *const ours[] = {"audio_file", "transcription", "caracola"};
    *record = (cara_record){.root = json_copy((json_t *)(uintptr_t)m->message)};
    /* Where there is no memory, jansson's copy is incomplete, and reports nothing. */
    if (json_object_size(record->root) != json_object_size(m->message))
        record->failed = 1;
    json_t *received = NULL;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        json_t *value = json_object_get(record->root, ours[i]);
        if (!value)
            continue;
        if (!received)
            received = json_object();
        if (json_object_set(received, ours[i], value))
            record->failed = 1;
        json_object_del(record->root, ours[i]);
    }
    json_t *about = json_object();
    set_known(record, about, "profile_name", m->profile_name);
    set_known(record, about, "group_id", m->group_id);
    set_known(record, about, "phone_number_id", m->phone_number_id);
    set_known(record, about, "display_phone_number", m->display_phone_number);
    set_known(record, about, "phone_number_arn", m->phone_number_arn);
    set_known(record, about, "waba_id", m->waba_id);
    set_known(record, about, "waba_arn", m->waba_arn);
    set_text(record, about, "version", CARA_VERSION);
    if (received)
        set(record, about, "received", received);
    record->about = about;
    /* Kept apart until the record is written, so that our parts come last in one order. */
    if (!about || !record->root)
        record->failed = 1;
}

void cara_record_audio_file(cara_record *record, const char *key) {
    if (key)
        set_text(record, record->root, "audio_file", key);
    else
        set(record, record->root, "audio_file", json_null());
}

void cara_record_error(cara_record *record, const char *name, const char *message) {
    json_t *transcription = json_object();
    set(record, transcription, "ok", json_false());
    set_text(record, transcription, "error", name);
    set_text(record, transcription, "message", message);
    set(record, record->root, "transcription", transcription);
}

void cara_record_result(cara_record *record, const cara_result *result, const char *model) {
    json_t *transcription = json_object(), *segments = json_array();
    for (size_t i = 0; i < result->n_segments && !record->failed; i++)
        if (json_array_append_new(segments, cara_segment_json(&result->segments[i])))
            record->failed = 1;
    set(record, transcription, "ok", json_true());
    set_text(record, transcription, "text", result->no_speech || !result->text ? "" : result->text);
    if (result->language)
        set_text(record, transcription, "language", result->language);
    else
        set(record, transcription, "language", json_null());
    set(record, transcription, "segments", segments);
    set(record, transcription, "no_speech", json_boolean(result->no_speech));
    if (result->cut_short)
        set(record, transcription, "cut_short", json_true());
    set(record, record->root, "transcription", transcription);
    set_known(record, record->about, "model", model);
    set_time(record, record->about, "audio_seconds", result->duration_s);
    set(record, record->about, "audio_gaps", cara_gaps_json(&result->audio_gaps));
    json_t *times = json_object();
    set_time(record, times, "audio_s", result->timings.audio_s);
    set_time(record, times, "mel_s", result->timings.mel_s);
    set_time(record, times, "encode_s", result->timings.encode_s);
    set_time(record, times, "decode_s", result->timings.decode_s);
    set_time(record, times, "transcribe_s", result->timings.total_s);
    set(record, record->about, "times", times);
}

void cara_record_times_set(cara_record *record, const cara_record_times *t) {
    json_t *times = json_object_get(record->about, "times");
    if (!times) {
        times = json_object();
        set(record, record->about, "times", times);
        times = json_object_get(record->about, "times");
    }
    set_time(record, times, "media_s", t->media);
    set_time(record, times, "model_s", t->model);
    set_time(record, times, "total_s", t->total);
}

/* "2025-10-15T01:10:13Z" */
static void set_current_time(cara_record *record, json_t *object, const char *key) {
    char now[32] = "";
    time_t seconds = (time_t)(cara_clock_wall_ms() / 1000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) && strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm))
        set_text(record, object, key, now);
}

int cara_record_write(cara_record *record, cara_buf *out, cara_error *err) {
    set_current_time(record, record->about, "handled_at");
    if (json_object_set(record->root, "caracola", record->about))
        record->failed = 1;
    if (!record->failed && cara_json_write(record->root, CARA_JSON_INDENTED, out) == 0 &&
        cara_buf_char(out, '\n') == 0)
        return CARA_OK;
    if (out->full)
        return cara_fail(err, CARA_ERR_LIMIT, -1,
                         "the record is larger than the limit of %zu bytes", out->limit);
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to write the record");
}

void cara_record_free(cara_record *record) {
    json_decref(record->about);
    json_decref(record->root);
    *record = (cara_record){0};
}

int cara_record_parse(const char *bytes, size_t n, json_t **root, cara_error *err) {
    /* What cannot be read is overwritten, so all that jansson can read is read. As many values as
     * the bytes allow: a day of speech has more than a text from outside may. */
    static const cara_json_rules rules = {.code = CARA_ERR_EVENT,
                                          .max_bytes = CARA_LIMIT_RECORD_BYTES,
                                          .max_values = CARA_LIMIT_RECORD_BYTES,
                                          .max_depth = 2048, /* jansson's own limit */
                                          .repeated_names = 1};
    cara_error failure;
    int rc = cara_json_read(bytes, n, &rules, root, &failure);
    if (rc == CARA_ERR_MEMORY && err)
        *err = failure;
    return rc == CARA_ERR_MEMORY ? rc : CARA_OK;
}

int cara_record_read(const char *bytes, size_t n, cara_record_state *state, char **id,
                     cara_error *err) {
    if (id)
        *id = NULL;
    *state = CARA_RECORD_DAMAGED;
    json_t *root;
    int rc = cara_record_parse(bytes, n, &root, err);
    if (!root)
        return rc;
    const json_t *transcription = json_object_get(root, "transcription");
    if (json_is_object(root) && json_object_get(root, "caracola")) {
        if (!transcription)
            *state = CARA_RECORD_COMPLETE;
        else if (json_is_true(json_object_get(transcription, "ok")))
            *state = json_is_true(json_object_get(transcription, "cut_short"))
                         ? CARA_RECORD_PARTIAL
                         : CARA_RECORD_COMPLETE;
        else
            *state = cara_failure_is_final(cara_json_text(transcription, "error"))
                         ? CARA_RECORD_FAILED
                         : CARA_RECORD_PENDING;
        const char *found = cara_json_text(root, "id");
        if (id && found && !(*id = strdup(found)))
            rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read a record");
    }
    json_decref(root);
    return rc;
}

static json_t *base64(const void *bytes, size_t n) {
    char *out = malloc(CARA_BASE64_SIZE(n));
    if (!out)
        return NULL;
    cara_base64_encode(bytes, n, out);
    json_t *value = json_string(out);
    free(out);
    return value;
}

/* In JSON a control byte takes six bytes, so what is full of them would be too large as text. */
static int is_text(const unsigned char *bytes, size_t n) {
    size_t controls = 0;
    for (size_t i = 0; i < n; i++)
        controls += bytes[i] < ' ' && bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != '\t';
    return controls <= n / 4 && cara_utf8_valid(bytes, n);
}

int cara_record_quarantine(const void *bytes, size_t n, int cut_short, const char *reason,
                           cara_buf *out, cara_error *err) {
    cara_record record = {.root = json_object(), .about = json_object()};
    set_text(&record, record.root, "reason", reason);
    if (is_text(bytes, n))
        set(&record, record.root, "received", json_stringn(bytes, n));
    else
        set(&record, record.root, "received_base64", base64(bytes, n));
    if (cut_short)
        set(&record, record.root, "cut_short", json_true());
    set_text(&record, record.about, "version", CARA_VERSION);
    int rc = cara_record_write(&record, out, err);
    cara_record_free(&record);
    return rc;
}

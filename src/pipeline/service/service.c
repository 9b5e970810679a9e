#include "pipeline/service/service.h"

#include "aws/client/client.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* Time after the last word: for one write of the record, with retries, and for the answer. */
#define KEEP_SHARE 0.1
#define KEEP_MIN_S 1.0
#define KEEP_MAX_S 10.0
#define ANSWER_S 0.25
#define LATE_S 0.01      /* with no more time than that, no audio is begun */
#define LAST_CALLS_S 8.0 /* containers are killed 10 s after SIGTERM, or later */

/* WhatsApp's types; a sender must not be able to name a metric. */
static const char *const types[] = {"text",    "audio",    "image",       "video",       "document",
                                    "sticker", "location", "contacts",    "button",      "reaction",
                                    "order",   "system",   "interactive", "unsupported", "other"};
enum { N_TYPES = sizeof types / sizeof *types, N_OUTCOMES = CARA_OUTCOME_QUARANTINED + 1 };

typedef struct event {
    cara_service *service;
    cara_handled *out;
    unsigned counts[N_TYPES][N_OUTCOMES];
    double audio_seconds;
    cara_report_times times; /* summed over the event */
} event;

static size_t type_index(const char *type) {
    size_t i = 0;
    while (i < N_TYPES - 1 && strcmp(type, types[i]) != 0)
        i++;
    return i;
}

static int out_of_time(const cara_service *s) {
    return s->stop_at > 0 && cara_clock_monotonic() >= s->stop_at;
}

static int should_stop(void *cookie) {
    const cara_service *s = cookie;
    return out_of_time(s) || (s->interrupted && s->interrupted(s->interrupted_ctx));
}

/* After SIGTERM the transcript still has to be written, but the process is killed soon. */
static int should_cancel_calls(void *cookie) {
    cara_service *s = cookie;
    if (!s->interrupted || !s->interrupted(s->interrupted_ctx))
        return 0;
    double now = cara_clock_monotonic();
    if (s->interrupted_at <= 0)
        s->interrupted_at = now;
    return now - s->interrupted_at > LAST_CALLS_S;
}

const char *cara_service_error_type(cara_stage stage, cara_code code) {
    static const char *const names[CARA_FAILURE_TYPES] = {
        [CARA_FAILURE_OUT_OF_TIME] = "Runtime.OutOfTime",
        [CARA_FAILURE_OUT_OF_MEMORY] = "Runtime.OutOfMemory",
        [CARA_FAILURE_EVENT] = "Event.Failed",
        [CARA_FAILURE_STORE_BUSY] = "Store.Busy",
        [CARA_FAILURE_STORE_UNAVAILABLE] = "Store.Unavailable",
        [CARA_FAILURE_MEDIA_UNAVAILABLE] = "Media.Unavailable",
        [CARA_FAILURE_MODEL_UNAVAILABLE] = "Model.Unavailable",
        [CARA_FAILURE_MODEL_UNUSABLE] = "Model.Unusable",
        [CARA_FAILURE_AUDIO] = "Audio.Failed",
    };
    return names[cara_failure_of(stage, code).type];
}

static void on_report(void *cookie, const cara_report *r) {
    event *e = cookie;
    cara_handled *out = e->out;
    e->counts[type_index(r->type)][r->outcome]++;
    e->audio_seconds += r->audio_seconds;
    e->times.media += r->times.media;
    e->times.model += r->times.model;
    e->times.total += r->times.total;
    e->times.transcription.audio_s += r->times.transcription.audio_s;
    e->times.transcription.mel_s += r->times.transcription.mel_s;
    e->times.transcription.encode_s += r->times.transcription.encode_s;
    e->times.transcription.decode_s += r->times.transcription.decode_s;
    if (r->outcome == CARA_OUTCOME_RETRY) {
        if (out->n_retry++ == 0) {
            out->stage = r->stage;
            out->error = *r->error;
            cara_key_hide(out->error.text);
        }
        if (!r->record_id || json_object_set_new(out->failed, r->record_id, json_true()))
            out->unnamed = 1;
    }
    cara_service_log *log = e->service->log;
    if (log->log.level <= CARA_LOG_DEBUG)
        cara_log_line(&log->log, CARA_LOG_DEBUG, "%s %s %s", r->key, r->type,
                      cara_outcome_name(r->outcome));
}

static void metric(json_t *metrics, json_t *units, const char *name, const char *unit,
                   double value) {
    json_object_set_new(metrics, name, json_real(value));
    json_object_set_new(units, name, json_string(unit));
}

/* One line for the event as a whole and one for each kind of message and outcome in it. */
static void write_metrics(const event *e, int cold) {
    const cara_service *s = e->service;
    static const char *const unit = "Seconds";
    json_t *m = json_object(), *u = json_object();
    metric(m, u, "ColdStart", "Count", cold);
    if (e->times.total > 0) {
        metric(m, u, "AudioSeconds", unit, e->audio_seconds);
        metric(m, u, "MediaSeconds", unit, e->times.media);
        metric(m, u, "ModelSeconds", unit, e->times.model);
        metric(m, u, "AudioDecodeSeconds", unit, e->times.transcription.audio_s);
        metric(m, u, "MelSeconds", unit, e->times.transcription.mel_s);
        metric(m, u, "EncodeSeconds", unit, e->times.transcription.encode_s);
        metric(m, u, "DecodeSeconds", unit, e->times.transcription.decode_s);
        metric(m, u, "TotalSeconds", unit, e->times.total);
    }
    cara_service_log_metrics(s->log, m, u, json_pack("{s:s}", "Function", s->function));
    for (size_t t = 0; t < N_TYPES; t++)
        for (size_t o = 0; o < N_OUTCOMES; o++)
            if (e->counts[t][o])
                cara_service_log_metrics(
                    s->log, json_pack("{s:i}", "Messages", (int)e->counts[t][o]),
                    json_pack("{s:s}", "Messages", "Count"),
                    json_pack("{s:s, s:s, s:s}", "Function", s->function, "Type", types[t],
                              "Outcome", cara_outcome_name((cara_outcome)o)));
}

static void log_summary(const event *e, double seconds, int cold) {
    const cara_summary *s = &e->out->summary;
    json_t *fields = json_object();
    json_object_set_new(fields, "messages", json_integer((json_int_t)s->n_messages));
    for (int o = 0; o < N_OUTCOMES; o++)
        if (s->by_outcome[o])
            json_object_set_new(fields, cara_outcome_name((cara_outcome)o),
                                json_integer((json_int_t)s->by_outcome[o]));
    if (s->n_statuses)
        json_object_set_new(fields, "statuses", json_integer((json_int_t)s->n_statuses));
    if (s->n_errors)
        json_object_set_new(fields, "whatsappErrors", json_integer((json_int_t)s->n_errors));
    if (s->n_confirmations)
        json_object_set_new(fields, "confirmations", json_integer((json_int_t)s->n_confirmations));
    if (e->audio_seconds > 0)
        json_object_set_new(fields, "audioSeconds", json_real(e->audio_seconds));
    json_object_set_new(fields, "seconds", json_real(seconds));
    json_object_set_new(fields, "coldStart", json_boolean(cold));
    cara_service_log_fields(e->service->log, CARA_LOG_INFO, "event handled", fields);
}

double cara_service_reserved_s(double left_s) {
    if (left_s <= LATE_S)
        return left_s;
    double keep = left_s * KEEP_SHARE;
    keep = keep < KEEP_MIN_S ? KEEP_MIN_S : keep > KEEP_MAX_S ? KEEP_MAX_S : keep;
    return keep > left_s / 4 ? left_s / 4 : keep;
}

int cara_service_handle(cara_service *s, const char *bytes, size_t n, double left_s,
                        cara_handled *out, cara_error *err) {
    event e = {.service = s, .out = out};
    *out = (cara_handled){.failed = json_object()};
    if (!out->failed)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for an event");
    double started = cara_clock_monotonic();
    s->stop_at = left_s > 0 ? started + left_s - cara_service_reserved_s(left_s) : 0;
    s->pipeline.stop = should_stop;
    s->pipeline.stop_cookie = s;
    s->pipeline.log = &s->log->log;
    if (s->aws) {
        cara_aws_set_deadline(s->aws, left_s > 0 ? started + left_s - ANSWER_S : 0);
        cara_aws_set_stop(s->aws, should_cancel_calls, s);
    }
    int rc = cara_pipeline_handle(&s->pipeline, bytes, n, on_report, &e, &out->summary, err);
    int cold = !s->warm;
    s->warm = 1;
    if (rc) {
        cara_handled_free(out);
        return rc;
    }
    log_summary(&e, cara_clock_monotonic() - started, cold);
    if (s->function)
        write_metrics(&e, cold);
    return CARA_OK;
}

void cara_handled_free(cara_handled *handled) {
    json_decref(handled->failed);
    handled->failed = NULL;
}

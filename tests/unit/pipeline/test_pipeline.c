#include "fixture.h"

#include "base/memory/buf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SENDER "2025-10-15/525550100150-"
#define TEXT1 SENDER "01-10-12-u5zQ3HfPHZ0.json"
#define VOICE SENDER "01-10-12-v0_7DB1kZmz.json"
#define IMAGE SENDER "01-10-12-4phsOAvc0Tk.json"
#define VOICE_MEDIA "2025-10-15/1908647269898587.ogg"
#define MP3_MEDIA "2025-10-15/1908647269898588.mpeg"

/* What tests/data/events/manifest.json says of each, with the keys as Python computes them. The
 * media folder holds the two audios, four bytes each, whose SHA-256 the events bear. */
static const struct expected {
    const char *event;
    const char *keys[11];
    size_t quarantined, statuses, transcribed;
    const char *media; /* kept beside the record, or NULL */
} events[] = {
    {"01-text", {TEXT1}, 0, 0, 0, NULL},
    {"02-voice-note", {VOICE}, 0, 0, 1, VOICE_MEDIA},
    {"03-audio-file-mp3", {SENDER "01-10-12-7WkoSaGyQ4n.json"}, 0, 0, 1, MP3_MEDIA},
    {"04-image-caption", {IMAGE}, 0, 0, 0, NULL},
    {"05-statuses-only", {NULL}, 0, 4, 0, NULL},
    {"06-batch-multi-message",
     {TEXT1, VOICE, IMAGE, SENDER "01-11-40-zmWV1szwFlc.json", SENDER "23-59-00-MQJbGehtvBh.json"},
     0,
     0,
     1,
     VOICE_MEDIA},
    {"07-duplicate-delivery", {TEXT1}, 0, 0, 0, NULL},
    {"09-other-types",
     {SENDER "01-10-12-YpTIqzvz4sY.json", SENDER "01-10-12-FJpJE8sZhUo.json",
      SENDER "01-10-12-rJXJRrklj05.json", SENDER "01-10-12-azu-Md3qa-I.json",
      SENDER "01-10-12-Vbu6slXHba7.json", SENDER "01-10-12-R3czo-2YwLh.json",
      SENDER "01-10-12-e8is2gImUE6.json", SENDER "01-10-12-0YgCvYOVh6v.json",
      SENDER "01-10-12-ELdAjlB8SSP.json", SENDER "01-10-12-uTwUdJ58ZWv.json"},
     0,
     0,
     0,
     NULL},
    {"10-unsupported-with-errors", {SENDER "01-10-12-QBd5KoyiUhK.json"}, 0, 0, 0, NULL},
    {"11-template-status-field", {NULL}, 0, 0, 0, NULL},
    {"20-bad-no-phone-id", {TEXT1}, 0, 0, 0, NULL},
    {"21-bad-one-of-three", {TEXT1, SENDER "01-13-20-VyOi7Fq1lh3.json"}, 1, 0, 0, NULL},
    {"22-bad-message-not-json", {NULL}, 1, 0, 0, NULL},
    {"23-bad-entry-not-json", {NULL}, 1, 0, 0, NULL},
    {"26-not-sns", {NULL}, 1, 0, 0, NULL},
    {"30-sqs-envelope", {TEXT1}, 0, 0, 0, NULL},
    {"31-sqs-raw", {TEXT1}, 0, 0, 0, NULL},
    {"40-https-notification-v1", {TEXT1}, 0, 0, 0, NULL},
    {"41-https-notification-v2-subject", {TEXT1}, 0, 0, 0, NULL},
    {"42-https-tampered", {TEXT1}, 0, 0, 0, NULL},
    {"44-https-subscription-confirmation", {NULL}, 0, 0, 0, NULL},
};

static void put_audios(fixture *f) {
    fixture_media(f, "1908647269898587.ogg", "OggS", 4);
    fixture_media(f, "1908647269898588.mpeg", "OggS", 4);
}

/* Each event in a store of its own, handled twice: the second time changes and costs nothing. */
static void events_have_the_outcome_of_the_manifest(void **state) {
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        const struct expected *e = &events[i];
        void *own = NULL;
        print_message("%s\n", e->event);
        assert_int_equal(fixture_setup(&own), 0);
        fixture *f = own;
        put_audios(f);
        for (int round = 0; round < 2; round++) {
            fixture_event(f, e->event);
            size_t n = 0;
            for (; n < sizeof e->keys / sizeof *e->keys && e->keys[n]; n++)
                assert_true(fixture_has(f, e->keys[n]));
            assert_int_equal(fixture_count(f, 'r'), n);
            assert_int_equal(fixture_count(f, 'q'), e->quarantined);
            assert_int_equal(fixture_count(f, 'm'), e->media != NULL);
            assert_int_equal(fixture_count(f, 't'), 0);
            assert_int_equal(f->n_transcribed, e->transcribed);
            assert_int_equal(f->n_fetched, e->transcribed);
            assert_int_equal(f->n_prepared, e->transcribed);
            assert_int_equal(f->summary.n_statuses, e->statuses);
            assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_QUARANTINED], e->quarantined);
            assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_FAILED], 0);
            assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_RETRY], 0);
            size_t twice = strstr(e->event, "duplicate") != NULL;
            assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_DONE], round ? 0 : n);
            assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_ALREADY],
                             round ? n + twice : twice);
            assert_int_equal(f->summary.unreadable, e->quarantined && !n);
        }
        if (e->media)
            assert_true(fixture_has(f, e->media));
        assert_int_equal(fixture_teardown(&own), 0);
    }
}

/* All of them into one store, in order and then backwards: one record per message id. */
static void all_events_in_one_store(void **state) {
    fixture *f = *state;
    put_audios(f);
    size_t n = sizeof events / sizeof *events;
    for (size_t i = 0; i < n; i++)
        fixture_event(f, events[i].event);
    /* 5 of the batch (01, 02 and 04 among them), 03, 10 others, 10-unsupported, the third of 21 */
    assert_int_equal(fixture_count(f, 'r'), 18);
    assert_int_equal(fixture_count(f, 'q'), 4);
    assert_int_equal(fixture_count(f, 0), 24);
    assert_int_equal(f->n_transcribed, 2);
    for (size_t i = n; i-- > 0;)
        fixture_event(f, events[i].event);
    assert_int_equal(fixture_count(f, 0), 24);
    assert_int_equal(f->n_transcribed, 2);
}

static void records_hold_the_message_and_the_transcript(void **state) {
    fixture *f = *state;
    put_audios(f);
    fixture_event(f, "01-text");
    json_t *r = fixture_record(f, TEXT1);
    assert_string_equal(
        fixture_at(r, "text.body"),
        "Hay una panga pescando en la zona de refugio \360\237\220\237 \342\200\224 "
        "\"\303\261and\303\272\"\nsegunda l\303\255nea");
    assert_string_equal(fixture_at(r, "from"), "525550100150");
    assert_string_equal(fixture_at(r, "timestamp"), "1760490612");
    assert_string_equal(fixture_at(r, "caracola.profile_name"), "Luc\303\255a Prueba");
    assert_string_equal(fixture_at(r, "caracola.phone_number_id"), "106540352242922");
    assert_null(json_object_get(r, "transcription"));
    assert_null(json_object_get(r, "audio_file"));
    json_decref(r);

    fixture_event(f, "02-voice-note");
    r = fixture_record(f, VOICE);
    assert_string_equal(fixture_at(r, "audio_file"), VOICE_MEDIA);
    assert_string_equal(fixture_at(r, "transcription.text"), " hay una panga");
    assert_string_equal(fixture_at(r, "transcription.language"), "es");
    json_t *t = json_object_get(r, "transcription");
    assert_true(json_is_true(json_object_get(t, "ok")));
    assert_true(json_is_false(json_object_get(t, "no_speech")));
    assert_null(json_object_get(t, "cut_short"));
    json_t *segment = json_array_get(json_object_get(t, "segments"), 0);
    assert_int_equal(json_object_size(segment), 10);
    assert_true(json_is_null(json_object_get(segment, "compression_ratio")));
    assert_string_equal(fixture_at(r, "caracola.model"), "fake");
    assert_true(json_real_value(json_object_get(json_object_get(r, "caracola"), "audio_seconds")) ==
                2.5);
    json_decref(r);

    fixture_event(f, "03-audio-file-mp3"); /* its url opens the file to anyone for minutes */
    r = fixture_record(f, SENDER "01-10-12-7WkoSaGyQ4n.json");
    assert_null(fixture_at(r, "audio.url"));
    assert_string_equal(fixture_at(r, "audio.id"), "1908647269898588");
    assert_string_equal(fixture_at(r, "audio_file"), MP3_MEDIA);
    json_decref(r);

    fixture_event(f, "20-bad-no-phone-id");
    fixture_event(f, "09-other-types");
    r = fixture_record(f, SENDER "01-10-12-azu-Md3qa-I.json");
    assert_string_equal(fixture_at(r, "document.filename"), "../../etc/passwd.pdf");
    json_decref(r);
    r = fixture_record(f, SENDER "01-10-12-YpTIqzvz4sY.json");
    assert_true(json_real_value(json_object_get(json_object_get(r, "location"), "latitude")) ==
                27.12);
    json_decref(r);
    fixture_event(f, "10-unsupported-with-errors");
    r = fixture_record(f, SENDER "01-10-12-QBd5KoyiUhK.json");
    assert_string_equal(fixture_at(r, "unsupported.type"), "poll_creation");
    assert_int_equal(json_array_size(json_object_get(r, "errors")), 1);
    json_decref(r);

    fixture_event(f, "22-bad-message-not-json");
    assert_string_equal(f->last_key, "quarantine/Q_F_GqctCoqCGHA8G8JKyv.json");
    r = fixture_record(f, f->last_key);
    assert_string_equal(fixture_at(r, "received"),
                        "If you wish to stop receiving notifications...");
    assert_non_null(strstr(fixture_at(r, "reason"), "not JSON"));
    json_decref(r);
}

static void silence_has_no_words(void **state) {
    fixture *f = *state;
    put_audios(f);
    f->silence = 1;
    fixture_event(f, "02-voice-note");
    json_t *r = fixture_record(f, VOICE);
    json_t *t = json_object_get(r, "transcription");
    assert_string_equal(fixture_at(r, "transcription.text"), "");
    assert_true(json_is_true(json_object_get(t, "no_speech")));
    assert_true(json_is_true(json_object_get(t, "ok")));
    json_decref(r);
}

#define AUDIO(id, rest)                                                                            \
    "{\"id\":\"w" id "\",\"from\":\"1\",\"timestamp\":\"5\",\"type\":\"audio\"" rest "}"

/* A failure with the audio is recorded; the table says at which stage, and what repairs it. */
static void audio_errors_are_recorded(void **state) {
    static const struct {
        const char *rest;
        const char *error;
        int keeps_audio;
    } cases[] = {
        {"", "event", 0},
        {",\"audio\":7", "event", 0},
        {",\"audio\":{}", "event", 0},
        {",\"audio\":{\"id\":7}", "event", 0},
        {",\"audio\":{\"id\":\"\"}", "event", 0},
        {",\"audio\":{\"id\":\"../../etc/passwd\"}", "event", 0},
        {",\"audio\":{\"id\":\"a.b\"}", "event", 0},
        {",\"audio\":{\"id\":\"1\\u00002\"}", "event", 0},
        {",\"audio\":{\"id\":\"404\"}", "not_found", 0},
        {",\"audio\":{\"id\":\"folder\"}", "io", 0},
        {",\"audio\":{\"id\":\"42\",\"sha256\":\"aNntKtskRY/xc9sGtBudG24ih2TEVwMNY/rRGwK/rh4=\"}",
         "sha256_mismatch", 1},
    };
    fixture *f = *state;
    char path[128];
    fixture_media(f, "42.ogg", "other", 5);
    snprintf(path, sizeof path, "%s/folder.ogg", f->media_path);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[512];
        snprintf(message, sizeof message,
                 "{\"id\":\"w%zu\",\"from\":\"1\",\"timestamp\":\"5\",\"type\":\"audio\"%s}", i,
                 cases[i].rest);
        print_message("%s\n", message);
        fixture_message(f, message);
        assert_int_equal(f->last_outcome, CARA_OUTCOME_FAILED);
        json_t *r = fixture_record(f, f->last_key);
        assert_string_equal(fixture_at(r, "transcription.error"), cases[i].error);
        assert_true(strlen(fixture_at(r, "transcription.message")) > 10);
        if (cases[i].keeps_audio)
            assert_string_equal(fixture_at(r, "audio_file"), "1970-01-01/42.ogg");
        else
            assert_true(json_is_null(json_object_get(r, "audio_file")));
        assert_int_equal(f->n_transcribed, 0);
        json_decref(r);
    }
    assert_int_equal(fixture_count(f, 'm'), 1);
    assert_int_equal(fixture_count(f, 'r'), sizeof cases / sizeof *cases);
    assert_int_equal(rmdir(path), 0);
}

static void an_unreadable_sha256_does_not_fail_the_message(void **state) {
    fixture *f = *state;
    fixture_media(f, "42.ogg", "other", 5);
    fixture_message(f, AUDIO("1", ",\"audio\":{\"id\":\"42\",\"sha256\":\"x\"}"));
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
    /* the digest in hexadecimal, as one third party writes it */
    fixture_media(f, "43.ogg", "OggS", 4);
    fixture_message(f,
                    AUDIO("2", ",\"audio\":{\"id\":\"43\",\"sha256\":\"68d9ed2adb24458ff173db06b4"
                               "1b9d1b6e228764c457030d63fad11b02bfae1e\"}"));
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
    assert_int_equal(f->n_transcribed, 2);
}

/* Each failure once: what a retry can repair is repaired by handling the event again. */
static void retries_repair_what_they_can(void **state) {
    static const struct {
        int prepare_rc, transcribe_rc, fetch_rc;
        cara_outcome outcome;
        cara_stage stage;
        const char *error;
        int repaired; /* by handling it again; else only with `again` */
    } cases[] = {
        {CARA_ERR_NOT_FOUND, 0, 0, CARA_OUTCOME_RETRY, CARA_STAGE_MODEL, "not_found", 1},
        {CARA_ERR_MODEL_CORRUPT, 0, 0, CARA_OUTCOME_RETRY, CARA_STAGE_MODEL, "model_corrupt", 1},
        {0, CARA_ERR_MEMORY, 0, CARA_OUTCOME_RETRY, CARA_STAGE_TRANSCRIBE, "memory", 1},
        {0, CARA_ERR_USAGE, 0, CARA_OUTCOME_RETRY, CARA_STAGE_MODEL, "usage", 1},
        {0, CARA_ERR_CANCELLED, 0, CARA_OUTCOME_RETRY, CARA_STAGE_TRANSCRIBE, "pending", 1},
        {0, CARA_ERR_AUDIO_MODULE, 0, CARA_OUTCOME_FAILED, CARA_STAGE_TRANSCRIBE, "audio_module",
         1},
        {0, CARA_ERR_INTERNAL, 0, CARA_OUTCOME_FAILED, CARA_STAGE_TRANSCRIBE, "internal", 1},
        {0, CARA_ERR_AUDIO_FORMAT, 0, CARA_OUTCOME_FAILED, CARA_STAGE_TRANSCRIBE, "audio_format",
         0},
        {0, CARA_ERR_AUDIO_CORRUPT, 0, CARA_OUTCOME_FAILED, CARA_STAGE_TRANSCRIBE, "audio_corrupt",
         0},
        {0, CARA_ERR_AUDIO_LIMIT, 0, CARA_OUTCOME_FAILED, CARA_STAGE_TRANSCRIBE, "audio_limit", 0},
        {0, 0, CARA_ERR_NETWORK, CARA_OUTCOME_RETRY, CARA_STAGE_MEDIA, "network", 1},
        {0, 0, CARA_ERR_DENIED, CARA_OUTCOME_FAILED, CARA_STAGE_MEDIA, "denied", 1},
        {0, 0, CARA_ERR_NOT_FOUND, CARA_OUTCOME_FAILED, CARA_STAGE_MEDIA, "not_found", 1},
        {0, 0, CARA_ERR_AUDIO_LIMIT, CARA_OUTCOME_FAILED, CARA_STAGE_MEDIA, "audio_limit", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *own = NULL;
        print_message("case %zu: %s\n", i, cases[i].error);
        assert_int_equal(fixture_setup(&own), 0);
        fixture *f = own;
        put_audios(f);
        f->prepare_rc = cases[i].prepare_rc;
        f->transcribe_rc = cases[i].transcribe_rc;
        f->fetch_rc = cases[i].fetch_rc;
        for (int round = 0; round < 2; round++) {
            fixture_event(f, "02-voice-note");
            if (round && !cases[i].repaired) {
                assert_int_equal(f->last_outcome, CARA_OUTCOME_ALREADY);
                continue;
            }
            assert_int_equal(f->last_outcome, cases[i].outcome);
            assert_int_equal(f->last_stage, cases[i].stage);
            json_t *r = fixture_record(f, VOICE);
            assert_string_equal(fixture_at(r, "transcription.error"), cases[i].error);
            json_decref(r);
        }
        f->prepare_rc = f->transcribe_rc = f->fetch_rc = 0;
        fixture_event(f, "02-voice-note");
        if (!cases[i].repaired) {
            assert_int_equal(f->last_outcome, CARA_OUTCOME_ALREADY);
            f->pipeline.retry_failed = 1;
            fixture_event(f, "02-voice-note");
        }
        assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
        json_t *r = fixture_record(f, VOICE);
        assert_string_equal(fixture_at(r, "transcription.text"), " hay una panga");
        json_decref(r);
        int calls = f->n_transcribed;
        fixture_event(f, "02-voice-note");
        assert_int_equal(f->last_outcome, CARA_OUTCOME_ALREADY);
        assert_int_equal(f->n_transcribed, calls);
        assert_int_equal(fixture_count(f, 0), 2);
        assert_int_equal(fixture_teardown(&own), 0);
    }
}

/* The source forgets media after days; the store does not. */
static void a_retry_uses_the_stored_audio(void **state) {
    fixture *f = *state;
    put_audios(f);
    f->prepare_rc = CARA_ERR_NOT_FOUND;
    fixture_event(f, "02-voice-note");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_RETRY);
    assert_true(fixture_has(f, VOICE_MEDIA));
    f->prepare_rc = 0;
    f->fetch_rc = CARA_ERR_NOT_FOUND;
    fixture_event(f, "02-voice-note");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
}

static void other_audio_under_the_same_name(void **state) {
    fixture *f = *state;
    assert_int_equal(cara_store_put(f->store, VOICE_MEDIA, "half", 4, 1, NULL), CARA_OK);
    put_audios(f);
    fixture_event(f, "02-voice-note"); /* ours has the message's SHA-256 */
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(cara_store_get(f->store, VOICE_MEDIA, 100, &bytes, &n, NULL), CARA_OK);
    assert_string_equal(bytes, "OggS");
    free(bytes);
    /* Without a digest it is not known which is right: what is there stays. */
    fixture_media(f, "42.ogg", "new", 3);
    assert_int_equal(cara_store_put(f->store, "1970-01-01/42.ogg", "old", 3, 1, NULL), CARA_OK);
    fixture_message(f, AUDIO("1", ",\"audio\":{\"id\":\"42\"}"));
    assert_int_equal(f->last_outcome, CARA_OUTCOME_FAILED);
    assert_int_equal(cara_store_get(f->store, "1970-01-01/42.ogg", 100, &bytes, &n, NULL), CARA_OK);
    assert_string_equal(bytes, "old");
    free(bytes);
}

static int stop_after;

static int stop(void *cookie) {
    return stop_after-- <= 0;
}

/* With no time left the message is kept all the same, and so is half a transcript. */
static void stopping_keeps_what_there_is(void **state) {
    fixture *f = *state;
    put_audios(f);
    f->pipeline.stop = stop;
    stop_after = 0;
    fixture_event(f, "06-batch-multi-message");
    assert_int_equal(fixture_count(f, 'r'), 5);
    assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_DONE], 4);
    assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_RETRY], 1);
    assert_true(f->summary.stopped);
    json_t *r = fixture_record(f, VOICE);
    assert_string_equal(fixture_at(r, "transcription.error"), "pending");
    json_decref(r);
    stop_after = 100;
    f->cut_short = 1;
    fixture_event(f, "02-voice-note");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_RETRY);
    r = fixture_record(f, VOICE);
    assert_string_equal(fixture_at(r, "transcription.text"), " hay una panga");
    assert_true(json_is_true(json_object_get(json_object_get(r, "transcription"), "cut_short")));
    json_decref(r);
    /* A try after that which fails does not remove it. */
    f->cut_short = 0;
    f->prepare_rc = CARA_ERR_NOT_FOUND;
    fixture_event(f, "02-voice-note");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_RETRY);
    r = fixture_record(f, VOICE);
    assert_string_equal(fixture_at(r, "transcription.text"), " hay una panga");
    json_decref(r);
    f->prepare_rc = 0;
    fixture_event(f, "02-voice-note");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
}

/* A damaged record: its partial transcript does not fit the model (USAGE) or the audio's length. */
static void an_unusable_partial_transcript_begins_again(void **state) {
    fixture *f = *state;
    char path[600];
    put_audios(f);
    snprintf(path, sizeof path, "%s/%s", f->store_path, VOICE);
    for (int past_the_end = 0; past_the_end < 2; past_the_end++) {
        f->cut_short = 1;
        fixture_event(f, "02-voice-note");
        json_t *r = fixture_record(f, VOICE), *at = json_real(past_the_end ? 5000.0 : 2.0);
        json_object_set_new(json_object_get(r, "transcription"), "resume_at", at);
        assert_int_equal(json_dump_file(r, path, 0), 0);
        json_decref(r);
        f->cut_short = f->n_transcribed = 0;
        f->resume_rc = past_the_end ? 0 : CARA_ERR_USAGE;
        fixture_event(f, "02-voice-note");
        assert_int_equal(f->n_transcribed, 2);
        r = fixture_record(f, VOICE);
        assert_string_equal(fixture_at(r, "transcription.text"), " hay una panga");
        json_decref(r);
        assert_int_equal(unlink(path), 0);
    }
}

static void cut_short_goes_on_where_it_stopped(void **state) {
    fixture *f = *state;
    put_audios(f);
    f->cut_short = 1;
    for (int round = 0; round < 2; round++) {
        fixture_event(f, "02-voice-note");
        assert_int_equal(f->last_outcome, CARA_OUTCOME_RETRY);
        assert_int_equal(f->last_error.code, CARA_ERR_CANCELLED);
        assert_int_equal(f->resumed_at, 200 * round);
        assert_int_equal(f->n_context, 3 * (size_t)round);
    }
    json_t *r = fixture_record(f, VOICE), *t = json_object_get(r, "transcription");
    assert_string_equal(fixture_at(r, "transcription.text"), " hay una panga hay una panga");
    assert_true(json_is_true(json_object_get(t, "cut_short")));
    assert_true(json_number_value(json_object_get(t, "resume_at")) == 4);
    json_decref(r);
    f->cut_short = 0;
    f->silence = 1; /* and then he says no more */
    fixture_event(f, "02-voice-note");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
    assert_int_equal(f->resumed_at, 400);
    assert_int_equal(f->n_context, 6);
    r = fixture_record(f, VOICE);
    t = json_object_get(r, "transcription");
    assert_string_equal(fixture_at(r, "transcription.text"), " hay una panga hay una panga");
    assert_null(json_object_get(t, "cut_short"));
    assert_null(json_object_get(t, "resume_at"));
    assert_true(json_is_false(json_object_get(t, "no_speech")));
    json_t *segments = json_object_get(t, "segments");
    assert_int_equal(json_array_size(segments), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(json_integer_value(json_object_get(json_array_get(segments, i), "id")), i);
    json_decref(r);
    fixture_event(f, "02-voice-note");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_ALREADY);
}

static void damaged_and_foreign_records(void **state) {
    fixture *f = *state;
    put_audios(f);
    assert_int_equal(cara_store_put(f->store, TEXT1, "{\"id\":", 6, 1, NULL), CARA_OK);
    assert_int_equal(cara_store_put(f->store, VOICE, "", 0, 1, NULL), CARA_OK);
    fixture_event(f, "01-text");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
    fixture_event(f, "02-voice-note");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
    json_decref(fixture_record(f, TEXT1));
    json_decref(fixture_record(f, VOICE));
    static const char other[] = "{\"id\":\"somebody\",\"caracola\":{}}";
    assert_int_equal(cara_store_put(f->store, IMAGE, other, strlen(other), 0, NULL), CARA_OK);
    fixture_event(f, "04-image-caption");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_QUARANTINED);
    json_t *r = fixture_record(f, IMAGE);
    assert_string_equal(fixture_at(r, "id"), "somebody");
    json_decref(r);
}

/* A broken store fails each message by itself, as "deliver it again". */
static void a_broken_store_asks_for_a_retry(void **state) {
    fixture *f = *state;
    put_audios(f);
    /* Files where folders should be. */
    char paths[2][128];
    snprintf(paths[0], sizeof paths[0], "%s/2025-10-15", f->store_path);
    snprintf(paths[1], sizeof paths[1], "%s/quarantine", f->store_path);
    for (int i = 0; i < 2; i++)
        assert_int_equal(close(open(paths[i], O_WRONLY | O_CREAT, 0600)), 0);
    fixture_event(f, "06-batch-multi-message");
    assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_RETRY], 5);
    assert_int_equal(f->last_stage, CARA_STAGE_STORE);
    fixture_event(f, "22-bad-message-not-json");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_RETRY);
    assert_int_equal(f->last_stage, CARA_STAGE_STORE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(unlink(paths[i]), 0);
    fixture_event(f, "06-batch-multi-message");
    assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_DONE], 5);
}

/* What senders can write, in fields that name things. */
static void hostile_messages(void **state) {
    static const struct {
        const char *message;
        const char *key; /* NULL: quarantined */
    } cases[] = {
        {"{\"id\":\"../../x\",\"from\":\"../../etc\",\"timestamp\":\"5\",\"type\":\"text\"}",
         "1970-01-01/0-00-00-05-"},
        {"{\"id\":\"\\ud83d\\udc1f\",\"from\":null,\"timestamp\":\"5\",\"type\":\"../x\"}",
         "1970-01-01/0-00-00-05-"},
        {"{\"id\":\"a\",\"from\":{\"x\":1},\"timestamp\":5}", "1970-01-01/0-00-00-05-"},
        {"{\"id\":\"a\",\"from\":525550100150,\"timestamp\":5,\"type\":7}",
         "1970-01-01/525550100150-00-00-05-"},
        {"{\"id\":\"a\",\"id\":\"b\",\"from\":\"1\",\"timestamp\":\"5\"}",
         "1970-01-01/1-00-00-05-"},
        {"{\"id\":\"b\",\"from\":\"1\\u00002\",\"timestamp\":\"5\",\"text\":{\"body\":\"\\u0000\"}"
         "}",
         "1970-01-01/0-00-00-05-"},
        {"{\"id\":\"c\",\"from\":\"1\",\"timestamp\":\"9e9\"}", NULL},
        {"{\"from\":\"1\",\"timestamp\":\"5\"}", NULL},
        {"\"\"", NULL},
        {"null", NULL},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_message(f, cases[i].message);
        print_message("%s -> %s\n", cases[i].message, f->last_key);
        const char *begin = cases[i].key ? cases[i].key : "quarantine/";
        assert_memory_equal(f->last_key, begin, strlen(begin));
        assert_int_equal(f->last_outcome,
                         cases[i].key ? CARA_OUTCOME_DONE : CARA_OUTCOME_QUARANTINED);
        json_decref(fixture_record(f, f->last_key));
    }
    size_t n = fixture_count(f, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        fixture_message(f, cases[i].message);
    assert_int_equal(fixture_count(f, 0), n); /* a redelivery adds nothing */
}

static void messages_without_id_are_distinguished_by_their_bytes(void **state) {
    fixture *f = *state;
    fixture_message(f, "{\"from\":\"1\",\"timestamp\":\"5\",\"text\":{\"body\":\"a\"}},"
                       "{\"from\":\"1\",\"timestamp\":\"5\",\"text\":{\"body\":\"b\"}},"
                       "{\"from\":\"1\",\"timestamp\":\"5\",\"text\":{\"body\":\"a\"}}");
    assert_int_equal(fixture_count(f, 'q'), 2);
}

static void many_messages_of_one_second(void **state) {
    fixture *f = *state;
    cara_buf text;
    cara_buf_init(&text, 1 << 20);
    cara_buf_str(&text, "{\"changes\":[{\"value\":{\"messages\":[");
    for (int i = 0; i < 400; i++)
        cara_buf_printf(&text, "%s{\"id\":\"m%d\",\"from\":\"1\",\"timestamp\":\"1760490612\"}",
                        i ? "," : "", i % 350);
    cara_buf_str(&text, "]}}]}");
    assert_false(text.failed);
    fixture_text(f, text.data);
    assert_int_equal(fixture_count(f, 'r'), 350); /* all of one second, none lost to another */
    assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_ALREADY], 50);
    cara_buf_free(&text);
}

#define WITH_STORE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_have_the_outcome_of_the_manifest),
        WITH_STORE(all_events_in_one_store),
        WITH_STORE(records_hold_the_message_and_the_transcript),
        WITH_STORE(silence_has_no_words),
        WITH_STORE(audio_errors_are_recorded),
        WITH_STORE(an_unreadable_sha256_does_not_fail_the_message),
        cmocka_unit_test(retries_repair_what_they_can),
        WITH_STORE(a_retry_uses_the_stored_audio),
        WITH_STORE(other_audio_under_the_same_name),
        WITH_STORE(stopping_keeps_what_there_is),
        WITH_STORE(an_unusable_partial_transcript_begins_again),
        WITH_STORE(cut_short_goes_on_where_it_stopped),
        WITH_STORE(damaged_and_foreign_records),
        WITH_STORE(a_broken_store_asks_for_a_retry),
        WITH_STORE(hostile_messages),
        WITH_STORE(messages_without_id_are_distinguished_by_their_bytes),
        WITH_STORE(many_messages_of_one_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

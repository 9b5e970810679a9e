/* Whatever passes a limit ends in an outcome that is final and recorded: it is not delivered,
 * fetched or transcribed again and again. And docs/pipeline.md has the limits as base/limits.h has
 * them. */
#include "fixture.h"

#include "base/files/file.h"
#include "base/limits.h"
#include "base/memory/buf.h"
#include "crypto/digest.h"
#include "pipeline/record/record.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define ID "\"id\":\"m\",\"from\":\"1\",\"timestamp\":\"1\""
#define AUDIO(more) "{" ID ",\"type\":\"audio\",\"audio\":{\"id\":\"42\"" more "}}"
#define MEDIA_KEY "1970-01-01/42.bin"

static char *filled(char c, size_t n) {
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, c, n);
    text[n] = 0;
    return text;
}

/* Handles the event twice, as it may be delivered: both times the same, and nothing to retry. */
static void quarantines(fixture *f, const char *event, size_t n) {
    for (int round = 0; round < 2; round++) {
        cara_summary summary;
        cara_error err = {.code = CARA_OK};
        assert_int_equal(cara_pipeline_handle(&f->pipeline, event, n, NULL, NULL, &summary, &err),
                         CARA_OK);
        assert_int_equal(summary.by_outcome[CARA_OUTCOME_QUARANTINED], 1);
        assert_int_equal(summary.by_outcome[CARA_OUTCOME_RETRY], 0);
        assert_int_equal(fixture_count(f, 'q'), 1);
    }
}

/* The only piece in the quarantine. The caller's reference. */
static json_t *quarantined(fixture *f, const char *bytes, size_t n) {
    char key[CARA_KEY_SIZE];
    assert_int_equal(cara_key_quarantine(bytes, n, key), 0);
    return fixture_record(f, key);
}

/* Of exactly `n` bytes, with one message. The caller frees it. */
static char *event_of(size_t n) {
    static const char begin[] =
        "{\"changes\":[{\"value\":{\"messages\":[{" ID ",\"type\":\"text\",\"text\":{\"body\":\"",
                      end[] = "\"}}]}}]}";
    char *event = filled('x', n);
    memcpy(event, begin, sizeof begin - 1);
    memcpy(event + n - (sizeof end - 1), end, sizeof end - 1);
    return event;
}

static void events_up_to_the_limit_are_read(void **state) {
    fixture *f = *state;
    for (size_t n = CARA_LIMIT_EVENT_BYTES - 1; n <= CARA_LIMIT_EVENT_BYTES + 1; n++) {
        char *event = event_of(n);
        cara_summary summary;
        assert_int_equal(cara_pipeline_handle(&f->pipeline, event, n, NULL, NULL, &summary, NULL),
                         CARA_OK);
        int fits = n <= CARA_LIMIT_EVENT_BYTES;
        assert_int_equal(summary.by_outcome[CARA_OUTCOME_RETRY], 0);
        assert_int_equal(summary.by_outcome[CARA_OUTCOME_QUARANTINED], !fits);
        assert_int_equal(fixture_count(f, 'q'), !fits);
        free(event);
    }
}

static void large_events(void **state) {
    fixture *f = *state;
    size_t n = CARA_LIMIT_EVENT_BYTES + 1;
    char *event = filled('x', n);
    quarantines(f, event, n);
    json_t *piece = quarantined(f, event, n);
    assert_string_equal(fixture_at(piece, "reason"), "an event larger than the limit of 8 MiB");
    assert_string_equal(fixture_at(piece, "received"), event);
    assert_null(json_object_get(piece, "cut_short"));
    json_decref(piece);
    free(event);
}

/* The cut is before the two bytes of a character, so that the piece is text. */
static void what_is_kept_of_a_huge_event(void **state) {
    fixture *f = *state;
    size_t n = CARA_LIMIT_QUARANTINE_BYTES + 1;
    char *event = filled('x', n);
    memcpy(event + n - 2, "\xC3\xB1", 2);
    quarantines(f, event, n);
    json_t *piece = quarantined(f, event, n - 2);
    assert_true(json_is_true(json_object_get(piece, "cut_short")));
    assert_int_equal(json_string_length(json_object_get(piece, "received")), n - 2);
    json_decref(piece);
    free(event);
}

static void deep_and_many_values(void **state) {
    fixture *f = *state;
    cara_buf text;
    cara_buf_init(&text, CARA_LIMIT_EVENT_BYTES);
    for (int i = 0; i <= CARA_LIMIT_JSON_DEPTH; i++)
        cara_buf_str(&text, "{\"requestPayload\":");
    cara_buf_char(&text, '1');
    for (int i = 0; i <= CARA_LIMIT_JSON_DEPTH; i++)
        cara_buf_char(&text, '}');
    quarantines(f, text.data, text.len);
    cara_buf_clear(&text);
    assert_int_equal(cara_store_put(f->store, "1970-01-01/keep.bin", "", 0, 1, NULL), CARA_OK);
    cara_buf_char(&text, '[');
    for (int i = 0; i <= CARA_LIMIT_JSON_VALUES; i++)
        cara_buf_str(&text, i ? ",1" : "1");
    cara_buf_char(&text, ']');
    cara_summary summary;
    assert_int_equal(
        cara_pipeline_handle(&f->pipeline, text.data, text.len, NULL, NULL, &summary, NULL), 0);
    assert_int_equal(summary.by_outcome[CARA_OUTCOME_QUARANTINED], 1);
    assert_int_equal(fixture_count(f, 'q'), 2);
    cara_buf_free(&text);
}

/* A record has a line for each member, with a blank for each level: it is ten times as large as a
 * message of short members that lie deep, and control bytes grow, too. */
static void a_message_whose_record_is_too_large(void **state) {
    fixture *f = *state;
    cara_buf text;
    cara_buf_init(&text, CARA_LIMIT_EVENT_BYTES);
    cara_buf_str(&text, "{\"changes\":[{\"value\":{\"messages\":[{" ID
                        ",\"type\":\"text\",\"text\":{\"body\":\"");
    for (int i = 0; i < 2000000; i++)
        cara_buf_char(&text, 0x7f);
    cara_buf_str(&text, "\"},\"deep\":");
    for (int i = 0; i < 54; i++)
        cara_buf_char(&text, '[');
    for (int i = 0; i < 18500; i++) {
        cara_buf_str(&text, i ? ",{" : "{");
        for (char c = 'A'; c <= 'z'; c = c == 'Z' ? 'a' : (char)(c + 1))
            cara_buf_printf(&text, "%s\"%c\":1", c == 'A' ? "" : ",", c);
        cara_buf_char(&text, '}');
    }
    for (int i = 0; i < 54; i++)
        cara_buf_char(&text, ']');
    cara_buf_str(&text, "}]}}]}");
    assert_false(text.failed);
    quarantines(f, text.data, text.len);
    assert_int_equal(fixture_count(f, 0), 1); /* and no record */
    cara_buf_free(&text);
}

/* Handles an audio message; then again, which must not transcribe it again. */
static void fails_finally(fixture *f, const char *message, int n_transcribed) {
    fixture_message(f, message);
    assert_int_equal(f->last_outcome, CARA_OUTCOME_FAILED);
    json_t *record = fixture_record(f, f->last_key);
    assert_string_equal(fixture_at(record, "transcription.error"), "audio_limit");
    json_decref(record);
    assert_int_equal(f->n_transcribed, n_transcribed);
    fixture_message(f, message);
    assert_int_equal(f->last_outcome, CARA_OUTCOME_ALREADY);
    assert_int_equal(f->n_transcribed, n_transcribed);
}

static void a_transcript_whose_record_is_too_large(void **state) {
    fixture *f = *state;
    char *text = filled('a', CARA_LIMIT_RECORD_BYTES / 2); /* it is there twice */
    f->text = text;
    fixture_media(f, "42.ogg", "OggS", 4);
    fails_finally(f, AUDIO(""), 1);
    free(text);
}

/* Each part fits a record, both do not. */
static void a_partial_transcript_that_grows_too_large(void **state) {
    fixture *f = *state;
    char *text = filled('a', CARA_LIMIT_RECORD_BYTES / 3);
    f->text = text;
    f->cut_short = 1;
    fixture_media(f, "42.ogg", "OggS", 4);
    fixture_message(f, AUDIO(""));
    assert_int_equal(f->last_outcome, CARA_OUTCOME_RETRY);
    fails_finally(f, AUDIO(""), 2);
    free(text);
}

/* A file of n bytes that takes no place on the disk. */
static void sparse_file(const char *folder, const char *name, size_t n) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)n), 0);
    close(fd);
}

static void large_media(void **state) {
    fixture *f = *state;
    sparse_file(f->media_path, "42.ogg", CARA_LIMIT_MEDIA_BYTES + 1);
    fails_finally(f, AUDIO(""), 0);
}

static void a_record_that_is_too_large_to_be_read(void **state) {
    fixture *f = *state;
    fixture_message(f, "{" ID ",\"type\":\"text\"}");
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
    char key[CARA_KEY_SIZE];
    snprintf(key, sizeof key, "%s", f->last_key);
    sparse_file(f->store_path, key, CARA_LIMIT_RECORD_BYTES + 1);
    for (int round = 0; round < 2; round++) {
        fixture_message(f, "{" ID ",\"type\":\"text\"}");
        assert_int_equal(f->last_outcome, CARA_OUTCOME_QUARANTINED);
    }
    assert_int_equal(fixture_count(f, 'q'), 1);
    assert_int_equal(fixture_count(f, 'r'), 1);
}

static void stored_audio_that_is_too_large_to_be_read(void **state) {
    fixture *f = *state;
    char message[200], hex[65];
    fixture_media(f, "42", "OggS", 4);
    assert_int_equal(cara_store_put(f->store, MEDIA_KEY, "", 0, 1, NULL), CARA_OK);
    sparse_file(f->store_path, MEDIA_KEY, CARA_LIMIT_MEDIA_BYTES + 1);
    fixture_message(f, AUDIO(""));
    assert_int_equal(f->last_outcome, CARA_OUTCOME_FAILED);
    assert_int_equal(f->last_error.code, CARA_ERR_CONFLICT);
    /* Verified audio replaces it. */
    assert_int_equal(cara_sha256_hex("OggS", 4, hex), 0);
    snprintf(message, sizeof message, AUDIO(",\"sha256\":\"%s\""), hex);
    fixture_message(f, message);
    assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
}

/* ---- the page ---- */

#define LIMIT(name)                                                                                \
    { #name, (double)(name) }
static const struct limit {
    const char *name;
    double value;
} limits[] = {
    LIMIT(CARA_LIMIT_EVENT_BYTES),    LIMIT(CARA_LIMIT_QUARANTINE_BYTES),
    LIMIT(CARA_LIMIT_EVENT_MESSAGES), LIMIT(CARA_LIMIT_JSON_DEPTH),
    LIMIT(CARA_LIMIT_JSON_VALUES),    LIMIT(CARA_LIMIT_AUDIO_BYTES),
    LIMIT(CARA_LIMIT_AUDIO_SECONDS),  LIMIT(CARA_LIMIT_ANSWER_BYTES),
    LIMIT(CARA_LIMIT_MEDIA_BYTES),    LIMIT(CARA_LIMIT_VOCAB_BYTES),
    LIMIT(CARA_LIMIT_RECORD_BYTES),   LIMIT(CARA_LIMIT_RESULT_BYTES),
    LIMIT(CARA_LIMIT_PROMPT_BYTES),   LIMIT(CARA_LIMIT_THREADS),
    LIMIT(CARA_LIMIT_SLOW_BYTES_S),   LIMIT(CARA_LIMIT_LIST_PAGES),
    LIMIT(CARA_LIMIT_LIBAV_BYTES),
};

static char *page(const char *name) {
    char path[512], *text = NULL;
    size_t n;
    snprintf(path, sizeof path, "%s/%s", getenv("CARACOLA_SOURCE_DIR"), name);
    assert_int_equal(cara_read_file(path, 1 << 20, &text, &n, NULL), CARA_OK);
    return text;
}

/* "8 MiB", "24 h", "10000" */
static void as_on_the_page(const struct limit *limit, char *out, size_t size) {
    static const struct {
        const char *unit;
        double factor;
    } units[] = {
        {" GiB", (double)CARA_GIB}, {" MiB", (double)CARA_MIB}, {" KiB", (double)CARA_KIB}};
    const char *unit = "";
    double value = limit->value;
    if (strstr(limit->name, "SECONDS")) {
        unit = " h";
        value /= 3600;
    } else if (strstr(limit->name, "BYTES")) {
        size_t i = 0;
        while (i + 1 < COUNT(units) && value < units[i].factor)
            i++;
        unit = units[i].unit;
        value /= units[i].factor;
    }
    snprintf(out, size, "| `%s` | %.10g%s%s |", limit->name, value, unit,
             strstr(limit->name, "BYTES_S") ? "/s" : "");
}

static void the_page_has_every_limit(void **state) {
    char *header = page("src/base/limits.h"), *text = page("docs/pipeline.md"), row[128];
    size_t found = 0;
    for (const char *p = header; (p = strstr(p, "#define CARA_LIMIT_")); found++) {
        p += strlen("#define ");
        int known = 0;
        for (size_t i = 0; i < COUNT(limits); i++)
            known |= strncmp(p, limits[i].name, strlen(limits[i].name)) == 0 &&
                     p[strlen(limits[i].name)] == ' ';
        if (!known)
            fail_msg("%.40s is new: say in docs/pipeline.md what passes it ends in, and test it",
                     p);
    }
    assert_int_equal(found, COUNT(limits));
    for (size_t i = 0; i < COUNT(limits); i++) {
        as_on_the_page(&limits[i], row, sizeof row);
        if (!strstr(text, row))
            fail_msg("docs/pipeline.md has no row that begins with %s", row);
    }
    free(header);
    free(text);
}

#define WITH_STORE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_STORE(events_up_to_the_limit_are_read),
        WITH_STORE(large_events),
        WITH_STORE(what_is_kept_of_a_huge_event),
        WITH_STORE(deep_and_many_values),
        WITH_STORE(a_message_whose_record_is_too_large),
        WITH_STORE(a_transcript_whose_record_is_too_large),
        WITH_STORE(a_partial_transcript_that_grows_too_large),
        WITH_STORE(large_media),
        WITH_STORE(a_record_that_is_too_large_to_be_read),
        WITH_STORE(stored_audio_that_is_too_large_to_be_read),
        cmocka_unit_test(the_page_has_every_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

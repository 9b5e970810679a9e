#include "fixture.h"

#include "base/files/file.h"
#include "base/limits.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int prepare(void *ctx, cara_stop_fn stop, void *cookie, cara_error *err) {
    fixture *f = ctx;
    f->n_prepared++;
    return f->prepare_rc ? cara_fail(err, (cara_code)f->prepare_rc, -1, "there is no model") : 0;
}

static int transcribe(void *ctx, const cara_encoded_audio *encoded, cara_stop_fn stop, void *cookie,
                      cara_resume *resume, cara_result **out, cara_error *err) {
    static const int32_t tokens[] = {50364, 1, 50464};
    static cara_segment segment = {.id = 0,
                                   .seek = 0,
                                   .start = 0,
                                   .end = 2.0,
                                   .text = " hay una panga",
                                   .tokens = tokens,
                                   .n_tokens = 3,
                                   .temperature = 0.2,
                                   .avg_logprob = -0.25,
                                   .compression_ratio = 0.9,
                                   .no_speech_prob = 0.01};
    fixture *f = ctx;
    f->n_transcribed++;
    snprintf(f->last_ext, sizeof f->last_ext, "%s", encoded->ext);
    *out = NULL;
    if (f->busy_ms) {
        struct timespec t = {f->busy_ms / 1000, f->busy_ms % 1000 * 1000000L};
        nanosleep(&t, NULL);
    }
    if (f->transcribe_rc)
        return cara_fail(err, (cara_code)f->transcribe_rc, -1, "the audio cannot be transcribed");
    if (f->resume_rc && resume->frame > 0)
        return cara_fail(err, (cara_code)f->resume_rc, -1, "it cannot be continued");
    cara_result *result = calloc(1, sizeof *result);
    if (!result)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    segment.text = f->text ? f->text : " hay una panga";
    segment.avg_logprob = -0.25;
    segment.compression_ratio = (double)NAN;
    *result = (cara_result){.text = segment.text,
                            .language = "es",
                            .segments = &segment,
                            .n_segments = 1,
                            .duration_s = 2.5,
                            .audio_gaps = {.count = 2, .seconds = 0.12345},
                            .cut_short = f->cut_short};
    f->resumed_at = resume->frame;
    f->n_context = resume->n_tokens;
    if (f->cut_short)
        resume->frame += 200;
    if (f->silence)
        *result = (cara_result){.text = "", .language = "es", .duration_s = 5, .no_speech = 1};
    *out = result;
    return CARA_OK;
}

static void release(void *ctx, cara_result *result) {
    free(result);
}

static const char *model_name(void *ctx) {
    return "fake";
}

static int fetch(void *ctx, const cara_media_request *request, cara_media_file *out,
                 cara_error *err) {
    fixture *f = ctx;
    f->n_fetched++;
    if (f->fetch_rc)
        return cara_fail(err, (cara_code)f->fetch_rc, -1, "there is no media");
    return f->inner_media.fetch(f->inner_media.ctx, request, out, err);
}

int fixture_setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    snprintf(f->root, sizeof f->root, "/tmp/caracola-pipeline-XXXXXX");
    if (!mkdtemp(f->root))
        return -1;
    snprintf(f->store_path, sizeof f->store_path, "%s/store", f->root);
    snprintf(f->media_path, sizeof f->media_path, "%s/media", f->root);
    if (mkdir(f->media_path, 0700) || cara_store_open_folder(f->store_path, &f->store, NULL))
        return -1;
    f->inner_media = cara_media_folder(f->media_path);
    f->media = (cara_media){fetch, f};
    f->transcriber = (cara_transcriber){prepare, transcribe, release, model_name, f};
    f->pipeline =
        (cara_pipeline){.store = f->store, .media = &f->media, .transcriber = &f->transcriber};
    *state = f;
    return 0;
}

/* Calls `visit` for all that is in path/<folder>/; see fixture_count. */
static size_t walk(const char *path, char kind, int check, int delete) {
    size_t n = 0;
    DIR *top = opendir(path);
    for (struct dirent *day; top && (day = readdir(top));) {
        char inner[400];
        if (!strcmp(day->d_name, ".") || !strcmp(day->d_name, ".."))
            continue;
        snprintf(inner, sizeof inner, "%s/%.255s", path, day->d_name);
        DIR *list = opendir(inner);
        if (!list) {
            if (check)
                fail_msg("a file at the top of the store: %s", day->d_name);
            if (delete)
                unlink(inner);
            continue;
        }
        for (struct dirent *file; (file = readdir(list));) {
            char key[520], full[700];
            if (!strcmp(file->d_name, ".") || !strcmp(file->d_name, ".."))
                continue;
            snprintf(key, sizeof key, "%.255s/%.255s", day->d_name, file->d_name);
            snprintf(full, sizeof full, "%s/%.255s", inner, file->d_name);
            if (check && !cara_store_key_is_valid(key))
                fail_msg("illegal path in the store: %s", key);
            const char *dot = strrchr(file->d_name, '.');
            char is = !dot                                 ? 'm'
                      : !strcmp(dot, ".tmp")               ? 't'
                      : !strcmp(day->d_name, "quarantine") ? 'q'
                      : !strcmp(dot, ".json")              ? 'r'
                                                           : 'm';
            n += !kind || kind == is;
            if (delete)
                unlink(full);
        }
        closedir(list);
        if (delete)
            rmdir(inner);
    }
    if (top)
        closedir(top);
    return n;
}

int fixture_teardown(void **state) {
    fixture *f = *state;
    cara_store_close(f->store);
    walk(f->store_path, 0, 0, 1);
    walk(f->root, 0, 0, 1);
    int rc = rmdir(f->root);
    free(f);
    return rc;
}

static void on_report(void *cookie, const cara_report *report) {
    fixture *f = cookie;
    snprintf(f->last_key, sizeof f->last_key, "%s", report->key);
    f->last_outcome = report->outcome;
    f->last_stage = report->stage;
    f->last_error = report->error ? *report->error : (cara_error){0};
    int needs_error =
        report->outcome != CARA_OUTCOME_DONE && report->outcome != CARA_OUTCOME_ALREADY;
    assert_int_equal(report->error != NULL, needs_error);
    if (report->error)
        assert_true(report->error->code != CARA_OK && report->error->text[0]);
}

void fixture_text(fixture *f, const char *event) {
    cara_error err = {0};
    if (cara_pipeline_handle(&f->pipeline, event, strlen(event), on_report, f, &f->summary, &err))
        fail_msg("%s", err.text);
}

void fixture_event(fixture *f, const char *name) {
    char path[512], *event = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/tests/data/events/%s.json", getenv("CARACOLA_SOURCE_DIR"),
             name);
    if (cara_read_file(path, 1 << 20, &event, &n, NULL))
        fail_msg("no fixture %s", path);
    fixture_text(f, event);
    free(event);
}

void fixture_message(fixture *f, const char *message) {
    char event[8192];
    int n =
        snprintf(event, sizeof event, "{\"changes\":[{\"value\":{\"messages\":[%s]}}]}", message);
    assert_true(n > 0 && (size_t)n < sizeof event);
    fixture_text(f, event);
}

void fixture_media(fixture *f, const char *name, const void *bytes, size_t n) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->media_path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

json_t *fixture_record(const fixture *f, const char *key) {
    char *bytes = NULL;
    size_t n = 0;
    if (cara_store_get(f->store, key, CARA_LIMIT_RECORD_BYTES, &bytes, &n, NULL))
        fail_msg("no record %s", key);
    json_t *json = json_loadb(bytes, n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    free(bytes);
    assert_non_null(json);
    return json;
}

int fixture_has(const fixture *f, const char *key) {
    char *bytes = NULL;
    size_t n = 0;
    int rc = cara_store_get(f->store, key, CARA_LIMIT_RECORD_BYTES, &bytes, &n, NULL);
    free(bytes);
    return rc == CARA_OK;
}

size_t fixture_count(const fixture *f, char kind) {
    return walk(f->store_path, kind, 1, 0);
}

const char *fixture_at(const json_t *json, const char *path) {
    char name[64];
    while (json && *path) {
        size_t n = strcspn(path, ".");
        assert_true(n < sizeof name);
        memcpy(name, path, n);
        name[n] = 0;
        json = json_object_get(json, name);
        path += n + (path[n] == '.');
    }
    return json_string_value(json);
}

#include "app/app.h"

#include "app/model/describe.h"
#include "app/model/fetch.h"
#include "app/model/path.h"
#include "app/settings/environment.h"
#include "app/settings/zone.h"
#include "aws/s3/s3_file.h"
#include "base/clock.h"
#include "base/limits.h"
#include "pipeline/reply.h"
#include "tokenizer/language.h"

#include <caracola/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_file(const char *path, cara_error *err) {
    struct stat st;
    if (stat(path, &st) != 0 || access(path, R_OK) != 0)
        return cara_fail_errno(err, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1, "%s is no file", path);
    return CARA_OK;
}

/* The model as a file that is there or that a fill will bring, or as an object of S3. */
static int find_model(cara_app *app, cara_engine_options *options, cara_error *err) {
    const char *from = cara_env("CARACOLA_MODEL_SOURCE"),
               *sha256 = cara_env("CARACOLA_MODEL_SHA256");
    cara_model_choice choice;
    int rc = cara_model_choose(NULL, &choice, err);
    if (rc)
        return rc;
    options->model_path = app->model_path = choice.path;
    if (cara_model_is_s3(app->model_path)) {
        rc = cara_model_stream_init(&app->stream, app->model_path, sha256, err);
        /* The memory beside the weights must hold a session. */
        const char *memory = cara_env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
        app->stream.limit = memory ? strtoull(memory, NULL, 10) * CARA_MIB : 0;
        app->stream.vocab_path = options->vocab_path;
        app->stream.log = &app->log.log;
        app->source = cara_model_stream_source(&app->stream);
        options->source = &app->source;
        return rc;
    }
    if (!from)
        return check_file(app->model_path, err);
    char bucket[64], key[CARA_S3_KEY_MAX + 1];
    rc = cara_s3_url_split(from, bucket, key, err);
    if (rc)
        cara_error_prefix(err, "CARACOLA_MODEL_SOURCE");
    return rc ? rc : cara_s3_digest_check(sha256, "CARACOLA_MODEL_SHA256", err);
}

static int open_engine(cara_app *app, int concurrent, cara_stop_fn stop, void *stop_cookie,
                       cara_error *err) {
    cara_engine_options options = {.vocab_path = cara_env("CARACOLA_VOCAB"),
                                   .vocab_setting = "CARACOLA_VOCAB",
                                   .concurrent = concurrent,
                                   .stop = stop,
                                   .stop_cookie = stop_cookie};
    const char *language = cara_env("CARACOLA_LANGUAGE");
    if (language && cara_language_find(language) < 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "CARACOLA_LANGUAGE takes a language such as es or Spanish, got \"%.64s\"",
                         language);
    int rc = cara_env_threads(&options.threads, err);
    if (rc)
        return rc;
    rc = find_model(app, &options, err);
    if (!rc && options.vocab_path)
        rc = check_file(options.vocab_path, err);
    app->model_failed = rc != CARA_OK;
    if (rc)
        return rc;
    cara_options_default(&options.transcribe, sizeof options.transcribe);
    options.transcribe.best_of = 5; /* as openai's command, and as handle */
    options.transcribe.language = language;
    const char *audio_ctx = cara_env("CARACOLA_AUDIO_CTX");
    if (audio_ctx && cara_audio_ctx_parse(audio_ctx, &options.transcribe.audio_ctx))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "CARACOLA_AUDIO_CTX takes auto, full, or 1 to 1500, got \"%.32s\"",
                         audio_ctx);
    app->engine = cara_engine_new(&options);
    if (!app->engine)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the engine");
    app->transcriber = cara_engine_transcriber(app->engine, 0);
    return CARA_OK;
}

static int send_reply(void *ctx, const cara_inbox_message *message, const char *key,
                      const char *text, cara_error *err) {
    const cara_app *app = ctx;
    return cara_reply_send(app->store.aws, app->store.store, message, key, text, err);
}

static int open_reply(cara_app *app, cara_error *err) {
    const char *wanted = cara_env("CARACOLA_REPLY");
    if (!wanted || strcmp(wanted, "0") == 0)
        return CARA_OK;
    if (strcmp(wanted, "1") != 0)
        return cara_fail(err, CARA_ERR_USAGE, -1, "CARACOLA_REPLY takes 1 or 0, got \"%.32s\"",
                         wanted);
    if (!app->store.aws)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "CARACOLA_REPLY=1 needs a store in S3 (s3://bucket/prefix)");
    app->service.pipeline.reply = send_reply;
    app->service.pipeline.reply_ctx = app;
    return CARA_OK;
}

static void open_log(cara_app *app, int log_fd) {
    const char *level = cara_env("AWS_LAMBDA_LOG_LEVEL");
    if (cara_service_log_init(&app->log, log_fd, cara_env("AWS_LAMBDA_LOG_FORMAT"), level))
        cara_log_line(&app->log.log, CARA_LOG_WARN,
                      "AWS_LAMBDA_LOG_LEVEL takes TRACE, DEBUG, INFO, WARN, ERROR or FATAL, got "
                      "\"%.32s\"; INFO is used",
                      level);
}

/* Store, media and replies, each service's own. */
static int open_rest(cara_app *app, cara_error *err) {
    int rc = cara_app_store_open(&app->store, cara_env("CARACOLA_STORE"), &app->log.log, err);
    if (!rc)
        rc = cara_app_media_open(&app->store, cara_env("CARACOLA_MEDIA"), "CARACOLA_MEDIA",
                                 &app->media, err);
    app->service = (cara_service){.pipeline = {.store = app->store.store,
                                               .media = &app->media,
                                               .transcriber = &app->transcriber,
                                               .local_time = cara_zone_local_time},
                                  .aws = app->store.aws,
                                  .log = &app->log,
                                  .function = cara_env("CARACOLA_METRICS")};
    if (!app->service.function)
        app->service.function = cara_env("AWS_LAMBDA_FUNCTION_NAME");
    return rc ? rc : open_reply(app, err);
}

int cara_app_open_for(cara_app *app, int concurrent, cara_stop_fn stop, void *stop_cookie,
                      int log_fd, cara_error *err) {
    *app = (cara_app){.model_path = NULL};
    open_log(app, log_fd);
    if (!cara_env("CARACOLA_STORE"))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "no store is named; CARACOLA_STORE takes s3://bucket/prefix or a folder");
    int rc = cara_zone_set(cara_env("CARACOLA_TIMEZONE"), "CARACOLA_TIMEZONE", err);
    if (!rc)
        rc = open_engine(app, concurrent, stop, stop_cookie, err);
    return rc ? rc : open_rest(app, err);
}

int cara_app_open(cara_app *app, int log_fd, cara_error *err) {
    return cara_app_open_for(app, 1, NULL, NULL, log_fd, err);
}

int cara_app_open_shared(cara_app *app, const cara_app *first, int index, int log_fd,
                         cara_error *err) {
    *app = (cara_app){.model_path = NULL};
    open_log(app, log_fd);
    app->transcriber = cara_engine_transcriber(first->engine, index);
    return open_rest(app, err);
}

void cara_app_log_start(const cara_app *app, const char *queue) {
    const cara_log *log = &app->log.log;
    const char *function = cara_env("AWS_LAMBDA_FUNCTION_NAME"),
               *store = cara_env("CARACOLA_STORE");
    char model[300] = "";
    int is_demo = 0;
    cara_error err = {.code = CARA_OK, .position = -1};
    if (cara_model_is_s3(app->model_path))
        snprintf(model, sizeof model, "fetched with the first voice note");
    else if (cara_model_describe_file(app->model_path, model, sizeof model, &is_demo, &err))
        snprintf(model, sizeof model, "which cannot be opened now: %.200s", err.text);
    cara_log_line(log, err.code ? CARA_LOG_WARN : CARA_LOG_INFO,
                  "caracola " CARA_VERSION " starts: model %.300s (%s), %s %.300s, store %.200s",
                  app->model_path, model, queue ? "queue" : "function",
                  queue      ? queue
                  : function ? function
                             : "without a name",
                  store ? store : "not set");
    if (is_demo)
        cara_log_line(log, CARA_LOG_WARN,
                      "the model is the demo model, which knows some 420 words of fishing reports "
                      "and no human voice: give a real one by %s",
                      queue ? "--model or CARACOLA_MODEL" : "CARACOLA_MODEL");
}

int cara_app_fill(cara_app *app, double left_s, json_t **answer, cara_error *err) {
    const char *from = cara_env("CARACOLA_MODEL_SOURCE");
    if (!from || cara_model_is_s3(app->model_path))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "a fill needs CARACOLA_MODEL_SOURCE=s3://bucket/key and "
                         "CARACOLA_MODEL_SHA256, and a file's path in CARACOLA_MODEL");
    double started = cara_clock_monotonic();
    const cara_s3_fill fill = {
        .from = {.deadline = left_s > 0 ? started + left_s - cara_service_reserved_s(left_s) : 0},
        .sha256 = cara_env("CARACOLA_MODEL_SHA256"),
        .path = app->model_path};
    cara_s3_filled filled;
    int rc = cara_model_fetch(from, "CARACOLA_MODEL_SHA256", &fill, &filled, err);
    if (rc)
        return rc;
    if (filled.done && !filled.already)
        cara_engine_reset(app->engine); /* it may hold the old one open */
    cara_log_line(&app->log.log, CARA_LOG_INFO, "fill: %llu of %llu bytes of %s, %s",
                  (unsigned long long)filled.bytes, (unsigned long long)filled.size,
                  app->model_path,
                  filled.done   ? "done"
                  : filled.busy ? "another process fills it"
                                : "to be continued");
    *answer =
        json_pack("{s:s, s:b, s:b, s:b, s:I, s:I, s:f}", "caracola", "fill", "done", filled.done,
                  "already", filled.already, "busy", filled.busy, "bytes", (json_int_t)filled.bytes,
                  "size", (json_int_t)filled.size, "seconds", cara_clock_monotonic() - started);
    return *answer ? CARA_OK : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the answer");
}

void cara_app_close(cara_app *app) {
    cara_app_store_close(&app->store);
    cara_engine_free(app->engine);
    free(app->model_path);
}

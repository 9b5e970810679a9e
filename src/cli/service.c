#include "cli/service.h"

#include "aws/client/client.h"
#include "aws/s3/s3_file.h"
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "pipeline/lambda.h"
#include "pipeline/reply.h"
#include "pipeline/zone.h"
#include "tokenizer/language.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An empty variable is none. */
static const char *env(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

int cara_cli_store_open(cara_cli_store *out, const char *name, const cara_log *log,
                        cara_error *err) {
    *out = (cara_cli_store){.in_s3 = strncmp(name, "s3://", 5) == 0};
    if (!out->in_s3)
        return cara_store_open_folder(name, &out->store, err);
    const cara_aws_options options = {.log = log};
    int rc = cara_aws_open(&options, &out->aws, err);
    if (!rc)
        rc = cara_store_open_s3(name, out->aws, NULL, &out->store, err);
    if (rc)
        cara_cli_store_close(out);
    return rc;
}

void cara_cli_store_close(cara_cli_store *store) {
    cara_store_close(store->store);
    cara_aws_close(store->aws);
    *store = (cara_cli_store){.store = NULL};
}

int cara_cli_media_open(cara_cli_store *store, const char *source, cara_media *out,
                        cara_error *err) {
    struct stat st;
    int aws = source && strcmp(source, "aws") == 0;
    if (!source && !store->in_s3) {
        *out = cara_media_none();
    } else if (!source || aws) {
        if (!store->in_s3)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "media from AWS goes through a bucket, so the store must be one "
                             "(s3://bucket/prefix)");
        store->social = (cara_media_social){store->aws, store->store};
        *out = cara_media_from_social(&store->social);
    } else if (stat(source, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1,
                         "media is taken from \"aws\" or a folder, got "
                         "\"%.200s\"",
                         source);
    } else {
        *out = cara_media_folder(source);
    }
    return CARA_OK;
}

int cara_cli_service_threads(int *threads, cara_error *err) {
    const char *text = env("CARACOLA_THREADS");
    *threads = cara_lambda_threads(env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    if (!text)
        return CARA_OK;
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 0 || n > CARA_LIMIT_THREADS)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "CARACOLA_THREADS takes a number from 0 to %d, got \"%.32s\"",
                         CARA_LIMIT_THREADS, text);
    *threads = (int)n;
    return CARA_OK;
}

static int check_file(const char *path, cara_error *err) {
    struct stat st;
    if (stat(path, &st) != 0 || access(path, R_OK) != 0)
        return cara_fail_errno(err, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1, "%s is no file", path);
    return CARA_OK;
}

/* The model as a file that is there or that a fill will bring, or as an object of S3. */
static int find_model(cara_cli_service *s, cara_engine_options *options, cara_error *err) {
    const char *from = env("CARACOLA_MODEL_SOURCE"), *sha256 = env("CARACOLA_MODEL_SHA256");
    int rc = cara_cli_model_path(NULL, 1, &s->model_path, err);
    if (rc)
        return rc;
    options->model_path = s->model_path;
    if (cara_cli_is_s3(s->model_path)) {
        rc = cara_cli_stream_init(&s->stream, s->model_path, sha256, err);
        /* What the weights leave of the memory must hold a session. */
        const char *memory = env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
        s->stream.limit = memory ? strtoull(memory, NULL, 10) * CARA_MIB : 0;
        s->stream.vocab_path = options->vocab_path;
        s->source = cara_cli_stream_source(&s->stream);
        options->source = &s->source;
        return rc;
    }
    if (!from)
        return check_file(s->model_path, err);
    char bucket[64], key[CARA_S3_KEY_MAX + 1];
    rc = cara_s3_url_split(from, bucket, key, err);
    if (rc)
        cara_error_prefix(err, "CARACOLA_MODEL_SOURCE");
    return rc ? rc : cara_s3_digest_check(sha256, "CARACOLA_MODEL_SHA256", err);
}

static int open_engine(cara_cli_service *s, int ears, cara_stop_fn stop, void *stop_cookie,
                       cara_error *err) {
    cara_engine_options options = {.vocab_path = env("CARACOLA_VOCAB"),
                                   .ears = ears,
                                   .stop = stop,
                                   .stop_cookie = stop_cookie};
    const char *language = env("CARACOLA_LANGUAGE");
    if (language && cara_language_find(language) < 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "CARACOLA_LANGUAGE takes a language such as es or Spanish, got \"%.64s\"",
                         language);
    int rc = cara_cli_service_threads(&options.threads, err);
    if (!rc)
        rc = find_model(s, &options, err);
    if (!rc && options.vocab_path)
        rc = check_file(options.vocab_path, err);
    if (rc)
        return rc;
    cara_options_default(&options.transcribe);
    options.transcribe.best_of = 5; /* as openai's command, and as handle */
    options.transcribe.language = language;
    const char *audio_ctx = env("CARACOLA_AUDIO_CTX");
    if (audio_ctx && cara_cli_audio_ctx(audio_ctx, &options.transcribe.audio_ctx))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "CARACOLA_AUDIO_CTX takes auto, full, or 1 to 1500, got \"%.32s\"",
                         audio_ctx);
    s->engine = cara_engine_new(&options);
    if (!s->engine)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the engine");
    s->transcriber = cara_engine_transcriber(s->engine, 0);
    return CARA_OK;
}

static int send_reply(void *ctx, const cara_inbox_message *message, const char *key,
                      const char *text, cara_error *err) {
    const cara_cli_service *s = ctx;
    return cara_reply_send(s->store.aws, s->store.store, message, key, text, err);
}

static int open_reply(cara_cli_service *s, cara_error *err) {
    const char *wanted = env("CARACOLA_REPLY");
    if (!wanted || strcmp(wanted, "0") == 0)
        return CARA_OK;
    if (strcmp(wanted, "1") != 0)
        return cara_fail(err, CARA_ERR_USAGE, -1, "CARACOLA_REPLY takes 1 or 0, got \"%.32s\"",
                         wanted);
    if (!s->store.aws)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "CARACOLA_REPLY=1 needs a store in S3 (s3://bucket/prefix)");
    s->service.pipeline.reply = send_reply;
    s->service.pipeline.reply_ctx = s;
    return CARA_OK;
}

static void open_log(cara_cli_service *s, int log_fd) {
    const char *level = env("AWS_LAMBDA_LOG_LEVEL");
    if (cara_service_log_init(&s->log, log_fd, env("AWS_LAMBDA_LOG_FORMAT"), level))
        cara_log_line(&s->log.log, CARA_LOG_WARN,
                      "AWS_LAMBDA_LOG_LEVEL takes TRACE, DEBUG, INFO, WARN, ERROR or FATAL, got "
                      "\"%.32s\"; INFO is used",
                      level);
}

/* Store, media and replies, each service's own. */
static int open_rest(cara_cli_service *s, cara_error *err) {
    int rc = cara_cli_store_open(&s->store, env("CARACOLA_STORE"), &s->log.log, err);
    if (!rc)
        rc = cara_cli_media_open(&s->store, env("CARACOLA_MEDIA"), &s->media, err);
    s->service = (cara_service){.pipeline = {.store = s->store.store,
                                             .media = &s->media,
                                             .transcriber = &s->transcriber,
                                             .local_time = cara_zone_local_time},
                                .aws = s->store.aws,
                                .log = &s->log,
                                .function = env("CARACOLA_METRICS")};
    if (!s->service.function)
        s->service.function = env("AWS_LAMBDA_FUNCTION_NAME");
    return rc ? rc : open_reply(s, err);
}

int cara_cli_service_open_for(cara_cli_service *s, int ears, cara_stop_fn stop, void *stop_cookie,
                              int log_fd, cara_error *err) {
    *s = (cara_cli_service){.model_path = NULL};
    open_log(s, log_fd);
    if (!env("CARACOLA_STORE"))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "CARACOLA_STORE is not set; it takes s3://bucket/prefix or a folder");
    int rc = cara_zone_use(env("CARACOLA_TIMEZONE"), err);
    if (!rc)
        rc = open_engine(s, ears, stop, stop_cookie, err);
    return rc ? rc : open_rest(s, err);
}

int cara_cli_service_open(cara_cli_service *s, int log_fd, cara_error *err) {
    return cara_cli_service_open_for(s, 1, NULL, NULL, log_fd, err);
}

int cara_cli_service_join(cara_cli_service *s, const cara_cli_service *first, int index, int log_fd,
                          cara_error *err) {
    *s = (cara_cli_service){.model_path = NULL};
    open_log(s, log_fd);
    s->transcriber = cara_engine_transcriber(first->engine, index);
    return open_rest(s, err);
}

int cara_cli_service_fill(cara_cli_service *s, double left_s, json_t **answer, cara_error *err) {
    const char *from = env("CARACOLA_MODEL_SOURCE");
    if (!from || cara_cli_is_s3(s->model_path))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "a fill needs CARACOLA_MODEL_SOURCE=s3://bucket/key and "
                         "CARACOLA_MODEL_SHA256, and a file's path in CARACOLA_MODEL");
    double started = cara_clock_monotonic();
    char bucket[64], key[CARA_S3_KEY_MAX + 1];
    int rc = cara_s3_url_split(from, bucket, key, err);
    if (rc)
        return rc;
    const cara_s3_fill fill = {
        .from = {.bucket = bucket,
                 .key = key,
                 .deadline = left_s > 0 ? started + left_s - cara_service_keep(left_s) : 0},
        .sha256 = env("CARACOLA_MODEL_SHA256"),
        .path = s->model_path};
    cara_s3_filled filled;
    rc = cara_s3_fill_file(&fill, &filled, err);
    if (rc)
        return rc;
    if (filled.done && !filled.already)
        cara_engine_reset(s->engine); /* it may hold the old one open */
    cara_log_line(&s->log.log, CARA_LOG_INFO, "fill: %llu of %llu bytes of %s, %s",
                  (unsigned long long)filled.bytes, (unsigned long long)filled.size, s->model_path,
                  filled.done   ? "done"
                  : filled.busy ? "another process is at it"
                                : "to be gone on with");
    *answer =
        json_pack("{s:s, s:b, s:b, s:b, s:I, s:I, s:f}", "caracola", "fill", "done", filled.done,
                  "already", filled.already, "busy", filled.busy, "bytes", (json_int_t)filled.bytes,
                  "size", (json_int_t)filled.size, "seconds", cara_clock_monotonic() - started);
    return *answer ? CARA_OK : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the answer");
}

void cara_cli_service_close(cara_cli_service *s) {
    cara_cli_store_close(&s->store);
    cara_engine_free(s->engine);
    free(s->model_path);
}

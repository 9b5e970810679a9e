/* What `worker` and the Lambda function run on: a store, a source of media, a model. */
#ifndef APP_APP_H
#define APP_APP_H

#include "app/model/stream.h"
#include "app/settings/app_store.h"
#include "pipeline/service/service.h"

typedef struct cara_app {
    cara_app_store store;
    cara_media media;
    cara_engine *engine; /* NULL where it is another app's */
    cara_transcriber transcriber;
    cara_model_stream stream; /* where the model is in S3 */
    cara_model_source source;
    char *model_path;
    int model_failed; /* 1 where cara_app_open() failed for the model or its vocabulary */
    cara_service_log log;
    cara_service service;
} cara_app;

/* Reads everything from the environment (docs/aws.md has the table): CARACOLA_STORE, _MEDIA,
 * _MODEL, _MODEL_SOURCE, _MODEL_SHA256, _VOCAB, _LANGUAGE, _TIMEZONE, _THREADS,
 * AWS_LAMBDA_LOG_FORMAT and _LEVEL. `log_fd` takes the log. Does nothing slow: the model is opened
 * for the first audio, S3 used for the first message. *app must stay where it is. Close it in any
 * case. */
int cara_app_open(cara_app *app, int log_fd, cara_error *err);

/* `concurrent`: how many services transcribe at the same time with the one engine, each in a thread
 * of its own; `stop` is called, from any of these, while they wait for the model. */
int cara_app_open_for(cara_app *app, int concurrent, cara_stop_fn stop, void *stop_cookie,
                      int log_fd, cara_error *err);
/* Opens one more that shares the engine of `first`, which is closed last, as its transcriber
 * `index`, 1 to concurrent - 1. */
int cara_app_open_shared(cara_app *app, const cara_app *first, int index, int log_fd,
                         cara_error *err);
void cara_app_close(cara_app *app);

/* Logs the version, the model (its name, size and compute type, from the head of its file) and
 * the queue; `queue` NULL: a Lambda function's name instead. A warning for the demo model, and
 * where the file cannot be opened now, which a fill may change. */
void cara_app_log_start(const cara_app *app, const char *queue);

/* The command {"caracola":"fill"}: CARACOLA_MODEL_SOURCE to the file that CARACOLA_MODEL names. It
 * ends in time to answer within `left_s` seconds (<= 0: no limit); *answer, which becomes the
 * caller's, says whether it is done. USAGE where a setting is missing, else as
 * cara_s3_fill_file(). */
int cara_app_fill(cara_app *app, double left_s, json_t **answer, cara_error *err);

#endif

/* What `handle`, `worker` and the Lambda loop are set up from: a store, a source of media, a model.
 */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

#include "cli/model_stream.h"
#include "pipeline/service.h"

struct cara_aws;

/* A store by its name, with the AWS client behind it where it is in S3. */
typedef struct cara_cli_store {
    cara_store *store;
    struct cara_aws *aws; /* NULL for a folder */
    int in_s3;
    cara_media_social social;
} cara_cli_store;

/* `name`: "s3://bucket[/prefix]" or a folder. On failure there is nothing to close. */
int cara_cli_store_open(cara_cli_store *out, const char *name, const cara_log *log,
                        cara_error *err);
void cara_cli_store_close(cara_cli_store *store);
/* Threads to use: CARACOLA_THREADS, else what Lambda's memory pays for, else 0, all there are.
 * USAGE. */
int cara_cli_service_threads(int *threads, cara_error *err);
/* `source`: a folder; "aws"; NULL: AWS where the store is in S3, else none. USAGE. *store must stay
 * where it is as long as the media is used. */
int cara_cli_media_open(cara_cli_store *store, const char *source, cara_media *out,
                        cara_error *err);

typedef struct cara_cli_service {
    cara_cli_store store;
    cara_media media;
    cara_engine *engine; /* NULL where it is another service's */
    cara_transcriber transcriber;
    cara_cli_stream stream; /* where the model is in S3 */
    cara_model_source source;
    char *model_path;
    cara_service_log log;
    cara_service service;
} cara_cli_service;

/* Everything from the environment (docs/aws.md has the table): CARACOLA_STORE, _MEDIA, _MODEL,
 * _MODEL_SOURCE, _MODEL_SHA256, _VOCAB, _LANGUAGE, _TIMEZONE, _THREADS, AWS_LAMBDA_LOG_FORMAT and
 * _LEVEL. `log_fd` takes the log.
 * Opens nothing slow: the model comes with the first audio, S3 with the first message. *out must
 * stay where it is. Close it in any case. */
int cara_cli_service_open(cara_cli_service *out, int log_fd, cara_error *err);

/* `ears`: how many services are to hear at once with the one engine, each in a thread of its own;
 * `stop` is asked, from any of these, while they wait for the model. */
int cara_cli_service_open_for(cara_cli_service *out, int ears, cara_stop_fn stop, void *stop_cookie,
                              int log_fd, cara_error *err);
/* One more beside `first`, which is closed last: its engine's ear `index`, 1 to ears - 1. */
int cara_cli_service_join(cara_cli_service *out, const cara_cli_service *first, int index,
                          int log_fd, cara_error *err);
void cara_cli_service_close(cara_cli_service *service);

/* The command {"caracola":"fill"}: CARACOLA_MODEL_SOURCE to the file that CARACOLA_MODEL names. It
 * ends in time to answer within `left_s` seconds (<= 0: no limit); *answer, which becomes the
 * caller's, says whether it is done. USAGE where a setting is missing, else as
 * cara_s3_fill_file(). */
int cara_cli_service_fill(cara_cli_service *service, double left_s, json_t **answer,
                          cara_error *err);

#endif

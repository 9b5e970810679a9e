/* CARACOLA_MODEL=s3://bucket/key: a model that is used while it is being fetched. */
#ifndef APP_MODEL_STREAM_H
#define APP_MODEL_STREAM_H

#include "aws/s3/s3_memory.h"
#include "pipeline/transcriber/engine.h"

typedef struct cara_model_stream {
    const char *sha256;     /* borrowed; see cara_s3_memory_open() */
    const char *vocab_path; /* borrowed; or NULL */
    uint64_t limit;         /* most bytes; 0: none */
    int connections;        /* as cara_s3_fetch_options has it */
    size_t part;            /* bytes; 0: 4 MiB */
    char bucket[64], key[CARA_S3_KEY_MAX + 1];
    const cara_log *log; /* gets a line about the model once it is open; or NULL */
    cara_s3_memory *memory;
    cara_stop_fn stop;
    void *stop_cookie;
} cara_model_stream;

/* Checks the settings, without a call to S3; the optional members are set after it. `url` is
 * copied; *stream must stay where it is as long as the source is used. USAGE. */
int cara_model_stream_init(cara_model_stream *stream, const char *url, const char *sha256,
                           cara_error *err);
cara_model_source cara_model_stream_source(cara_model_stream *stream);

#endif

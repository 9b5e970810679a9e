/* Events under a deadline: what the Lambda loop and the queue worker have in common. */
#ifndef PIPELINE_SERVICE_H
#define PIPELINE_SERVICE_H

#include "pipeline/pipeline.h"
#include "pipeline/service/service_log.h"

#include <jansson.h>

struct cara_aws;

typedef struct cara_service { /* everything is borrowed */
    cara_pipeline pipeline;   /* `stop` and `log` are the service's to set */
    struct cara_aws *aws;     /* the client behind store and media; NULL where there is none */
    cara_service_log *log;
    const char *function;          /* names the metrics; NULL: no metrics */
    int (*interrupted)(void *ctx); /* the process is to end; may be NULL */
    void *interrupted_ctx;
    /* Does what an event {"caracola":"NAME", ...} asks for within `left_s` seconds (<= 0: no
     * limit). *answer becomes the caller's. USAGE: no such name. NULL: there are none. */
    int (*command)(void *ctx, const char *name, const json_t *event, double left_s, json_t **answer,
                   cara_error *err);
    void *command_ctx;
    double interrupted_at; /* when that was first seen; 0: not yet */
    int warm;              /* set once an event was handled */
    double stop_at;        /* of the current event; cara_clock_monotonic(); 0: never */
} cara_service;

/* The result of handling an event. */
typedef struct cara_handled {
    cara_summary summary;
    size_t n_retry;
    cara_stage stage; /* of the first message to deliver again */
    cara_error error; /* its */
    json_t *failed;   /* {record id: true, ...}: SQS records with something to deliver again */
    int unnamed;      /* something is to be delivered again that has no record id */
} cara_handled;

/* Handles an event within `left_s` seconds (<= 0: no limit): calls end shortly before that, and
 * transcription earlier, so that finished work can be kept and the answer sent. Logs and counts the
 * outcomes. On success the caller frees *out with cara_handled_free(); MEMORY otherwise. */
int cara_service_handle(cara_service *service, const char *event, size_t n, double left_s,
                        cara_handled *out, cara_error *err);
void cara_handled_free(cara_handled *handled);

/* Seconds of the `left_s` that are reserved for keeping what is done, and for the answer. */
double cara_service_reserved_s(double left_s);

/* "Category.Reason" of an error as Lambda and CloudWatch show it: "Store.Unavailable"; static. The
 * table is in base/failure.h. */
const char *cara_service_error_type(cara_stage stage, cara_code code);

#endif

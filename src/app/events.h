/* A pipeline for events in memory, as `handle` has them. */
#ifndef APP_EVENTS_H
#define APP_EVENTS_H

#include "app/model/model_file.h"
#include "app/settings/app_store.h"
#include "pipeline/pipeline.h"

typedef struct cara_events_options { /* everything is borrowed; NULL: see app.h's variables */
    const char *store;               /* "s3://bucket[/prefix]" or a folder */
    const char *media;               /* see cara_app_media_open() */
    const char *model;               /* see cara_model_choose() */
    const char *vocab, *language;
    const char *timezone; /* see cara_zone_set() */
    int threads;          /* 0: all there are */
    int retry_failed;     /* also try audio again that failed for good */
    void (*on_demo)(void *cookie);
    int (*progress)(void *cookie, int64_t done, int64_t total); /* as cara_options has it */
    cara_stop_fn stop;
    void *cookie; /* of these three */
} cara_events_options;

typedef struct cara_events {
    cara_app_store store;
    cara_media media;
    cara_model_file model;
    cara_model_source source;
    cara_engine *engine;
    cara_transcriber transcriber;
    cara_pipeline pipeline; /* ready for cara_pipeline_handle() */
} cara_events;

/* Opens the store; the model is opened when the first audio comes. *out must stay where it is.
 * Close it in any case. USAGE, MEMORY, and what opening a store fails with. */
int cara_events_open(cara_events *out, const cara_events_options *options, cara_error *err);
void cara_events_close(cara_events *events);

#endif

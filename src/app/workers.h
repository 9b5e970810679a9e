/* Workers on one queue: each takes one event after the other in a thread of its own, and all share
 * one engine, so that weights are read once for several notes. */
#ifndef APP_WORKERS_H
#define APP_WORKERS_H

#include "pipeline/service/worker.h"

typedef struct cara_workers_options { /* everything is borrowed */
    const char *queue_url;
    int visibility_s; /* as cara_worker_options has it */
    int n;            /* 1 to CARA_MAX_SESSIONS */
    int log_fd;
    int (*interrupted)(void); /* asked by all threads: the work is to end */
} cara_workers_options;

/* What an error is about; the code of the error says more. */
typedef enum cara_workers_part {
    CARA_WORKERS_SETTINGS, /* a variable, the store, media, memory */
    CARA_WORKERS_MODEL,    /* the model or its vocabulary */
    CARA_WORKERS_QUEUE
} cara_workers_part;

typedef struct cara_workers_result {
    cara_worker_summary summary; /* of the events of all workers */
    cara_workers_part part;      /* after an error */
} cara_workers_result;

/* Sets up everything from the environment, as cara_app_open(), and works until `interrupted`
 * returns 1: then CARA_OK. The first failure ends all: as cara_app_open(), cara_worker_run();
 * and, unlike on Lambda, where a fill may still bring it, a file that is no model. */
int cara_workers_run(const cara_workers_options *options, cara_workers_result *result,
                     cara_error *err);

#endif

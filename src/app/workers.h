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

/* Sets up everything from the environment, as cara_app_open(), and works until `interrupted`
 * returns 1: then CARA_OK. The first failure ends all: as cara_app_open(), cara_worker_run().
 * *summary counts the events of all workers. */
int cara_workers_run(const cara_workers_options *options, cara_worker_summary *summary,
                     cara_error *err);

#endif

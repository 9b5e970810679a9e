#include "app/workers.h"

#include "app/app.h"
#include "app/model/describe.h"
#include "app/model/path.h"
#include "app/settings/environment.h"
#include "aws/client/client.h"
#include "base/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct worker {
    cara_app app;
    cara_worker_options options;
    cara_worker_summary summary;
    cara_error err;
    int rc;
    int (*interrupted)(void);
    atomic_int *failed; /* one of them did: then all end */
    pthread_t thread;
} worker;

static int interrupted(void *ctx) {
    const worker *w = ctx;
    return w->interrupted() || atomic_load(w->failed);
}

static int open_worker(worker *workers, int i, const cara_workers_options *o) {
    worker *w = &workers[i];
    w->rc = i == 0 ? cara_app_open_for(&w->app, o->n, interrupted, w, o->log_fd, &w->err)
                   : cara_app_open_shared(&w->app, &workers[0].app, i, o->log_fd, &w->err);
    w->app.service.interrupted = interrupted;
    w->app.service.interrupted_ctx = w;
    const cara_aws_options aws = {.log = &w->app.log.log};
    if (!w->rc)
        w->rc = cara_aws_open(&aws, &w->options.queue, &w->err);
    if (!w->rc)
        w->rc = cara_aws_open(&aws, &w->options.renewal, &w->err);
    return w->rc;
}

static void close_worker(worker *w) {
    cara_aws_close(w->options.renewal);
    cara_aws_close(w->options.queue);
    cara_app_close(&w->app);
}

static void *work(void *ctx) {
    worker *w = ctx;
    w->rc = cara_worker_run(&w->app.service, &w->options, &w->summary, &w->err);
    if (w->rc)
        atomic_store(w->failed, 1);
    return NULL;
}

/* All workers until they are interrupted; the first one here. */
static void work_all(worker *workers, int n) {
    int started = 1;
    while (started < n && cara_thread_start(&workers[started].thread, work, &workers[started]) == 0)
        started++;
    if (started < n)
        cara_log_line(&workers[0].app.log.log, CARA_LOG_WARN,
                      "only %d of %d threads can be started", started, n);
    work(&workers[0]);
    for (int i = 1; i < started; i++)
        pthread_join(workers[i].thread, NULL);
}

/* A file that cannot be opened now stays so: nothing will bring another. */
static int check_model(worker *w) {
    char shown[256];
    int is_demo;
    const char *path = w->app.model_path;
    if (!cara_model_is_s3(path) && !cara_env("CARACOLA_MODEL_SOURCE"))
        w->rc = cara_model_describe_file(path, shown, sizeof shown, &is_demo, &w->err);
    if (w->rc)
        cara_error_prefix(&w->err, "%s", path);
    w->app.model_failed = w->rc != CARA_OK;
    return w->rc;
}

int cara_workers_run(const cara_workers_options *o, cara_workers_result *result, cara_error *err) {
    *result = (cara_workers_result){.part = CARA_WORKERS_SETTINGS};
    worker *workers = calloc((size_t)o->n, sizeof *workers);
    if (!workers)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %d events at once", o->n);
    atomic_int failed = 0;
    int opened = 0, rc = CARA_OK;
    for (; opened < o->n && !rc; opened++) {
        worker *w = &workers[opened];
        w->options =
            (cara_worker_options){.queue_url = o->queue_url, .visibility_s = o->visibility_s};
        w->interrupted = o->interrupted;
        w->failed = &failed;
        rc = open_worker(workers, opened, o);
        if (!rc && opened == 0)
            rc = check_model(w);
        if (w->app.model_failed)
            result->part = CARA_WORKERS_MODEL;
    }
    if (!rc) {
        result->part = CARA_WORKERS_QUEUE;
        cara_app_log_start(&workers[0].app, o->queue_url);
        work_all(workers, o->n);
    }
    rc = CARA_OK;
    for (int i = 0; i < opened; i++) {
        if (workers[i].rc && !rc) {
            rc = workers[i].rc;
            if (err)
                *err = workers[i].err;
        }
        result->summary.n_done += workers[i].summary.n_done;
        result->summary.n_left += workers[i].summary.n_left;
    }
    if (!rc)
        cara_log_line(&workers[0].app.log.log, CARA_LOG_INFO,
                      "stopped; %zu events done, %zu left in the queue", result->summary.n_done,
                      result->summary.n_left);
    while (opened > 0)
        close_worker(&workers[--opened]);
    free(workers);
    return rc;
}

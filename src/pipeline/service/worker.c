#include "pipeline/service/worker.h"

#include "aws/client/client.h"
#include "aws/services/sqs.h"
#include "base/clock.h"
#include "base/threads.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define VISIBILITY_S 120
#define WAIT_S 20
#define PAUSE_MAX_S 60.0 /* between polls of a queue that does not answer */
#define AGAIN_MIN_S 5    /* until a message that failed comes again; twice as long each time */
#define AGAIN_MAX_S 900
#define SETTLE_S 10.0 /* for deleting or handing back, even on the way out */

/* Keeps the message in work hidden, in a thread of its own. */
typedef struct heart {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const cara_worker_options *options;
    int visibility_s;
    cara_service_log log; /* a copy: lines of two threads must not share a request id */
    char receipt[2048];   /* "" while there is nothing to keep */
    int over;
} heart;

static void *beat(void *ctx) {
    heart *h = ctx;
    pthread_mutex_lock(&h->lock);
    while (!h->over) {
        if (!h->receipt[0]) {
            pthread_cond_wait(&h->changed, &h->lock);
            continue;
        }
        char receipt[sizeof h->receipt];
        memcpy(receipt, h->receipt, sizeof receipt);
        double until = cara_clock_monotonic() + (double)h->visibility_s / 3, left;
        while (!h->over && strcmp(receipt, h->receipt) == 0 &&
               (left = until - cara_clock_monotonic()) > 0)
            cara_cond_wait(&h->changed, &h->lock, left);
        if (h->over || strcmp(receipt, h->receipt) != 0)
            continue;
        pthread_mutex_unlock(&h->lock);
        cara_error err = {.code = CARA_OK};
        cara_aws_set_deadline(h->options->heart,
                              cara_clock_monotonic() + (double)h->visibility_s / 3);
        if (cara_sqs_change_visibility(h->options->heart, h->options->queue_url, receipt,
                                       h->visibility_s, &err))
            cara_log_line(&h->log.log, CARA_LOG_WARN,
                          "the message could not be kept hidden, others may work on it too: %s",
                          err.text);
        pthread_mutex_lock(&h->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static int heart_start(heart *h, const cara_service *service, const cara_worker_options *options,
                       int visibility_s, cara_error *err) {
    *h = (heart){.options = options, .visibility_s = visibility_s, .log = *service->log};
    h->log.log.cookie = &h->log;
    h->log.request_id[0] = 0;
    if (pthread_mutex_init(&h->lock, NULL))
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a thread");
    cara_cond_init(&h->changed);
    if (cara_thread_start(&h->thread, beat, h)) {
        pthread_cond_destroy(&h->changed);
        pthread_mutex_destroy(&h->lock);
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no thread can be started");
    }
    return CARA_OK;
}

static void heart_keep(heart *h, const char *receipt) {
    pthread_mutex_lock(&h->lock);
    if (strlen(receipt) < sizeof h->receipt)
        snprintf(h->receipt, sizeof h->receipt, "%s", receipt);
    else
        h->receipt[0] = 0;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void heart_stop(heart *h) {
    pthread_mutex_lock(&h->lock);
    h->over = 1;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
}

static int is_interrupted(const cara_service *s) {
    return s->interrupted && s->interrupted(s->interrupted_ctx);
}

static int stop_polling(void *cookie) {
    return is_interrupted(cookie);
}

/* Sleeps, but not through an interruption. */
static void wait_for(const cara_service *s, double seconds) {
    double end = cara_clock_monotonic() + seconds;
    for (double left; !is_interrupted(s) && (left = end - cara_clock_monotonic()) > 0;) {
        double slice = left < 0.25 ? left : 0.25;
        struct timespec t = {0, (long)(slice * 1e9)};
        nanosleep(&t, NULL);
    }
}

/* How long a message that failed waits: 5 s, 10 s, 20 s ... */
static int again_after(int64_t receive_count) {
    int wait = AGAIN_MIN_S;
    for (int64_t i = 1; i < receive_count && wait < AGAIN_MAX_S; i++)
        wait *= 2;
    return wait < AGAIN_MAX_S ? wait : AGAIN_MAX_S;
}

static void work(cara_service *s, const cara_worker_options *o, heart *h, const cara_sqs_message *m,
                 cara_worker_summary *summary) {
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_handled handled = {.n_retry = 0};
    snprintf(s->log->request_id, sizeof s->log->request_id, "%s", m->id);
    heart_keep(h, m->receipt);
    int rc = cara_service_handle(s, m->body, m->body_len, 0, &handled, &err);
    heart_keep(h, "");
    int again = rc || handled.n_retry;
    if (again) {
        cara_log_line(&s->log->log, CARA_LOG_WARN, "the event stays in the queue: %s: %s",
                      cara_service_error_type(handled.stage, rc ? err.code : handled.error.code),
                      rc ? err.text : handled.error.text);
        summary->n_again++;
    } else {
        summary->n_done++;
    }
    /* Also on the way out: what is finished must not come again, what is not should at once. */
    cara_aws_set_stop(o->queue, NULL, NULL);
    cara_aws_set_deadline(o->queue, cara_clock_monotonic() + SETTLE_S);
    int wait = is_interrupted(s) ? 0 : again_after(m->receive_count);
    rc = again ? cara_sqs_change_visibility(o->queue, o->queue_url, m->receipt, wait, &err)
               : cara_sqs_delete(o->queue, o->queue_url, m->receipt, &err);
    if (rc)
        cara_log_line(&s->log->log, CARA_LOG_WARN, "%s: %s; it will come again",
                      again ? "the event could not be handed back"
                            : "the event could not be deleted",
                      err.text);
    cara_handled_free(&handled);
    s->log->request_id[0] = 0;
}

int cara_worker_run(cara_service *s, const cara_worker_options *o, cara_worker_summary *summary,
                    cara_error *err) {
    int visibility_s = o->visibility_s ? o->visibility_s : VISIBILITY_S;
    *summary = (cara_worker_summary){.n_done = 0};
    heart h;
    int rc = heart_start(&h, s, o, visibility_s, err);
    if (rc)
        return rc;
    double pause = 0;
    for (int first = 1; !is_interrupted(s);) {
        cara_sqs_messages messages;
        cara_aws_set_deadline(o->queue, 0);
        cara_aws_set_stop(o->queue, stop_polling, s);
        /* One at a time: what waits here could be done by another worker meanwhile. */
        rc = cara_sqs_receive(o->queue, o->queue_url, 1, o->wait_s ? o->wait_s : WAIT_S,
                              visibility_s, &messages, err);
        if (rc && (is_interrupted(s) || rc == CARA_ERR_CANCELLED))
            break;
        if (rc == CARA_ERR_USAGE ||
            (first && (rc == CARA_ERR_DENIED || rc == CARA_ERR_NOT_FOUND))) {
            heart_stop(&h);
            return rc;
        }
        if (rc) {
            pause = pause ? pause * 2 : 1;
            pause = pause < PAUSE_MAX_S ? pause : PAUSE_MAX_S;
            cara_log_line(&s->log->log, CARA_LOG_WARN, "%s; the next try is in %.0f s", err->text,
                          pause);
            wait_for(s, pause);
            continue;
        }
        first = 0;
        pause = 0;
        for (size_t i = 0; i < messages.n; i++)
            work(s, o, &h, &messages.items[i], summary);
        cara_sqs_messages_free(&messages);
    }
    heart_stop(&h);
    return CARA_OK;
}

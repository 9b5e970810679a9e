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
#define RETRY_MIN_S 5    /* until SQS gives a message that failed again; twice as long each time */
#define RETRY_MAX_S 900
#define LAST_CALL_S 10.0 /* for deleting or giving back, also after an interruption */

/* Renews the visibility timeout of the current message, in a thread of its own. */
typedef struct renewer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const cara_worker_options *options;
    int visibility_s;
    cara_service_log log; /* a copy: lines of two threads must not share a request id */
    char receipt[2048];   /* "" while there is none */
    int over;
} renewer;

static void *renew_all(void *ctx) {
    renewer *r = ctx;
    pthread_mutex_lock(&r->lock);
    while (!r->over) {
        if (!r->receipt[0]) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        char receipt[sizeof r->receipt];
        memcpy(receipt, r->receipt, sizeof receipt);
        double until = cara_clock_monotonic() + (double)r->visibility_s / 3, left;
        while (!r->over && strcmp(receipt, r->receipt) == 0 &&
               (left = until - cara_clock_monotonic()) > 0)
            cara_cond_wait(&r->changed, &r->lock, left);
        if (r->over || strcmp(receipt, r->receipt) != 0)
            continue;
        pthread_mutex_unlock(&r->lock);
        cara_error err = {.code = CARA_OK};
        cara_aws_set_deadline(r->options->renewal,
                              cara_clock_monotonic() + (double)r->visibility_s / 3);
        if (cara_sqs_change_visibility(r->options->renewal, r->options->queue_url, receipt,
                                       r->visibility_s, &err))
            cara_log_line(
                &r->log.log, CARA_LOG_WARN,
                "the visibility timeout was not renewed, another worker may take the message: %s",
                err.text);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static int renewer_start(renewer *r, const cara_service *service,
                         const cara_worker_options *options, int visibility_s, cara_error *err) {
    *r = (renewer){.options = options, .visibility_s = visibility_s, .log = *service->log};
    r->log.log.cookie = &r->log;
    r->log.request_id[0] = 0;
    if (pthread_mutex_init(&r->lock, NULL))
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a thread");
    cara_cond_init(&r->changed);
    if (cara_thread_start(&r->thread, renew_all, r)) {
        pthread_cond_destroy(&r->changed);
        pthread_mutex_destroy(&r->lock);
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no thread can be started");
    }
    return CARA_OK;
}

static void renewer_set(renewer *r, const char *receipt) {
    pthread_mutex_lock(&r->lock);
    if (strlen(receipt) < sizeof r->receipt)
        snprintf(r->receipt, sizeof r->receipt, "%s", receipt);
    else
        r->receipt[0] = 0;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void renewer_stop(renewer *r) {
    pthread_mutex_lock(&r->lock);
    r->over = 1;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
}

static int is_interrupted(const cara_service *s) {
    return s->interrupted && s->interrupted(s->interrupted_ctx);
}

static int stop_polling(void *cookie) {
    return is_interrupted(cookie);
}

/* Sleeps, but not through an interruption. */
static void sleep_until_interrupted(const cara_service *s, double seconds) {
    double end = cara_clock_monotonic() + seconds;
    for (double left; !is_interrupted(s) && (left = end - cara_clock_monotonic()) > 0;) {
        double slice = left < 0.25 ? left : 0.25;
        struct timespec t = {0, (long)(slice * 1e9)};
        nanosleep(&t, NULL);
    }
}

/* How long a message that failed waits: 5 s, 10 s, 20 s ... */
static int retry_after(int64_t receive_count) {
    int wait = RETRY_MIN_S;
    for (int64_t i = 1; i < receive_count && wait < RETRY_MAX_S; i++)
        wait *= 2;
    return wait < RETRY_MAX_S ? wait : RETRY_MAX_S;
}

static void handle_message(cara_service *s, const cara_worker_options *o, renewer *r,
                           const cara_sqs_message *m, cara_worker_summary *summary) {
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_handled handled = {.n_retry = 0};
    snprintf(s->log->request_id, sizeof s->log->request_id, "%s", m->id);
    renewer_set(r, m->receipt);
    int rc = cara_service_handle(s, m->body, m->body_len, 0, &handled, &err);
    renewer_set(r, "");
    int retry = rc || handled.n_retry;
    if (retry) {
        cara_log_line(&s->log->log, CARA_LOG_WARN, "the event stays in the queue: %s: %s",
                      cara_service_error_type(handled.stage, rc ? err.code : handled.error.code),
                      rc ? err.text : handled.error.text);
        summary->n_left++;
    } else {
        summary->n_done++;
    }
    /* Also after an interruption: a finished event must not be delivered again, another one at
     * once. */
    cara_aws_set_stop(o->queue, NULL, NULL);
    cara_aws_set_deadline(o->queue, cara_clock_monotonic() + LAST_CALL_S);
    int wait = is_interrupted(s) ? 0 : retry_after(m->receive_count);
    rc = retry ? cara_sqs_change_visibility(o->queue, o->queue_url, m->receipt, wait, &err)
               : cara_sqs_delete(o->queue, o->queue_url, m->receipt, &err);
    if (rc)
        cara_log_line(&s->log->log, CARA_LOG_WARN, "%s: %s; it will be delivered again",
                      retry ? "the event could not be given back"
                            : "the event could not be deleted",
                      err.text);
    cara_handled_free(&handled);
    s->log->request_id[0] = 0;
}

int cara_worker_run(cara_service *s, const cara_worker_options *o, cara_worker_summary *summary,
                    cara_error *err) {
    int visibility_s = o->visibility_s ? o->visibility_s : VISIBILITY_S;
    *summary = (cara_worker_summary){.n_done = 0};
    renewer renew;
    int rc = renewer_start(&renew, s, o, visibility_s, err);
    if (rc)
        return rc;
    double pause = 0;
    for (int first = 1; !is_interrupted(s);) {
        cara_sqs_messages messages;
        cara_aws_set_deadline(o->queue, 0);
        cara_aws_set_stop(o->queue, stop_polling, s);
        /* One at a time: another worker can take the next one. */
        rc = cara_sqs_receive(o->queue, o->queue_url, 1, o->wait_s ? o->wait_s : WAIT_S,
                              visibility_s, &messages, err);
        if (rc && (is_interrupted(s) || rc == CARA_ERR_CANCELLED))
            break;
        if (rc == CARA_ERR_USAGE ||
            (first && (rc == CARA_ERR_DENIED || rc == CARA_ERR_NOT_FOUND))) {
            renewer_stop(&renew);
            return rc;
        }
        if (rc) {
            pause = pause ? pause * 2 : 1;
            pause = pause < PAUSE_MAX_S ? pause : PAUSE_MAX_S;
            cara_log_line(&s->log->log, CARA_LOG_WARN, "%s; the next try is in %.0f s", err->text,
                          pause);
            sleep_until_interrupted(s, pause);
            continue;
        }
        first = 0;
        pause = 0;
        for (size_t i = 0; i < messages.n; i++)
            handle_message(s, o, &renew, &messages.items[i], summary);
        cara_sqs_messages_free(&messages);
    }
    renewer_stop(&renew);
    return CARA_OK;
}

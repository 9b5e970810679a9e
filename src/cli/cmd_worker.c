/* caracola worker: events from an SQS queue, for ECS, EC2, or a machine in a cupboard. */
#include "app/app.h"
#include "aws/client/client.h"
#include "base/threads.h"
#include "cli/cli.h"
#include "pipeline/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { QUEUE, STORE, MEDIA, MODEL, VOCAB, LANGUAGE, TIMEZONE, THREADS, VISIBILITY, BATCH_SIZE };

static const cara_cli_option options[] = {
    [QUEUE] = {"queue", 0, "URL", "the SQS queue; without it $CARACOLA_QUEUE"},
    [STORE] = {"store", 'o', "DIR", "s3://bucket/prefix or a folder; without it $CARACOLA_STORE"},
    [MEDIA] = {"media", 0, "DIR",
               "aws, the default where the store is in S3, or a folder with the audio;\n"
               "without it $CARACOLA_MEDIA"},
    [MODEL] = {"model", 'm', "FILE",
               "the model, or s3://bucket/key to stream it from there, checked against\n"
               "$CARACOLA_MODEL_SHA256; without it $CARACOLA_MODEL, else the demo model"},
    [VOCAB] = {"vocab", 0, "FILE",
               "the vocabulary of a model that carries none; without it\n$CARACOLA_VOCAB"},
    [LANGUAGE] = {"language", 'l', "LANGUAGE",
                  "what is spoken; without it $CARACOLA_LANGUAGE, else it is detected"},
    [TIMEZONE] = {"timezone", 0, "NAME",
                  "whose days and hours name the records; without it\n"
                  "$CARACOLA_TIMEZONE, $TZ, else UTC"},
    [THREADS] = {"threads", 't', "N", "threads to use; 0, the default, is all that there are"},
    [VISIBILITY] = {"visibility", 0, "SECONDS",
                    "how long a message is hidden from other workers at a time, renewed\n"
                    "while it is worked on; 120, from 15 to 43200"},
    [BATCH_SIZE] = {"batch-size", 0, "N",
                    "events to work on at once, 1 to 16: while several notes are decoded,\n"
                    "weights are read once for all; more memory; 1 is the default"},
    {NULL, 0, NULL, NULL},
};

static const cara_cli_command command = {
    .name = "worker",
    .operands = NULL,
    .summary = "turn the WhatsApp events of an SQS queue into records",
    .options = options,
    .details = "Takes one event after the other, or --batch_size at once: each is deleted once its "
               "messages are kept, and\n"
               "stays in the queue where a retry can cure what went wrong. SIGTERM and SIGINT end\n"
               "the work: what was heard of a voice note is kept, and the event goes back into\n"
               "the queue. Logs go to standard error, as JSON if $AWS_LAMBDA_LOG_FORMAT is JSON.\n"
               "\n"
               "Exit status: 130 after a signal; 2 a setting that cannot work; 4 no model; 5 the\n"
               "store cannot be opened; 7 the queue is not there or refuses."};

/* One of the lanes that take events from the queue, each in a thread of its own. */
typedef struct lane {
    cara_app service;
    cara_worker_options options;
    cara_worker_summary summary;
    cara_error err;
    int rc;
    atomic_int *failed; /* one of them did: then all end */
    pthread_t thread;
} lane;

static int interrupted(void *ctx) {
    const lane *l = ctx;
    return cara_cli_interrupted() || atomic_load(l->failed);
}

static int open_lane(lane *lanes, int i, int n) {
    lane *l = &lanes[i];
    l->rc = i == 0 ? cara_app_open_for(&l->service, n, interrupted, l, STDERR_FILENO, &l->err)
                   : cara_app_join(&l->service, &lanes[0].service, i, STDERR_FILENO, &l->err);
    l->service.service.interrupted = interrupted;
    l->service.service.interrupted_ctx = l;
    const cara_aws_options aws = {.log = &l->service.log.log};
    if (!l->rc)
        l->rc = cara_aws_open(&aws, &l->options.queue, &l->err);
    if (!l->rc)
        l->rc = cara_aws_open(&aws, &l->options.heart, &l->err);
    return l->rc;
}

static void close_lane(lane *l) {
    cara_aws_close(l->options.heart);
    cara_aws_close(l->options.queue);
    cara_app_close(&l->service);
}

static void *work(void *ctx) {
    lane *l = ctx;
    l->rc = cara_worker_run(&l->service.service, &l->options, &l->summary, &l->err);
    if (l->rc)
        atomic_store(l->failed, 1);
    return NULL;
}

/* All lanes until they are interrupted; the first one here. */
static void work_all(lane *lanes, int n) {
    int started = 1;
    while (started < n && cara_thread_start(&lanes[started].thread, work, &lanes[started]) == 0)
        started++;
    if (started < n)
        cara_log_line(&lanes[0].service.log.log, CARA_LOG_WARN,
                      "only %d of %d threads can be started", started, n);
    work(&lanes[0]);
    for (int i = 1; i < started; i++)
        pthread_join(lanes[i].thread, NULL);
}

static int run(const char *queue_url, int visibility_s, int n) {
    lane *lanes = calloc((size_t)n, sizeof *lanes);
    if (!lanes)
        return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for %d events at once", n);
    atomic_int failed = 0;
    int opened = 0, rc = CARA_OK, status = CARA_EXIT_INTERRUPTED;
    for (; opened < n && !rc; opened++) {
        lanes[opened].options =
            (cara_worker_options){.queue_url = queue_url, .visibility_s = visibility_s};
        lanes[opened].failed = &failed;
        rc = open_lane(lanes, opened, n);
    }
    if (!rc) {
        cara_cli_catch_signals();
        work_all(lanes, n);
    }
    cara_worker_summary all = {.n_done = 0};
    for (int i = 0; i < opened; i++) {
        if (lanes[i].rc && status == CARA_EXIT_INTERRUPTED)
            status = (int)cara_cli_fail_error(&lanes[i].err);
        all.n_done += lanes[i].summary.n_done;
        all.n_again += lanes[i].summary.n_again;
    }
    if (status == CARA_EXIT_INTERRUPTED)
        cara_log_line(&lanes[0].service.log.log, CARA_LOG_INFO,
                      "stopped; %zu events done, %zu left in the queue", all.n_done, all.n_again);
    while (opened > 0)
        close_lane(&lanes[--opened]);
    free(lanes);
    return status;
}

int cara_cmd_worker(int argc, char **argv) {
    /* Flags win over the variables that Lambda takes; from there on both are one. */
    static const char *const variables[] = {
        [QUEUE] = "CARACOLA_QUEUE",       [STORE] = "CARACOLA_STORE",
        [MEDIA] = "CARACOLA_MEDIA",       [MODEL] = "CARACOLA_MODEL",
        [VOCAB] = "CARACOLA_VOCAB",       [LANGUAGE] = "CARACOLA_LANGUAGE",
        [TIMEZONE] = "CARACOLA_TIMEZONE", [THREADS] = "CARACOLA_THREADS"};
    int64_t visibility_s = 0, batch_size = 1;
    cara_cli_args args;
    cara_cli_args_init(&args, &command, argc, argv);
    for (int at; (at = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (at == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (at == VISIBILITY) {
            if (cara_cli_int(&args, 15, 43200, NULL, &visibility_s))
                return CARA_EXIT_USAGE;
        } else if (at == BATCH_SIZE) {
            if (cara_cli_int(&args, 1, CARA_MAX_SESSIONS, NULL, &batch_size))
                return CARA_EXIT_USAGE;
        } else if (at < 0) {
            return CARA_EXIT_USAGE;
        } else if (setenv(variables[at], args.value, 1) != 0) {
            return cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the flags");
        }
    }
    if (args.operands < argc)
        return cara_cli_fail(CARA_EXIT_USAGE, "worker takes flags only, got \"%s\"",
                             argv[args.operands]);
    const char *queue = getenv("CARACOLA_QUEUE");
    if (!queue || !*queue)
        return cara_cli_fail(CARA_EXIT_USAGE, "worker takes --queue URL, an SQS queue");
    return run(queue, (int)visibility_s, (int)batch_size);
}

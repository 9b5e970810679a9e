/* caracola worker: events from an SQS queue, on ECS, EC2 or any machine. */
#include "app/workers.h"
#include "cli/cli.h"
#include "cli/named.h"

#include <caracola/transcribe.h>
#include <stdlib.h>
#include <unistd.h>

enum { QUEUE, STORE, MEDIA, MODEL, VOCAB, LANGUAGE, TIMEZONE, THREADS, VISIBILITY, BATCH_SIZE };

static const cara_cli_option options[] = {
    [QUEUE] = {"queue", 0, "URL", "the SQS queue; without it $CARACOLA_QUEUE"},
    [STORE] = {"store", 'o', "DIR", "s3://bucket/prefix or a folder; without it $CARACOLA_STORE"},
    [MEDIA] = {"media", 0, "DIR|aws",
               "aws, the default where the store is in S3, or a folder with the audio;\n"
               "without it $CARACOLA_MEDIA"},
    [MODEL] = {"model", 'm', "MODEL",
               "the model, or s3://bucket/key to stream it from there, checked against\n"
               "$CARACOLA_MODEL_SHA256; without it $CARACOLA_MODEL, else the demo model"},
    [VOCAB] = {"vocab", 0, "VOCAB",
               "the vocabulary of a model that carries none; without it\n$CARACOLA_VOCAB"},
    [LANGUAGE] = {"language", 'l', "LANG",
                  "what is spoken; without it $CARACOLA_LANGUAGE, else it is detected"},
    [TIMEZONE] = {"timezone", 0, "NAME",
                  "time zone of the dates and times in the keys of records; without\n"
                  "it $CARACOLA_TIMEZONE, $TZ, else UTC"},
    [THREADS] = {"threads", 't', "N",
                 "threads to use, 0: all that there are; without it $CARACOLA_THREADS, else 0"},
    [VISIBILITY] = {"visibility", 0, "SECONDS",
                    "how long a message is hidden from other workers at a time, renewed\n"
                    "while it is worked on; 120, from 15 to 43200"},
    [BATCH_SIZE] = {"batch-size", 0, "N",
                    "events to work on at once, 1 to 16: while several notes are decoded,\n"
                    "weights are read once for all; more memory; 1 is the default"},
    {NULL, 0, NULL, NULL},
};

static int run(int argc, char **argv) {
    /* Flags win over the variables that Lambda takes; from there on both are one. */
    static const char *const variables[] = {
        [QUEUE] = "CARACOLA_QUEUE",       [STORE] = "CARACOLA_STORE",
        [MEDIA] = "CARACOLA_MEDIA",       [MODEL] = "CARACOLA_MODEL",
        [VOCAB] = "CARACOLA_VOCAB",       [LANGUAGE] = "CARACOLA_LANGUAGE",
        [TIMEZONE] = "CARACOLA_TIMEZONE", [THREADS] = "CARACOLA_THREADS"};
    int64_t visibility_s = 0, batch_size = 1;
    cara_cli_args args;
    cara_cli_args_init(&args, &cara_command_worker, argc, argv);
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
        } else if (cara_cli_set_variable(variables[at], args.value) != 0) {
            return cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the flags");
        }
    }
    if (args.operands < argc)
        return cara_cli_fail(CARA_EXIT_USAGE, "worker takes flags only, got \"%s\"",
                             argv[args.operands]);
    const char *queue = getenv("CARACOLA_QUEUE");
    if (!queue || !*queue)
        return cara_cli_fail(
            CARA_EXIT_USAGE,
            "no queue is named; --queue URL or CARACOLA_QUEUE takes that of an SQS queue");
    const cara_workers_options workers = {.queue_url = queue,
                                          .visibility_s = (int)visibility_s,
                                          .n = (int)batch_size,
                                          .log_fd = STDERR_FILENO,
                                          .interrupted = cara_cli_interrupted};
    cara_workers_result result;
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_cli_catch_signals();
    if (cara_workers_run(&workers, &result, &err)) {
        /* What could not be opened, or is not there. */
        static const cara_exit of_part[] = {[CARA_WORKERS_SETTINGS] = CARA_EXIT_FILES,
                                            [CARA_WORKERS_MODEL] = CARA_EXIT_MODEL,
                                            [CARA_WORKERS_QUEUE] = CARA_EXIT_REMOTE};
        cara_exit status = cara_cli_fail_error(&err);
        return status == CARA_EXIT_FILES ? of_part[result.part] : status;
    }
    return CARA_EXIT_INTERRUPTED;
}

static const cara_cli_advice advice[] = {
    {"--queue_url", NULL, "that is --queue here"},
    {"--visibility_timeout", NULL, "that is --visibility here"},
    {"--output_dir", "--output", "that is --store here"},
    {"--bucket", "--s3_bucket", "--store s3://bucket/prefix is a bucket"},
    {"--time_zone", "--tz", "that is --timezone here"},
    {NULL, NULL, NULL},
};

static const cara_cli_status statuses[] = {
    {CARA_EXIT_USAGE, "a flag or value that does not exist or fit; nothing was done"},
    {CARA_EXIT_MODEL, "the model or its vocabulary could not be used"},
    {CARA_EXIT_FILES, "the store or the folder of media could not be opened"},
    {CARA_EXIT_REMOTE, "the queue is not there, or AWS refuses"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "a signal ended the work"},
    {0, NULL},
};

const cara_cli_command cara_command_worker = {
    .name = "worker",
    .summary = "turn the WhatsApp events of an SQS queue into records",
    .run = run,
    .details =
        "Takes one event after the other, or --batch_size at once: each is deleted once its\n"
        "messages are kept, and stays in the queue where a retry may succeed. SIGTERM and\n"
        "SIGINT end the work: what was transcribed of a voice note is kept, and the event goes\n"
        "back into the queue. Logs go to standard error, as JSON if $AWS_LAMBDA_LOG_FORMAT is\n"
        "JSON.",
    .options = options,
    .advice = advice,
    .statuses = statuses,
};

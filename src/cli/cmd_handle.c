/* caracola handle: WhatsApp events to records in a folder or a bucket. */
#include "app/events.h"
#include "base/files/stream.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "pipeline/pipeline.h"
#include "tokenizer/language.h"
#include "transcript/result_json.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

enum { STORE, MEDIA, MODEL, VOCAB, LANGUAGE, TIMEZONE, THREADS, RETRY_FAILED, JSON, QUIET };

static const cara_cli_option options[] = {
    [STORE] = {"store", 'o', "DIR",
               "the folder that keeps records, audio and what was not understood, made\n"
               "where it is missing; or s3://bucket/prefix"},
    [MEDIA] = {"media", 0, "DIR|aws",
               "the folder with the audio, as <mediaId>.<any extension>; or aws, the\n"
               "default where the store is in S3: AWS copies the audio into the bucket"},
    [MODEL] = {"model", 'm', "MODEL",
               "the model; without it $CARACOLA_MODEL, else the demo model. It is\n"
               "opened when the first audio comes"},
    [VOCAB] = {"vocab", 0, "VOCAB", "the vocabulary (tiktoken) of a model that carries none"},
    [LANGUAGE] = {"language", 'l', "LANG",
                  "what is spoken, as a code or a name; without it, it is detected"},
    [TIMEZONE] = {"timezone", 0, "NAME",
                  "time zone of the dates and times in the keys of records, such as\n"
                  "America/Mazatlan; without it $TZ, else UTC. Use one zone for one store"},
    [THREADS] = {"threads", 't', "N", "threads to use; 0, the default, is all that there are"},
    [RETRY_FAILED] = {"again", 0, NULL,
                      "also try audio again that could not be read before (a failure that may\n"
                      "pass, such as a missing file, is tried again in any case)"},
    [JSON] = {"json", 0, NULL, "one JSON object for each message on standard output"},
    [QUIET] = {"quiet", 'q', NULL, "only failures on standard error"},
    {NULL, 0, NULL, NULL},
};

typedef struct flags {
    const char *store, *media, *model, *vocab, *language, *timezone;
    int64_t threads;
    int retry_failed, json, quiet;
} flags;

typedef struct handle {
    const flags *flags;
    const char *event; /* the file that is being handled */
    int n;             /* of all event files */
    int broken;        /* the output could not be made */
    /* Event files; those not read; those of which nothing was understood. */
    size_t n_events, n_unread, n_not_understood;
    size_t by_outcome[CARA_OUTCOME_QUARANTINED + 1];
    size_t n_failed_store, n_failed_model, n_interrupted;
    size_t n_statuses, n_errors;
} handle;

static int stop(void *cookie) {
    return cara_cli_interrupted();
}

/* The audio of a message: mel frames of 10 ms; `total` 0 where there is none, or not yet. */
static void show(const handle *h, double done, double total) {
    const char *slash = strrchr(h->event, '/');
    cara_cli_progress now = {.item = (int)h->n_events,
                             .items = h->n,
                             .part = total > 0 ? done / total : -1,
                             .audio_s = total > 0 ? done / 100 : -1,
                             .audio_total_s = total / 100};
    snprintf(now.label, sizeof now.label, "%s", slash ? slash + 1 : h->event);
    cara_cli_progress_set(&now);
}

static int on_progress(void *cookie, int64_t done, int64_t total) {
    const handle *h = cookie;
    show(h, (double)done, (double)total);
    return cara_cli_interrupted();
}

static void on_demo(void *cookie) {
    const handle *h = cookie;
    if (!h->flags->quiet)
        cara_cli_remark_demo();
}

static int print_json(const cara_report *r) {
    json_t *line = json_object();
    int bad = json_object_set_new(line, "key", json_string(r->key));
    /* The type comes from the sender; text that is not UTF-8 did not pass the inbox. */
    bad |= json_object_set_new(line, "type", json_string(r->type));
    bad |= json_object_set_new(line, "outcome", json_string(cara_outcome_name(r->outcome)));
    if (r->audio_seconds > 0)
        bad |= json_object_set_new(line, "audio_seconds", json_real(r->audio_seconds));
    if (r->audio_seconds > 0)
        bad |= json_object_set_new(line, "audio_gaps", cara_gaps_json(&r->audio_gaps));
    if (r->no_speech)
        bad |= json_object_set_new(line, "no_speech", json_true());
    if (r->error) {
        const char *text = r->error->text;
        bad |= json_object_set_new(line, "error", json_string(cara_code_name(r->error->code)));
        bad |= json_object_set_new(line, "message", cara_json_string(text, strlen(text)));
    }
    if (!bad)
        return cara_cli_print_json(line, CARA_JSON_COMPACT);
    json_decref(line);
    return -1;
}

static void on_report(void *cookie, const cara_report *r) {
    handle *h = cookie;
    h->by_outcome[r->outcome]++;
    if (r->outcome == CARA_OUTCOME_RETRY) {
        h->n_failed_store += r->stage == CARA_STAGE_STORE;
        h->n_failed_model += r->stage == CARA_STAGE_MODEL;
        h->n_interrupted += r->error && r->error->code == CARA_ERR_CANCELLED;
    }
    cara_cli_progress_hold(); /* standard output may be the same terminal */
    if (h->flags->json)
        h->broken |= print_json(r) != 0;
    else if (r->key[0])
        h->broken |= puts(r->key) < 0;
    h->broken |= cara_cli_flush_stdout() != CARA_EXIT_OK;
    cara_cli_progress_release();
    int failed = r->outcome != CARA_OUTCOME_DONE && r->outcome != CARA_OUTCOME_ALREADY;
    if (h->flags->quiet && !failed)
        return;
    char length[96] = "", gaps[64] = "";
    if (r->audio_gaps.count)
        snprintf(gaps, sizeof gaps, ", damaged (%lld gap%s, %.1f s)",
                 (long long)r->audio_gaps.count, r->audio_gaps.count == 1 ? "" : "s",
                 r->audio_gaps.seconds);
    if (r->audio_seconds > 0)
        snprintf(length, sizeof length, "  %.1f s%s%s", r->audio_seconds, gaps,
                 r->no_speech ? ", no speech" : "");
    cara_cli_remark("%s  %.32s  %s%s%s%s", r->key[0] ? r->key : "(no key)",
                    r->type[0] ? r->type : "-", cara_outcome_name(r->outcome), length,
                    failed && r->error ? ": " : "", failed && r->error ? r->error->text : "");
}

static void handle_file(handle *h, const cara_pipeline *pipeline, const char *path) {
    cara_error err = {.code = CARA_OK, .position = -1};
    char *event = NULL;
    size_t n = 0;
    cara_summary summary = {0};
    const cara_stop until = {.stop = stop};
    h->n_events++;
    h->event = path;
    show(h, 0, 0);
    if (cara_read_input(path, CARA_LIMIT_QUARANTINE_BYTES, &until, &event, &n, &err) ||
        cara_pipeline_handle(pipeline, event, n, on_report, h, &summary, &err)) {
        cara_cli_remark("%s", err.text);
        h->n_unread++;
    } else {
        h->n_not_understood += summary.unreadable != 0;
        h->n_statuses += summary.n_statuses;
        h->n_errors += summary.n_errors;
        if (!h->flags->quiet && summary.n_confirmations)
            cara_cli_remark("%s: an SNS confirmation; its address is not followed from here", path);
    }
    free(event);
}

/* The worst that happened, in the order of what a user has to look at first. */
static int status_of(const handle *h) {
    if (h->n_interrupted || cara_cli_interrupted())
        return CARA_EXIT_INTERRUPTED;
    if (h->broken)
        return CARA_EXIT_FILES;
    if (h->n_failed_store || h->n_unread == h->n_events)
        return CARA_EXIT_FILES;
    if (h->n_failed_model)
        return CARA_EXIT_MODEL;
    if (h->n_not_understood == h->n_events)
        return CARA_EXIT_EVENT;
    if (h->n_unread || h->by_outcome[CARA_OUTCOME_FAILED] || h->by_outcome[CARA_OUTCOME_RETRY] ||
        h->by_outcome[CARA_OUTCOME_QUARANTINED])
        return CARA_EXIT_SOME;
    return CARA_EXIT_OK;
}

static void print_summary(const handle *h) {
    size_t total = 0;
    for (size_t i = 0; i < sizeof h->by_outcome / sizeof *h->by_outcome; i++)
        total += h->by_outcome[i];
    if (h->flags->quiet || (total < 2 && !h->n_statuses && !h->n_errors && total))
        return;
    cara_buf line;
    cara_buf_init(&line, 4 * CARA_KIB);
    cara_buf_printf(&line, "%zu %s", total, total == 1 ? "message" : "messages");
    for (int i = 0; i <= CARA_OUTCOME_QUARANTINED; i++)
        if (h->by_outcome[i])
            cara_buf_printf(&line, ", %zu %s", h->by_outcome[i],
                            cara_outcome_name((cara_outcome)i));
    if (h->n_statuses)
        cara_buf_printf(&line, "; %zu delivery reports left out", h->n_statuses);
    if (h->n_errors)
        cara_buf_printf(&line, "; %zu errors that WhatsApp reported", h->n_errors);
    if (!line.failed)
        cara_cli_remark("%s", line.data);
    cara_buf_free(&line);
}

static int handle_all(const flags *f, int n, char **events) {
    cara_error err = {.code = CARA_OK, .position = -1};
    handle h = {.flags = f, .n = n};
    const cara_events_options wanted = {.store = f->store,
                                        .media = f->media,
                                        .model = f->model,
                                        .vocab = f->vocab,
                                        .language = f->language,
                                        .timezone = f->timezone,
                                        .threads = (int)f->threads,
                                        .retry_failed = f->retry_failed,
                                        .on_demo = on_demo,
                                        .progress = on_progress,
                                        .stop = stop,
                                        .cookie = &h};
    cara_events opened;
    int status;
    if (cara_events_open(&opened, &wanted, &err)) {
        status = (int)cara_cli_fail_error(&err);
    } else {
        cara_cli_catch_signals();
        cara_cli_progress_start("", !f->quiet);
        for (int i = 0; i < n && !cara_cli_interrupted() && !h.broken; i++)
            handle_file(&h, &opened.pipeline, events[i]);
        cara_cli_progress_stop();
        print_summary(&h);
        status = status_of(&h);
    }
    cara_events_close(&opened);
    return status;
}

static int run(int argc, char **argv) {
    flags f = {0};
    cara_cli_args args;
    cara_cli_args_init(&args, &cara_command_handle, argc, argv);
    for (int at; (at = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        switch (at) {
        case CARA_CLI_HELP:
            return CARA_EXIT_OK;
        case STORE:
            f.store = args.value;
            break;
        case MEDIA:
            f.media = args.value;
            break;
        case MODEL:
            f.model = args.value;
            break;
        case VOCAB:
            f.vocab = args.value;
            break;
        case LANGUAGE:
            if (cara_language_find(args.value) < 0) {
                cara_cli_bad_value(&args, "a language such as es or Spanish");
                return CARA_EXIT_USAGE;
            }
            f.language = args.value;
            break;
        case TIMEZONE:
            f.timezone = args.value;
            break;
        case THREADS:
            if (cara_cli_int(&args, 0, CARA_LIMIT_THREADS, NULL, &f.threads))
                return CARA_EXIT_USAGE;
            break;
        case RETRY_FAILED:
            f.retry_failed = 1;
            break;
        case JSON:
            f.json = 1;
            break;
        case QUIET:
            f.quiet = 1;
            break;
        default:
            return CARA_EXIT_USAGE;
        }
    }
    if (!f.store || !*f.store)
        return cara_cli_fail(
            CARA_EXIT_USAGE,
            "handle takes --store DIR, the folder for the records, or s3://bucket/prefix");
    if (args.operands == argc)
        return cara_cli_fail(CARA_EXIT_USAGE,
                             "handle takes event files, or - for standard input; got none");
    return handle_all(&f, argc - args.operands, argv + args.operands);
}

static const cara_cli_value values[] = {
    {"EVENT", CARA_CLI_FILE, NULL, ".json"},
    {NULL, CARA_CLI_TEXT, NULL, NULL},
};

static const cara_cli_advice advice[] = {
    {"--file", "--event", "events are named without a flag: caracola handle event.json"},
    {"--output_dir", "--output", "that is --store here"},
    {"--bucket", "--s3_bucket", "--store s3://bucket/prefix is a bucket"},
    {"--media_dir", "--audio", "that is --media here"},
    {"--retry", "--retry_failed", "that is --again here"},
    {"--time_zone", "--tz", "that is --timezone here"},
    {NULL, NULL, NULL},
};

static const cara_cli_status statuses[] = {
    {CARA_EXIT_OK, "every message is kept, and every voice note transcribed"},
    {CARA_EXIT_SOME,
     "some messages failed or were not understood, or some events could not be read"},
    {CARA_EXIT_USAGE, "a flag or value that does not exist or fit; nothing was done"},
    {CARA_EXIT_MODEL, "audio waits because the model could not be used"},
    {CARA_EXIT_FILES,
     "the store, the folder of media or standard output failed, or no event could be\n"
     "read"},
    {CARA_EXIT_EVENT, "nothing at all was understood; it is in the quarantine"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted; handling the events again completes them"},
    {0, NULL},
};

const cara_cli_command cara_command_handle = {
    .name = "handle",
    .summary = "turn WhatsApp events into records",
    .run = run,
    .operands = "EVENT...",
    .details =
        "An event is what Lambda, SNS, SQS, AWS End User Messaging Social or Meta's webhooks\n"
        "deliver; - is standard input. Each message becomes DIR/YYYY-MM-DD/FROM-HH-MM-SS-ID.json,\n"
        "with the audio beside it. Handling an event again changes nothing that is complete, and\n"
        "completes what is not.\n"
        "\n"
        "Standard output names the key of each record, one a line. Standard error shows key, type\n"
        "and outcome: done, already (it was there), failed (recorded with its error), retry\n"
        "(handle the event again once the cause is gone), quarantined (not understood; kept\n"
        "under quarantine/ with the reason). Texts are not printed.",
    .options = options,
    .values = values,
    .advice = advice,
    .statuses = statuses,
};

/* caracola doctor: is all there that it takes, and does it work? */
#include "app/model_path.h"
#include "app/settings.h"
#include "aws/client/client.h"
#include "base/clock.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "doctor/doctor.h"
#include "pipeline/lambda.h"
#include "tokenizer/language.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_S 1.5 /* what a function needs for its answer */

enum {
    FUNCTION,
    STACK,
    STORE,
    TOPIC,
    QUEUE,
    DEAD_LETTERS,
    PHONE,
    MODEL,
    VOCAB,
    LANGUAGE,
    THREADS,
    JSON,
    QUIET
};

static const cara_cli_option options[] = {
    [FUNCTION] =
        {"function", 0, "NAME",
         "a Lambda function (name or ARN): looks at its settings and what feeds it, and\n"
         "has it examine itself, where mount, network and permissions are seen as they are"},
    [STACK] = {"stack", 0, "NAME",
               "a CloudFormation stack: its outputs name function, topic, queues and bucket"},
    [STORE] = {"store", 'o', "DIR", "folder or s3://bucket/prefix; without it $CARACOLA_STORE"},
    [TOPIC] = {"topic", 0, "ARN",
               "the SNS topic; without it, the one that WhatsApp's messages go to"},
    [QUEUE] = {"queue", 0, "URL",
               "the queue of events; without it $CARACOLA_QUEUE, or the function's"},
    [DEAD_LETTERS] = {"dead_letters", 0, "URL",
                      "the queue of dead letters; without it, that of the function or the queue"},
    [PHONE] = {"phone", 0, "ID",
               "AWS's id of the phone number (phone-number-id-...) to try fetching media with;\n"
               "without it, the first of the linked WhatsApp account"},
    [MODEL] = {"model", 'm', "FILE", "the model; without it $CARACOLA_MODEL, else the demo model"},
    [VOCAB] = {"vocab", 0, "FILE", "its vocabulary; without it $CARACOLA_VOCAB"},
    [LANGUAGE] = {"language", 'l', "LANGUAGE",
                  "what is spoken; without it $CARACOLA_LANGUAGE, else it is detected"},
    [THREADS] = {"threads", 't', "N", "threads to use; without it $CARACOLA_THREADS, else all"},
    [JSON] = {"json", 0, NULL, "print one JSON object"},
    [QUIET] = {"quiet", 'q', NULL, "print only warnings and failures"},
    {NULL, 0, NULL, NULL},
};

static const cara_cli_command command = {
    .name = "doctor",
    .summary = "say what is fine, what is missing, and how to mend it",
    .options = options,
    .details =
        "Each line is one check: processor, threads, audio formats, model, vocabulary, digest\n"
        "(CARACOLA_MODEL_SHA256), memory, a voice note through the whole engine. Where the store "
        "is\n"
        "in S3, or a flag names something on AWS: region, credentials, stack, function, WhatsApp\n"
        "account, event destination, topic, subscription, queue, dead letters, bucket, permission\n"
        "to fetch media, clock. Nothing is changed but one small object, PREFIX/.doctor, which is\n"
        "written once.\n"
        "\n"
        "Exit status: 0 all is well, 1 it works, with warnings, 8 something is missing or broken,\n"
        "2 usage, 130 interrupted."};

static const char *env(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* What both ways of being asked have in common; all from the environment. */
static void from_environment(cara_doctor *d) {
    d->model_sha256 = env("CARACOLA_MODEL_SHA256");
    d->model_source = env("CARACOLA_MODEL_SOURCE");
    d->vocab = env("CARACOLA_VOCAB");
    d->language = env("CARACOLA_LANGUAGE");
    d->cpu = env("CARACOLA_CPU");
    d->store = env("CARACOLA_STORE");
}

/* Calls that end soon, whoever does not answer. */
static void open_aws(cara_doctor *d, cara_error *err) {
    static const cara_aws_options aws = {.connect_timeout_s = 4, .timeout_s = 10, .stall_s = 5};
    if (cara_aws_open(&aws, &d->aws, err))
        d->aws_error = err->text;
}

int cara_cli_doctor_answer(cara_app *service, const json_t *event, double left_s, json_t **answer,
                           cara_error *err) {
    cara_checkup *checkup = calloc(1, sizeof *checkup);
    cara_doctor *d = calloc(1, sizeof *d);
    if (!checkup || !d) {
        free(checkup);
        free(d);
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the checks");
    }
    cara_error aws_err = {.code = CARA_OK, .position = -1};
    from_environment(d);
    const char *memory = env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), *phone;
    d->checkup = checkup;
    d->in_function = 1;
    d->deadline = left_s > 0 ? cara_clock_monotonic() + left_s - ANSWER_S : 0;
    d->model = service->model_path;
    d->model_error = "no model is set";
    d->transcriber = &service->transcriber;
    d->memory_mb = memory ? (int)strtol(memory, NULL, 10) : 0;
    d->threads = cara_lambda_threads(memory);
    phone = cara_json_text(event, "phone");
    snprintf(d->phone, sizeof d->phone, "%s", phone ? phone : "");
    open_aws(d, &aws_err);
    checkup->where = "function";
    cara_doctor_store(d); /* quick, and first what only it can tell */
    cara_doctor_machine(d);
    *answer = cara_checkup_json(checkup);
    cara_aws_close(d->aws);
    free(d);
    free(checkup);
    return *answer ? CARA_OK : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the answer");
}

/* ---- on a terminal ---- */

typedef struct printer {
    int colours, quiet;
    char where[12];
} printer;

static int wants_aws(const cara_doctor *d, int named) {
    return named || (d->store && strncmp(d->store, "s3://", 5) == 0) ||
           (d->model && strncmp(d->model, "s3://", 5) == 0) || d->queue[0];
}

/* Wraps at 100 columns, behind `indent` blanks. */
static void print_wrapped(const char *text, int indent, int column) {
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > indent && column + 1 + (int)n > 100) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)n, text);
        column += (int)n;
        text += n;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void on_check(void *cookie, const cara_check *check) {
    static const char *const colours[] = {"\033[32m", "\033[2m", "\033[33m", "\033[31m"};
    printer *p = cookie;
    if (p->quiet && check->finding < CARA_FINDING_WARNING)
        return;
    if (strcmp(p->where, check->where) != 0 && strcmp(check->where, "function") == 0)
        puts("inside the function:");
    snprintf(p->where, sizeof p->where, "%s", check->where);
    printf("%s%-8s%s ", p->colours ? colours[check->finding] : "",
           cara_finding_name(check->finding), p->colours ? "\033[0m" : "");
    print_wrapped(check->text, 9, 9);
    if (check->advice[0]) {
        printf("%*s-> ", 9, "");
        print_wrapped(check->advice, 12, 12);
    }
    fflush(stdout);
}

static int count(const cara_checkup *checkup, cara_finding finding) {
    int n = 0;
    for (size_t i = 0; i < checkup->n; i++)
        n += checkup->checks[i].finding == finding;
    return n;
}

static void print_verdict(const cara_checkup *checkup) {
    int bad = count(checkup, CARA_FINDING_FAILURE), warn = count(checkup, CARA_FINDING_WARNING);
    if (bad)
        printf("%d %s and %d warning%s: it does not work as it is\n", bad,
               bad == 1 ? "failure" : "failures", warn, warn == 1 ? "" : "s");
    else if (warn)
        printf("%d warning%s: it works as far as that\n", warn, warn == 1 ? "" : "s");
    else
        puts("all is well");
}

static int print_json(const cara_checkup *checkup) {
    json_t *root = cara_checkup_json(checkup);
    cara_buf text;
    cara_buf_init(&text, CARA_MIB);
    int bad = !root || cara_json_write(root, CARA_JSON_INDENTED, &text);
    if (!bad)
        puts(text.data);
    cara_buf_free(&text);
    json_decref(root);
    return bad ? (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the JSON") : CARA_EXIT_OK;
}

static int stop(void *cookie) {
    return cara_cli_interrupted();
}

static void examine(cara_doctor *d, int named) {
    cara_checkup *checkup = d->checkup;
    cara_error aws_err = {.code = CARA_OK, .position = -1};
    d->aws_wanted = wants_aws(d, named);
    if (d->aws_wanted)
        open_aws(d, &aws_err);
    if (d->aws)
        cara_aws_set_stop(d->aws, stop, NULL);
    cara_doctor_machine(d);
    if (d->aws_wanted) {
        cara_doctor_account(d);
        cara_doctor_store(d);
        cara_doctor_function(d);
    } else {
        if (d->store)
            cara_doctor_store(d);
        cara_checkup_add(
            checkup, "aws", CARA_FINDING_SKIPPED,
            "not set up for AWS: skipped (--stack, --function or a store in s3:// has it "
            "looked at)");
    }
    cara_checkup_settle(checkup);
    cara_aws_close(d->aws);
}

static int run(cara_doctor *d, const char *model, int named, int json, int quiet) {
    cara_checkup *checkup = d->checkup;
    printer p = {.colours = cara_cli_colours(stdout), .quiet = quiet};
    if (!json) {
        checkup->on_check = on_check;
        checkup->cookie = &p;
    }
    cara_error err = {.code = CARA_OK, .position = -1},
               model_err = {.code = CARA_OK, .position = -1};
    cara_model_choice choice;
    if (cara_setting_threads(&d->threads, &err))
        return (int)cara_cli_fail_error(&err);
    if (d->language && cara_language_find(d->language) < 0)
        return (int)cara_cli_fail(
            CARA_EXIT_USAGE, "a language is one such as es or Spanish, got \"%.64s\"", d->language);
    if (cara_model_choose(model, &choice, &model_err))
        d->model_error = model_err.text;
    char *path = choice.path;
    d->model = path;
    cara_model_stream stream;
    cara_model_source source;
    int streamed = path && cara_model_is_s3(path);
    if (streamed && cara_model_stream_init(&stream, path, d->model_sha256, &model_err)) {
        d->model = NULL;
        d->model_error = model_err.text;
    }
    cara_engine_options engine_options = {
        .model_path = path, .vocab_path = d->vocab, .threads = d->threads};
    if (streamed) {
        stream.vocab_path = d->vocab;
        source = cara_model_stream_source(&stream);
        engine_options.source = &source;
    }
    cara_options_default(&engine_options.transcribe);
    engine_options.transcribe.best_of = 5;
    engine_options.transcribe.language = d->language;
    cara_engine *engine = cara_engine_new(&engine_options);
    int status = CARA_EXIT_INTERNAL;
    if (engine) {
        cara_transcriber transcriber = cara_engine_transcriber(engine, 0);
        d->transcriber = &transcriber;
        d->stop = stop;
        cara_cli_catch_signals();
        examine(d, named);
        static const int statuses[] = {CARA_EXIT_OK, CARA_EXIT_OK, CARA_EXIT_SOME, CARA_EXIT_UNFIT};
        status = statuses[cara_checkup_verdict(checkup)];
        if (json && print_json(checkup))
            status = CARA_EXIT_INTERNAL;
        else if (!json)
            print_verdict(checkup);
        if (cara_cli_interrupted())
            status = CARA_EXIT_INTERRUPTED;
    } else {
        cara_cli_note("no memory for the engine");
    }
    cara_engine_free(engine);
    free(path);
    return status;
}

int cara_cmd_doctor(int argc, char **argv) {
    /* Too large for some stacks. */
    cara_checkup *checkup = calloc(1, sizeof *checkup);
    cara_doctor *d = calloc(1, sizeof *d);
    const char *model = NULL;
    int json = 0, quiet = 0, named = 0, status = CARA_EXIT_USAGE;
    if (!checkup || !d) {
        status = (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the checks");
        goto done;
    }
    d->checkup = checkup;
    from_environment(d);
    const struct {
        int flag;
        char *dst;
        size_t size;
    } names[] = {{FUNCTION, d->function, sizeof d->function},
                 {TOPIC, d->topic, sizeof d->topic},
                 {QUEUE, d->queue, sizeof d->queue},
                 {DEAD_LETTERS, d->dead_letters, sizeof d->dead_letters},
                 {PHONE, d->phone, sizeof d->phone}};
    const char *queue = env("CARACOLA_QUEUE");
    snprintf(d->queue, sizeof d->queue, "%s", queue ? queue : "");
    cara_cli_args args;
    cara_cli_args_init(&args, &command, argc, argv);
    for (int at; (at = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (at == CARA_CLI_HELP) {
            status = CARA_EXIT_OK;
            goto done;
        }
        if (at < 0)
            goto done;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (names[i].flag == at) {
                if (strlen(args.value) >= names[i].size || !*args.value) {
                    cara_cli_bad_value(&args, "a name");
                    goto done;
                }
                snprintf(names[i].dst, names[i].size, "%s", args.value);
                named = 1;
            }
        if (at == STACK) {
            d->stack = args.value;
            named = 1;
        } else if (at == STORE)
            d->store = args.value;
        else if (at == MODEL)
            model = args.value;
        else if (at == VOCAB)
            d->vocab = args.value;
        else if (at == LANGUAGE)
            d->language = args.value;
        else if (at == THREADS && setenv("CARACOLA_THREADS", args.value, 1) != 0)
            goto done;
        json |= at == JSON;
        quiet |= at == QUIET;
    }
    if (args.operands < argc) {
        cara_cli_fail(CARA_EXIT_USAGE, "doctor takes flags only, got \"%s\"", argv[args.operands]);
        goto done;
    }
    status = run(d, model, named, json, quiet);
done:
    free(d);
    free(checkup);
    return status;
}

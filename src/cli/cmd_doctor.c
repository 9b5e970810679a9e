/* caracola doctor: checks that everything is there and works. */
#include "app/examine.h"
#include "app/settings/environment.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/named.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

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
    REGION,
    PROFILE,
    JSON,
    QUIET
};

static const cara_cli_option options[] = {
    [FUNCTION] =
        {"function", 0, "NAME",
         "a Lambda function (name or ARN): looks at its settings and what feeds it, and\n"
         "has it examine itself, where mount, network and permissions are seen as they are"},
    [STACK] = {"stack", 0, "NAME",
               "a CloudFormation stack: checks its parameters and what it made (function, queues,\n"
               "topic, bucket), and nothing of this machine"},
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
    [MODEL] = {"model", 'm', "MODEL", "the model; without it $CARACOLA_MODEL, else the demo model"},
    [VOCAB] = {"vocab", 0, "VOCAB", "its vocabulary; without it $CARACOLA_VOCAB"},
    [LANGUAGE] = {"language", 'l', "LANG",
                  "what is spoken; without it $CARACOLA_LANGUAGE, else it is detected"},
    [THREADS] = {"threads", 't', "N", "threads to use; without it $CARACOLA_THREADS, else all"},
    [REGION] = CARA_FLAG_REGION,
    [PROFILE] = CARA_FLAG_PROFILE,
    [JSON] = {"json", 0, NULL, "print one JSON object"},
    [QUIET] = {"quiet", 'q', NULL, "print only warnings and failures"},
    {NULL, 0, NULL, NULL},
};

typedef struct printer {
    int colours, quiet;
    char where[12];
} printer;

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
    cara_cli_print_wrapped(check->text, 9, stdout);
    if (check->advice[0]) {
        printf("%*s-> ", 9, "");
        cara_cli_print_wrapped(check->advice, 12, stdout);
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
        printf("%d failure%s and %d warning%s: it does not work as it is\n", bad,
               bad == 1 ? "" : "s", warn, warn == 1 ? "" : "s");
    else if (warn)
        printf("%d warning%s: it works, but see above\n", warn, warn == 1 ? "" : "s");
    else
        puts("all is well");
}

static int print_json(const cara_checkup *checkup) {
    if (cara_cli_print_json(cara_checkup_json(checkup), CARA_JSON_INDENTED))
        return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the JSON");
    return CARA_EXIT_OK;
}

static int stop(void *cookie) {
    return cara_cli_interrupted();
}

typedef struct request {
    const char *model;
    const char *local; /* the flag of this machine that was given last, or NULL */
    int named;         /* something on AWS */
    int json, quiet;
} request;

static int examine(cara_doctor *d, const request *r) {
    static const int statuses[] = {CARA_EXIT_OK, CARA_EXIT_OK, CARA_EXIT_SOME, CARA_EXIT_DOCTOR};
    printer p = {.colours = cara_cli_colours(stdout), .quiet = r->quiet};
    cara_error err = {.code = CARA_OK, .position = -1};
    if (!r->json) {
        d->checkup->on_check = on_check;
        d->checkup->cookie = &p;
    }
    d->stop = stop;
    cara_cli_catch_signals();
    if (d->stack)
        cara_examine_stack(d);
    else if (cara_examine(d, r->model, r->named, &err))
        return (int)cara_cli_fail_error(&err);
    int status = statuses[cara_checkup_verdict(d->checkup)];
    if (r->json && print_json(d->checkup))
        status = CARA_EXIT_INTERNAL;
    else if (!r->json)
        print_verdict(d->checkup);
    return cara_cli_interrupted() ? CARA_EXIT_INTERRUPTED : status;
}

/* Sets a name on AWS, where the flag is one. 1 where it was, -1 after saying what it takes. */
static int read_name(cara_doctor *d, const cara_cli_args *args, int at) {
    const struct {
        int flag;
        char *dst;
        size_t size;
    } names[] = {{FUNCTION, d->function, sizeof d->function},
                 {TOPIC, d->topic, sizeof d->topic},
                 {QUEUE, d->queue, sizeof d->queue},
                 {DEAD_LETTERS, d->dead_letters, sizeof d->dead_letters},
                 {PHONE, d->phone, sizeof d->phone}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].flag != at)
            continue;
        if (strlen(args->value) >= names[i].size || !*args->value)
            return cara_cli_bad_value(args, "a name");
        snprintf(names[i].dst, names[i].size, "%s", args->value);
        return 1;
    }
    return 0;
}

static int set_variable(const char *name, const char *value) {
    if (cara_cli_set_variable(name, value) == 0)
        return 0;
    cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the flags");
    return -1;
}

/* As the AWS CLI: a profile that a flag names wins over keys in variables. */
static int choose_profile(const char *profile) {
    static const char *const keys[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                       "AWS_SESSION_TOKEN"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        unsetenv(keys[i]);
    return set_variable("AWS_PROFILE", profile);
}

static int read_flag(cara_doctor *d, const cara_cli_args *args, int at, request *r) {
    int name = read_name(d, args, at);
    if (name) {
        r->named = 1;
        return name < 0 ? -1 : 0;
    }
    switch (at) {
    case STACK:
        d->stack = args->value;
        return 0;
    case REGION:
        return set_variable("AWS_REGION", args->value);
    case PROFILE:
        return choose_profile(args->value);
    case JSON:
        r->json = 1;
        return 0;
    case QUIET:
        r->quiet = 1;
        return 0;
    default:
        break;
    }
    r->local = options[at].name;
    if (at == STORE)
        d->store = args->value;
    else if (at == MODEL)
        r->model = args->value;
    else if (at == VOCAB)
        d->vocab = args->value;
    else if (at == LANGUAGE)
        d->language = args->value;
    else
        return set_variable("CARACOLA_THREADS", args->value);
    return 0;
}

static int run(int argc, char **argv) {
    /* Too large for some stacks. */
    cara_checkup *checkup = calloc(1, sizeof *checkup);
    cara_doctor *d = calloc(1, sizeof *d);
    request r = {.model = NULL};
    int status = CARA_EXIT_USAGE;
    if (!checkup || !d) {
        status = (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the checks");
        goto done;
    }
    d->checkup = checkup;
    cara_examine_environment(d);
    cara_cli_args args;
    cara_cli_args_init(&args, &cara_command_doctor, argc, argv);
    for (int at; (at = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (at == CARA_CLI_HELP)
            status = CARA_EXIT_OK;
        if (at < 0 || read_flag(d, &args, at, &r))
            goto done;
    }
    if (args.operands < argc) {
        cara_cli_fail(CARA_EXIT_USAGE, "doctor takes flags only, got \"%s\"", argv[args.operands]);
        goto done;
    }
    if (d->stack && r.local) {
        cara_cli_fail(CARA_EXIT_USAGE,
                      "--stack checks the stack and --%s is about this machine: leave out one of "
                      "them",
                      r.local);
        goto done;
    }
    const char *queue = cara_env("CARACOLA_QUEUE");
    if (!d->stack && !d->queue[0])
        snprintf(d->queue, sizeof d->queue, "%s", queue ? queue : "");
    status = examine(d, &r);
done:
    free(d);
    free(checkup);
    return status;
}

static const cara_cli_advice advice[] = {
    {"--stack_name", NULL, "that is --stack here"},
    {"--function_name", "--lambda", "that is --function here"},
    {"--queue_url", NULL, "that is --queue here"},
    {"--topic_arn", NULL, "that is --topic here"},
    {"--dead_letter_queue", "--dlq", "that is --dead_letters here"},
    {"--bucket", "--s3_bucket", "--store s3://bucket/prefix is a bucket"},
    {"--verbose", NULL, "every check is shown; -q, --quiet shows warnings and failures alone"},
    {NULL, NULL, NULL},
};

static const cara_cli_status statuses[] = {
    {CARA_EXIT_OK, "all is well"},
    {CARA_EXIT_SOME, "it works, with warnings"},
    {CARA_EXIT_USAGE, "a flag or value that does not exist or fit; nothing was done"},
    {CARA_EXIT_FILES, "standard output could not be written"},
    {CARA_EXIT_DOCTOR, "something is missing or broken"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted"},
    {0, NULL},
};

const cara_cli_command cara_command_doctor = {
    .name = "doctor",
    .summary = "say what is fine, what is missing, and how to fix it",
    .run = run,
    .details =
        "Each line is one check: processor, threads, audio formats, model, vocabulary, digest\n"
        "(CARACOLA_MODEL_SHA256), memory, a voice note through the whole engine. Where the store "
        "is\n"
        "in S3, or a flag names something on AWS: region, credentials, function, WhatsApp\n"
        "account, event destination, topic, subscription, queue, dead letters, bucket, permission\n"
        "to fetch media, clock. With --stack only that, with the stack's state, parameters and\n"
        "alarm mails: the function checks its own processor, model and memory. Nothing is\n"
        "changed but one small object, PREFIX/.doctor, which is written once.",
    .options = options,
    .advice = advice,
    .statuses = statuses,
};

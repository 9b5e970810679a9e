/* caracola setup: from nothing to a number that answers, in an AWS account. */
#include "cli/cli.h"
#include "cli/setup/ask.h"
#include "cli/setup/shared.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    REGION,
    PROFILE,
    STACK,
    ZIP,
    IMAGE,
    MODEL,
    WABA,
    NO_LINK,
    TAKE_OVER,
    AWS,
    SKOPEO,
    YES,
    DRY_RUN,
    FIRST_SETTING
};

static const cara_cli_option options[FIRST_SETTING + 1] = {
    [REGION] = CARA_FLAG_REGION,
    [PROFILE] = CARA_FLAG_PROFILE,
    [STACK] = CARA_FLAG_STACK,
    [ZIP] = {"zip", 0, "ZIP", "the package for Lambda"},
    [IMAGE] = {"image", 0, "TAR", "or the package as an image, an OCI archive"},
    [MODEL] = {"model", 'm', "MODEL", "a .cara; without it, the one inside the package"},
    [WABA] = {"waba", 0, "ID", "the WhatsApp account, where there are several"},
    [NO_LINK] = {"no-link", 0, NULL, "leave the WhatsApp account's event destination alone"},
    [TAKE_OVER] = {"take-over", 0, NULL, "send its events here though they go elsewhere now"},
    [AWS] = CARA_FLAG_AWS,
    [SKOPEO] = {"skopeo", 0, "PATH", "which pushes images; without it the one in PATH"},
    [YES] = CARA_FLAG_YES,
    [DRY_RUN] = CARA_FLAG_DRY_RUN,
};

typedef struct setup {
    cara_awscli_options cli;
    cara_deploy_request request;
    int yes, dry, named; /* named: 1 where a flag named something to be deployed */
    char region[64];
    cara_ask_answers answers;
} setup;

static int read_setting(setup *s, const cara_cli_args *args, int id) {
    const cara_setting *setting = &cara_deploy_settings[id];
    s->request.values[id] = args->value;
    s->named = 1;
    if (cara_setting_fits(setting, args->value))
        return 0;
    char takes[200];
    cara_setting_takes(setting, takes, sizeof takes);
    return cara_cli_bad_value(args, takes);
}

static int read_flag(setup *s, const cara_cli_args *args, int at) {
    const char *const value = args->value;
    switch (at) {
    case REGION:
        s->cli.region = value;
        return 0;
    case PROFILE:
        s->cli.profile = value;
        return 0;
    case STACK:
        return cara_setup_stack(value, &s->request.stack);
    case ZIP:
        s->request.zip = value;
        break;
    case IMAGE:
        s->request.image = value;
        break;
    case MODEL:
        s->request.model = value;
        break;
    case WABA:
        s->request.waba = value;
        break;
    case NO_LINK:
        s->request.no_link = 1;
        return 0;
    case TAKE_OVER:
        s->request.take_over = 1;
        return 0;
    case AWS:
        s->cli.program = value;
        return 0;
    case SKOPEO:
        s->request.skopeo = value;
        return 0;
    case YES:
        s->yes = 1;
        return 0;
    case DRY_RUN:
        s->dry = 1;
        return 0;
    default:
        return read_setting(s, args, at - FIRST_SETTING);
    }
    s->named = 1;
    return 0;
}

/* CARA_CLI_END, or what the caller is to exit with. */
static int read_flags(setup *s, int argc, char **argv) {
    cara_cli_args args;
    cara_cli_args_init(&args, &cara_command_setup, argc, argv);
    for (int at; (at = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (at == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (at == CARA_CLI_BAD || read_flag(s, &args, at))
            return CARA_EXIT_USAGE;
    }
    if (args.operands < argc)
        return (int)cara_cli_fail(CARA_EXIT_USAGE, "setup takes flags only, got \"%s\"",
                                  argv[args.operands]);
    return CARA_CLI_END;
}

/* What `make package` left beside the program, where nothing is deployed and nothing was named. */
static void find_package(const cara_deploy *d, char *dst, size_t size) {
    char self[900];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    dst[0] = 0;
    if (n <= 0)
        return;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    const char *architecture = cara_deploy_value(d, CARA_SET_ARCHITECTURE);
    int image = strcmp(cara_deploy_value(d, CARA_SET_VARIANT), "worker") == 0;
    if (slash)
        snprintf(dst, size, "%.*s/package/caracola-%s%s.%s", (int)(slash - self), self,
                 image ? "" : "lambda-", architecture, image ? "oci.tar" : "zip");
    if (access(dst, R_OK) != 0)
        dst[0] = 0;
}

static int ask_region(setup *s) {
    cara_aws_config config;
    const cara_platform platform = cara_platform_real();
    cara_error err;
    if (cara_aws_config_load(&config, &platform, NULL, s->cli.profile, &err))
        return 0; /* cara_deploy_open() reports why */
    int rc = cara_ask("Region", config.region ? config.region : "us-east-1", s->region,
                      sizeof s->region);
    cara_aws_config_free(&config);
    s->cli.region = s->region;
    return rc;
}

static void show_result(const cara_deploy *d) {
    static const struct {
        const char *output, *label;
    } rows[] = {{"BucketName", "bucket"},
                {"TopicArn", "topic"},
                {"FunctionName", "function"},
                {"QueueUrl", "queue"},
                {"DeadLetterQueueUrl", "dead letters"},
                {"LogGroupName", "log"},
                {"DashboardUrl", "dashboard"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *value = cara_stack_output(&d->stack, rows[i].output);
        if (value)
            printf("%-13s %s\n", rows[i].label, value);
    }
    if (d->phone[0])
        printf("%-13s %s\n\nSend a voice note to %s: its transcript comes into the bucket.\n",
               "number", d->phone, d->phone);
    else
        printf("\nNo WhatsApp number is linked yet: run setup again once there is one.\n");
}

static int failed(const cara_error *err) {
    if (err->code == CARA_ERR_CANCELLED)
        return (int)cara_cli_fail(
            CARA_EXIT_INTERRUPTED,
            "interrupted; what was done is kept; run setup again to continue");
    return (int)cara_cli_fail_error(err);
}

static int work(setup *s, cara_deploy *d) {
    cara_error err = {.code = CARA_OK, .position = -1};
    const cara_progress progress = cara_setup_progress(s->dry);
    int asking = !s->yes && !s->dry;
    if (asking && !s->cli.region && ask_region(s))
        return (int)cara_cli_fail(CARA_EXIT_INTERRUPTED, "interrupted; nothing was changed");
    int rc = cara_deploy_open(d, &s->cli, &progress, &s->request, &err);
    if (rc)
        return failed(&err);
    if (!cara_deploy_package(d))
        find_package(d, s->answers.package, sizeof s->answers.package);
    if (asking && !(d->stack.exists && s->named)) {
        if (cara_ask_settings(d, &s->answers))
            return (int)cara_cli_fail(CARA_EXIT_INTERRUPTED, "interrupted; nothing was changed");
    } else if (s->answers.package[0]) {
        cara_progress_report(&progress, "package: %s", s->answers.package);
        *(strcmp(cara_deploy_value(d, CARA_SET_VARIANT), "worker") ? &d->request.zip
                                                                   : &d->request.image) =
            s->answers.package;
    }
    rc = cara_deploy_check(d, &err);
    if (rc)
        return failed(&err);
    if (asking) {
        char question[200];
        snprintf(question, sizeof question, "%s stack %.100s in account %s, %.30s",
                 d->stack.exists ? "Change" : "Make", d->request.stack, d->owner, d->cli.region);
        int yes = cara_ask_yes(question);
        if (yes <= 0)
            return (int)cara_cli_fail(CARA_EXIT_INTERRUPTED, "nothing was changed");
    }
    rc = cara_deploy_run(d, &err);
    if (rc)
        return failed(&err);
    if (!s->dry)
        show_result(d);
    return CARA_EXIT_OK;
}

static int run(int argc, char **argv) {
    setup *s = calloc(1, sizeof *s);
    cara_deploy *d = calloc(1, sizeof *d);
    int status = CARA_EXIT_INTERNAL;
    if (!s || !d) {
        cara_cli_fail(CARA_EXIT_INTERNAL, "no memory");
        goto done;
    }
    s->request.stack = CARA_DEPLOY_STACK;
    s->cli.stop = cara_setup_stop;
    status = read_flags(s, argc, argv);
    if (status != CARA_CLI_END)
        goto done;
    if (!s->yes && !s->dry && !cara_ask_is_terminal()) {
        status = (int)cara_cli_fail(
            CARA_EXIT_USAGE,
            "standard input is not a terminal: give --yes, or --dry_run to see what "
            "would be done");
        goto done;
    }
    cara_cli_catch_signals();
    status = work(s, d);
    cara_deploy_close(d);
done:
    free(d);
    free(s);
    return status;
}

/* The settings of the template are flags too. */
static int setting_option(int i, cara_cli_option *option, cara_cli_value *value) {
    if (i >= CARA_N_SETTINGS)
        return -1;
    const cara_setting *setting = &cara_deploy_settings[i];
    *option = (cara_cli_option){setting->flag, 0, setting->takes, setting->help};
    *value = (cara_cli_value){setting->takes,
                              setting->choices               ? CARA_CLI_CHOICE
                              : setting->min != setting->max ? CARA_CLI_NUMBER
                                                             : CARA_CLI_TEXT,
                              setting->choices, NULL};
    return 0;
}

static const cara_cli_value values[] = {
    {"MODEL", CARA_CLI_FILE, NULL, ".cara"},
    {"ZIP", CARA_CLI_FILE, NULL, ".zip"},
    {"TAR", CARA_CLI_FILE, NULL, ".tar"},
    {NULL, CARA_CLI_TEXT, NULL, NULL},
};

static const cara_cli_advice advice[] = {
    {"--stack_name", NULL, "that is --stack here"},
    {"--guided", "--interactive", "on a terminal it asks: leave it out"},
    {"--no_confirm_changeset", "--force", "--yes asks nothing"},
    {"--parameter_overrides", NULL, "each parameter of the template has a flag"},
    {"--memory_size", NULL, "that is --memory here"},
    {"--bucket", "--s3_bucket",
     "--store_bucket is a bucket for the messages that is there already"},
    {"--time_zone", "--tz", "that is --timezone here"},
    {NULL, NULL, NULL},
};

static const cara_cli_status statuses[] = {
    {CARA_EXIT_OK, "it is set up"},
    {CARA_EXIT_USAGE, "a setting that cannot work, or standard input is not a terminal"},
    {CARA_EXIT_MODEL, "the model is no .cara"},
    {CARA_EXIT_FILES, "a file could not be read, or no AWS CLI"},
    {CARA_EXIT_REMOTE, "AWS refuses, or the stack failed and was rolled back"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted: AWS continues with a stack that was begun; run setup\n"
                            "again to finish it"},
    {0, NULL},
};

const cara_cli_command cara_command_setup = {
    .name = "setup",
    .summary = "set it up in an AWS account, or change that",
    .run = run,
    .details =
        "Makes or changes the stack NAME and, before it, NAME-bootstrap (a bucket and a "
        "registry);\n"
        "uploads package, model and template; sends the WhatsApp account's events to the stack; "
        "and\n"
        "says which number to send a voice note to. Settings without a flag stay as they are, so\n"
        "running it again changes only what differs. On a terminal it asks for the others.\n"
        "docs/deploy.md in " CARA_DOC_DIR " explains it all.",
    .options = options,
    .more_options = setting_option,
    .values = values,
    .advice = advice,
    .statuses = statuses,
};

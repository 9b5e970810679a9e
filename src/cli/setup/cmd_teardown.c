/* caracola teardown: removes what setup made; the messages stay unless a flag says otherwise. */
#include "cli/cli.h"
#include "cli/setup/ask.h"
#include "cli/setup/shared.h"

#include <stdlib.h>
#include <string.h>

enum { REGION, PROFILE, STACK, DELETE_BUCKET, AWS, YES, DRY_RUN };

static const cara_cli_option options[] = {
    [REGION] = CARA_FLAG_REGION,
    [PROFILE] = CARA_FLAG_PROFILE,
    [STACK] = CARA_FLAG_STACK,
    [DELETE_BUCKET] = {"delete-bucket", 0, NULL,
                       "also the buckets that setup made, with every message in them"},
    [AWS] = CARA_FLAG_AWS,
    [YES] = CARA_FLAG_YES,
    [DRY_RUN] = CARA_FLAG_DRY_RUN,
    {NULL, 0, NULL, NULL},
};

/* Without a yes nothing is deleted; for the messages the bucket's name has to be typed. */
static int confirm(const cara_deploy *d, int delete_bucket) {
    char question[300];
    snprintf(question, sizeof question, "Remove stack %.100s from account %s, %.30s",
             d->request.stack, d->owner, d->cli.region);
    if (cara_ask_yes(question) != 1)
        return 0;
    const char *bucket = d->stack.exists ? cara_stack_output(&d->stack, "BucketName") : NULL;
    if (!delete_bucket || !bucket)
        return 1;
    char answer[100];
    fprintf(stderr, "Every message, voice note and transcript in %s will be lost.\n", bucket);
    return cara_ask("Type the bucket's name to go on", "", answer, sizeof answer) == 0 &&
           strcmp(answer, bucket) == 0;
}

static int interrupted(const cara_deploy *d, int delete_bucket) {
    const cara_awscli_options *cli = &d->cli.options;
    cara_buf line;
    cara_buf_init(&line, 8192);
    const char *const flags[] = {"--stack",   d->request.stack, "--region", d->cli.region,
                                 "--profile", cli->profile,     "--aws",    cli->program};
    int bad = cara_buf_str(&line, "caracola teardown --yes");
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i += 2)
        bad = bad || (flags[i + 1] && (cara_setup_add_word(&line, flags[i]) ||
                                       cara_setup_add_word(&line, flags[i + 1])));
    if (!bad)
        cara_cli_fail(CARA_EXIT_INTERRUPTED,
                      "interrupted; AWS goes on with a stack that is being deleted; to continue, "
                      "run: %s%s",
                      line.data, delete_bucket ? " --delete-bucket" : "");
    cara_buf_free(&line);
    return CARA_EXIT_INTERRUPTED;
}

static int work(cara_deploy *d, const cara_awscli_options *cli, const cara_deploy_request *request,
                int yes, int dry, int delete_bucket) {
    cara_error err = {.code = CARA_OK, .position = -1};
    const cara_progress progress = cara_setup_progress(dry);
    int rc = cara_deploy_open(d, cli, &progress, request, &err);
    if (!rc && !yes && !dry && (d->stack.id[0] || d->bootstrap.id[0]) && !confirm(d, delete_bucket))
        return (int)cara_cli_fail(CARA_EXIT_INTERRUPTED, "nothing was removed");
    if (!rc)
        rc = cara_deploy_teardown(d, delete_bucket, &err);
    if (rc == CARA_ERR_CANCELLED)
        return interrupted(d, delete_bucket);
    return rc ? (int)cara_cli_fail_error(&err) : CARA_EXIT_OK;
}

static int run(int argc, char **argv) {
    cara_awscli_options cli = {.stop = cara_setup_stop};
    cara_deploy_request request = {.stack = CARA_DEPLOY_STACK};
    int yes = 0, dry = 0, delete_bucket = 0;
    cara_cli_args args;
    cara_cli_args_init(&args, &cara_command_teardown, argc, argv);
    for (int at; (at = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (at == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (at == CARA_CLI_BAD || (at == STACK && cara_setup_stack(args.value, &request.stack)))
            return CARA_EXIT_USAGE;
        if (at == REGION)
            cli.region = args.value;
        if (at == PROFILE)
            cli.profile = args.value;
        if (at == AWS)
            cli.program = args.value;
        delete_bucket |= at == DELETE_BUCKET;
        yes |= at == YES;
        dry |= at == DRY_RUN;
    }
    if (args.operands < argc)
        return (int)cara_cli_fail(CARA_EXIT_USAGE, "teardown takes flags only, got \"%s\"",
                                  argv[args.operands]);
    if (!yes && !dry && !cara_ask_is_terminal())
        return (int)cara_cli_fail(
            CARA_EXIT_USAGE,
            "standard input is not a terminal: give --yes, or --dry_run to see what "
            "would be done");
    cara_deploy *d = calloc(1, sizeof *d);
    if (!d)
        return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory");
    cara_cli_catch_signals();
    int status = work(d, &cli, &request, yes, dry, delete_bucket);
    cara_deploy_close(d);
    free(d);
    return status;
}

static const cara_cli_advice advice[] = {
    {"--stack_name", NULL, "that is --stack here"},
    {"--force", "--no_prompts", "--yes asks nothing"},
    {"--delete_buckets", NULL, "that is --delete_bucket here"},
    {NULL, NULL, NULL},
};

static const cara_cli_status statuses[] = {
    {CARA_EXIT_OK, "all of it is gone, or there was nothing"},
    {CARA_EXIT_USAGE,
     "a flag or value that does not exist or fit, or standard input is not a terminal"},
    {CARA_EXIT_FILES, "no AWS CLI"},
    {CARA_EXIT_REMOTE, "AWS refuses, or a stack could not be deleted"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted, or not confirmed"},
    {0, NULL},
};

const cara_cli_command cara_command_teardown = {
    .name = "teardown",
    .summary = "remove from an AWS account what setup made",
    .run = run,
    .details =
        "Takes the event destination off the WhatsApp account where it is this stack's, and\n"
        "deletes the stacks NAME and NAME-bootstrap. The buckets are kept, and named, unless\n"
        "--delete_bucket is given; a bucket of your own (--store_bucket) always is.",
    .options = options,
    .advice = advice,
    .statuses = statuses,
};

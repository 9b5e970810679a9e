/* caracola model fetch: a model from S3 to a file, as the function's fill does it. */
#include "app/model/fetch.h"
#include "cli/cli.h"
#include "cli/model/make.h"
#include "cli/named.h"
#include "cli/progress.h"

#include <stdlib.h>

static void on_progress(void *cookie, uint64_t done, uint64_t total) {
    cara_cli_progress_part((double)done, (double)total);
}

static int stop(void *cookie) {
    return cara_cli_interrupted();
}

static const cara_cli_option options[] = {
    {"sha256", 0, "HEX", "what the model's SHA-256 must be; without it\n$CARACOLA_MODEL_SHA256"},
    {"quiet", 'q', NULL, "say nothing but errors"},
    {NULL, 0, NULL, NULL}};

static int run(int argc, char **argv) {
    int quiet = 0;
    cara_cli_args args;
    cara_cli_args_init(&args, &cara_command_model_fetch, argc, argv);
    for (int flag; (flag = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (flag == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (flag == CARA_CLI_BAD)
            return CARA_EXIT_USAGE;
        if (flag == 0 && cara_cli_set_variable("CARACOLA_MODEL_SHA256", args.value) != 0)
            return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the flags");
        quiet |= flag == 1;
    }
    if (args.argc - args.operands != 2)
        return (int)cara_cli_fail(CARA_EXIT_USAGE,
                                  "model fetch takes s3://bucket/key and the file to write; got %d "
                                  "operands",
                                  args.argc - args.operands);
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_cli_progress_start("fetching", !quiet);
    cara_cli_catch_signals();
    const cara_s3_fill fill = {.sha256 = getenv("CARACOLA_MODEL_SHA256"),
                               .path = args.argv[args.operands + 1],
                               .stop = stop,
                               .progress = on_progress};
    cara_s3_filled filled;
    int rc =
        cara_model_fetch(args.argv[args.operands], "CARACOLA_MODEL_SHA256", &fill, &filled, &err);
    cara_cli_progress_stop();
    if (rc)
        return (int)cara_cli_fail_error(&err);
    if (filled.busy)
        return (int)cara_cli_fail(CARA_EXIT_FILES, "another process is fetching %s", fill.path);
    if (!filled.done)
        return (int)cara_cli_fail(
            CARA_EXIT_INTERRUPTED,
            "interrupted; what has arrived stays, and the same command goes on");
    if (!quiet)
        cara_cli_remark("%s %s: %llu bytes", filled.already ? "nothing to do for" : "wrote",
                        fill.path, (unsigned long long)filled.bytes);
    return CARA_EXIT_OK;
}

static const cara_cli_status statuses[] = {
    {CARA_EXIT_OK, "FILE is there"},
    {CARA_EXIT_USAGE, "a flag or value that does not exist or fit; nothing was done"},
    {CARA_EXIT_MODEL, "its SHA-256 is another; no file was written"},
    {CARA_EXIT_FILES, "FILE could not be written, or there is no such object"},
    {CARA_EXIT_REMOTE, "S3 refuses or fails"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted; what has arrived stays, and the same command goes on"},
    {0, NULL},
};

const cara_cli_command cara_command_model_fetch = {
    .name = "model fetch",
    .summary = "bring a model from S3 to a file",
    .run = run,
    .operands = "s3://BUCKET/KEY FILE",
    .details =
        "By several connections. What has arrived stays beside FILE until all is there, so that "
        "the\n"
        "same command goes on after an interruption; FILE is there when its SHA-256 is right.\n"
        "Region and credentials are found as every AWS SDK finds them.",
    .options = options,
    .statuses = statuses,
};

#include "cli/model/make.h"
#include "cli/progress.h"

#include "base/limits.h"

#include <string.h>

static const char *const storages[] = {"int8", "float16", "bfloat16", "float32"};

int cara_cli_storage(const cara_cli_args *args, cara_storage *out) {
    int choice;
    if (cara_cli_choice(args, &choice))
        return -1;
    *out = (cara_storage)(CARA_STORAGE_INT8 + choice);
    return 0;
}

const char *cara_cli_storage_name(cara_storage storage) {
    return storage == CARA_STORAGE_AS_IS ? "as it is" : storages[storage - CARA_STORAGE_INT8];
}

int cara_cli_threads(const cara_cli_args *args, int *out) {
    int64_t value;
    if (cara_cli_int(args, 1, CARA_LIMIT_THREADS, NULL, &value))
        return -1;
    *out = (int)value;
    return 0;
}

cara_exit cara_cli_model_not_written(const char *out, const cara_error *err) {
    if (err->code == CARA_ERR_CANCELLED)
        return cara_cli_fail(CARA_EXIT_INTERRUPTED, "interrupted; %s was not written", out);
    if (err->code == CARA_ERR_CONFLICT)
        return cara_cli_fail(CARA_EXIT_FILES, "%s; --force writes over it", err->text);
    return cara_cli_fail_error(err);
}

static int on_progress(void *cookie, int64_t done, int64_t total) {
    cara_cli_progress_part((double)done, (double)total);
    return cara_cli_interrupted();
}

static const cara_cli_option options[] = {
    {"seed", 0, "N", "another seed gives other weights; default 1"},
    {"compute_type", 0, "TYPE", "int8 (default), float16, bfloat16 or float32"},
    {"threads", 0, "N", "how many; without it, as many as this process may run on"},
    {"name", 0, "NAME", "what the model is to be called; default random-SHAPE"},
    {"force", 0, NULL, "write over OUT if it is there"},
    {"quiet", 'q', NULL, "say nothing but errors"},
    {NULL, 0, NULL, NULL}};

static int run(int argc, char **argv) {
    int64_t seed = 1;
    int quiet = 0;
    cara_write_options written = {.storage = CARA_STORAGE_INT8};
    cara_cli_args args;
    cara_cli_args_init(&args, &cara_command_model_random, argc, argv);
    for (int flag; (flag = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (flag == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (flag == CARA_CLI_BAD || (flag == 0 && cara_cli_int(&args, 0, INT64_MAX, NULL, &seed)) ||
            (flag == 1 && cara_cli_storage(&args, &written.storage)) ||
            (flag == 2 && cara_cli_threads(&args, &written.threads)))
            return CARA_EXIT_USAGE;
        if (flag == 3)
            written.name = args.value;
        written.replace |= flag == 4;
        quiet |= flag == 5;
    }
    int operands = args.argc - args.operands;
    if (operands < 1 || operands > 2)
        return (int)cara_cli_fail(CARA_EXIT_USAGE,
                                  "model random takes a shape such as medium, and the .cara to "
                                  "write; got %d operands",
                                  operands);
    const char *shape = args.argv[args.operands];
    char name[80];
    snprintf(name, sizeof name, "random-%.60s.cara", shape);
    const char *out = operands == 2 ? args.argv[args.operands + 1] : name;
    cara_cli_progress_start("making", !quiet);
    cara_cli_catch_signals();
    written.progress = on_progress;
    cara_error err = {.code = CARA_OK, .position = -1};
    int rc = cara_model_write_random(shape, (uint64_t)seed, &written, out, &err);
    cara_cli_progress_stop();
    if (rc)
        return (int)cara_cli_model_not_written(out, &err);
    if (!quiet)
        cara_cli_remark("wrote %s: random weights, %s", out,
                        cara_cli_storage_name(written.storage));
    return CARA_EXIT_OK;
}

static const cara_cli_value values[] = {
    {"OUT", CARA_CLI_FILE, NULL, ".cara"},
    {"TYPE", CARA_CLI_CHOICE, "int8 float16 bfloat16 float32", NULL},
    {NULL, CARA_CLI_TEXT, NULL, NULL},
};

static const cara_cli_status statuses[] = {
    {CARA_EXIT_OK, "OUT was written"},
    {CARA_EXIT_USAGE, "a flag or value that does not exist or fit; nothing was done"},
    {CARA_EXIT_FILES, "OUT is there already, or could not be written"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted; OUT was not written"},
    {0, NULL},
};

const cara_cli_command cara_command_model_random = {
    .name = "model random",
    .summary = "make a model of random weights, to measure with",
    .run = run,
    .operands = "SHAPE [OUT]",
    .details =
        "SHAPE is that of a published model: tiny, tiny.en, base, base.en, small, small.en,\n"
        "medium, medium.en, large-v1, large-v2, large-v3 or large-v3-turbo. OUT is\n"
        "random-SHAPE.cara by default. It costs what the real model costs and understands\n"
        "nothing. The same shape, seed and type give the same bytes on every machine.",
    .options = options,
    .values = values,
    .statuses = statuses,
};

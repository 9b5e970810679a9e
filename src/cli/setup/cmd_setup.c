/* caracola setup: from nothing to a number that answers, in an AWS account. */
#include "cli/cli.h"
#include "cli/setup/answers.h"
#include "cli/setup/ask.h"
#include "cli/setup/request.h"
#include "cli/setup/shared.h"
#include "cli/setup/summary.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static int ask_region(cara_setup *s) {
    cara_aws_config config;
    const cara_platform platform = cara_platform_real();
    cara_error err;
    if (cara_aws_config_load(&config, &platform, NULL, s->cli.profile, &err))
        return 0; /* cara_deploy_open() reports why */
    int rc;
    do {
        rc = cara_ask("Region", config.region ? config.region : "us-east-1", s->region,
                      sizeof s->region);
        cara_aws_config again;
        if (rc || cara_aws_config_load(&again, &platform, s->region, s->cli.profile, &err) == 0) {
            if (!rc)
                cara_aws_config_free(&again);
            break;
        }
        fprintf(stderr, "%s\n", err.text);
    } while (!rc);
    cara_aws_config_free(&config);
    s->cli.region = s->region;
    return rc;
}

/* Asks for the Region, where none was given, until AWS answers there. */
static int open_place(cara_setup *s, cara_deploy *d, const cara_progress *progress,
                      cara_error *err) {
    int asks = !s->yes && !s->dry && !s->cli.region;
    for (;;) {
        if (asks && ask_region(s))
            return cara_fail(err, CARA_ERR_CANCELLED, -1, "interrupted; nothing was changed");
        int rc = cara_deploy_open(d, &s->cli, progress, &s->request, err);
        if (!rc || !asks || rc == CARA_ERR_CANCELLED || !d->wrong_place)
            return rc;
        fprintf(stderr, "%s\n", err->text);
        cara_deploy_close(d);
        memset(d, 0, sizeof *d);
    }
}

static int interrupted(const cara_setup *s, const cara_deploy *d) {
    cara_buf line;
    cara_buf_init(&line, 65536);
    if (cara_setup_command_line(s, d, &line) == 0)
        cara_cli_fail(CARA_EXIT_INTERRUPTED,
                      "interrupted; what was done is kept; to continue, run: %s", line.data);
    cara_buf_free(&line);
    return CARA_EXIT_INTERRUPTED;
}

static int failed(const cara_error *err) {
    if (err->code == CARA_ERR_CANCELLED)
        return (int)cara_cli_fail(CARA_EXIT_INTERRUPTED, "interrupted; nothing was changed");
    return (int)cara_cli_fail_error(err);
}

static int add_answer(void *ctx, const char *name, const char *value) {
    return cara_answers_add(ctx, name, value);
}

static int write_answers(const cara_setup *s, const cara_deploy *d, cara_error *err) {
    json_t *object = json_object();
    int rc = !object || cara_setup_each(s, d, add_answer, object)
                 ? cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %.200s", s->write_file)
                 : cara_answers_write(s->write_file, object, err);
    json_decref(object);
    return rc;
}

/* All answers, checked; what they come to was said, and confirmed. An exit status, or CARA_CLI_END
 * to go on. */
static int prepare(cara_setup *s, cara_deploy *d, cara_error *err) {
    const cara_progress progress = cara_setup_progress(s->dry);
    int asking = !s->yes && !s->dry;
    int rc = open_place(s, d, &progress, err);
    if (rc)
        return failed(err);
    if (!cara_deploy_package(d))
        find_package(d, s->answers.package, sizeof s->answers.package);
    if (asking && !(d->stack.exists && s->named)) {
        rc = cara_ask_settings(d, &s->answers, err);
    } else if (s->answers.package[0]) {
        cara_progress_report(&progress, "package: %s", s->answers.package);
        *(strcmp(cara_deploy_value(d, CARA_SET_VARIANT), "worker") ? &d->request.zip
                                                                   : &d->request.image) =
            s->answers.package;
    }
    if (!rc)
        rc = cara_deploy_check(d, err);
    if (rc)
        return failed(err);
    cara_setup_summarise(s, d);
    cara_setup_warn_of_toy(d);
    if (asking) {
        char question[200];
        snprintf(question, sizeof question, "%s stack %.100s in account %s, %.30s",
                 d->stack.exists ? "Change" : "Make", d->request.stack, d->owner, d->cli.region);
        if (cara_ask_yes(question) != 1)
            return (int)cara_cli_fail(CARA_EXIT_INTERRUPTED, "nothing was changed");
    }
    if (s->write_file && write_answers(s, d, err))
        return (int)cara_cli_fail_error(err);
    return CARA_CLI_END;
}

static int work(cara_setup *s, cara_deploy *d) {
    cara_error err = {.code = CARA_OK, .position = -1};
    int status = prepare(s, d, &err);
    if (status != CARA_CLI_END)
        return status;
    int rc = cara_deploy_run(d, &err);
    if (rc == CARA_ERR_CANCELLED && !s->dry)
        return interrupted(s, d);
    if (rc)
        return failed(&err);
    if (!s->dry) {
        cara_setup_show_result(d);
        cara_setup_warn_of_toy(d);
    }
    return CARA_EXIT_OK;
}

static int run(int argc, char **argv) {
    cara_setup *s = calloc(1, sizeof *s);
    cara_deploy *d = calloc(1, sizeof *d);
    int status = CARA_EXIT_INTERNAL;
    if (!s || !d) {
        cara_cli_fail(CARA_EXIT_INTERNAL, "no memory");
        goto done;
    }
    s->request.stack = CARA_DEPLOY_STACK;
    s->cli.stop = cara_setup_stop;
    status = cara_setup_read(s, &cara_command_setup, argc, argv);
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
    cara_setup_free(s);
    free(d);
    free(s);
    return status;
}

static const cara_cli_value values[] = {
    {"MODEL", CARA_CLI_FILE, NULL, ".cara"}, {"ZIP", CARA_CLI_FILE, NULL, ".zip"},
    {"TAR", CARA_CLI_FILE, NULL, ".tar"},    {"JSON", CARA_CLI_FILE, NULL, ".json"},
    {"TAGS", CARA_CLI_TEXT, NULL, NULL},     {NULL, CARA_CLI_TEXT, NULL, NULL},
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
    {CARA_EXIT_MODEL, "the model is no .cara that can be used"},
    {CARA_EXIT_FILES, "a file could not be read, or no AWS CLI"},
    {CARA_EXIT_REMOTE, "AWS refuses, or the stack failed and was rolled back"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted: AWS continues with a stack that was begun, and the\n"
                            "command that is printed finishes it"},
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
    .options = cara_setup_options,
    .more_options = cara_setup_setting_option,
    .values = values,
    .advice = advice,
    .statuses = statuses,
};

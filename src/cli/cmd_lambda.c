/* caracola as a Lambda function: named bootstrap, or with AWS_LAMBDA_RUNTIME_API and no command. */
#include "app/app.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "pipeline/lambda.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cara_cli_is_lambda(int argc, char **argv) {
    const char *slash = strrchr(argc ? argv[0] : "", '/');
    const char *name = slash ? slash + 1 : argc ? argv[0] : "";
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
    return strcmp(name, "bootstrap") == 0 || (argc < 2 && api && *api);
}

/* A configuration that cannot work is told to Lambda before the process ends, else it would only
 * show as "exited". */
static int give_up(cara_lambda *lambda, cara_app *s, const cara_error *why) {
    static const char *const type = "Configuration.Invalid";
    cara_log_line(&s->log.log, CARA_LOG_ERROR, "%s: %s", type, why->text);
    cara_error ignored;
    (void)cara_lambda_init_error(lambda, type, why->text, &ignored);
    return cara_cli_exit_for(why->code);
}

/* {"caracola":"NAME", ...} */
static int obey(void *ctx, const char *name, const json_t *event, double left_s, json_t **answer,
                cara_error *err) {
    if (strcmp(name, "doctor") == 0)
        return cara_cli_doctor_answer(ctx, event, left_s, answer, err);
    if (strcmp(name, "fill") == 0)
        return cara_app_fill(ctx, left_s, answer, err);
    return cara_fail(err, CARA_ERR_USAGE, -1, "this function has no command \"%.64s\"", name);
}

int cara_cmd_lambda(void) {
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
    if (!api || !*api)
        return cara_cli_fail(CARA_EXIT_USAGE,
                             "under the name bootstrap this is a Lambda function, but "
                             "AWS_LAMBDA_RUNTIME_API is not set: nothing here is Lambda");
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_lambda *lambda = NULL;
    if (cara_lambda_open(api, &lambda, &err))
        return cara_cli_fail_error(&err);
    cara_app s;
    int status;
    if (cara_app_open(&s, STDOUT_FILENO, &err)) {
        status = give_up(lambda, &s, &err);
    } else {
        s.service.command = obey;
        s.service.command_ctx = &s;
        cara_lambda_serve(lambda, &s.service, &err);
        cara_log_line(&s.log.log, CARA_LOG_ERROR, "the sandbox is lost: %s", err.text);
        status = CARA_EXIT_REMOTE;
    }
    cara_app_close(&s);
    cara_lambda_close(lambda);
    return status;
}

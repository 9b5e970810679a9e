#include "app/lambda_function.h"

#include "app/examine.h"

#include <string.h>

/* {"caracola":"NAME", ...} */
static int command(void *ctx, const char *name, const json_t *event, double left_s, json_t **answer,
                   cara_error *err) {
    if (strcmp(name, "doctor") == 0)
        return cara_examine_function(ctx, event, left_s, answer, err);
    if (strcmp(name, "fill") == 0)
        return cara_app_fill(ctx, left_s, answer, err);
    return cara_fail(err, CARA_ERR_USAGE, -1, "this function has no command \"%.64s\"", name);
}

int cara_lambda_function_open(cara_app *app, cara_lambda *lambda, int log_fd, cara_error *err) {
    static const char *const type = "Configuration.Invalid";
    cara_error failure = {.code = CARA_OK, .position = -1}, ignored;
    int rc = cara_app_open(app, log_fd, &failure);
    app->service.command = command;
    app->service.command_ctx = app;
    if (!rc) {
        cara_app_log_start(app, NULL);
        return CARA_OK;
    }
    cara_log_line(&app->log.log, CARA_LOG_ERROR, "%s: %s", type, failure.text);
    (void)cara_lambda_init_error(lambda, type, failure.text, &ignored);
    if (err)
        *err = failure;
    return rc;
}

void cara_lambda_function_run(cara_app *app, cara_lambda *lambda) {
    cara_error err = {.code = CARA_OK, .position = -1};
    (void)cara_lambda_serve(lambda, &app->service, &err);
    cara_log_line(&app->log.log, CARA_LOG_ERROR, "the sandbox is lost: %s", err.text);
}

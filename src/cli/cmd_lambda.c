/* caracola as a Lambda function: named bootstrap, or with AWS_LAMBDA_RUNTIME_API and no command. */
#include "app/lambda_function.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cara_cli_is_lambda(int argc, char **argv) {
    const char *slash = strrchr(argc ? argv[0] : "", '/');
    const char *name = slash ? slash + 1 : argc ? argv[0] : "";
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
    return strcmp(name, "bootstrap") == 0 || (argc < 2 && api && *api);
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
    cara_app app;
    int status = CARA_EXIT_REMOTE;
    if (cara_lambda_function_open(&app, lambda, STDOUT_FILENO, &err))
        status = (int)cara_cli_exit_for(err.code);
    else
        cara_lambda_function_run(&app, lambda);
    cara_app_close(&app);
    cara_lambda_close(lambda);
    return status;
}

/* This process as a Lambda function. */
#ifndef APP_LAMBDA_FUNCTION_H
#define APP_LAMBDA_FUNCTION_H

#include "app/app.h"
#include "pipeline/service/lambda.h"

/* Everything from the environment, as cara_app_open(), and the commands {"caracola":"doctor"} and
 * {"caracola":"fill"}. A configuration that cannot work is logged and reported to Lambda, where it
 * would else only show as "exited". *app must stay where it is; close it in any case. */
int cara_lambda_function_open(cara_app *app, cara_lambda *lambda, int log_fd, cara_error *err);

/* Answers events until the sandbox is lost, and logs why. */
void cara_lambda_function_run(cara_app *app, cara_lambda *lambda);

#endif

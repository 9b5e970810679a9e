/* The loop of a Lambda sandbox: one event after the other, until the Runtime API ends it. */
#ifndef PIPELINE_LAMBDA_H
#define PIPELINE_LAMBDA_H

#include "aws/services/lambda_runtime.h"
#include "pipeline/service/service.h"

/* Answers every event: SNS and others with a small summary, or an error where something is to be
 * delivered again; SQS with a partial batch response that names what is; {"caracola":"NAME"}, which
 * only callers with permission to invoke the function can send, with service->command's answer.
 * Returns only when the sandbox is lost, and why: NETWORK, DENIED, MEMORY. */
int cara_lambda_serve(cara_lambda *lambda, cara_service *service, cara_error *err);

/* Threads that are worth starting with so much memory: Lambda gives one CPU for each 1,769 MB, and
 * more threads than that only wait for each other. `memory_mb` NULL or no number: 0, "as many as
 * there are". */
int cara_lambda_threads(const char *memory_mb);

#endif

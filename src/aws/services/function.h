/* AWS Lambda's API: the settings of a function, and calling it (Lambda API Reference). */
#ifndef AWS_FUNCTION_H
#define AWS_FUNCTION_H

#include "aws/client/client.h"

#include <jansson.h>

/* `name` throughout is the function's name or ARN. All: USAGE for what can be neither; NOT_FOUND;
 * else as cara_aws_do(). */

/* Texts are valid as long as `memory`; "" and 0 where the answer lacks them. */
typedef struct cara_function {
    const char *name, *arn, *role;
    const char *state, *reason; /* "Active", "Pending", "Failed"; why */
    const char *package;        /* "Zip", "Image" */
    const char *architecture;   /* "x86_64", "arm64" */
    const char *log_format;     /* "JSON", "Text" */
    int timeout_s, memory_mb, storage_mb;
    int in_vpc, has_file_system;
    const json_t *variables; /* an object, or NULL */
    json_t *memory;
} cara_function;

/* GetFunctionConfiguration. On success the caller frees *out; on failure it is empty. */
int cara_function_get(cara_aws *aws, const char *name, cara_function *out, cara_error *err);
void cara_function_free(cara_function *function);
/* An environment variable of the function's, or "". */
const char *cara_function_variable(const cara_function *function, const char *name);

typedef struct cara_function_failures {
    int retries;           /* after the first try; -1: AWS's default, 2 */
    char destination[512]; /* ARN of the on-failure destination; "" where there is none */
} cara_function_failures;

/* GetFunctionEventInvokeConfig; a function without one is a success with its defaults. */
int cara_function_failures_get(cara_aws *aws, const char *name, cara_function_failures *out,
                               cara_error *err);

typedef struct cara_function_source { /* texts are borrowed for the call, "" where missing */
    const char *arn;                  /* of the queue */
    const char *state;                /* "Enabled", ... */
    int partial;                      /* ReportBatchItemFailures is set */
} cara_function_source;

/* ListEventSourceMappings over all pages; non-zero from `each` ends it and is returned. */
typedef int (*cara_function_each)(void *ctx, const cara_function_source *source);
int cara_function_sources(cara_aws *aws, const char *name, cara_function_each each, void *ctx,
                          cara_error *err);

/* Invoke, waiting for the answer, which is appended to *answer. *failed: the function itself
 * failed, and the answer is its {"errorType": ..., "errorMessage": ...}. `timeout_s` bounds one
 * attempt. */
int cara_function_invoke(cara_aws *aws, const char *name, const char *payload, size_t n,
                         double timeout_s, cara_buf *answer, int *failed, cara_error *err);

#endif

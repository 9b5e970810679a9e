/* The AWS Lambda Runtime API, version 2018-06-01 (AWS Lambda Developer Guide, "Using the Lambda
 * runtime API for custom runtimes"). */
#ifndef AWS_LAMBDA_RUNTIME_H
#define AWS_LAMBDA_RUNTIME_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cara_lambda cara_lambda; /* one thread at a time */

/* `address` is AWS_LAMBDA_RUNTIME_API: "host:port". Proxy variables are not obeyed: an invocation
 * never leaves the sandbox. On failure *out is NULL. USAGE, MEMORY. */
int cara_lambda_open(const char *address, cara_lambda **out, cara_error *err);
void cara_lambda_close(cara_lambda *lambda); /* NULL is allowed */

typedef struct cara_invocation {
    char request_id[128];
    int64_t deadline_ms; /* wall clock since 1970 UTC; 0 where the API named none */
    char function_arn[256];
    char trace_id[512]; /* X-Ray's, for _X_AMZN_TRACE_ID; "" where there was none */
    char *body;         /* NUL-terminated, [body_len] */
    size_t body_len;
} cara_invocation;

/* Waits for an event, without any limit of time: the sandbox may be frozen for hours meanwhile.
 * `limit`: most bytes of event; of a larger one *out has as many. On success the caller frees *out
 * with cara_invocation_free(). MEMORY with a request id in *out: the event is still to be answered
 * by cara_lambda_fail(). NETWORK: the API does not answer, or not as documented; the process should
 * end. */
int cara_lambda_next(cara_lambda *lambda, size_t limit, cara_invocation *out, cara_error *err);
void cara_invocation_free(cara_invocation *invocation);

/* Answers the invocation with `body`. MEMORY (413): more than the API takes, so answer with
 * cara_lambda_fail() instead. USAGE (400): the API has given this invocation up; go on with the
 * next. DENIED (403): not a state in which an answer is allowed. NETWORK: no answer, or 500: the
 * sandbox is lost and the process must end at once. */
int cara_lambda_respond(cara_lambda *lambda, const char *request_id, const void *body, size_t n,
                        cara_error *err);

/* Fails the invocation, so that Lambda tries the event again where it was asynchronous. `type` is
 * "Category.Reason", as "Workflow.S3Unavailable". Codes as cara_lambda_respond(). */
int cara_lambda_fail(cara_lambda *lambda, const char *request_id, const char *type,
                     const char *message, cara_error *err);

/* Says that this sandbox cannot work at all; the process then exits non-zero. */
int cara_lambda_init_error(cara_lambda *lambda, const char *type, const char *message,
                           cara_error *err);

#endif

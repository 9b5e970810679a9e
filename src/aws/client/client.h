/* One AWS client: settings, credentials kept fresh, signed calls, and the SDKs' standard retries.
 */
#ifndef AWS_CLIENT_H
#define AWS_CLIENT_H

#include "aws/exchange/exchange.h"

typedef struct cara_aws cara_aws; /* used by one thread at a time; each thread opens its own */

typedef struct cara_aws_options {
    const char *region;            /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile */
    const char *profile;           /* NULL: AWS_PROFILE, else "default" */
    const cara_platform *platform; /* NULL: the real one; copied */
    const cara_log *log;      /* borrowed until the client is closed; retries are logged at DEBUG */
    double connect_timeout_s; /* 0: 5 */
    double timeout_s;         /* of one attempt, where the call gives none; 0: 60 */
    double stall_s;           /* an attempt that makes too little progress for so long; 0: 20 */
} cara_aws_options;

/* `options` may be NULL. Nothing goes over the network yet. On failure *out is NULL.
 * USAGE: settings that are malformed; IO, MEMORY. */
int cara_aws_open(const cara_aws_options *options, cara_aws **out, cara_error *err);
void cara_aws_close(cara_aws *aws); /* NULL is allowed */

/* No call, retry or wait of this client goes on beyond that time (cara_clock_monotonic()'s scale);
 * 0 removes the limit. */
void cara_aws_set_deadline(cara_aws *aws, double deadline);
/* Polled while waiting; non-zero ends calls with CANCELLED. NULL removes it. */
void cara_aws_set_stop(cara_aws *aws, int (*stop)(void *cookie), void *cookie);

const cara_aws_config *cara_aws_settings(const cara_aws *aws);

/* The service's error for the latest call; its status is 0 where that call succeeded or got no
 * answer. Valid until the next call. */
const cara_aws_fault *cara_aws_last_fault(const cara_aws *aws);

/* Finds credentials now and gives their source ("environment", ...); for `doctor`. As
 * cara_credentials_find(). */
int cara_aws_check_credentials(cara_aws *aws, const char **source, cara_error *err);

/* How far the latest service that answered was ahead of this machine's clock, to the second. 0, or
 * -1 where no answer had a date yet. */
int cara_aws_clock_ahead(const cara_aws *aws, int64_t *ms);

/* Everything is borrowed for the call. */
typedef struct cara_aws_call {
    const cara_aws_service *service;
    const char *what;     /* for sentences: "S3 PutObject" */
    const char *region;   /* NULL: the client's */
    const char *endpoint; /* "https://host[:port][/path]" instead of the service's, or NULL */
    const char *bucket;   /* S3: becomes part of the host or of the path; else NULL */
    const char *method;
    const char *path;                /* encoded, begins with '/'; behind the endpoint's own path */
    const char *query;               /* encoded, or NULL */
    const cara_http_header *headers; /* [n_headers] beyond those that signing needs; at most 12 */
    size_t n_headers;
    const void *body;
    size_t body_len;
    size_t max_body; /* of the answer; 0: 1 MiB */
    /* [into_len]; given, the body of a 2xx answer goes there instead of response->body, from its
     * beginning at each attempt; bytes that do not fit are dropped, which `check` has to detect. */
    void *into;
    size_t into_len;
    /* Of one attempt; 0: the client's; < 0: stall_s and what its bytes take at
     * CARA_LIMIT_SLOW_BYTES_S; > 0: also without any progress (a long poll). */
    double timeout_s;
    cara_retry_rule retry;
    int max_attempts;  /* 0: the settings' */
    int unsigned_call; /* 1: neither credentials nor a signature */
    /* Looks at a 2xx answer; CARA_ERR_NETWORK requests another attempt, any other code is final. */
    int (*check)(void *cookie, const cara_http_response *response, cara_error *err);
    void *check_cookie;
} cara_aws_call;

/* Signs, sends and repeats. CARA_OK: a 2xx answer, which is left in *response. Else by the
 * service's answer: NOT_FOUND (404), CONFLICT (412), NETWORK (429, 5xx, no answer, an expired
 * token, and all else where a retry may succeed), DENIED (the other 4xx), and CANCELLED, USAGE,
 * MEMORY. *response is as cara_http_do() has it and is freed by the caller in any case. */
int cara_aws_do(cara_aws *aws, const cara_aws_call *call, cara_http_response *response,
                cara_error *err);

#endif

/* One exchange with a service: signed with the keys given or not at all, judged by its answer, and
 * repeated as the SDKs' standard retry mode does. Finding keys is left to credentials/find.h. */
#ifndef AWS_EXCHANGE_H
#define AWS_EXCHANGE_H

#include "aws/exchange/fault.h"
#include "aws/exchange/retry.h"
#include "aws/settings/config.h"
#include "base/log.h"
#include "net/http.h"

/* What the exchanges of one client share. Zero is the default of all but the first two. */
typedef struct cara_exchange {
    cara_http *http;               /* borrowed */
    const cara_platform *platform; /* borrowed */
    const cara_log *log;           /* borrowed; retries are logged at DEBUG; may be NULL */
    double deadline; /* cara_clock_monotonic(): no attempt or wait goes beyond it; 0: none */
    int (*stop)(void *cookie); /* polled while waiting; non-zero ends with CANCELLED; may be NULL */
    void *stop_cookie;
    int64_t skew_ms;  /* the services' clock minus ours, set once a signature was refused for it */
    int64_t ahead_ms; /* the same, by the latest answer */
    int has_ahead;
} cara_exchange;

/* Borrowed for the call. */
typedef struct cara_aws_keys {
    const char *access_key, *secret_key;
    const char *session_token; /* NULL for long-lived keys */
} cara_aws_keys;

/* Which attempts are repeated. */
typedef enum cara_retry_rule {
    CARA_RETRY_IDEMPOTENT = 0, /* where another attempt may succeed */
    CARA_RETRY_UNLESS_SENT,    /* only where it is certain that the service did not do it: nothing
                                * was sent, or it answered that it is throttling */
    CARA_RETRY_AGENT, /* an agent on this machine or its host: every 5xx, after tenths of a second;
                       * one that cannot be reached does not exist and is tried once */
} cara_retry_rule;

/* Everything is borrowed for the call. */
typedef struct cara_exchange_request {
    const cara_aws_service *service; /* for the signature; may be NULL where there are no keys */
    const char *region;              /* the same */
    const char *what;                /* for sentences: "S3 PutObject" */
    const char *method;
    const char *url;                 /* in full, encoded */
    const cara_http_header *headers; /* [n_headers] beyond those that signing needs; at most 12 */
    size_t n_headers;
    const void *body; /* [body_len] */
    size_t body_len;
    size_t max_body; /* of the answer; 0: 1 MiB */
    /* [into_len]; given, the body of a 2xx answer goes there instead of response->body, from its
     * beginning at each attempt; bytes that do not fit are dropped, which `check` has to detect. */
    void *into;
    size_t into_len;
    double connect_timeout_s, timeout_s, rate, stall_s; /* as in cara_http_request, one attempt */
    int no_proxy;                                       /* the same */
    cara_retry_rule retry;
    int max_attempts;
    cara_retry_bucket *bucket; /* what retries take tokens from; NULL: no limit but max_attempts */
    /* Looks at a 2xx answer; CARA_ERR_NETWORK requests another attempt, any other code is final.
     * May be NULL. */
    int (*check)(void *cookie, const cara_http_response *response, cara_error *err);
    void *check_cookie;
} cara_exchange_request;

/* How far a request has come; zeroed by the caller before the first exchange for it. */
typedef struct cara_exchange_progress {
    cara_aws_fault fault; /* of the latest attempt, and how many there were */
    int took;             /* from the bucket, for the latest retry */
    int corrected_clock;
} cara_exchange_progress;

/* Signs with `keys` (NULL: not), sends, and repeats. CARA_OK: a 2xx answer, which is left in
 * *response. Else by what the service answered: NOT_FOUND (404), CONFLICT (412), NETWORK (429, 5xx,
 * no answer, one larger than max_body, an expired token, and all else where a retry may succeed),
 * DENIED (the other 4xx), and CANCELLED, USAGE, MEMORY. Where the clock was the reason, the
 * service's is taken from then on, and one attempt more is made. A further call with the same
 * *progress continues to count attempts, and makes at least one. *response is as cara_http_do()
 * leaves it; the caller frees it in any case. */
int cara_exchange_do(cara_exchange *exchange, const cara_exchange_request *request,
                     const cara_aws_keys *keys, cara_exchange_progress *progress,
                     cara_http_response *response, cara_error *err);

/* The time as the services have it, for signing and for judging when keys end. */
int64_t cara_exchange_now_ms(const cara_exchange *exchange);

#endif

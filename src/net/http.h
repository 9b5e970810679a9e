/* An HTTP client over one libcurl handle: kept connections, ceilings on everything, no redirects.
 *
 * The only global state is libcurl's own, which the first cara_http_new() sets up; threads may call
 * it at once. The program ignores SIGPIPE, which a TLS write to a closed socket would raise. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/error.h"
#include "base/memory/buf.h"

#include <stddef.h>

typedef struct cara_http cara_http; /* used by one thread at a time */

/* `ca_file`: PEM file of trusted roots instead of the system's, or NULL; copied.
 * On failure *out is NULL. MEMORY. */
int cara_http_new(const char *ca_file, cara_http **out, cara_error *err);
void cara_http_free(cara_http *http); /* NULL is allowed */

typedef struct cara_http_header {
    const char *name;
    const char *value;
} cara_http_header;

/* Why an answer did not arrive whole. A status of 4xx or 5xx is an answer, not a failure. */
typedef enum cara_http_failure {
    CARA_HTTP_OK = 0,
    CARA_HTTP_CONNECT,   /* no address, refused, no route: nothing was sent */
    CARA_HTTP_TLS,       /* no trust or no common version: trying again will not help */
    CARA_HTTP_TIMEOUT,   /* no answer, or no or too little progress, in the time given */
    CARA_HTTP_BROKEN,    /* reset, closed early, fewer bytes than Content-Length, or a head of more
                          * than 64 KiB */
    CARA_HTTP_TOO_LARGE, /* the body is larger than max_body; response->body has as much of it */
    CARA_HTTP_STOPPED,   /* by `stop` or the sink */
    CARA_HTTP_DEADLINE,  /* `deadline` came first */
    CARA_HTTP_OTHER      /* no memory, a request that cannot be sent, or libcurl's refusal */
} cara_http_failure;

/* Everything is borrowed for the call. Zero means the default throughout. */
typedef struct cara_http_request {
    const char *method;              /* GET, HEAD, PUT, POST, DELETE */
    const char *url;                 /* http or https, percent-encoded; sent byte for byte */
    const cara_http_header *headers; /* [n_headers]; Content-Length and Host come by themselves */
    size_t n_headers;
    const void *body; /* [body_len]; NULL sends none (a PUT or POST then says Content-Length: 0) */
    size_t body_len;
    size_t max_body; /* most bytes of answer; default 1 MiB */
    /* Given, it takes the body of a 2xx answer piece by piece (max_body still holds); non-zero
     * stops the transfer. Other answers go to response.body all the same. */
    int (*sink)(void *cookie, const void *bytes, size_t n);
    void *sink_cookie;
    double connect_timeout_s; /* default 5 */
    /* For the whole call, plus 1/rate s for each byte of a body that was sent or received; 0: none.
     * With `from_answer` it counts from the first byte of the answer, for polls without an end. */
    double timeout_s;
    double rate;    /* bytes a second; 0: bytes give no more time */
    double stall_s; /* fewer bytes a second than `rate`, or 1, for so long is a TIMEOUT; 0: never */
    double deadline; /* on cara_clock_monotonic()'s scale; 0: none */
    int from_answer;
    int fresh_connection; /* 1: no kept connection, so that libcurl never sends twice by itself */
    int no_proxy;         /* 1: *_proxy variables are not obeyed */
    int (*stop)(void *cookie); /* polled about once a second; non-zero ends the call */
    void *stop_cookie;
} cara_http_request;

/* Zeroed before its first use; reused by later calls; freed by the caller in any case. */
typedef struct cara_http_response {
    int status; /* 0 where no status line came */
    cara_http_failure failure;
    cara_buf head; /* "name\0value\0" pairs, names in lower case; see cara_http_header_of() */
    cara_buf body; /* NUL-terminated where anything came */
} cara_http_response;

/* One exchange. CARA_OK means that an answer with any status arrived whole. Else response->failure
 * says what kind it was and the code is: NETWORK (CONNECT, TLS, TIMEOUT, BROKEN, DEADLINE), LIMIT
 * (TOO_LARGE), MEMORY, CANCELLED (STOPPED), USAGE (a request that cannot be sent). */
int cara_http_do(cara_http *http, const cara_http_request *request, cara_http_response *response,
                 cara_error *err);

/* The first header of that name (any case), trimmed, or NULL. */
const char *cara_http_header_of(const cara_http_response *response, const char *name);

/* Adds one line as received ("Name: value\r\n") to a head; for the client and its tests.
 * 0; -1 where the head is full. Lines that are no header are dropped. */
int cara_http_head_add(cara_buf *head, const char *line, size_t n);

void cara_http_response_free(cara_http_response *response);

#endif

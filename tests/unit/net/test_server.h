/* An HTTP server on loopback for unit tests, over raw sockets so that it can also misbehave: cut an
 * answer short, reset the connection, claim a wrong length, or never answer. */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <stddef.h>

typedef struct test_reply {
    int status;          /* default 200 */
    const char *headers; /* whole lines, each ended by \r\n; may be NULL */
    const char *body;    /* may be NULL */
    size_t body_len;     /* 0: strlen(body) */
    long declared;       /* Content-Length to claim instead of the true one; 0: the true one */
    size_t cut;          /* send so many bytes of the body, then reset the connection; 0: all */
    double delay_s;      /* wait before answering */
    double drip_s;       /* wait between the bytes of the body, or of `raw` */
    int hang;            /* never answer */
    int drop;            /* close without a byte */
    int no_length;       /* send no Content-Length */
    int close;           /* close behind the answer */
    const char *raw;     /* sent instead of everything above */
} test_reply;

typedef struct test_request {
    char *raw; /* head and body as received, NUL-terminated */
    size_t len;
    const char *body; /* inside raw */
    size_t body_len;
    int connection; /* 1, 2, ... in order of arrival */
} test_request;

typedef struct test_server test_server;

/* Answers the n replies in order, whichever the connection; beyond them 599. Replies are borrowed.
 * Aborts where no socket can be opened: a test that cannot run has failed. */
test_server *test_server_start(const test_reply *replies, size_t n);

/* Decides each answer by a function instead; it may be called from several threads, one at a time.
 */
typedef void (*test_handler)(void *ctx, const test_request *request, test_reply *reply);
test_server *test_server_start_handler(test_handler handler, void *ctx);

void test_server_stop(test_server *server);

const char *test_server_url(const test_server *server); /* "http://127.0.0.1:port" */
int test_server_port(const test_server *server);
size_t test_server_count(test_server *server); /* requests so far */
/* The i-th request, or one with raw == "" where there was none. Valid until the server stops. */
test_request test_server_request(test_server *server, size_t i);
/* The value of a header in a request's raw head, copied to dst ("" where absent). */
const char *test_request_header(const test_request *request, const char *name, char *dst,
                                size_t size);

#endif

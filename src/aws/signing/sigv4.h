/* AWS Signature Version 4 in the Authorization header, stage by stage.
 * Source: IAM User Guide, "Create a signed AWS API request". */
#ifndef AWS_SIGV4_H
#define AWS_SIGV4_H

#include "base/error.h"
#include "base/memory/buf.h"
#include "net/http.h"

#include <stddef.h>
#include <stdint.h>

#define CARA_SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
#define CARA_SIGV4_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* The request as it goes over the wire. Everything is borrowed. */
typedef struct cara_sigv4_request {
    const char *method;
    const char *path;                /* percent-encoded, as sent; "" is "/" */
    const char *query;               /* as sent, without '?'; NULL or "" for none; any order */
    const cara_http_header *headers; /* [n_headers], all of them signed; Host must be among them */
    size_t n_headers;
    const char *payload_hash; /* 64 hex digits, or CARA_SIGV4_UNSIGNED */
    int s3; /* 1: the path is encoded once and kept as it is; 0: normalised and encoded again */
    int keep_path; /* 1: no normalising even for services other than S3 (AWS's own test cases) */
} cara_sigv4_request;

typedef struct cara_sigv4_key {
    const char *access_key;
    const char *secret_key;
    const char *region;
    const char *service; /* the signing name: "s3", "social-messaging" */
    int64_t time_ms;     /* must agree with the X-Amz-Date header among the headers */
} cara_sigv4_key;

/* "20150830T123600Z" + NUL. -1 for times outside the years 1970 to 9999. */
int cara_sigv4_date(int64_t time_ms, char out[17]);

/* Each stage appends to *out. MEMORY, USAGE (no Host, an unfit time), INTERNAL (libcrypto). */
int cara_sigv4_canonical(const cara_sigv4_request *request, cara_buf *out, cara_error *err);
int cara_sigv4_string_to_sign(const cara_sigv4_key *key, const void *canonical, size_t n,
                              cara_buf *out, cara_error *err);
int cara_sigv4_signature(const cara_sigv4_key *key, const void *string_to_sign, size_t n,
                         char out[65], cara_error *err);

/* All of it: appends the value of the Authorization header. */
int cara_sigv4_authorization(const cara_sigv4_key *key, const cara_sigv4_request *request,
                             cara_buf *out, cara_error *err);

#endif

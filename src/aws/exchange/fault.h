/* An AWS service's refusal, read from the answers of each of its protocols. */
#ifndef AWS_FAULT_H
#define AWS_FAULT_H

#include "net/http.h"

/* Texts are cut to fit, one line each. */
typedef struct cara_aws_fault {
    int status;
    char type[80];       /* "NoSuchKey", "ThrottledRequestException"; "" where none was named */
    char message[256];   /* the service's own text; may be "" */
    char request_id[80]; /* for AWS support */
    char region[64];     /* S3's x-amz-bucket-region */
    int attempts;        /* how many were made */
} cara_aws_fault;

/* Fills type and the rest from an answer with a status of 300 or more: the header x-amzn-errortype,
 * else JSON's __type or code, else XML's Error/Code. Never fails: what can't be read stays "". */
void cara_aws_fault_read(const cara_http_response *response, cara_aws_fault *out);

/* "ThrottledRequestException (HTTP 429): slow down", into dst. */
void cara_aws_fault_text(const cara_aws_fault *fault, char *dst, size_t size);

/* Which kind of refusal it is; the lists are the SDKs' (AWS SDKs Reference Guide, "Retry
 * behavior"). Each 1 or 0. */
int cara_aws_fault_is_throttling(const cara_aws_fault *fault);
int cara_aws_fault_is_transient(const cara_aws_fault *fault); /* 5xx and similar */
int cara_aws_fault_is_expired_token(const cara_aws_fault *fault);
int cara_aws_fault_is_clock(const cara_aws_fault *fault); /* 2: certainly; 1: possibly; 0: not */

/* Seconds that a Retry-After (or x-amz-retry-after, in milliseconds) requests; -1 where neither
 * is there or it cannot be read. `now_ms` is for the form with a date. */
double cara_retry_after(const cara_http_response *response, int64_t now_ms);

#endif

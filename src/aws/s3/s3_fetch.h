/* One large object of S3 in parts, by several connections at once and in the order of its bytes. */
#ifndef AWS_S3_FETCH_H
#define AWS_S3_FETCH_H

#include "aws/s3/s3.h"

typedef struct cara_s3_fetch cara_s3_fetch;

typedef struct cara_s3_fetch_options { /* strings and `aws` are borrowed until it is closed */
    const cara_aws_options *aws;       /* of the clients, one a connection; NULL: the defaults */
    const char *bucket, *key;
    int connections; /* 0: 8 */
    size_t part;     /* bytes of a part; 0: 8 MiB */
    double deadline; /* no call goes on beyond it (cara_clock_monotonic()'s scale); 0: none */
} cara_s3_fetch_options;

/* Requests the object's size and its ETag. On failure *out is NULL. As cara_s3_head(); NETWORK also
 * for an answer without length or ETag, and USAGE for an empty object. */
int cara_s3_fetch_open(const cara_s3_fetch_options *options, cara_s3_fetch **out, cara_error *err);

const cara_s3_object *cara_s3_fetch_object(const cara_s3_fetch *fetch);
size_t cara_s3_fetch_part(const cara_s3_fetch *fetch);
size_t cara_s3_fetch_n_parts(const cara_s3_fetch *fetch);

/* Where parts go. */
typedef struct cara_s3_fetch_to {
    void *memory; /* for the whole object; or NULL, and then each part goes to `put` */
    /* Called by the connections' threads, for several parts at once; part `i` counts as there when
     * it returns 0. A negative code ends the fetch. */
    int (*put)(void *ctx, size_t i, uint64_t offset, const void *bytes, size_t n, cara_error *err);
    void *ctx;
} cara_s3_fetch_to;

/* Begins, once. `have` ([n_parts], copied, or NULL) is 1 for parts that need not be fetched. Every
 * part is of the object that was opened: where it is replaced meanwhile, the fetch ends with
 * CONFLICT. Where a retry may succeed, it is tried again for about a minute. MEMORY. */
int cara_s3_fetch_start(cara_s3_fetch *fetch, const uint8_t *have, const cara_s3_fetch_to *to,
                        cara_error *err);

/* Returns once the first `end` bytes are there, for any thread. `stop` (may be NULL) is polled
 * some 20 times a second meanwhile; non-zero is CANCELLED. Else what ended the fetch. */
int cara_s3_fetch_wait(cara_s3_fetch *fetch, uint64_t end, int (*stop)(void *cookie), void *cookie,
                       cara_error *err);

/* Bytes that have arrived, at any offset. */
uint64_t cara_s3_fetch_done(cara_s3_fetch *fetch);

/* The SHA-256 in hex of the whole, computed as its bytes come. They are taken from the memory, or
 * by `read` where there is none. As cara_s3_fetch_wait(). */
int cara_s3_fetch_digest(cara_s3_fetch *fetch,
                         int (*read)(void *ctx, uint64_t offset, void *into, size_t n,
                                     cara_error *err),
                         void *ctx, int (*stop)(void *cookie), void *cookie, char hex[65],
                         cara_error *err);

/* Stops the threads, within a second or two, and waits for them. NULL is allowed. */
void cara_s3_fetch_close(cara_s3_fetch *fetch);

#endif

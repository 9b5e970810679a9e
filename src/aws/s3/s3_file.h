/* A large object of S3 to a file, in as many tries as it takes. */
#ifndef AWS_S3_FILE_H
#define AWS_S3_FILE_H

#include "aws/s3/s3_fetch.h"

typedef struct cara_s3_fill {
    cara_s3_fetch_options from; /* its deadline ends the try */
    const char *sha256;         /* what the file must be, in 64 hex digits */
    const char *path;           /* where it goes; the folder must be there */
    int (*stop)(void *cookie);  /* polled some 20 times a second; may be NULL */
    void (*progress)(void *cookie, uint64_t done, uint64_t size); /* called as often; may be NULL */
    void *cookie;
} cara_s3_fill;

typedef struct cara_s3_filled {
    int done;             /* the file is there and right */
    int already;          /* it was so before */
    int busy;             /* another process is filling it */
    uint64_t bytes, size; /* there by now; of the object, 0 where S3 was not called */
} cara_s3_filled;

/* Goes on where the last try ended, and returns CARA_OK with `done` 0 where time ended it, or
 * another process is filling the file: then call it again. The file takes its name when it is
 * whole, is on the disk and has its SHA-256; it replaces a wrong one.
 *
 * Until then there are <path>.part with the bytes and <path>.fill, which says of which object they
 * are and which parts, and is locked by the process that works on them. Both are there as long as
 * the object is the same (by its ETag); after a wrong SHA-256 (MODEL_CORRUPT) they are gone, and so
 * the next try begins from scratch. Else as cara_s3_fetch_wait(); IO, where the disk is full for
 * instance. */
int cara_s3_fill_file(const cara_s3_fill *fill, cara_s3_filled *out, cara_error *err);

#endif

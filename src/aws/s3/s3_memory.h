/* A large object of S3 in memory, used while it is still on its way. */
#ifndef AWS_S3_MEMORY_H
#define AWS_S3_MEMORY_H

#include "aws/s3/s3_fetch.h"
#include "base/slice.h"

typedef struct cara_s3_memory cara_s3_memory;

/* Begins to fetch the object into memory of its size, in huge pages where the system has them, and
 * to compute its SHA-256 meanwhile; `sha256` is what it must be, in 64 hex digits (borrowed).
 * `limit`: more bytes than that are MEMORY; 0: none. On failure *out is NULL. As
 * cara_s3_fetch_open() and _start(); USAGE for no digest. */
int cara_s3_memory_open(const cara_s3_fetch_options *options, const char *sha256, uint64_t limit,
                        cara_s3_memory **out, cara_error *err);

/* All of it; bytes that have not come yet are zeros. */
cara_slice cara_s3_memory_bytes(const cara_s3_memory *memory);

/* As cara_s3_fetch_wait(). */
int cara_s3_memory_wait(cara_s3_memory *memory, uint64_t end, int (*stop)(void *cookie),
                        void *cookie, cara_error *err);

/* Returns once all has come and has the SHA-256 that it must have. MODEL_CORRUPT: it has another,
 * and nothing that was made of the bytes may be kept. Else as cara_s3_fetch_wait(). */
int cara_s3_memory_verify(cara_s3_memory *memory, int (*stop)(void *cookie), void *cookie,
                          cara_error *err);

void cara_s3_memory_close(cara_s3_memory *memory); /* NULL is allowed */

/* USAGE where `text` is not 64 hex digits. `what` names it: "CARACOLA_MODEL_SHA256". */
int cara_s3_digest_check(const char *text, const char *what, cara_error *err);

/* The sentence for an object with another digest: MODEL_CORRUPT. */
int cara_s3_digest_differs(const cara_s3_fetch_options *options, const char *expected,
                           const char *found, cara_error *err);

#endif

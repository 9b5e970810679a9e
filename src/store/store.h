/* Keeping and finding records: one interface to a folder or an S3 bucket.
 * Keys look like "2025-10-15/5215512345678-01-10-13-abcdefghijk.json". */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/error.h"

#include <stddef.h>

typedef struct cara_store cara_store;

/* The longest key; leaves room for the name of a temporary file within NAME_MAX. */
#define CARA_STORE_KEY_MAX 200

/* 1 where the key matches (YYYY-MM-DD|quarantine)/[A-Za-z0-9._=-]+ and is no dot name; everything
 * else is refused before any I/O. */
int cara_store_key_is_valid(const char *key);

/* A folder, made where it is missing, as are those above it. All that is made is for its user alone
 * (modes 0700 and 0600 less umask). IO. On failure *out is NULL. */
int cara_store_open_folder(const char *path, cara_store **out, cara_error *err);

/* A bucket, or the part of one below a prefix: "s3://bucket" or "s3://bucket/prefix". `aws` and the
 * strings of `options` (may be NULL) are borrowed as long as the store is open; like `aws`, it is
 * for one thread at a time. A claim is a lease of `lease_s` seconds, since S3 cannot know when a
 * process ends: it ends with cara_store_claim_put(), with the release, or when its time is over and
 * it was not renewed. USAGE. */
struct cara_aws;
typedef struct cara_store_s3_options {
    double lease_s;             /* 0: 15 */
    const char *sse;            /* x-amz-server-side-encryption; NULL: the bucket's own setting */
    const char *sse_kms_key_id; /* NULL: the default key */
} cara_store_s3_options;
int cara_store_open_s3(const char *url, struct cara_aws *aws, const cara_store_s3_options *options,
                       cara_store **out, cara_error *err);
/* Where records are: the bucket, and the prefix with a slash at its end, or "". */
void cara_store_s3_place(const cara_store *store, const char **bucket, const char **prefix);

void cara_store_close(cara_store *store);

/* Atomic and durable: a reader, also after a crash, sees all of the bytes or none. With
 * `if_absent`, an object that is there already is CARA_ERR_CONFLICT and stays as it is; of several
 * writers at once exactly one wins. USAGE for a bad key, else STORE. */
int cara_store_put(cara_store *store, const char *key, const void *bytes, size_t n, int if_absent,
                   cara_error *err);

/* *bytes is malloc'd, NUL-terminated beyond *n, and the caller's. NOT_FOUND; MEMORY where it is
 * larger than `limit`; STORE. */
int cara_store_get(cara_store *store, const char *key, size_t limit, char **bytes, size_t *n,
                   cara_error *err);

/* The right to complete one object: between a claim and its release no other process completes the
 * same one, so that work is not done twice. A claim ends with the process that holds it, however
 * that ends. In a folder, taking a claim waits for the process that holds it; in a bucket it gives
 * CONFLICT instead: another process works on it, try again later. NOT_FOUND where the object is
 * missing; USAGE; CANCELLED where a signal ended the wait; STORE. */
typedef struct cara_store_claim cara_store_claim;
int cara_store_claim_take(cara_store *store, const char *key, cara_store_claim **out,
                          cara_error *err);
/* Replaces the claimed object; the claim stays held. CONFLICT where the claim was lost; STORE. */
int cara_store_claim_put(cara_store_claim *claim, const void *bytes, size_t n, cara_error *err);
/* Work on the claimed object continues: where a claim is a lease, it is renewed if a third of it is
 * over. Cheap to call often. CONFLICT where the claim was lost to another process. */
int cara_store_claim_renew(cara_store_claim *claim, cara_error *err);
/* NULL is allowed. */
void cara_store_claim_release(cara_store_claim *claim);

#endif

/* Amazon S3 over REST (Amazon S3 API Reference), the part that a store of records needs. */
#ifndef AWS_S3_H
#define AWS_S3_H

#include "aws/client/client.h"

#include <stdint.h>

#define CARA_S3_KEY_MAX 1024 /* bytes of UTF-8 */

typedef struct cara_s3_object {
    int64_t size;   /* -1 where the answer has none */
    char etag[128]; /* with its quotes, as If-Match wants it; "" where there was none */
    char content_type[128];
    char metadata[128]; /* the object's x-amz-meta-caracola; "" where it has none */
} cara_s3_object;

typedef struct cara_s3_put_options {
    const char *content_type; /* NULL: application/octet-stream */
    int if_absent;            /* If-None-Match: *  */
    const char *if_match;     /* an ETag with its quotes; NULL: no condition */
    const char *sse; /* x-amz-server-side-encryption: "AES256", "aws:kms"; NULL: bucket's */
    const char *sse_kms_key_id; /* NULL: the account's default key */
    const char *metadata;       /* kept with the object as x-amz-meta-caracola; NULL: none */
} cara_s3_put_options;

/* All: USAGE for a bucket or key that cannot be one, else as cara_aws_do(). A missing key is
 * NOT_FOUND where the role may s3:ListBucket, and DENIED where it may not. */

/* `options` and `object` (filled with the new ETag) may be NULL. CONFLICT: a condition did not
 * hold. With if_absent that may be our own write, whose answer was lost and which was then
 * repeated. */
int cara_s3_put(cara_aws *aws, const char *bucket, const char *key, const void *bytes, size_t n,
                const cara_s3_put_options *options, cara_s3_object *object, cara_error *err);

/* The whole object, its length and any checksums of S3's compared; *bytes is malloc'd,
 * NUL-terminated beyond *n, and the caller's. `object` may be NULL. MEMORY: larger than `limit`. */
int cara_s3_get(cara_aws *aws, const char *bucket, const char *key, size_t limit, char **bytes,
                size_t *n, cara_s3_object *object, cara_error *err);

typedef struct cara_s3_range {
    const char *etag; /* with its quotes: the object that is meant; NULL: whichever is there */
    uint64_t offset;
    void *into;       /* [n] */
    size_t n;         /* > 0 */
    int max_attempts; /* 0: the settings' */
} cara_s3_range;

/* The bytes of the range, whatever else the object has. CONFLICT: it is another object by now.
 * Where this fails, `into` may hold anything. */
int cara_s3_get_range(cara_aws *aws, const char *bucket, const char *key,
                      const cara_s3_range *range, cara_error *err);

int cara_s3_head(cara_aws *aws, const char *bucket, const char *key, cara_s3_object *object,
                 cara_error *err);

/* Deleting what is not there succeeds, as S3 has it. */
int cara_s3_delete(cara_aws *aws, const char *bucket, const char *key, cara_error *err);

/* Calls `each` for every key that begins with `prefix`, in the order of their bytes, over as many
 * pages as there are; non-zero from it ends the walk and is returned. `key` is borrowed. */
typedef int (*cara_s3_each)(void *ctx, const char *key, int64_t size);
int cara_s3_list(cara_aws *aws, const char *bucket, const char *prefix, cara_s3_each each,
                 void *ctx, cara_error *err);

/* One page of a list (exposed for tests and fuzzing). `token` receives NextContinuationToken, or
 * stays empty at the end. `each` as above. */
int cara_s3_list_page(const char *xml, size_t n, cara_s3_each each, void *ctx, cara_buf *token,
                      cara_error *err);

/* "s3://bucket/key" in two; NULs end both. USAGE. */
int cara_s3_url_split(const char *url, char bucket[64], char key[CARA_S3_KEY_MAX + 1],
                      cara_error *err);

/* 1 where `name` follows the rules for general purpose buckets, as far as a URL's safety needs. */
int cara_s3_bucket_is_valid(const char *name);

#endif

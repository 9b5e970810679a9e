#include "aws/s3/s3.h"

#include "aws/exchange/xml.h"
#include "aws/s3/checksum.h"
#include "base/limits.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MIN (64 * CARA_KIB) /* room for an error's XML, however small the object may be */
#define LIST_PAGE_BYTES (8 * CARA_MIB) /* 1,000 keys of 3 KiB each when encoded, and the rest */

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a call to S3");
}

int cara_s3_bucket_is_valid(const char *name) {
    size_t n = strlen(name);
    return n >= 3 && n <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n &&
           name[0] != '.' && name[0] != '-' && name[n - 1] != '.' && name[n - 1] != '-' &&
           !strstr(name, "..");
}

int cara_s3_url_split(const char *url, char bucket[64], char key[CARA_S3_KEY_MAX + 1],
                      cara_error *err) {
    const char *name = strncmp(url, "s3://", 5) == 0 ? url + 5 : "";
    size_t n = strcspn(name, "/"), len = name[n] ? strlen(name + n + 1) : 0;
    if (n < 64 && len && len <= CARA_S3_KEY_MAX) {
        memcpy(bucket, name, n);
        bucket[n] = 0;
        memcpy(key, name + n + 1, len + 1);
        if (cara_s3_bucket_is_valid(bucket))
            return CARA_OK;
    }
    return cara_fail(
        err, CARA_ERR_USAGE, -1,
        "\"%.100s\" is no object of S3; expected s3://bucket/key, the bucket a name of 3 "
        "to 63 of a-z 0-9 . -",
        url);
}

static int check_bucket(const char *bucket, cara_error *err) {
    if (cara_s3_bucket_is_valid(bucket))
        return CARA_OK;
    return cara_fail(err, CARA_ERR_USAGE, -1, "\"%.80s\" is no bucket name: 3 to 63 of a-z 0-9 . -",
                     bucket);
}

/* "/" and the key, encoded once, into *path. */
static int object_path(const char *bucket, const char *key, cara_buf *path, cara_error *err) {
    cara_buf_init(path, 3 * CARA_S3_KEY_MAX + 1);
    int rc = check_bucket(bucket, err);
    if (rc)
        return rc;
    size_t n = strlen(key);
    if (n == 0 || n > CARA_S3_KEY_MAX)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "an S3 key has 1 to %d bytes, and this one has %zu", CARA_S3_KEY_MAX, n);
    if (cara_buf_char(path, '/') || cara_url_encode(path, key, n, 1))
        return no_memory(err);
    return CARA_OK;
}

static void copy_header(const cara_http_response *response, const char *name, char *dst,
                        size_t size) {
    const char *value = cara_http_header_of(response, name);
    snprintf(dst, size, "%s", value && strlen(value) < size ? value : "");
}

static int64_t number_of(const char *text) {
    int64_t value = 0;
    if (!text || !text[0] || strlen(text) > 18)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
    }
    return value;
}

static void describe(const cara_http_response *response, cara_s3_object *object) {
    if (!object)
        return;
    object->size = number_of(cara_http_header_of(response, "content-length"));
    copy_header(response, "etag", object->etag, sizeof object->etag);
    copy_header(response, "content-type", object->content_type, sizeof object->content_type);
    copy_header(response, "x-amz-meta-caracola", object->metadata, sizeof object->metadata);
}

int cara_s3_put(cara_aws *aws, const char *bucket, const char *key, const void *bytes, size_t n,
                const cara_s3_put_options *options, cara_s3_object *object, cara_error *err) {
    static const cara_s3_put_options none;
    if (!options)
        options = &none;
    cara_http_header headers[6];
    size_t count = 0;
    headers[count++] = (cara_http_header){
        "Content-Type", options->content_type ? options->content_type : "application/octet-stream"};
    if (options->if_absent)
        headers[count++] = (cara_http_header){"If-None-Match", "*"};
    if (options->if_match)
        headers[count++] = (cara_http_header){"If-Match", options->if_match};
    if (options->sse)
        headers[count++] = (cara_http_header){"x-amz-server-side-encryption", options->sse};
    if (options->sse_kms_key_id)
        headers[count++] = (cara_http_header){"x-amz-server-side-encryption-aws-kms-key-id",
                                              options->sse_kms_key_id};
    if (options->metadata)
        headers[count++] = (cara_http_header){"x-amz-meta-caracola", options->metadata};
    cara_buf path;
    cara_http_response response = {0};
    int rc = object_path(bucket, key, &path, err);
    if (!rc) {
        const cara_aws_call call = {.service = &cara_service_s3,
                                    .what = "S3 PutObject",
                                    .bucket = bucket,
                                    .method = "PUT",
                                    .path = path.data,
                                    .headers = headers,
                                    .n_headers = count,
                                    .body = n ? bytes : "",
                                    .body_len = n,
                                    .timeout_s = -1};
        rc = cara_aws_do(aws, &call, &response, err);
    }
    if (!rc)
        describe(&response, object);
    cara_http_response_free(&response);
    cara_buf_free(&path);
    return rc;
}

static int check_download(void *cookie, const cara_http_response *response, cara_error *err) {
    return cara_checksum_verify(response, NULL, err);
}

int cara_s3_get(cara_aws *aws, const char *bucket, const char *key, size_t limit, char **bytes,
                size_t *n, cara_s3_object *object, cara_error *err) {
    *bytes = NULL;
    *n = 0;
    const cara_http_header header = {"x-amz-checksum-mode", "ENABLED"};
    cara_buf path;
    cara_http_response response = {0};
    int rc = object_path(bucket, key, &path, err);
    if (!rc) {
        const cara_aws_call call = {.service = &cara_service_s3,
                                    .what = "S3 GetObject",
                                    .bucket = bucket,
                                    .method = "GET",
                                    .path = path.data,
                                    .headers = &header,
                                    .n_headers = 1,
                                    .max_body = limit < ANSWER_MIN ? ANSWER_MIN : limit,
                                    .timeout_s = -1,
                                    .check = check_download};
        rc = cara_aws_do(aws, &call, &response, err);
    }
    if (rc ? response.failure == CARA_HTTP_TOO_LARGE && response.status / 100 == 2
           : response.body.len > limit)
        rc = cara_fail(err, CARA_ERR_LIMIT, -1,
                       "the object is larger than the %zu bytes that are allowed", limit);
    if (!rc && !response.body.data && cara_buf_str(&response.body, ""))
        rc = no_memory(err);
    if (!rc) {
        describe(&response, object);
        *bytes = response.body.data;
        *n = response.body.len;
        response.body = (cara_buf){0};
    }
    cara_http_response_free(&response);
    cara_buf_free(&path);
    return rc;
}

static int not_the_range(const cara_http_response *response, cara_error *err) {
    const char *range = cara_http_header_of(response, "content-range");
    return cara_fail(
        err, CARA_ERR_NETWORK, -1,
        "S3 GetObject: the answer (HTTP %d, %.80s) is not the range that was requested",
        response->status, range ? range : "without Content-Range");
}

/* Checks that these are the bytes requested. A server that answers 200 here has no ranges. */
static int check_range(void *cookie, const cara_http_response *response, cara_error *err) {
    const cara_s3_range *s = cookie;
    const char *range = cara_http_header_of(response, "content-range");
    const char *etag = cara_http_header_of(response, "etag");
    char expected[64];
    int n = snprintf(expected, sizeof expected, "bytes %llu-%llu/", (unsigned long long)s->offset,
                     (unsigned long long)(s->offset + s->n - 1));
    if (response->status != 206 || !range || strncmp(range, expected, (size_t)n) != 0 ||
        number_of(cara_http_header_of(response, "content-length")) != (int64_t)s->n)
        return not_the_range(response, err);
    if (s->etag && (!etag || strcmp(etag, s->etag) != 0))
        return cara_fail(err, CARA_ERR_CONFLICT, -1, "S3 GetObject: the object has another ETag");
    return CARA_OK;
}

int cara_s3_get_range(cara_aws *aws, const char *bucket, const char *key,
                      const cara_s3_range *range, cara_error *err) {
    char bytes[64];
    snprintf(bytes, sizeof bytes, "bytes=%llu-%llu", (unsigned long long)range->offset,
             (unsigned long long)(range->offset + range->n - 1));
    const char *etag = range->etag;
    const cara_http_header headers[] = {{"Range", bytes}, {"If-Match", etag ? etag : ""}};
    cara_buf path;
    cara_http_response response = {0};
    int rc = object_path(bucket, key, &path, err);
    if (!rc) {
        const cara_aws_call call = {.service = &cara_service_s3,
                                    .what = "S3 GetObject",
                                    .bucket = bucket,
                                    .method = "GET",
                                    .path = path.data,
                                    .headers = headers,
                                    .n_headers = etag ? 2 : 1,
                                    .max_body = range->n < ANSWER_MIN ? ANSWER_MIN : range->n,
                                    .into = range->into,
                                    .into_len = range->n,
                                    .timeout_s = -1,
                                    .max_attempts = range->max_attempts,
                                    .check = check_range,
                                    .check_cookie = (void *)(uintptr_t)range};
        rc = cara_aws_do(aws, &call, &response, err);
        if (rc && response.failure == CARA_HTTP_TOO_LARGE)
            rc = not_the_range(&response, err);
    }
    cara_http_response_free(&response);
    cara_buf_free(&path);
    return rc;
}

/* The calls without a body either way. */
static int call_without_body(cara_aws *aws, const char *what, const char *method,
                             const char *bucket, const char *key, cara_s3_object *object,
                             cara_error *err) {
    cara_buf path;
    cara_http_response response = {0};
    int rc = object_path(bucket, key, &path, err);
    if (!rc) {
        const cara_aws_call call = {.service = &cara_service_s3,
                                    .what = what,
                                    .bucket = bucket,
                                    .method = method,
                                    .path = path.data};
        rc = cara_aws_do(aws, &call, &response, err);
    }
    if (!rc)
        describe(&response, object);
    cara_http_response_free(&response);
    cara_buf_free(&path);
    return rc;
}

int cara_s3_head(cara_aws *aws, const char *bucket, const char *key, cara_s3_object *object,
                 cara_error *err) {
    return call_without_body(aws, "S3 HeadObject", "HEAD", bucket, key, object, err);
}

int cara_s3_delete(cara_aws *aws, const char *bucket, const char *key, cara_error *err) {
    return call_without_body(aws, "S3 DeleteObject", "DELETE", bucket, key, NULL, err);
}

typedef struct page {
    cara_s3_each each;
    void *ctx;
    cara_buf *token;
    cara_error *err;
    cara_buf key;
    int64_t size;
    int url_encoded, truncated, has_key, is_list;
} page;

static int on_encoding(void *ctx, const char *path, const char *text, size_t n) {
    page *p = ctx;
    if (strcmp(path, "ListBucketResult/EncodingType") == 0)
        p->url_encoded = n == 3 && memcmp(text, "url", 3) == 0;
    return 0;
}

static void on_start(void *ctx, const char *path) {
    page *p = ctx;
    if (strcmp(path, "ListBucketResult") == 0)
        p->is_list = 1;
    if (strcmp(path, "ListBucketResult/Contents") == 0) {
        p->has_key = 0;
        p->size = -1;
    }
}

static int on_end(void *ctx, const char *path, const char *text, size_t n) {
    page *p = ctx;
    static const char root[] = "ListBucketResult/";
    if (strncmp(path, root, sizeof root - 1) != 0)
        return 0;
    path += sizeof root - 1;
    if (strcmp(path, "IsTruncated") == 0) {
        p->truncated = n == 4 && memcmp(text, "true", 4) == 0;
    } else if (strcmp(path, "NextContinuationToken") == 0) {
        cara_buf_clear(p->token);
        if (cara_buf_add(p->token, text, n))
            return no_memory(p->err);
    } else if (strcmp(path, "Contents/Key") == 0) {
        cara_buf_clear(&p->key);
        if (n > p->key.limit)
            return cara_fail(p->err, CARA_ERR_NETWORK, -1, "S3 listed a key of %zu bytes", n);
        if (cara_buf_add(&p->key, text, n))
            return no_memory(p->err);
        p->has_key = 1;
    } else if (strcmp(path, "Contents/Size") == 0) {
        p->size = number_of(text);
    } else if (strcmp(path, "Contents") == 0 && p->has_key) {
        cara_buf plain_key;
        cara_buf_init(&plain_key, 3 * CARA_S3_KEY_MAX);
        const char *key = p->key.data;
        /* In S3's form a space is '+'. */
        if (p->url_encoded) {
            if (cara_url_decode(&plain_key, p->key.data, p->key.len, 1)) {
                cara_buf_free(&plain_key);
                return no_memory(p->err);
            }
            key = plain_key.data ? plain_key.data : "";
        }
        int rc = strlen(key) == (p->url_encoded ? plain_key.len : p->key.len)
                     ? p->each(p->ctx, key, p->size)
                     : cara_fail(p->err, CARA_ERR_NETWORK, -1, "S3 listed a key with a NUL in it");
        cara_buf_free(&plain_key);
        return rc;
    }
    return 0;
}

int cara_s3_list_page(const char *xml, size_t n, cara_s3_each each, void *ctx, cara_buf *token,
                      cara_error *err) {
    page p = {.each = each, .ctx = ctx, .token = token, .err = err, .size = -1};
    cara_buf_init(&p.key, 3 * CARA_S3_KEY_MAX);
    cara_buf_clear(token);
    /* EncodingType may stand before the keys or, with other servers than AWS's, behind them. */
    const cara_xml_handler encoding = {NULL, on_encoding, &p};
    const cara_xml_handler handler = {on_start, on_end, &p};
    int rc = cara_xml_parse(xml, n, &encoding, err);
    if (!rc)
        rc = cara_xml_parse(xml, n, &handler, err);
    cara_buf_free(&p.key);
    if (!rc && !p.is_list)
        rc = cara_fail(err, CARA_ERR_NETWORK, -1,
                       "S3's answer to ListObjectsV2 is no ListBucketResult");
    if (!rc && p.truncated && !token->len)
        rc = cara_fail(err, CARA_ERR_NETWORK, -1,
                       "S3 listed only a part and gave no NextContinuationToken");
    if (!p.truncated)
        cara_buf_clear(token);
    return rc;
}

static int list_query(const char *prefix, const cara_buf *token, cara_buf *query) {
    cara_buf_clear(query);
    /* In the order in which they are signed. */
    return (token->len &&
            (cara_buf_str(query, "continuation-token=") ||
             cara_url_encode(query, token->data, token->len, 0) || cara_buf_char(query, '&'))) ||
           cara_buf_str(query, "encoding-type=url&list-type=2&prefix=") ||
           cara_url_encode(query, prefix, strlen(prefix), 0);
}

int cara_s3_list(cara_aws *aws, const char *bucket, const char *prefix, cara_s3_each each,
                 void *ctx, cara_error *err) {
    int rc = check_bucket(bucket, err);
    if (rc)
        return rc;
    if (strlen(prefix) > CARA_S3_KEY_MAX)
        return cara_fail(err, CARA_ERR_USAGE, -1, "a prefix has at most %d bytes", CARA_S3_KEY_MAX);
    cara_buf query, token, before;
    cara_buf_init(&query, 16 * CARA_KIB);
    cara_buf_init(&token, 4 * CARA_KIB);
    cara_buf_init(&before, 4 * CARA_KIB);
    cara_http_response response = {0};
    int pages = 0;
    do {
        if (++pages > CARA_LIMIT_LIST_PAGES) {
            rc = cara_fail(err, CARA_ERR_NETWORK, -1, "S3 gave a list of more than %d pages",
                           CARA_LIMIT_LIST_PAGES);
            break;
        }
        if (list_query(prefix, &token, &query)) {
            rc = no_memory(err);
            break;
        }
        const cara_aws_call call = {.service = &cara_service_s3,
                                    .what = "S3 ListObjectsV2",
                                    .bucket = bucket,
                                    .method = "GET",
                                    .path = "/",
                                    .query = query.data,
                                    .max_body = LIST_PAGE_BYTES};
        rc = cara_aws_do(aws, &call, &response, err);
        if (rc)
            break;
        cara_buf_clear(&before);
        if (token.len && cara_buf_add(&before, token.data, token.len)) {
            rc = no_memory(err);
            break;
        }
        rc = cara_s3_list_page(response.body.data, response.body.len, each, ctx, &token, err);
        if (!rc && token.len && token.len == before.len &&
            memcmp(token.data, before.data, token.len) == 0)
            rc = cara_fail(err, CARA_ERR_NETWORK, -1, "S3 gave the same page of a list repeatedly");
    } while (!rc && token.len);
    cara_http_response_free(&response);
    cara_buf_free(&query);
    cara_buf_free(&token);
    cara_buf_free(&before);
    return rc;
}

/* A bucket as a store.
 *
 * S3 offers what this needs: a PUT is atomic and durable, If-None-Match: * lets one of several
 * writers win, and If-Match replaces only an object that was not changed since it was read.
 *
 * A claim is a lease, and it is kept in the object itself, so that nothing else is left when a
 * process ends. To take it, the object is written again, on the condition that it is still the one
 * that was read, with the time at which the lease ends in its metadata, and with random white space
 * (the mark) at the end of the bytes: the objects that are claimed are JSON, where white space
 * means nothing, but it gives the object an ETag that no other writer can have (ETags follow the
 * bytes, not the metadata).
 *
 * A write whose answer was lost is repeated by the client, and then its own first try makes it a
 * conflict. So after a conflict the object is read, to see who wrote it. */
#include "store/store_backend.h"

#include "aws/s3/s3.h"
#include "base/failure.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_MAX (CARA_S3_KEY_MAX - CARA_STORE_KEY_MAX - 1)
#define LEASE_DEFAULT_S 15.0
#define MARK 48                    /* blanks, each a bit */
#define CLOCKS_MS (15 * 60 * 1000) /* how far apart clocks may be; AWS allows a request as much */

typedef struct s3_store {
    cara_store base;
    cara_aws *aws;
    cara_store_s3_options options;
    char bucket[64];
    char prefix[PREFIX_MAX + 2];
} s3_store;

typedef struct s3_claim {
    cara_store_claim base;
    char key[CARA_S3_KEY_MAX + 1];
    char etag[128];
    char *bytes; /* as they were before the claim */
    size_t n;
    int unsure;          /* a write failed, but may have been done: then `etag` is out of date */
    int done;            /* nothing of the lease is left in the object */
    int64_t end_ms;      /* of the lease */
    char mark[MARK + 1]; /* the latest that we tried to write; it may be in the object */
} s3_claim;

/* Codes of S3 become those of a store. */
static int store_code(int rc, cara_error *err) {
    if (rc)
        rc = cara_failure_of(CARA_STAGE_STORE, rc).code;
    if (rc && err)
        err->code = rc;
    return rc;
}

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a call to the store");
}

static void full_key(const s3_store *s, const char *key, char out[CARA_S3_KEY_MAX + 1]) {
    snprintf(out, CARA_S3_KEY_MAX + 1, "%s%s", s->prefix, key);
}

/* So that a browser plays or shows what it downloads. */
static const char *type_of(const char *key) {
    static const char *const types[][2] = {
        {".json", "application/json"}, {".ogg", "audio/ogg"}, {".mp3", "audio/mpeg"},
        {".mpeg", "audio/mpeg"},       {".m4a", "audio/mp4"}, {".mp4", "audio/mp4"},
        {".aac", "audio/aac"},         {".amr", "audio/amr"}, {".wav", "audio/wav"},
    };
    const char *dot = strrchr(key, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static cara_s3_put_options put_options(const s3_store *s, const char *key) {
    return (cara_s3_put_options){.content_type = type_of(key),
                                 .sse = s->options.sse,
                                 .sse_kms_key_id = s->options.sse_kms_key_id};
}

static int s3_put(cara_store *store, const char *key, const void *bytes, size_t n, int if_absent,
                  cara_error *err) {
    s3_store *s = (s3_store *)store;
    char full[CARA_S3_KEY_MAX + 1];
    full_key(s, key, full);
    cara_s3_put_options options = put_options(s, key);
    options.if_absent = if_absent;
    return store_code(cara_s3_put(s->aws, s->bucket, full, bytes, n, &options, NULL, err), err);
}

static int s3_get(cara_store *store, const char *key, size_t limit, char **bytes, size_t *n,
                  cara_error *err) {
    s3_store *s = (s3_store *)store;
    char full[CARA_S3_KEY_MAX + 1];
    full_key(s, key, full);
    return store_code(cara_s3_get(s->aws, s->bucket, full, limit, bytes, n, NULL, err), err);
}

static int is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* 48 random bits as blanks and tabs. */
static void make_mark(const cara_platform *platform, char mark[MARK + 1]) {
    for (int i = 0; i < MARK; i += 16) {
        unsigned bits = (unsigned)(platform->random(platform->ctx) * 65536.0);
        for (int bit = 0; bit < 16; bit++)
            mark[i + bit] = bits >> bit & 1 ? '\t' : ' ';
    }
    mark[MARK] = 0;
}

/* 1 where the object is these bytes (and then this mark) now. *etag is its ETag. */
static int object_equals(s3_store *s, const char *key, const void *bytes, size_t n,
                         const char *mark, char etag[128]) {
    char *found = NULL;
    size_t len = 0, m = strlen(mark);
    cara_s3_object object;
    if (cara_s3_get(s->aws, s->bucket, key, CARA_LIMIT_RECORD_BYTES + MARK, &found, &len, &object,
                    NULL))
        return 0;
    int same =
        len == n + m && (n == 0 || memcmp(found, bytes, n) == 0) && memcmp(found + n, mark, m) == 0;
    free(found);
    memcpy(etag, object.etag, sizeof object.etag);
    return same;
}

/* When the lease of the object's note ends, in ms since 1970; 0: it has none. */
static int64_t lease_end(const char *metadata) {
    static const char word[] = "claimed-until=";
    const char *p = metadata + sizeof word - 1;
    if (strncmp(metadata, word, sizeof word - 1) != 0 || strlen(p) > 18 ||
        strspn(p, "0123456789") != strlen(p))
        return 0;
    return strtoll(p, NULL, 10);
}

static void free_claim(s3_claim *c) {
    free(c->bytes);
    free(c);
}

/* A renewal whose answer was lost may have been done: then the claim has its ETag. */
static int refresh_etag(s3_claim *c) {
    char etag[128];
    if (!c->mark[0] ||
        !object_equals((s3_store *)c->base.store, c->key, c->bytes, c->n, c->mark, etag) ||
        strcmp(etag, c->etag) == 0)
        return 0;
    memcpy(c->etag, etag, sizeof c->etag);
    return 1;
}

/* Writes the object as it was found, with our mark and the end of the lease, if its ETag is still
 * that of the claim. */
static int lease(s3_claim *c, cara_error *err) {
    s3_store *s = (s3_store *)c->base.store;
    const cara_platform *platform = &cara_aws_settings(s->aws)->platform;
    char metadata[64];
    make_mark(platform, c->mark);
    char *marked = malloc(c->n + MARK);
    if (!marked)
        return no_memory(err);
    if (c->n)
        memcpy(marked, c->bytes, c->n);
    memcpy(marked + c->n, c->mark, MARK);
    int64_t end = platform->now_ms(platform->ctx) + (int64_t)(s->options.lease_s * 1000);
    snprintf(metadata, sizeof metadata, "claimed-until=%lld", (long long)end);
    cara_s3_object object = {.size = -1};
    cara_s3_put_options options = put_options(s, c->key);
    options.if_match = c->etag;
    options.metadata = metadata;
    int rc = cara_s3_put(s->aws, s->bucket, c->key, marked, c->n + MARK, &options, &object, err);
    if (rc == CARA_ERR_CONFLICT && object_equals(s, c->key, c->bytes, c->n, c->mark, object.etag))
        rc = CARA_OK;
    else if (rc == CARA_ERR_CONFLICT)
        cara_fail(err, rc, -1, "%s was claimed by another process just now", c->key);
    free(marked);
    c->unsure = rc != CARA_OK;
    if (!rc) {
        memcpy(c->etag, object.etag, sizeof object.etag);
        c->end_ms = end;
    }
    return rc;
}

static int s3_claim_take(cara_store *store, const char *key, cara_store_claim **out,
                         cara_error *err) {
    s3_store *s = (s3_store *)store;
    const cara_platform *platform = &cara_aws_settings(s->aws)->platform;
    s3_claim *c = calloc(1, sizeof *c);
    if (!c)
        return no_memory(err);
    c->base.store = store;
    full_key(s, key, c->key);
    cara_s3_object object = {.size = -1};
    int rc = cara_s3_get(s->aws, s->bucket, c->key, CARA_LIMIT_RECORD_BYTES + MARK, &c->bytes,
                         &c->n, &object, err);
    if (rc)
        goto done;
    int64_t now = platform->now_ms(platform->ctx);
    int64_t leased = lease_end(object.metadata);
    /* One that would last longer was written by a wrong clock, and its process may have ended. */
    if (leased > now && leased - now <= (int64_t)(s->options.lease_s * 1000) + CLOCKS_MS) {
        rc = cara_fail(err, CARA_ERR_CONFLICT, -1,
                       "%s is being handled by another process, for %lld s at most", key,
                       (long long)((leased - now) / 1000 + 1));
        goto done;
    }
    if (!object.etag[0]) {
        rc = cara_fail(err, CARA_ERR_STORE, -1, "S3 gave no ETag for %s, so it cannot be claimed",
                       key);
        goto done;
    }
    /* A process that ended during a claim left its mark. */
    while (object.metadata[0] && c->n && is_blank(c->bytes[c->n - 1]))
        c->n--;
    memcpy(c->etag, object.etag, sizeof object.etag);
    rc = lease(c, err);
done:
    if (rc)
        free_claim(c);
    else
        *out = &c->base;
    return store_code(rc, err);
}

/* Replaces the claimed object, without lease or mark. */
static int replace(s3_claim *c, const void *bytes, size_t n, cara_error *err) {
    s3_store *s = (s3_store *)c->base.store;
    cara_s3_object object;
    cara_s3_put_options options = put_options(s, c->key);
    if (c->unsure)
        (void)refresh_etag(c);
    options.if_match = c->etag;
    int rc = cara_s3_put(s->aws, s->bucket, c->key, bytes, n, &options, &object, err);
    if (rc == CARA_ERR_CONFLICT && object_equals(s, c->key, bytes, n, "", object.etag))
        rc = CARA_OK;
    else if (rc == CARA_ERR_CONFLICT || rc == CARA_ERR_NOT_FOUND)
        return cara_fail(err, CARA_ERR_CONFLICT, -1,
                         "%s was changed by another process; this one took too long", c->key);
    if (!rc) {
        memcpy(c->etag, object.etag, sizeof c->etag);
        c->done = 1;
    }
    return store_code(rc, err);
}

static int s3_claim_renew(cara_store_claim *base, cara_error *err) {
    s3_claim *c = (s3_claim *)base;
    s3_store *s = (s3_store *)base->store;
    const cara_platform *platform = &cara_aws_settings(s->aws)->platform;
    double left_s = (double)(c->end_ms - platform->now_ms(platform->ctx)) / 1000;
    if (c->done || left_s > s->options.lease_s * 2 / 3)
        return CARA_OK;
    if (c->unsure)
        (void)refresh_etag(c);
    return store_code(lease(c, err), err);
}

static int s3_claim_put(cara_store_claim *base, const void *bytes, size_t n, cara_error *err) {
    return replace((s3_claim *)base, bytes, n, err);
}

static void s3_claim_release(cara_store_claim *base) {
    s3_claim *c = (s3_claim *)base;
    /* Nothing was written: the object becomes what it was. If that fails, the lease ends with time.
     */
    if (!c->done)
        (void)replace(c, c->bytes, c->n, NULL);
    free_claim(c);
}

static void s3_close(cara_store *store) {
    free(store);
}

static const cara_store_ops s3_ops = {s3_put,         s3_get,           s3_claim_take, s3_claim_put,
                                      s3_claim_renew, s3_claim_release, s3_close};

void cara_store_s3_place(const cara_store *store, const char **bucket, const char **prefix) {
    const s3_store *s = (const s3_store *)store;
    *bucket = s->bucket;
    *prefix = s->prefix;
}

int cara_store_open_s3(const char *url, struct cara_aws *aws, const cara_store_s3_options *options,
                       cara_store **out, cara_error *err) {
    *out = NULL;
    const char *bucket = strncmp(url, "s3://", 5) == 0 ? url + 5 : "";
    size_t n = strcspn(bucket, "/");
    const char *prefix = bucket + n;
    prefix += strspn(prefix, "/");
    size_t prefix_len = strlen(prefix);
    while (prefix_len && prefix[prefix_len - 1] == '/')
        prefix_len--;
    s3_store *s = calloc(1, sizeof *s);
    if (!s)
        return no_memory(err);
    s->base.ops = &s3_ops;
    s->aws = aws;
    if (options)
        s->options = *options;
    if (s->options.lease_s <= 0)
        s->options.lease_s = LEASE_DEFAULT_S;
    snprintf(s->bucket, sizeof s->bucket, "%.*s", n < sizeof s->bucket ? (int)n : 0, bucket);
    if (!cara_s3_bucket_is_valid(s->bucket) || prefix_len > PREFIX_MAX) {
        free(s);
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "\"%.100s\" is no S3 store; expected s3://bucket or s3://bucket/prefix",
                         url);
    }
    if (prefix_len)
        snprintf(s->prefix, sizeof s->prefix, "%.*s/", (int)prefix_len, prefix);
    *out = &s->base;
    return CARA_OK;
}

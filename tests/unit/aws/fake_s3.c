#include "fake_s3.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_s3_object *fake_s3_find(fake_s3 *s3, const char *key) {
    for (size_t i = 0; i < FAKE_S3_OBJECTS; i++)
        if (strcmp(s3->objects[i].key, key) == 0)
            return &s3->objects[i];
    return NULL;
}

/* As in S3, the ETag follows the bytes and nothing else. */
static struct fake_s3_object *store(fake_s3 *s3, const char *key, const char *body, size_t n) {
    struct fake_s3_object *o = fake_s3_find(s3, key);
    if (!o)
        o = fake_s3_find(s3, "");
    if (!o)
        abort();
    snprintf(o->key, sizeof o->key, "%s", key);
    char *copy = malloc(n + 1);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, body, n);
    copy[n] = 0;
    free(o->body);
    o->body = copy;
    o->len = n;
    o->note[0] = o->type[0] = 0;
    unsigned char digest[64];
    unsigned len = 0;
    if (EVP_Digest(copy, n, digest, &len, EVP_md5(), NULL) != 1)
        abort();
    o->etag[0] = '"';
    for (unsigned i = 0; i < 16; i++)
        snprintf(o->etag + 1 + 2 * i, 4, "%02x\"", digest[i]);
    return o;
}

void fake_s3_set(fake_s3 *s3, const char *key, const char *body) {
    store(s3, key, body, strlen(body));
}

void fake_s3_set_bytes(fake_s3 *s3, const char *key, const void *bytes, size_t n) {
    store(s3, key, bytes, n);
}

void fake_s3_free(fake_s3 *s3) {
    for (size_t i = 0; i < FAKE_S3_OBJECTS; i++)
        free(s3->objects[i].body);
}

static int hex(int c) {
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static void decode(const char *s, size_t n, char *dst, size_t size) {
    size_t at = 0;
    for (size_t i = 0; i < n && at + 1 < size; i++) {
        if (s[i] == '%' && n - i > 2) {
            dst[at++] = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
            i += 2;
        } else {
            dst[at++] = s[i];
        }
    }
    dst[at] = 0;
}

static void parameter(const char *query, size_t n, const char *name, char *dst, size_t size) {
    size_t name_len = strlen(name);
    dst[0] = 0;
    for (const char *p = query, *end = query + n; p < end;) {
        const char *amp = memchr(p, '&', (size_t)(end - p));
        size_t len = (size_t)((amp ? amp : end) - p);
        if (len > name_len && memcmp(p, name, name_len) == 0 && p[name_len] == '=')
            decode(p + name_len + 1, len - name_len - 1, dst, size);
        p += len + 1;
    }
}

static int by_key(const void *a, const void *b) {
    const struct fake_s3_object *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

static void list(fake_s3 *s3, const char *query, size_t n, test_reply *reply) {
    char prefix[512], token[512];
    parameter(query, n, "prefix", prefix, sizeof prefix);
    parameter(query, n, "continuation-token", token, sizeof token);
    struct fake_s3_object *found[FAKE_S3_OBJECTS];
    size_t count = 0, at = 0, shown = strncmp(token, "at=", 3) ? 0 : strtoul(token + 3, NULL, 10);
    size_t end = shown + 2; /* of this page */
    for (size_t i = 0; i < FAKE_S3_OBJECTS; i++)
        if (s3->objects[i].key[0] && strncmp(s3->objects[i].key, prefix, strlen(prefix)) == 0 &&
            strcmp(s3->objects[i].key, token) >= 0)
            found[count++] = &s3->objects[i];
    qsort(found, count, sizeof found[0], by_key);
    at = (size_t)snprintf(s3->scratch, sizeof s3->scratch,
                          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
                          "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket</Name>"
                          "<EncodingType>url</EncodingType>");
    for (; shown < count && shown < end; shown++) {
        at += (size_t)snprintf(s3->scratch + at, sizeof s3->scratch - at, "<Contents><Key>");
        for (const unsigned char *p = (const unsigned char *)found[shown]->key; *p; p++) {
            int plain = (*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z') ||
                        strchr("/-_.*", *p);
            at += (size_t)snprintf(s3->scratch + at, sizeof s3->scratch - at,
                                   plain       ? "%c"
                                   : *p == ' ' ? "+"
                                               : "%%%02X",
                                   *p);
        }
        at += (size_t)snprintf(s3->scratch + at, sizeof s3->scratch - at,
                               "</Key><Size>%zu</Size></Contents>", found[shown]->len);
    }
    if (shown < count)
        at += (size_t)snprintf(s3->scratch + at, sizeof s3->scratch - at,
                               "<IsTruncated>true</IsTruncated><NextContinuationToken>at=%zu"
                               "</NextContinuationToken>",
                               shown);
    snprintf(s3->scratch + at, sizeof s3->scratch - at, "</ListBucketResult>");
    reply->body = s3->scratch;
}

static void refuse(test_reply *reply, int status, const char *body) {
    reply->status = status;
    reply->body = body;
}

/* Cuts the answer down to the range that is requested. */
static void give_range(fake_s3 *s3, struct fake_s3_object *o, const char *range, size_t headers,
                       test_reply *reply) {
    char *end;
    size_t first = strtoul(range + strlen("bytes="), &end, 10), last = strtoul(end + 1, NULL, 10);
    if (first >= o->len || last < first) {
        refuse(reply, 416, "<Error><Code>InvalidRange</Code></Error>");
        return;
    }
    last = last < o->len ? last : o->len - 1;
    reply->status = 206;
    reply->body = o->body + first;
    reply->body_len = last - first + 1;
    snprintf(s3->headers + headers, sizeof s3->headers - headers,
             "Content-Range: bytes %zu-%zu/%zu\r\n", first, last, o->len);
    if (s3->cut > 0) {
        s3->cut--;
        reply->cut = reply->body_len / 2 + 1;
    } else if (s3->flip > 0 && reply->body_len <= sizeof s3->scratch) {
        s3->flip--;
        memcpy(s3->scratch, reply->body, reply->body_len);
        s3->scratch[reply->body_len / 2] ^= 1;
        reply->body = s3->scratch;
    }
    s3->ranges++;
}

void fake_s3_handle(void *ctx, const test_request *r, test_reply *reply) {
    fake_s3 *s3 = ctx;
    char method[8] = "", key[512], text[128];
    *reply = (test_reply){.status = 200};
    size_t method_len = strcspn(r->raw, " ");
    snprintf(method, sizeof method, "%.*s", (int)method_len, r->raw);
    const char *target = r->raw + method_len + 1;
    size_t n = strcspn(target, " "), path = strcspn(target, " ?");
    if (s3->refuse > 0) {
        s3->refuse--;
        refuse(reply, 503, "<Error><Code>SlowDown</Code></Error>");
        return;
    }
    if (s3->deny > 0) {
        s3->deny--;
        refuse(reply, 403, "<Error><Code>AccessDenied</Code></Error>");
        return;
    }
    if (path < 8 || memcmp(target, "/bucket/", 8) != 0) {
        refuse(reply, 404, "<Error><Code>NoSuchBucket</Code></Error>");
        return;
    }
    decode(target + 8, path - 8, key, sizeof key);
    if (!key[0]) {
        list(s3, target + path + 1, n > path ? n - path - 1 : 0, reply);
        return;
    }
    struct fake_s3_object *o = fake_s3_find(s3, key);
    char range[64];
    test_request_header(r, "range", range, sizeof range);
    if (range[0] && s3->on_range)
        s3->on_range(s3);
    if (strcmp(method, "PUT") == 0) {
        test_request_header(r, "if-match", text, sizeof text);
        if (text[0] && !o) {
            refuse(reply, 404, "<Error><Code>NoSuchKey</Code></Error>");
            return;
        }
        if ((text[0] && strcmp(text, o->etag) != 0) ||
            (o && test_request_header(r, "if-none-match", text, sizeof text)[0])) {
            refuse(reply, 412, "<Error><Code>PreconditionFailed</Code></Error>");
            return;
        }
        o = store(s3, key, r->body, r->body_len);
        test_request_header(r, "x-amz-meta-caracola", o->note, sizeof o->note);
        test_request_header(r, "content-type", o->type, sizeof o->type);
        s3->writes++;
        if (s3->lose_answers > 0) {
            s3->lose_answers--;
            reply->drop = 1;
        }
        snprintf(s3->headers, sizeof s3->headers, "ETag: %s\r\n", o->etag);
        reply->headers = s3->headers;
        return;
    }
    if (strcmp(method, "DELETE") == 0) {
        if (o) {
            free(o->body);
            memset(o, 0, sizeof *o);
        }
        reply->status = 204;
        return;
    }
    if (!o) {
        refuse(reply, 404, "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>");
        return;
    }
    if (test_request_header(r, "if-match", text, sizeof text)[0] && strcmp(text, o->etag) != 0) {
        refuse(reply, 412, "<Error><Code>PreconditionFailed</Code></Error>");
        return;
    }
    int n_headers = snprintf(
        s3->headers, sizeof s3->headers, "ETag: %s\r\nContent-Type: %s\r\n%s%s%s", o->etag, o->type,
        o->note[0] ? "x-amz-meta-caracola: " : "", o->note, o->note[0] ? "\r\n" : "");
    reply->headers = s3->headers;
    reply->body = o->body;
    reply->body_len = o->len;
    if (range[0] && !s3->whole)
        give_range(s3, o, range, (size_t)n_headers, reply);
}

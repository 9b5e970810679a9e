#include "aws/signing/sigv4.h"

#include "aws/signing/dates.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"
#include "net/url.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CANONICAL_LIMIT (256 * CARA_KIB)
#define MAX_PARAMETERS 64

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to sign a request");
}

int cara_sigv4_date(int64_t time_ms, char out[17]) {
    struct tm tm;
    time_t seconds = (time_t)(time_ms / 1000);
    if (time_ms < 0 || time_ms > CARA_TIME_MAX_MS || !gmtime_r(&seconds, &tm))
        return -1;
    return strftime(out, 17, "%Y%m%dT%H%M%SZ", &tm) == 16 ? 0 : -1;
}

/* RFC 3986's remove_dot_segments, which AWS applies to every service but S3; "//" is "/" too. */
static int normalise(const char *path, cara_buf *out) {
    if (cara_buf_char(out, '/'))
        return -1;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        int slash = p[n] == '/';
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            /* Until here all ends in a slash: only the last segment can lack one. */
            size_t at = out->len > 1 ? out->len - 1 : 1;
            while (out->data[at - 1] != '/')
                at--;
            out->len = at;
            out->data[at] = 0;
        } else if (n > 1 || (n == 1 && p[0] != '.')) {
            if (cara_buf_add(out, p, n) || (slash && cara_buf_char(out, '/')))
                return -1;
        }
        p += n + (size_t)slash;
    }
    return 0;
}

/* Decoded and encoded again, segment by segment, so that "%2f" and "%2F" are one. */
static int encode_once(const char *path, cara_buf *out) {
    cara_buf plain;
    cara_buf_init(&plain, CANONICAL_LIMIT);
    int rc = 0;
    for (const char *p = path; !rc; p++) {
        size_t n = strcspn(p, "/");
        cara_buf_clear(&plain);
        rc = cara_url_decode(&plain, p, n, 0) || cara_url_encode(out, plain.data, plain.len, 0);
        p += n;
        if (!*p || rc)
            break;
        rc = cara_buf_char(out, '/');
    }
    cara_buf_free(&plain);
    return rc ? -1 : 0;
}

static int canonical_path(const cara_sigv4_request *request, cara_buf *out) {
    const char *path = request->path[0] ? request->path : "/";
    if (request->s3)
        return encode_once(path, out);
    if (request->keep_path)
        return cara_url_encode(out, path, strlen(path), 1);
    cara_buf clean;
    cara_buf_init(&clean, CANONICAL_LIMIT);
    int rc = normalise(path, &clean) || cara_url_encode(out, clean.data, clean.len, 1);
    cara_buf_free(&clean);
    return rc ? -1 : 0;
}

/* Offsets into a scratch buffer: it moves while it grows. */
typedef struct parameter {
    size_t name, value;
    const char *base;
} parameter;

static int compare_parameters(const void *a, const void *b) {
    const parameter *x = a, *y = b;
    int names = strcmp(x->base + x->name, y->base + y->name);
    return names ? names : strcmp(x->base + x->value, y->base + y->value);
}

static int encode_again(cara_buf *scratch, cara_buf *plain, const char *s, size_t n) {
    cara_buf_clear(plain);
    return cara_url_decode(plain, s, n, 0) ||
           cara_url_encode(scratch, plain->data, plain->len, 0) || cara_buf_char(scratch, 0);
}

/* Each name and value encoded once, then sorted by name and value; "k" is "k=". */
static int canonical_query(const char *query, cara_buf *out) {
    parameter list[MAX_PARAMETERS];
    size_t n = 0;
    cara_buf scratch, plain;
    cara_buf_init(&scratch, CANONICAL_LIMIT);
    cara_buf_init(&plain, CANONICAL_LIMIT);
    int rc = 0;
    for (const char *p = query; *p && !rc;) {
        size_t len = strcspn(p, "&"), name = strcspn(p, "=&");
        if (len && n == MAX_PARAMETERS)
            rc = -1;
        if (len && !rc) {
            size_t skip = name < len ? name + 1 : len;
            list[n].name = scratch.len;
            rc = encode_again(&scratch, &plain, p, name);
            list[n].value = scratch.len;
            rc = rc || encode_again(&scratch, &plain, p + skip, len - skip);
            n++;
        }
        p += len + (p[len] == '&');
    }
    for (size_t i = 0; i < n; i++)
        list[i].base = scratch.data;
    if (!rc && n)
        qsort(list, n, sizeof list[0], compare_parameters);
    for (size_t i = 0; i < n && !rc; i++)
        rc = (i && cara_buf_char(out, '&')) || cara_buf_str(out, scratch.data + list[i].name) ||
             cara_buf_char(out, '=') || cara_buf_str(out, scratch.data + list[i].value);
    cara_buf_free(&scratch);
    cara_buf_free(&plain);
    return rc ? -1 : 0;
}

static int lower(int c) {
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static int compare_names(const char *a, const char *b) {
    while (*a && lower((unsigned char)*a) == lower((unsigned char)*b))
        a++, b++;
    return lower((unsigned char)*a) - lower((unsigned char)*b);
}

/* By name; equal names keep the order in which they are sent. */
static int compare_headers(const void *a, const void *b) {
    const cara_http_header *const *x = a, *const *y = b;
    int names = compare_names((*x)->name, (*y)->name);
    return names ? names : (*x > *y) - (*x < *y);
}

static int add_lower(cara_buf *out, const char *name) {
    for (; *name; name++)
        if (cara_buf_char(out, (char)lower((unsigned char)*name)))
            return -1;
    return 0;
}

/* Trimmed, and each run of white space one space: that also unfolds a value on several lines. */
static int add_trimmed(cara_buf *out, const char *value) {
    static const char white[] = " \t\r\n";
    value += strspn(value, white);
    while (*value) {
        size_t n = strcspn(value, white);
        if (cara_buf_add(out, value, n))
            return -1;
        value += n;
        value += strspn(value, white);
        if (*value && cara_buf_char(out, ' '))
            return -1;
    }
    return 0;
}

/* malloc'd pointers into request->headers in canonical order; NULL on no memory. */
static const cara_http_header **sorted_headers(const cara_sigv4_request *request) {
    const cara_http_header **list = calloc(request->n_headers + 1, sizeof *list);
    if (!list)
        return NULL;
    for (size_t i = 0; i < request->n_headers; i++)
        list[i] = &request->headers[i];
    if (request->n_headers)
        qsort(list, request->n_headers, sizeof *list, compare_headers);
    return list;
}

static int add_signed_names(const cara_http_header *const *list, size_t n, cara_buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (i && compare_names(list[i - 1]->name, list[i]->name) == 0)
            continue;
        if ((i && cara_buf_char(out, ';')) || add_lower(out, list[i]->name))
            return -1;
    }
    return 0;
}

static int add_headers(const cara_http_header *const *list, size_t n, cara_buf *out) {
    for (size_t i = 0; i < n; i++) {
        int again = i && compare_names(list[i - 1]->name, list[i]->name) == 0;
        if (again ? cara_buf_char(out, ',')
                  : ((i && cara_buf_char(out, '\n')) || add_lower(out, list[i]->name) ||
                     cara_buf_char(out, ':')))
            return -1;
        if (add_trimmed(out, list[i]->value))
            return -1;
    }
    return cara_buf_char(out, '\n');
}

int cara_sigv4_canonical(const cara_sigv4_request *request, cara_buf *out, cara_error *err) {
    int host = 0;
    for (size_t i = 0; i < request->n_headers; i++)
        host |= compare_names(request->headers[i].name, "host") == 0;
    if (!host)
        return cara_fail(err, CARA_ERR_USAGE, -1, "a request cannot be signed without its Host");
    const cara_http_header **list = sorted_headers(request);
    if (!list)
        return no_memory(err);
    int rc = cara_buf_str(out, request->method) || cara_buf_char(out, '\n') ||
             canonical_path(request, out) || cara_buf_char(out, '\n') ||
             (request->query && canonical_query(request->query, out)) || cara_buf_char(out, '\n') ||
             add_headers(list, request->n_headers, out) || cara_buf_char(out, '\n') ||
             add_signed_names(list, request->n_headers, out) || cara_buf_char(out, '\n') ||
             cara_buf_str(out, request->payload_hash);
    free((void *)list);
    return rc ? no_memory(err) : CARA_OK;
}

int cara_sigv4_string_to_sign(const cara_sigv4_key *key, const void *canonical, size_t n,
                              cara_buf *out, cara_error *err) {
    char date[17], hash[65];
    if (cara_sigv4_date(key->time_ms, date))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "this machine's clock is outside the years 1970 to 9999");
    if (cara_sha256_hex(canonical, n, hash))
        return cara_fail(err, CARA_ERR_MEMORY, -1, "libcrypto has no memory for a SHA-256");
    if (cara_buf_printf(out, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/%s/aws4_request\n%s", date, date,
                        key->region, key->service, hash))
        return no_memory(err);
    return CARA_OK;
}

static int hmac(const unsigned char *key, size_t key_len, const void *data, size_t n,
                unsigned char out[32]) {
    unsigned len = 0;
    return HMAC(EVP_sha256(), key, (int)key_len, data, n, out, &len) && len == 32 ? 0 : -1;
}

int cara_sigv4_signature(const cara_sigv4_key *key, const void *string_to_sign, size_t n,
                         char out[65], cara_error *err) {
    char date[17];
    if (cara_sigv4_date(key->time_ms, date))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "this machine's clock is outside the years 1970 to 9999");
    cara_buf seed;
    cara_buf_init(&seed, 4096);
    if (cara_buf_printf(&seed, "AWS4%s", key->secret_key)) {
        cara_buf_free(&seed);
        return no_memory(err);
    }
    unsigned char k[32], digest[32];
    int bad = hmac((const unsigned char *)seed.data, seed.len, date, 8, k) ||
              hmac(k, 32, key->region, strlen(key->region), k) ||
              hmac(k, 32, key->service, strlen(key->service), k) ||
              hmac(k, 32, "aws4_request", 12, k) || hmac(k, 32, string_to_sign, n, digest);
    OPENSSL_cleanse(k, sizeof k);
    OPENSSL_cleanse(seed.data, seed.len);
    cara_buf_free(&seed);
    if (bad)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "libcrypto has no memory for an HMAC");
    cara_hex_encode(digest, 32, out);
    return CARA_OK;
}

int cara_sigv4_authorization(const cara_sigv4_key *key, const cara_sigv4_request *request,
                             cara_buf *out, cara_error *err) {
    cara_buf canonical, text;
    cara_buf_init(&canonical, CANONICAL_LIMIT);
    cara_buf_init(&text, CANONICAL_LIMIT);
    char signature[65];
    int rc = cara_sigv4_canonical(request, &canonical, err);
    if (!rc)
        rc = cara_sigv4_string_to_sign(key, canonical.data, canonical.len, &text, err);
    if (!rc)
        rc = cara_sigv4_signature(key, text.data, text.len, signature, err);
    const cara_http_header **list = rc ? NULL : sorted_headers(request);
    if (!rc && (!list ||
                cara_buf_printf(out,
                                "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request, "
                                "SignedHeaders=",
                                key->access_key, text.data + sizeof "AWS4-HMAC-SHA256", key->region,
                                key->service) ||
                add_signed_names(list, request->n_headers, out) ||
                cara_buf_printf(out, ", Signature=%s", signature)))
        rc = no_memory(err);
    free((void *)list);
    cara_buf_free(&canonical);
    cara_buf_free(&text);
    return rc;
}

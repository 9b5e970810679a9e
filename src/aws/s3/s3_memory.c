#include "aws/s3/s3_memory.h"

#include "base/memory/pages.h"
#include "base/threads.h"
#include "crypto/encoding.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define POLL_S 0.05

struct cara_s3_memory {
    cara_s3_fetch *fetch;
    cara_s3_fetch_options options;
    const char *sha256;
    void *bytes; /* [size] */
    size_t size;
    pthread_t hasher;
    int hashing; /* there is such a thread */
    atomic_int closing;
    pthread_mutex_t lock; /* of what the hasher found */
    pthread_cond_t found;
    int is_found, verdict;
    cara_error error;
};

int cara_s3_digest_check(const char *text, const char *what, cara_error *err) {
    uint8_t digest[32];
    if (text && cara_hex_decode(text, digest, sizeof digest) == 0)
        return CARA_OK;
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "%s takes the model's SHA-256 in 64 hex digits, got %s%.80s%s", what,
                     text ? "\"" : "", text ? text : "nothing", text ? "\"" : "");
}

int cara_s3_digest_differs(const cara_s3_fetch_options *options, const char *expected,
                           const char *found, cara_error *err) {
    return cara_fail(err, CARA_ERR_MODEL_CORRUPT, -1,
                     "s3://%s/%s has the SHA-256 %s, not %s; upload it again, or correct "
                     "CARACOLA_MODEL_SHA256",
                     options->bucket, options->key, found, expected);
}

static int is_closing(void *cookie) {
    cara_s3_memory *m = cookie;
    return atomic_load(&m->closing);
}

static void *hash(void *arg) {
    cara_s3_memory *m = arg;
    cara_error err = {.code = CARA_OK, .position = -1};
    char hex[65];
    int rc = cara_s3_fetch_digest(m->fetch, NULL, NULL, is_closing, m, hex, &err);
    if (!rc && strcasecmp(hex, m->sha256) != 0)
        rc = cara_s3_digest_differs(&m->options, m->sha256, hex, &err);
    pthread_mutex_lock(&m->lock);
    m->verdict = rc;
    m->error = err;
    m->is_found = 1;
    pthread_cond_broadcast(&m->found);
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

int cara_s3_memory_open(const cara_s3_fetch_options *options, const char *sha256, uint64_t limit,
                        cara_s3_memory **out, cara_error *err) {
    *out = NULL;
    int rc = cara_s3_digest_check(sha256, "CARACOLA_MODEL_SHA256", err);
    if (rc)
        return rc;
    cara_s3_memory *m = calloc(1, sizeof *m);
    if (!m)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to fetch from S3");
    m->options = *options;
    m->sha256 = sha256;
    pthread_mutex_init(&m->lock, NULL);
    cara_cond_init(&m->found);
    rc = cara_s3_fetch_open(options, &m->fetch, err);
    uint64_t size = rc ? 0 : (uint64_t)cara_s3_fetch_object(m->fetch)->size;
    if (!rc && ((limit && size > limit) || size > SIZE_MAX / 4 ||
                !(m->bytes = cara_pages_alloc(1, (size_t)size))))
        rc = cara_fail(err, CARA_ERR_MEMORY, -1,
                       "no memory for the %llu MB of s3://%s/%s; give it more, or a smaller model",
                       (unsigned long long)(size / 1000000), options->bucket, options->key);
    if (!rc) {
        m->size = (size_t)size;
        const cara_s3_fetch_to to = {.memory = m->bytes};
        rc = cara_s3_fetch_start(m->fetch, NULL, &to, err);
    }
    if (!rc && !(m->hashing = cara_thread_start(&m->hasher, hash, m) == 0))
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no thread for a SHA-256");
    if (rc) {
        cara_s3_memory_close(m);
        return rc;
    }
    *out = m;
    return CARA_OK;
}

cara_slice cara_s3_memory_bytes(const cara_s3_memory *m) {
    return cara_slice_of(m->bytes, m->size);
}

int cara_s3_memory_wait(cara_s3_memory *m, uint64_t end, int (*stop)(void *cookie), void *cookie,
                        cara_error *err) {
    return cara_s3_fetch_wait(m->fetch, end, stop, cookie, err);
}

int cara_s3_memory_verify(cara_s3_memory *m, int (*stop)(void *cookie), void *cookie,
                          cara_error *err) {
    int stopped = 0;
    pthread_mutex_lock(&m->lock);
    while (!m->is_found && !stopped) {
        (void)cara_cond_wait(&m->found, &m->lock, POLL_S);
        if (!m->is_found && stop) {
            pthread_mutex_unlock(&m->lock); /* it may be slow */
            stopped = stop(cookie);
            pthread_mutex_lock(&m->lock);
        }
    }
    int rc = m->is_found ? m->verdict : CARA_ERR_CANCELLED;
    if (m->is_found && rc && err)
        *err = m->error;
    pthread_mutex_unlock(&m->lock);
    if (stopped && rc == CARA_ERR_CANCELLED)
        cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped while s3://%s/%s was being fetched",
                  m->options.bucket, m->options.key);
    return rc;
}

void cara_s3_memory_close(cara_s3_memory *m) {
    if (!m)
        return;
    atomic_store(&m->closing, 1);
    if (m->hashing)
        pthread_join(m->hasher, NULL);
    cara_s3_fetch_close(m->fetch);
    cara_pages_free(m->bytes, 1, m->size);
    pthread_cond_destroy(&m->found);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

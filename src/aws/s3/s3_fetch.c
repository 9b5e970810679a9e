#include "aws/s3/s3_fetch.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/threads.h"
#include "crypto/digest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 8
#define CONNECTIONS_MAX 64
#define PART_BYTES (8 * CARA_MIB)
#define PATIENCE 6 /* times as many attempts at a part as at other calls */
#define POLL_S 0.05
#define DIGEST_BYTES CARA_MIB

enum { TO_DO, TAKEN, DONE };

typedef struct connection {
    cara_s3_fetch *fetch;
    cara_aws *aws;
    char *buffer; /* [part] where parts go to `put` */
    pthread_t thread;
} connection;

struct cara_s3_fetch {
    cara_s3_fetch_options options;
    cara_s3_object object;
    cara_s3_fetch_to to;
    uint64_t size;
    size_t part, n_parts;
    connection *connections; /* [n_connections] */
    int n_connections, n_running;
    atomic_int closing;
    atomic_size_t frontier; /* parts before it are all done; written under the lock */
    pthread_mutex_t lock;   /* of all below */
    pthread_cond_t changed;
    uint8_t *parts; /* [n_parts] */
    size_t next;    /* parts before it are not to do */
    uint64_t done;
    int failed; /* a cara_code */
    cara_error error;
};

static int is_closing(void *cookie) {
    cara_s3_fetch *f = cookie;
    return atomic_load(&f->closing);
}

static int add_connections(cara_s3_fetch *f, int n, cara_error *err) {
    for (int rc; f->n_connections < n; f->n_connections++) {
        connection *c = &f->connections[f->n_connections];
        rc = cara_aws_open(f->options.aws, &c->aws, err);
        if (rc)
            return rc;
        c->fetch = f;
        cara_aws_set_deadline(c->aws, f->options.deadline);
        cara_aws_set_stop(c->aws, is_closing, f);
        /* Now, by one thread: getenv() is not safe while another thread calls setenv(). */
        const char *source;
        rc = cara_aws_check_credentials(c->aws, &source, err);
        if (rc) {
            cara_aws_close(c->aws);
            return rc;
        }
    }
    return CARA_OK;
}

/* Adds the object's name, which the client's sentences lack. */
static int prefix_object(const cara_s3_fetch *f, int rc, cara_error *err) {
    if (rc)
        cara_error_prefix(err, "s3://%s/%s", f->options.bucket, f->options.key);
    return rc;
}

int cara_s3_fetch_open(const cara_s3_fetch_options *options, cara_s3_fetch **out, cara_error *err) {
    *out = NULL;
    cara_s3_fetch *f = calloc(1, sizeof *f);
    if (!f)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to fetch from S3");
    pthread_mutex_init(&f->lock, NULL);
    cara_cond_init(&f->changed);
    f->options = *options;
    f->part = options->part ? options->part : PART_BYTES;
    int n = options->connections ? options->connections : CONNECTIONS;
    n = n < 1 ? 1 : n > CONNECTIONS_MAX ? CONNECTIONS_MAX : n;
    f->connections = calloc((size_t)n, sizeof *f->connections);
    int rc = CARA_OK;
    if (!f->connections)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to fetch from S3");
    if (!rc)
        rc = add_connections(f, 1, err);
    if (!rc)
        rc = prefix_object(
            f, cara_s3_head(f->connections[0].aws, options->bucket, options->key, &f->object, err),
            err);
    if (!rc && (f->object.size < 0 || !f->object.etag[0]))
        rc = prefix_object(
            f, cara_fail(err, CARA_ERR_NETWORK, -1, "S3 did not say its length and its ETag"), err);
    if (!rc && f->object.size == 0)
        rc = prefix_object(f, cara_fail(err, CARA_ERR_USAGE, -1, "the object is empty"), err);
    if (!rc) {
        f->size = (uint64_t)f->object.size;
        f->n_parts = (size_t)((f->size - 1) / f->part) + 1;
        f->parts = calloc(f->n_parts, 1);
        if (!f->parts)
            rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to fetch from S3");
    }
    if (!rc)
        rc = add_connections(f, f->n_parts < (size_t)n ? (int)f->n_parts : n, err);
    if (rc) {
        cara_s3_fetch_close(f);
        return rc;
    }
    *out = f;
    return CARA_OK;
}

const cara_s3_object *cara_s3_fetch_object(const cara_s3_fetch *fetch) {
    return &fetch->object;
}

size_t cara_s3_fetch_part(const cara_s3_fetch *fetch) {
    return fetch->part;
}

size_t cara_s3_fetch_n_parts(const cara_s3_fetch *fetch) {
    return fetch->n_parts;
}

static uint64_t part_end(const cara_s3_fetch *f, size_t i) {
    uint64_t end = ((uint64_t)i + 1) * f->part;
    return end < f->size ? end : f->size;
}

/* Under the lock. */
static void mark_done(cara_s3_fetch *f, size_t i) {
    f->parts[i] = DONE;
    f->done += part_end(f, i) - (uint64_t)i * f->part;
    size_t frontier = atomic_load(&f->frontier);
    while (frontier < f->n_parts && f->parts[frontier] == DONE)
        frontier++;
    atomic_store(&f->frontier, frontier);
}

static int get_part(connection *c, size_t i, cara_error *err) {
    cara_s3_fetch *f = c->fetch;
    uint64_t offset = (uint64_t)i * f->part;
    size_t n = (size_t)(part_end(f, i) - offset);
    char *into = f->to.memory ? (char *)f->to.memory + offset : c->buffer;
    const cara_s3_range range = {f->object.etag, offset, into, n,
                                 PATIENCE * cara_aws_settings(c->aws)->max_attempts};
    int rc = cara_s3_get_range(c->aws, f->options.bucket, f->options.key, &range, err);
    if (rc == CARA_ERR_CONFLICT)
        rc = cara_fail(err, rc, -1,
                       "the object was replaced while it was read; begin again with the new one");
    prefix_object(f, rc, err);
    return rc || f->to.memory ? rc : f->to.put(f->to.ctx, i, offset, into, n, err);
}

static void *run(void *arg) {
    connection *c = arg;
    cara_s3_fetch *f = c->fetch;
    pthread_mutex_lock(&f->lock);
    while (!f->failed && !is_closing(f)) {
        while (f->next < f->n_parts && f->parts[f->next] != TO_DO)
            f->next++;
        if (f->next == f->n_parts)
            break;
        size_t i = f->next++;
        f->parts[i] = TAKEN;
        pthread_mutex_unlock(&f->lock);
        cara_error err = {.code = CARA_OK, .position = -1};
        int rc = get_part(c, i, &err);
        pthread_mutex_lock(&f->lock);
        if (!rc) {
            mark_done(f, i);
        } else if (!f->failed) {
            f->failed = rc;
            f->error = err;
        }
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

int cara_s3_fetch_start(cara_s3_fetch *f, const uint8_t *have, const cara_s3_fetch_to *to,
                        cara_error *err) {
    f->to = *to;
    for (int i = 0; i < f->n_connections && !to->memory; i++) {
        f->connections[i].buffer = malloc(f->part < f->size ? f->part : (size_t)f->size);
        if (!f->connections[i].buffer)
            return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to fetch from S3");
    }
    for (size_t i = 0; i < f->n_parts && have; i++)
        if (have[i])
            mark_done(f, i);
    while (f->n_running < f->n_connections) {
        connection *c = &f->connections[f->n_running];
        if (cara_thread_start(&c->thread, run, c) != 0)
            break;
        f->n_running++;
    }
    return f->n_running ? CARA_OK
                        : cara_fail(err, CARA_ERR_MEMORY, -1, "no thread to fetch from S3");
}

int cara_s3_fetch_wait(cara_s3_fetch *f, uint64_t end, int (*stop)(void *cookie), void *cookie,
                       cara_error *err) {
    size_t parts = end ? (size_t)(((end < f->size ? end : f->size) - 1) / f->part) + 1 : 0;
    if (atomic_load(&f->frontier) >= parts)
        return CARA_OK;
    int rc = CARA_OK;
    pthread_mutex_lock(&f->lock);
    while (atomic_load(&f->frontier) < parts && !rc) {
        if (f->failed) {
            if (err)
                *err = f->error;
            rc = f->failed;
            break;
        }
        (void)cara_cond_wait(&f->changed, &f->lock, POLL_S);
        if (!stop || atomic_load(&f->frontier) >= parts)
            continue;
        pthread_mutex_unlock(&f->lock); /* it may be slow */
        int stopped = stop(cookie);
        pthread_mutex_lock(&f->lock);
        if (stopped && !f->failed)
            rc =
                cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped while s3://%s/%s was being fetched",
                          f->options.bucket, f->options.key);
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

uint64_t cara_s3_fetch_done(cara_s3_fetch *f) {
    pthread_mutex_lock(&f->lock);
    uint64_t done = f->done;
    pthread_mutex_unlock(&f->lock);
    return done;
}

int cara_s3_fetch_digest(cara_s3_fetch *f,
                         int (*read)(void *ctx, uint64_t offset, void *into, size_t n,
                                     cara_error *err),
                         void *ctx, int (*stop)(void *cookie), void *cookie, char hex[65],
                         cara_error *err) {
    cara_sha256_run run;
    char *buffer = read ? malloc(DIGEST_BYTES) : NULL;
    int rc = CARA_OK;
    if (cara_sha256_begin(&run) || (read && !buffer))
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a SHA-256");
    for (uint64_t at = 0; at < f->size && !rc;) {
        size_t n = f->size - at < DIGEST_BYTES ? (size_t)(f->size - at) : DIGEST_BYTES;
        /* What is there already needs no waiting, but `stop` is polled all the same. */
        rc = stop && stop(cookie)
                 ? cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped in the middle of a SHA-256")
                 : cara_s3_fetch_wait(f, at + n, stop, cookie, err);
        if (!rc && read)
            rc = read(ctx, at, buffer, n, err);
        if (!rc && cara_sha256_add(&run, read ? buffer : (char *)f->to.memory + at, n))
            rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a SHA-256");
        at += n;
    }
    if (cara_sha256_end(&run, hex) && !rc)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a SHA-256");
    free(buffer);
    return rc;
}

void cara_s3_fetch_close(cara_s3_fetch *f) {
    if (!f)
        return;
    atomic_store(&f->closing, 1);
    for (int i = 0; i < f->n_running; i++)
        pthread_join(f->connections[i].thread, NULL);
    for (int i = 0; i < f->n_connections; i++) {
        cara_aws_close(f->connections[i].aws);
        free(f->connections[i].buffer);
    }
    free(f->connections);
    free(f->parts);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

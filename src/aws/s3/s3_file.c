#define _GNU_SOURCE /* fallocate */
#include "aws/s3/s3_file.h"

#include "aws/s3/s3_memory.h"
#include "base/clock.h"
#include "base/files/file.h"
#include "base/limits.h"
#include "crypto/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES 2048 /* of the state: text, padded with zeros; behind it one byte a part */
#define READ_BYTES CARA_MIB

typedef struct work {
    const cara_s3_fill *fill;
    cara_s3_filled *out;
    char *part_path, *state_path;
    int part_fd, state_fd;
    cara_s3_fetch *fetch;
    uint8_t *have; /* [n_parts] 1: in the file */
} work;

static int out_of_time(void *cookie) {
    const cara_s3_fill *fill = cookie;
    return (fill->from.deadline > 0 && cara_clock_monotonic() >= fill->from.deadline) ||
           (fill->stop && fill->stop(fill->cookie));
}

static int read_at(int fd, const char *path, uint64_t offset, void *into, size_t n,
                   cara_error *err) {
    for (char *p = into; n;) {
        ssize_t got = pread(fd, p, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cara_fail_errno(err, "cannot read %s", path);
        if (got == 0)
            return cara_fail(err, CARA_ERR_IO, -1, "%s was cut short by another process", path);
        p += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return CARA_OK;
}

static int write_at(int fd, const char *path, uint64_t offset, const void *bytes, size_t n,
                    cara_error *err) {
    for (const char *p = bytes; n;) {
        ssize_t put = pwrite(fd, p, n, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return cara_fail_errno(err, "cannot write %s", path);
        p += put;
        offset += (uint64_t)put;
        n -= (size_t)put;
    }
    return CARA_OK;
}

/* 1 where the file has its SHA-256; 0 where it has another, does not exist, or has not changed
 * since *seen, which is updated. CANCELLED, IO, MEMORY. */
static int has_sha256(const cara_s3_fill *fill, struct stat *seen, cara_error *err) {
    int fd = open(fill->path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) != 0) {
        int rc = cara_fail_errno(err, "cannot read %s", fill->path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int same = st.st_ino == seen->st_ino && st.st_size == seen->st_size &&
               st.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
               st.st_mtim.tv_nsec == seen->st_mtim.tv_nsec;
    *seen = st;
    if (same || !S_ISREG(st.st_mode)) {
        close(fd);
        return same ? 0
                    : cara_fail(err, CARA_ERR_IO, -1, "%s is not a regular file; remove it",
                                fill->path);
    }
    uint64_t size = (uint64_t)st.st_size;
    cara_sha256_run run;
    char *buffer = malloc(READ_BYTES), hex[65];
    int rc = CARA_OK;
    if (cara_sha256_begin(&run) || !buffer)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a SHA-256");
    for (uint64_t at = 0; at < size && !rc;) {
        size_t n = size - at < READ_BYTES ? (size_t)(size - at) : READ_BYTES;
        rc = out_of_time((void *)(uintptr_t)fill)
                 ? cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped while %s was read", fill->path)
                 : read_at(fd, fill->path, at, buffer, n, err);
        if (!rc && cara_sha256_add(&run, buffer, n))
            rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a SHA-256");
        at += n;
    }
    if (cara_sha256_end(&run, hex) && !rc)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a SHA-256");
    free(buffer);
    close(fd);
    return rc ? rc : strcasecmp(hex, fill->sha256) == 0;
}

/* Opens and locks the state; CONFLICT where another process has it. The process that
 * finishes removes the name, so the file that we locked may have none any more. */
static int lock_state(work *w, cara_error *err) {
    for (int i = 0; i < 100; i++) {
        w->state_fd = open(w->state_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (w->state_fd < 0)
            return cara_fail_errno(err, "cannot write %s", w->state_path);
        if (flock(w->state_fd, LOCK_EX | LOCK_NB) != 0)
            return errno == EWOULDBLOCK ? cara_fail(err, CARA_ERR_CONFLICT, -1,
                                                    "another process is filling %s", w->fill->path)
                                        : cara_fail_errno(err, "cannot lock %s", w->state_path);
        struct stat ours, named;
        if (fstat(w->state_fd, &ours) == 0 && stat(w->state_path, &named) == 0 &&
            ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
            return CARA_OK;
        close(w->state_fd);
        w->state_fd = -1;
    }
    return cara_fail(err, CARA_ERR_CONFLICT, -1,
                     "%s was replaced 100 times by other processes; try again later",
                     w->state_path);
}

/* Reads which parts of this object earlier tries have into `have`, or begins from scratch. */
static int read_state(work *w, cara_error *err) {
    const cara_s3_object *object = cara_s3_fetch_object(w->fetch);
    size_t n_parts = cara_s3_fetch_n_parts(w->fetch), state_bytes = HEAD_BYTES + n_parts;
    char *state = calloc(2, state_bytes), *found = state ? state + state_bytes : NULL;
    w->have = calloc(n_parts, 1);
    if (!state || !w->have) {
        free(state);
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to fill a file");
    }
    snprintf(state, HEAD_BYTES, "caracola fill 1\ns3://%s/%s\n%s\n%lld bytes\nparts of %zu\n",
             w->fill->from.bucket, w->fill->from.key, object->etag, (long long)object->size,
             cara_s3_fetch_part(w->fetch));
    memset(state + HEAD_BYTES, '.', n_parts);
    struct stat st, part;
    int rc = CARA_OK;
    w->part_fd = open(w->part_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (w->part_fd < 0)
        rc = cara_fail_errno(err, "cannot write %s", w->part_path);
    else if (fstat(w->state_fd, &st) != 0 || fstat(w->part_fd, &part) != 0)
        rc = cara_fail_errno(err, "cannot read %s", w->state_path);
    else if ((uint64_t)st.st_size == state_bytes && part.st_size == object->size)
        rc = read_at(w->state_fd, w->state_path, 0, found, state_bytes, err);
    if (!rc && memcmp(state, found, HEAD_BYTES) == 0) {
        for (size_t i = 0; i < n_parts; i++)
            w->have[i] = found[HEAD_BYTES + i] == '#';
    } else if (!rc) {
        /* In this order: the state must never list a part that the file lacks. */
        if (ftruncate(w->state_fd, 0) != 0 || ftruncate(w->part_fd, 0) != 0)
            rc = cara_fail_errno(err, "cannot write %s", w->part_path);
        /* Fails early where the file system can say that there is no room. */
        if (!rc && fallocate(w->part_fd, 0, 0, (off_t)object->size) != 0 &&
            (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
            rc = cara_fail_errno(err, "no room for the %lld MB of %s",
                                 (long long)(object->size / 1000000), w->fill->path);
        if (!rc && ftruncate(w->part_fd, (off_t)object->size) != 0)
            rc = cara_fail_errno(err, "cannot write %s", w->part_path);
        if (!rc)
            rc = write_at(w->state_fd, w->state_path, 0, state, state_bytes, err);
    }
    free(state);
    return rc;
}

/* A part is marked only once it is on the disk: a sandbox may end at any moment, and then loses
 * what its kernel had still to write. */
static int put(void *ctx, size_t i, uint64_t offset, const void *bytes, size_t n, cara_error *err) {
    const work *w = ctx;
    int rc = write_at(w->part_fd, w->part_path, offset, bytes, n, err);
    if (!rc && fdatasync(w->part_fd) != 0)
        rc = cara_fail_errno(err, "cannot write %s", w->part_path);
    return rc ? rc : write_at(w->state_fd, w->state_path, HEAD_BYTES + i, "#", 1, err);
}

static int get(void *ctx, uint64_t offset, void *into, size_t n, cara_error *err) {
    const work *w = ctx;
    return read_at(w->part_fd, w->part_path, offset, into, n, err);
}

static int sync_folder(const char *path, cara_error *err) {
    char *folder = strdup(path);
    if (!folder)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to fill a file");
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    int rc = cara_sync_dir(slash ? folder : ".", err);
    free(folder);
    return rc;
}

static int report_and_stop(void *cookie) {
    work *w = cookie;
    if (w->fill->progress)
        w->fill->progress(w->fill->cookie, cara_s3_fetch_done(w->fetch),
                          (uint64_t)cara_s3_fetch_object(w->fetch)->size);
    return out_of_time((void *)(uintptr_t)w->fill);
}

/* With the state locked. */
static int fill_locked(work *w, cara_error *err) {
    const cara_s3_fill *fill = w->fill;
    int rc = cara_s3_fetch_open(&fill->from, &w->fetch, err);
    if (!rc)
        rc = read_state(w, err);
    const cara_s3_fetch_to to = {.put = put, .ctx = w};
    if (!rc)
        rc = cara_s3_fetch_start(w->fetch, w->have, &to, err);
    char hex[65] = "";
    if (!rc)
        rc = cara_s3_fetch_digest(w->fetch, get, w, report_and_stop, w, hex, err);
    if (w->fetch) {
        w->out->size = (uint64_t)cara_s3_fetch_object(w->fetch)->size;
        w->out->bytes = cara_s3_fetch_done(w->fetch);
    }
    if (rc)
        return rc;
    if (strcasecmp(hex, fill->sha256) != 0) {
        (void)unlink(w->state_path);
        (void)unlink(w->part_path);
        return cara_s3_digest_differs(&fill->from, fill->sha256, hex, err);
    }
    if (fsync(w->part_fd) != 0 || rename(w->part_path, fill->path) != 0)
        return cara_fail_errno(err, "cannot finish %s", fill->path);
    (void)unlink(w->state_path);
    w->out->done = 1;
    return sync_folder(fill->path, err);
}

static char *add_suffix(const char *path, const char *end) {
    size_t n = strlen(path) + strlen(end) + 1;
    char *out = malloc(n);
    if (out)
        snprintf(out, n, "%s%s", path, end);
    return out;
}

int cara_s3_fill_file(const cara_s3_fill *fill, cara_s3_filled *out, cara_error *err) {
    *out = (cara_s3_filled){.done = 0};
    int rc = cara_s3_digest_check(fill->sha256, "CARACOLA_MODEL_SHA256", err);
    if (rc)
        return rc;
    work w = {.fill = fill, .out = out, .part_fd = -1, .state_fd = -1};
    struct stat seen = {.st_size = -1};
    int right = has_sha256(fill, &seen, err);
    w.part_path = add_suffix(fill->path, ".part");
    w.state_path = add_suffix(fill->path, ".fill");
    if (right < 0)
        rc = right;
    else if (!w.part_path || !w.state_path)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to fill a file");
    else if (!right)
        rc = lock_state(&w, err);
    int busy = rc == CARA_ERR_CONFLICT;
    if (!rc && !right) {
        /* The process that had the lock may just have finished. */
        right = has_sha256(fill, &seen, err);
        rc = right < 0 ? right : right ? CARA_OK : fill_locked(&w, err);
        if (right == 1)
            (void)unlink(w.state_path);
    }
    uint64_t size = (uint64_t)seen.st_size;
    if (right == 1)
        *out = (cara_s3_filled){.done = 1, .already = 1, .bytes = size, .size = size};
    cara_s3_fetch_close(w.fetch);
    /* A call to S3 that ran out of time is not a failure. */
    if (rc && out_of_time((void *)(uintptr_t)fill) && rc == CARA_ERR_NETWORK)
        rc = CARA_ERR_CANCELLED;
    if (busy || rc == CARA_ERR_CANCELLED)
        rc = CARA_OK;
    out->busy = busy;
    if (w.part_fd >= 0)
        close(w.part_fd);
    if (w.state_fd >= 0)
        close(w.state_fd);
    free(w.part_path);
    free(w.state_path);
    free(w.have);
    return rc;
}

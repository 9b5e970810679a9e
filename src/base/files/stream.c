#include "base/files/stream.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (64 * CARA_KIB)
#define ASKED_EVERY_MS 100

int cara_stream_open(const char *path, int *fd, cara_error *err) {
    struct stat st;
    /* Without O_NONBLOCK a pipe whose writer never comes could not be interrupted. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return cara_fail_errno(err, "cannot open %s", path);
    if (fstat(*fd, &st) == 0 && !S_ISDIR(st.st_mode))
        return CARA_OK;
    close(*fd);
    *fd = -1;
    return cara_fail(err, CARA_ERR_IO, -1, "%s is a folder", path);
}

/* Waits for bytes or the end: a pipe that was opened before its writer reports neither until that
 * comes. */
static int wait_for_bytes(int fd, const char *name, const cara_stop *stop, cara_error *err) {
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    for (;;) {
        if (stop && stop->stop && stop->stop(stop->cookie))
            return cara_fail(err, CARA_ERR_CANCELLED, -1, "interrupted while reading %s", name);
        int ready = poll(&wanted, 1, ASKED_EVERY_MS);
        if (ready > 0)
            return CARA_OK;
        if (ready < 0 && errno != EINTR)
            return cara_fail_errno(err, "cannot wait for %s", name);
    }
}

int cara_stream_read(int fd, const char *name, size_t most, const cara_stop *stop, cara_buf *into,
                     int *ended, cara_error *err) {
    char piece[PIECE];
    *ended = 0;
    while (into->len < most) {
        int rc = wait_for_bytes(fd, name, stop, err);
        if (rc)
            return rc;
        size_t room = most - into->len;
        ssize_t got = read(fd, piece, room < sizeof piece ? room : sizeof piece);
        if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
            continue;
        if (got < 0)
            return cara_fail_errno(err, "cannot read %s", name);
        if (got == 0) {
            *ended = 1;
            return CARA_OK;
        }
        if (cara_buf_add(into, piece, (size_t)got))
            return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read %s", name);
    }
    return CARA_OK;
}

/* Reads to the end, or one byte beyond `limit`. */
static int read_beyond(int fd, const char *name, size_t limit, const cara_stop *stop, char **out,
                       size_t *n, cara_error *err) {
    *out = NULL;
    *n = 0;
    cara_buf all;
    cara_buf_init(&all, limit + 1);
    int ended;
    int rc = cara_stream_read(fd, name, limit + 1, stop, &all, &ended, err);
    if (!rc && !all.data && cara_buf_str(&all, "")) /* empty, and NUL-terminated */
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read %s", name);
    if (rc) {
        cara_buf_free(&all);
        return rc;
    }
    *out = all.data;
    *n = all.len;
    return CARA_OK;
}

int cara_stream_read_all(int fd, const char *name, size_t limit, const cara_stop *stop, char **out,
                         size_t *n, cara_error *err) {
    int rc = read_beyond(fd, name, limit, stop, out, n, err);
    if (rc || *n <= limit)
        return rc;
    free(*out);
    *out = NULL;
    *n = 0;
    return cara_fail(err, CARA_ERR_LIMIT, (int64_t)limit,
                     "%s is larger than the limit of %zu bytes", name, limit);
}

int cara_read_input(const char *path, size_t limit, const cara_stop *stop, char **out, size_t *n,
                    cara_error *err) {
    *out = NULL;
    *n = 0;
    if (strcmp(path, "-") == 0)
        return read_beyond(STDIN_FILENO, "standard input", limit, stop, out, n, err);
    int fd;
    int rc = cara_stream_open(path, &fd, err);
    if (rc)
        return rc;
    rc = read_beyond(fd, path, limit, stop, out, n, err);
    close(fd);
    return rc;
}

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int cara_map_file(const char *path, cara_mapping *out, cara_error *err) {
    *out = (cara_mapping){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return cara_fail_errno(err, "cannot open %s", path);
    struct stat st;
    int rc = CARA_OK;
    if (fstat(fd, &st) != 0)
        rc = cara_fail_errno(err, "cannot read %s", path);
    else if (!S_ISREG(st.st_mode))
        rc = cara_fail(err, CARA_ERR_IO, -1, "%s is not a regular file", path);
    else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            rc = cara_fail_errno(err, "cannot map %s", path);
        else
            *out = (cara_mapping){p, (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

void cara_unmap(cara_mapping *mapping) {
    if (mapping->data)
        munmap((void *)(uintptr_t)mapping->data, mapping->size);
    *mapping = (cara_mapping){0};
}

int cara_read_fd(int fd, const char *name, size_t limit, char **out, size_t *n, cara_error *err) {
    *out = NULL;
    *n = 0;
    size_t cap = 64 * 1024, len = 0;
    char *data = malloc(cap);
    if (!data)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read %s", name);
    for (;;) {
        if (len + 1 == cap) {
            char *more = cap <= SIZE_MAX / 2 ? realloc(data, cap * 2) : NULL;
            if (!more) {
                free(data);
                return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read %s", name);
            }
            data = more;
            cap *= 2;
        }
        ssize_t got = read(fd, data + len, cap - len - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int rc = cara_fail_errno(err, "cannot read %s", name);
            free(data);
            return rc;
        }
        if (got == 0)
            break;
        len += (size_t)got;
        if (len > limit) {
            free(data);
            return cara_fail(err, CARA_ERR_MEMORY, (int64_t)limit,
                             "%s is larger than the limit of %zu bytes", name, limit);
        }
    }
    data[len] = 0;
    *out = data;
    *n = len;
    return CARA_OK;
}

int cara_read_file(const char *path, size_t limit, char **out, size_t *n, cara_error *err) {
    if (path[0] == '-' && !path[1])
        return cara_read_fd(STDIN_FILENO, "standard input", limit, out, n, err);
    *out = NULL;
    *n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cara_fail_errno(err, "cannot open %s", path);
    int rc = cara_read_fd(fd, path, limit, out, n, err);
    close(fd);
    return rc;
}

static int write_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

int cara_sync_dir(const char *path, cara_error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int rc = cara_fail_errno(err, "cannot sync folder %s", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    close(fd);
    return CARA_OK;
}

int cara_write_file_atomic(const char *path, const void *bytes, size_t n, cara_error *err) {
    /* The serial keeps threads of one process apart; O_EXCL keeps everyone else out. */
    static atomic_uint serial;
    size_t size = strlen(path) + 48;
    char *temporary = malloc(size);
    if (!temporary)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to write %s", path);
    snprintf(temporary, size, "%s.%ld-%u.tmp", path, (long)getpid(), atomic_fetch_add(&serial, 1));
    int rc = CARA_OK;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        rc = cara_fail_errno(err, "cannot create %s", temporary);
        free(temporary);
        return rc;
    }
    if (write_all(fd, bytes, n) != 0 || fsync(fd) != 0) {
        rc = cara_fail_errno(err, "cannot write %s", temporary);
        close(fd);
    } else if (close(fd) != 0 || rename(temporary, path) != 0) {
        rc = cara_fail_errno(err, "cannot finish %s", path);
    }
    if (rc) {
        unlink(temporary);
        free(temporary);
        return rc;
    }
    char *slash = strrchr(temporary, '/');
    if (slash == temporary)
        slash[1] = 0;
    else if (slash)
        *slash = 0;
    rc = cara_sync_dir(slash ? temporary : ".", err);
    free(temporary);
    return rc;
}

int cara_make_dir(const char *path, cara_error *err) {
    if (mkdir(path, 0700) == 0)
        return CARA_OK;
    if (errno == EEXIST) {
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            return CARA_OK;
        return cara_fail(err, CARA_ERR_IO, -1, "%s is there but is not a folder", path);
    }
    return cara_fail_errno(err, "cannot make folder %s", path);
}

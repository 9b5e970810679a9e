#define _DEFAULT_SOURCE /* madvise */
#include "base/files/file.h"

#include "base/files/stream.h"

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
        rc = cara_fail(err, CARA_ERR_IO, -1, "%s is %s, not a regular file", path,
                       S_ISDIR(st.st_mode) ? "a folder" : "a pipe or a device");
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

void cara_mapping_release(const cara_mapping *mapping) {
    if (mapping->data)
        madvise((void *)(uintptr_t)mapping->data, mapping->size, MADV_DONTNEED);
}

int cara_read_fd(int fd, const char *name, size_t limit, char **out, size_t *n, cara_error *err) {
    return cara_stream_read_all(fd, name, limit, NULL, out, n, err);
}

int cara_read_file(const char *path, size_t limit, char **out, size_t *n, cara_error *err) {
    *out = NULL;
    *n = 0;
    int fd;
    int rc = cara_stream_open(path, &fd, err);
    if (rc)
        return rc;
    rc = cara_read_fd(fd, path, limit, out, n, err);
    close(fd);
    return rc;
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

/* How much of a name its temporary file has too: with the rest it is shorter than any file system's
 * limit, which is 255 bytes mostly, and 143 in encrypted folders. */
#define STEM_BYTES ((size_t)100)

/* The length of `path` with its last name cut to STEM_BYTES, not inside a character. */
static size_t temporary_stem(const char *path) {
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - path) : 0, n = strlen(path + folder);
    if (n > STEM_BYTES)
        for (n = STEM_BYTES; n > 0 && ((unsigned char)path[folder + n] & 0xC0) == 0x80;)
            n--;
    return folder + n;
}

int cara_atomic_begin(cara_atomic_file *file, const char *path, unsigned mode, cara_error *err) {
    /* The serial keeps threads of one process apart; O_EXCL keeps other processes apart. */
    static atomic_uint serial;
    size_t size = strlen(path) + 48;
    int stem = (int)temporary_stem(path);
    *file = (cara_atomic_file){.fd = -1, .path = malloc(size), .temporary = malloc(size)};
    int rc = CARA_OK;
    if (!file->path || !file->temporary) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to write %s", path);
    } else {
        memcpy(file->path, path, strlen(path) + 1);
        int tries = 0;
        do { /* process ids come back, in containers at once: a killed writer's file may be there */
            snprintf(file->temporary, size, "%.*s.%ld-%u.tmp", stem, path, (long)getpid(),
                     atomic_fetch_add(&serial, 1));
            file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
        } while (file->fd < 0 && errno == EEXIST && ++tries < 1000);
        if (file->fd < 0)
            rc = cara_fail_errno(err, "cannot create %s", file->temporary);
    }
    if (rc) {
        free(file->path);
        free(file->temporary);
        *file = (cara_atomic_file){.fd = -1};
    }
    return rc;
}

int cara_atomic_put(cara_atomic_file *file, int64_t offset, const void *bytes, size_t n,
                    cara_error *err) {
    for (const char *p = bytes; n;) {
        ssize_t put = pwrite(file->fd, p, n, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return cara_fail_errno(err, "cannot write %s", file->temporary);
        p += put;
        offset += put;
        n -= (size_t)put;
    }
    return CARA_OK;
}

/* Gives the temporary file its name; 0, or -1 with errno. */
static int link_name(const cara_atomic_file *file, int replace) {
    if (!replace) {
        if (link(file->temporary, file->path) == 0) {
            unlink(file->temporary);
            return 0;
        }
        if (errno != EPERM && errno != ENOTSUP && errno != EOPNOTSUPP && errno != ENOSYS)
            return -1;
        /* A file system without links: the best there is. */
        if (access(file->path, F_OK) == 0) {
            errno = EEXIST;
            return -1;
        }
    }
    return rename(file->temporary, file->path);
}

int cara_atomic_commit(cara_atomic_file *file, int replace, cara_error *err) {
    int rc = CARA_OK;
    if (fsync(file->fd) != 0)
        rc = cara_fail_errno(err, "cannot write %s", file->temporary);
    if (close(file->fd) != 0 && !rc)
        rc = cara_fail_errno(err, "cannot finish %s", file->path);
    file->fd = -1;
    if (!rc && link_name(file, replace) != 0)
        rc = errno == EEXIST && !replace
                 ? cara_fail(err, CARA_ERR_CONFLICT, -1, "%s is there already", file->path)
                 : cara_fail_errno(err, "cannot finish %s", file->path);
    if (rc)
        unlink(file->temporary);
    char *slash = strrchr(file->path, '/');
    if (slash == file->path)
        slash[1] = 0;
    else if (slash)
        *slash = 0;
    if (!rc)
        rc = cara_sync_dir(slash ? file->path : ".", err);
    free(file->path);
    free(file->temporary);
    *file = (cara_atomic_file){.fd = -1};
    return rc;
}

void cara_atomic_abort(cara_atomic_file *file) {
    if (file->fd < 0)
        return;
    close(file->fd);
    unlink(file->temporary);
    free(file->path);
    free(file->temporary);
    *file = (cara_atomic_file){.fd = -1};
}

int cara_write_file_atomic(const char *path, const void *bytes, size_t n, unsigned mode,
                           int replace, cara_error *err) {
    cara_atomic_file file;
    int rc = cara_atomic_begin(&file, path, mode, err);
    if (rc)
        return rc;
    rc = cara_atomic_put(&file, 0, bytes, n, err);
    if (!rc)
        rc = cara_atomic_commit(&file, replace, err);
    cara_atomic_abort(&file);
    return rc;
}

static int make_dir(const char *path, unsigned mode, cara_error *err) {
    if (mkdir(path, (mode_t)mode) == 0)
        return CARA_OK;
    if (errno != EEXIST)
        return cara_fail_errno(err, "cannot make folder %s", path);
    struct stat st;
    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode)
                   ? CARA_OK
                   : cara_fail(err, CARA_ERR_IO, -1, "%s is there but is not a folder", path);
    if (errno == ENOENT)
        return cara_fail(err, CARA_ERR_IO, -1, "%s is a link that leads nowhere", path);
    return cara_fail_errno(err, "cannot use folder %s", path);
}

int cara_make_dirs(const char *path, unsigned mode, cara_error *err) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return CARA_OK; /* also where a folder above it may not be looked at */
    char *copy = strdup(path);
    if (!copy)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to make folder %s", path);
    int rc = CARA_OK;
    for (char *p = copy + strspn(copy, "/"); !rc && *p; p += strspn(p, "/")) {
        p += strcspn(p, "/");
        char end = *p;
        *p = '\0';
        rc = make_dir(copy, mode, err);
        *p = end;
    }
    free(copy);
    return rc;
}

int cara_try_folder(const char *path, cara_error *err) {
    size_t size = strlen(path) + sizeof "/caracola";
    char *inside = malloc(size);
    if (!inside)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to try %s", path);
    snprintf(inside, size, "%s/caracola", path);
    cara_atomic_file file;
    int rc = cara_atomic_begin(&file, inside, 0600, err);
    if (!rc)
        rc = cara_atomic_put(&file, 0, "", 1, err);
    cara_atomic_abort(&file);
    free(inside);
    if (rc)
        cara_error_prefix(err, "folder %s cannot be written into", path);
    return rc;
}

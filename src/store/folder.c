/* A store in a folder.
 *
 * Writing: the bytes go to `NAME.<pid>-<number>.tmp` in the same folder, are fsynced, and then get
 * their name in one step: by link() where the name must be free (link refuses an existing one, and
 * one of two writers wins), by rename() where it is replaced. Then the folder is fsynced.
 *
 * A writer holds a flock() on its temporary file, and the system drops the lock when the process
 * ends. So a *.tmp that can be locked has no writer: the first write into a folder removes those. A
 * writer whose file is removed between creating and locking it starts again.
 *
 * A claim is a flock() on the object itself. Replacing the object under a claim locks the new file
 * before it gets the name, so the claim has no gap. A process that waited for the old file sees
 * that the name now belongs to another file, and tries again. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* flock, renameat2 */
#endif
#include "base/files/file.h"
#include "store/store_backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_TRIES 16
#define CLEANED 16 /* folders remembered as cleaned; with more, some are cleaned twice */

typedef struct folder {
    cara_store base;
    int root;   /* descriptor of the folder */
    char *path; /* for error texts */
    char cleaned[CLEANED][11];
    unsigned n_cleaned;
} folder;

typedef struct claim {
    cara_store_claim base;
    int fd; /* the locked object */
    char key[CARA_STORE_KEY_MAX + 1];
} claim;

/* The errors of a folder become STORE: the caller can only try again later. */
static int store_fail(cara_error *err, const folder *f, const char *what, const char *key) {
    cara_error system = {0};
    int code = cara_fail_errno(&system, "cannot %s %s/%s", what, f->path, key);
    return cara_fail(err, code == CARA_ERR_MEMORY ? CARA_ERR_MEMORY : CARA_ERR_STORE, -1, "%s",
                     system.text);
}

static const char *name_of(const char *key) {
    return key + 11; /* both "YYYY-MM-DD" and "quarantine" have ten characters */
}

static void remove_leftovers(folder *f, int dir, const char *day) {
    for (unsigned i = 0; i < CLEANED; i++)
        if (strcmp(f->cleaned[i], day) == 0)
            return;
    memcpy(f->cleaned[f->n_cleaned++ % CLEANED], day, 11);
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (!list) {
        if (copy >= 0)
            close(copy);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(list))) {
        size_t n = strlen(entry->d_name);
        if (n < 5 || strcmp(entry->d_name + n - 4, ".tmp") != 0)
            continue;
        int fd = openat(dir, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dir, entry->d_name, 0);
        close(fd);
    }
    closedir(list);
}

/* Opens the key's folder, which is made where `make` says so. Returns a descriptor or -1 (errno).
 */
static int open_day(folder *f, const char *key, int make) {
    char day[11];
    memcpy(day, key, 10);
    day[10] = 0;
    int dir = openat(f->root, day, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 && errno == ENOENT && make) {
        if (mkdirat(f->root, day, 0700) != 0 && errno != EEXIST)
            return -1;
        if (fsync(f->root) != 0)
            return -1;
        dir = openat(f->root, day, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (dir >= 0 && make)
        remove_leftovers(f, dir, day);
    return dir;
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

/* Gives the temporary file its name. Returns 0, or -1 with errno (EEXIST: the name is taken). */
static int link_name(int dir, const char *temporary, const char *name, int if_absent) {
    if (!if_absent)
        return renameat(dir, temporary, dir, name);
    if (linkat(dir, temporary, dir, name, 0) == 0) {
        unlinkat(dir, temporary, 0);
        return 0;
    }
    /* File systems without hard links. */
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK)
        return renameat2(dir, temporary, dir, name, RENAME_NOREPLACE);
    return -1;
}

/* Writes bytes under `name` in `dir`. Returns the descriptor of the new object, locked, or -1 with
 * errno. No temporary file is left. */
static int write_object(int dir, const char *name, const void *bytes, size_t n, int if_absent) {
    static atomic_uint serial;
    char temporary[CARA_STORE_KEY_MAX + 48];
    for (int try = 0; try < MAX_TRIES; try++) {
        /* The clock is in the name because process ids come back, in containers at once. */
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(temporary, sizeof temporary, "%s.%ld-%lx%x.tmp", name, (long)getpid(),
                 (unsigned long)now.tv_nsec, atomic_fetch_add(&serial, 1) & 0xffffu);
        int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return -1;
        /* Without locks (some network file systems) no leftovers are removed either. */
        (void)flock(fd, LOCK_EX);
        if (write_all(fd, bytes, n) == 0 && fsync(fd) == 0 &&
            link_name(dir, temporary, name, if_absent) == 0) {
            if (fsync(dir) == 0)
                return fd;
            close(fd);
            return -1;
        }
        int saved = errno;
        unlinkat(dir, temporary, 0);
        close(fd);
        errno = saved;
        if (errno != ENOENT) /* ENOENT: removed before it was locked */
            return -1;
    }
    errno = EBUSY;
    return -1;
}

static int folder_put(cara_store *store, const char *key, const void *bytes, size_t n,
                      int if_absent, cara_error *err) {
    folder *f = (folder *)store;
    int dir = open_day(f, key, 1);
    if (dir < 0)
        return store_fail(err, f, "make the folder of", key);
    int rc = CARA_OK;
    /* The cheap check first: most conflicts are redeliveries. */
    if (if_absent && faccessat(dir, name_of(key), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        /* Its writer may have ended before its fsync of the folder; a kept object must last. */
        (void)fsync(dir);
        rc = cara_fail(err, CARA_ERR_CONFLICT, -1, "%s is there already", key);
    } else {
        int fd = write_object(dir, name_of(key), bytes, n, if_absent);
        if (fd >= 0)
            close(fd);
        else if (errno == EEXIST)
            rc = cara_fail(err, CARA_ERR_CONFLICT, -1, "%s is there already", key);
        else
            rc = store_fail(err, f, "write", key);
    }
    close(dir);
    return rc;
}

/* Opens the object for reading. A missing day is a missing object. */
static int open_object(folder *f, const char *key, int *fd, cara_error *err) {
    *fd = -1;
    int dir = open_day(f, key, 0);
    if (dir >= 0) {
        *fd = openat(dir, name_of(key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        int saved = errno;
        close(dir);
        errno = saved;
    }
    if (*fd >= 0)
        return CARA_OK;
    if (errno == ENOENT)
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1, "%s is not in the store", key);
    return store_fail(err, f, "open", key);
}

static int folder_get(cara_store *store, const char *key, size_t limit, char **bytes, size_t *n,
                      cara_error *err) {
    folder *f = (folder *)store;
    int fd;
    int rc = open_object(f, key, &fd, err);
    if (rc)
        return rc;
    rc = cara_read_fd(fd, key, limit, bytes, n, err);
    close(fd);
    if (rc && rc != CARA_ERR_MEMORY && rc != CARA_ERR_LIMIT) {
        if (err)
            err->code = CARA_ERR_STORE;
        rc = CARA_ERR_STORE;
    }
    return rc;
}

/* 1 where the object of that key is the file that `fd` has open. */
static int is_current(folder *f, const char *key, int fd) {
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && fstatat(f->root, key, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

static int folder_claim_take(cara_store *store, const char *key, cara_store_claim **out,
                             cara_error *err) {
    folder *f = (folder *)store;
    for (;;) {
        int fd;
        int rc = open_object(f, key, &fd, err);
        if (rc)
            return rc;
        if (flock(fd, LOCK_EX) != 0 && errno != ENOLCK && errno != EOPNOTSUPP) {
            rc = errno == EINTR ? cara_fail(err, CARA_ERR_CANCELLED, -1,
                                            "interrupted while another process handles %s", key)
                                : store_fail(err, f, "lock", key);
            close(fd);
            return rc;
        }
        if (!is_current(f, key, fd)) { /* completed while we waited: another file, another lock */
            close(fd);
            continue;
        }
        claim *c = calloc(1, sizeof *c);
        if (!c) {
            close(fd);
            return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to handle %s", key);
        }
        c->base.store = store;
        c->fd = fd;
        snprintf(c->key, sizeof c->key, "%s", key);
        *out = &c->base;
        return CARA_OK;
    }
}

static int folder_claim_put(cara_store_claim *base, const void *bytes, size_t n, cara_error *err) {
    claim *c = (claim *)base;
    folder *f = (folder *)base->store;
    if (!is_current(f, c->key, c->fd))
        return cara_fail(err, CARA_ERR_CONFLICT, -1, "%s was replaced by another process", c->key);
    int dir = open_day(f, c->key, 1);
    if (dir < 0)
        return store_fail(err, f, "make the folder of", c->key);
    int fd = write_object(dir, name_of(c->key), bytes, n, 0);
    int rc = fd < 0 ? store_fail(err, f, "write", c->key) : CARA_OK;
    close(dir);
    if (fd >= 0) {
        close(c->fd);
        c->fd = fd;
    }
    return rc;
}

static void folder_claim_release(cara_store_claim *base) {
    claim *c = (claim *)base;
    close(c->fd);
    free(c);
}

static void folder_close(cara_store *store) {
    folder *f = (folder *)store;
    close(f->root);
    free(f->path);
    free(f);
}

int cara_store_open_folder(const char *path, cara_store **out, cara_error *err) {
    static const cara_store_ops ops = {
        .put = folder_put,
        .get = folder_get,
        .claim_take = folder_claim_take,
        .claim_put = folder_claim_put,
        .claim_release = folder_claim_release,
        .close = folder_close,
    };
    *out = NULL;
    int rc = cara_make_dirs(path, 0700, err);
    if (rc)
        return rc;
    folder *f = calloc(1, sizeof *f);
    if (!f)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to open the store %s", path);
    f->base.ops = &ops;
    f->path = strdup(path);
    f->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!f->path || f->root < 0) {
        rc = f->path ? cara_fail_errno(err, "cannot open the store %s", path)
                     : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to open the store %s", path);
        if (f->root >= 0)
            close(f->root);
        free(f->path);
        free(f);
        return rc;
    }
    *out = &f->base;
    return CARA_OK;
}

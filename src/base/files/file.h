/* Files: mapped, read whole up to a limit, or written so that a reader sees all or nothing. */
#ifndef BASE_FILES_FILE_H
#define BASE_FILES_FILE_H

#include "base/error.h"
#include "base/slice.h"

typedef struct cara_mapping {
    const uint8_t *data; /* [size]; NULL for an empty file */
    size_t size;
} cara_mapping;

/* Maps a regular file read-only. Close with cara_unmap(). NOT_FOUND, IO. */
int cara_map_file(const char *path, cara_mapping *out, cara_error *err);
void cara_unmap(cara_mapping *mapping);
/* Releases the pages that were read; reading them again loads them again. */
void cara_mapping_release(const cara_mapping *mapping);

/* Reads a descriptor to its end; *out is malloc'd (NUL-terminated beyond *n) and the caller's.
 * More than `limit` bytes is LIMIT. `name` is for the error's text. */
int cara_read_fd(int fd, const char *name, size_t limit, char **out, size_t *n, cara_error *err);
/* The same by path. */
int cara_read_file(const char *path, size_t limit, char **out, size_t *n, cara_error *err);

/* Writes a temporary file in the same folder, fsyncs, gives it the name `path`, fsyncs the folder.
 * The temporary is `<path>.<pid>-<serial>.tmp`, less the end of a name of more than 100 bytes.
 * `mode` is less umask. Without `replace`, a file that is there already is left alone: CONFLICT. IO
 * on failure, and then no temporary is left. */
int cara_write_file_atomic(const char *path, const void *bytes, size_t n, unsigned mode,
                           int replace, cara_error *err);

/* The same piece by piece, for files too large for memory: a temporary file that takes the name
 * only when it is whole. */
typedef struct cara_atomic_file {
    int fd; /* -1 once it has ended */
    char *path, *temporary;
} cara_atomic_file;

/* `mode` is less umask. On failure there is nothing to end. IO, NOT_FOUND, MEMORY. */
int cara_atomic_begin(cara_atomic_file *file, const char *path, unsigned mode, cara_error *err);
/* Writes at any offset, in any order. IO. */
int cara_atomic_put(cara_atomic_file *file, int64_t offset, const void *bytes, size_t n,
                    cara_error *err);
/* fsyncs and takes the name; ends the file on success and on failure. Without `replace`, a file
 * that is there already is left alone: CONFLICT. IO. */
int cara_atomic_commit(cara_atomic_file *file, int replace, cara_error *err);
/* Removes the temporary file; nothing happens after a commit. */
void cara_atomic_abort(cara_atomic_file *file);

/* Makes a folder and those above it, where they are missing; `mode` is less umask. IO. */
int cara_make_dirs(const char *path, unsigned mode, cara_error *err);
/* Whether files can be made in a folder and have room there: tries it with one of a byte. IO. */
int cara_try_folder(const char *path, cara_error *err);

/* fsyncs a folder, so that names in it survive a crash. */
int cara_sync_dir(const char *path, cara_error *err);

#endif

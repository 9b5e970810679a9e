/* Reading what need not be a file: pipes, terminals, devices. While nothing comes, the caller is
 * asked whether to wait any longer. */
#ifndef BASE_FILES_STREAM_H
#define BASE_FILES_STREAM_H

#include "base/error.h"
#include "base/memory/buf.h"

/* `stop` is asked some ten times a second while nothing comes; non-zero ends the reading. */
typedef struct cara_stop {
    int (*stop)(void *cookie);
    void *cookie;
} cara_stop;

/* Opens what is there for reading; the descriptor is the caller's to close. A named pipe is opened
 * without its writer, which cara_stream_read() waits for. A folder is refused. NOT_FOUND, IO. */
int cara_stream_open(const char *path, int *fd, cara_error *err);

/* Appends to `into` what comes, until it holds `most` bytes or the input ends; *ended says which.
 * `name` is for the error's text. IO, MEMORY, CANCELLED where it was stopped. */
int cara_stream_read(int fd, const char *name, size_t most, const cara_stop *stop, cara_buf *into,
                     int *ended, cara_error *err);

/* Reads to the end; *out is malloc'd (NUL-terminated beyond *n) and the caller's. More than `limit`
 * bytes is LIMIT, with the limit as its position. `stop` may be NULL. */
int cara_stream_read_all(int fd, const char *name, size_t limit, const cara_stop *stop, char **out,
                         size_t *n, cara_error *err);

/* The same by path, "-" for standard input; but of what is larger, the first `limit` + 1 bytes are
 * read, and the caller sees that *n is above the limit. */
int cara_read_input(const char *path, size_t limit, const cara_stop *stop, char **out, size_t *n,
                    cara_error *err);

#endif

/* A mapped file is brought into memory in its order by a thread of its own, ahead of the threads
 * that compute with it, so that these wait less for the disk. */
#ifndef BASE_FILES_READ_AHEAD_H
#define BASE_FILES_READ_AHEAD_H

#include <stddef.h>

typedef struct cara_read_ahead cara_read_ahead;

/* For `data` [size], mapped and to stay so until cara_read_ahead_free(). Nothing is read yet. NULL
 * on no memory: then nothing is read ahead, and all else works. */
cara_read_ahead *cara_read_ahead_new(const void *data, size_t size);

/* Begins, unless it has begun already; from any thread. Uses page cache only, which the system
 * reclaims when it needs memory. NULL is allowed. */
void cara_read_ahead_start(cara_read_ahead *ahead);

/* Stops, within one piece, and frees. NULL is allowed. */
void cara_read_ahead_free(cara_read_ahead *ahead);

#endif

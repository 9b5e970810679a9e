/* A mapped file is brought into memory in its order by a thread of its own, ahead of those that
 * compute with it: they then wait for the disk as little as may be. */
#ifndef BASE_READ_AHEAD_H
#define BASE_READ_AHEAD_H

#include <stddef.h>

typedef struct cara_read_ahead cara_read_ahead;

/* For `data` [size], mapped and to stay so until cara_read_ahead_free(). Nothing is read yet. NULL
 * on no memory: reading ahead is a favour, and without it all works as before. */
cara_read_ahead *cara_read_ahead_new(const void *data, size_t size);

/* Begins, where that was not done yet; from any thread. Takes nothing but page cache, which the
 * system takes back when it needs it. NULL is allowed. */
void cara_read_ahead_start(cara_read_ahead *ahead);

/* Stops, within one piece, and frees. NULL is allowed. */
void cara_read_ahead_free(cara_read_ahead *ahead);

#endif

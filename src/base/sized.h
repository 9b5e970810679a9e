/* Public structs that can grow: their first member, `size_t struct_size`, says how large the
 * caller's is, so that a program works with a newer library without being compiled again. */
#ifndef BASE_SIZED_H
#define BASE_SIZED_H

#include "base/error.h"

#include <stddef.h>

/* Writes the defaults [n bytes] to a caller's struct of `size` bytes, and its struct_size. Members
 * beyond the defaults become zero. Nothing where `to` is NULL. */
void cara_sized_default(void *to, size_t size, const void *defaults, size_t n);

/* Copies a caller's struct over the defaults in `to` [n bytes]; NULL leaves these as they are.
 * USAGE where struct_size was not set, or is larger than n: the caller was compiled with the header
 * of a newer version. `name` is the struct's. */
int cara_sized_read(void *to, size_t n, const void *from, const char *name, cara_error *err);

#endif

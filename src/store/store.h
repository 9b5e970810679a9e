/* Keeping and finding records: one interface, a folder behind it (S3 comes with the cloud rooms).
 * Keys look like "2025-10-15/5215512345678-01-10-13-abcdefghijk.json". */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/error.h"

#include <stddef.h>

typedef struct cara_store cara_store;

/* 1 where the key matches (YYYY-MM-DD|quarantine)/[A-Za-z0-9._=-]+ and is no dot name; everything
 * else is refused before any I/O. */
int cara_store_key_is_valid(const char *key);

/* A folder, made where it is missing (its parent must be there). IO. On failure *out is NULL. */
int cara_store_open_folder(const char *path, cara_store **out, cara_error *err);
void cara_store_close(cara_store *store);

/* Atomic and durable. With `if_absent`, an object that is there already is CARA_ERR_CONFLICT and
 * stays as it is. USAGE for a bad key, else STORE. */
int cara_store_put(cara_store *store, const char *key, const void *bytes, size_t n, int if_absent,
                   cara_error *err);

/* *bytes is malloc'd and the caller's. NOT_FOUND; MEMORY where it is larger than `limit`. */
int cara_store_get(cara_store *store, const char *key, size_t limit, char **bytes, size_t *n,
                   cara_error *err);

/* CARA_OK where it is there, CARA_ERR_NOT_FOUND where not. */
int cara_store_exists(cara_store *store, const char *key, cara_error *err);

#endif

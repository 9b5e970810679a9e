/* The file of answers: a JSON object whose members are named as flags, {"region": "us-east-1",
 * "memory": 3008, "no-link": true}. No secret is ever in it. */
#ifndef CLI_SETUP_ANSWERS_H
#define CLI_SETUP_ANSWERS_H

#include "base/error.h"

#include <jansson.h>

/* *out is the caller's. USAGE: not such an object; NOT_FOUND, IO, MEMORY. */
int cara_answers_read(const char *path, json_t **out, cara_error *err);

/* Each member, its name with hyphens; `value` is NULL for true, and false is left out. Texts live
 * as long as `file`. Non-zero from `each` ends it and is returned. */
int cara_answers_each(json_t *file, int (*each)(void *ctx, const char *name, const char *value),
                      void *ctx);

/* 1 where `text` is one of the texts of `file`, which may be NULL. */
int cara_answers_own(const json_t *file, const char *text);

/* Adds a member to an object that is to be written; `value` NULL is true. 0, or -1 on no memory. */
int cara_answers_add(json_t *object, const char *name, const char *value);
/* Writes it. IO, MEMORY. */
int cara_answers_write(const char *path, const json_t *object, cara_error *err);

#endif

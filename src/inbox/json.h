/* JSON from strangers, and JSON for records: jansson with ceilings in front and a writer behind.
 *
 * Reading: nesting and the number of values are bounded before jansson allocates anything. What
 * jansson refuses although it is only a flaw in one value (ill-formed UTF-8, a lone surrogate, a
 * control byte in a string, a number too large) is repaired, because one bad message must not take
 * the others in its envelope with it; the caller is told and keeps the bytes as they came.
 *
 * Writing: jansson 2.14 prints reals with 17 digits (27.12 becomes 27.120000000000001), so records
 * are written here: shortest digits that read back equal, NaN and infinities as null. */
#ifndef INBOX_JSON_H
#define INBOX_JSON_H

#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

/* *out is the caller's reference. *repaired (may be NULL) is 1 where values had to be replaced.
 * Duplicate keys: the last one counts. Strings may hold NUL (JSON_ALLOW_NUL).
 * Errors: EVENT with the position for what is not JSON or exceeds a ceiling; MEMORY. */
int cara_json_parse(const char *bytes, size_t n, json_t **out, int *repaired, cara_error *err);

/* Appends `value` as UTF-8. `pretty`: one member a line, arrays of plain values on one line; else
 * all on one line. Returns 0, or -1 where the buffer's limit or memory ended. */
int cara_json_write(const json_t *value, int pretty, cara_buf *out);

/* The string behind `key`, or NULL where it is missing, no string, or holds a NUL (so that nobody
 * downstream works with half of it). Borrowed from `object`, which may be NULL. */
const char *cara_json_text(const json_t *object, const char *key);

#endif

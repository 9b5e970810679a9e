/* Reads and writes JSON, on jansson. Values are jansson's json_t; this room adds ceilings before
 * it, repair of damaged values, and a writer whose bytes are fixed. */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/error.h"
#include "base/limits.h"
#include "base/memory/buf.h"

#include <jansson.h>
#include <stddef.h>

/* What a reader accepts, chosen by the caller for where the text comes from. The ceilings are
 * checked on the bytes, before jansson allocates anything. */
typedef struct cara_json_rules {
    cara_code code;     /* returned for what is not JSON or exceeds a ceiling */
    size_t max_bytes;   /* of the text */
    size_t max_values;  /* arrays, objects, elements and members, counted by '[', '{' and ',' */
    size_t max_depth;   /* arrays and objects within each other; jansson reads 2048 at most */
    int repeated_names; /* 1: of members with one name the last counts; 0: an error */
} cara_json_rules;

/* Rules with our usual ceilings; a vocabulary of 52,000 entries has room in them. */
#define CARA_JSON_RULES(code, max_bytes)                                                           \
    { (code), (max_bytes), CARA_LIMIT_JSON_VALUES, CARA_LIMIT_JSON_DEPTH, 0 }

/* Reads `n` bytes of JSON, a byte order mark before it allowed. Any value may be outermost. Strings
 * may hold NUL, names of members may not.
 * On success *out is the caller's reference (json_decref); on failure NULL.
 * Errors: rules->code with the position; MEMORY. */
int cara_json_read(const char *bytes, size_t n, const cara_json_rules *rules, json_t **out,
                   cara_error *err);

/* The same for input where one damaged value must not cost the others, whatever the rules say of
 * repeated names. Replaced are: ill-formed
 * UTF-8, lone surrogates and NUL in names (by U+FFFD), control bytes in strings (by their escape)
 * and numbers that neither a long long nor a double holds (by a string of the same digits). Of
 * members with one name the last counts, as in Python and JavaScript. *repaired (may be NULL) is 1
 * where something was replaced or lost in this way: keep the bytes as received. */
int cara_json_read_repaired(const char *bytes, size_t n, const cara_json_rules *rules, json_t **out,
                            int *repaired, cara_error *err);

typedef enum cara_json_style {
    CARA_JSON_COMPACT,  /* no white space */
    CARA_JSON_INDENTED, /* one member a line, arrays of plain values on one line: records */
    CARA_JSON_PYTHON,   /* as json.dump(ensure_ascii=False) writes: transcripts */
    CARA_JSON_SPREAD,   /* one member or element a line, as jansson's JSON_INDENT(2) */
} cara_json_style;

/* Appends `value` as UTF-8 without a newline at the end. Reals have the fewest digits that read
 * back as the same double (jansson 2.14 writes 27.12 as 27.120000000000001): as Python's repr() in
 * style PYTHON, else at least 15 significant ones as C's %g; in style SPREAD they are jansson's.
 * Nesting is the caller's to bound.
 * Returns 0, or -1 where the buffer's limit or memory ended, or `value` is NULL because it could
 * not be built. */
int cara_json_write(const json_t *value, cara_json_style style, cara_buf *out);

/* The string behind `key`, or NULL where it is missing, is no string, or holds a NUL (so that no
 * caller works with half of it). Borrowed from `object`, which may be NULL. */
const char *cara_json_text(const json_t *object, const char *key);

/* The same, with `otherwise` in place of NULL. */
const char *cara_json_text_or(const json_t *object, const char *key, const char *otherwise);

/* A new string of any bytes, ill-formed UTF-8 replaced by U+FFFD (jansson refuses it: a sentence
 * cut at a byte limit may end inside a character). NULL where there is no memory. */
json_t *cara_json_string(const void *bytes, size_t n);

/* A new real, or null for NaN and infinities, which JSON lacks. NULL where there is no memory. */
json_t *cara_json_real(double value);

#endif

#include "json/json.h"
#include "json/repair.h"

#include <stdint.h>
#include <string.h>

/* On the bytes: jansson itself would follow 2048 levels and spend some hundred bytes for every two
 * of "[],[],". */
static int check_ceilings(const char *s, size_t n, size_t from, const cara_json_rules *rules,
                          cara_error *err) {
    size_t depth = 0, values = 0;
    int in_string = 0;
    if (n > rules->max_bytes)
        return cara_fail(err, rules->code, (int64_t)rules->max_bytes,
                         "JSON of %zu bytes, more than the %zu that are read", n, rules->max_bytes);
    for (size_t i = from; i < n; i++) {
        char c = s[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = 0;
            continue;
        }
        switch (c) {
        case '"':
            in_string = 1;
            break;
        case '[':
        case '{':
            values++;
            if (++depth > rules->max_depth)
                return cara_fail(err, rules->code, (int64_t)i,
                                 "JSON nested deeper than %zu levels at byte %zu", rules->max_depth,
                                 i);
            break;
        case ']':
        case '}':
            if (depth)
                depth--;
            break;
        case ',':
            values++;
            break;
        default:
            break;
        }
        if (values > rules->max_values)
            return cara_fail(err, rules->code, (int64_t)i, "JSON with more than %zu values",
                             rules->max_values);
    }
    return CARA_OK;
}

static int no_memory(size_t n, cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read %zu bytes of JSON", n);
}

static const char *what_is_wrong(enum json_error_code code) {
    switch (code) {
    case json_error_premature_end_of_input:
        return "it ends in the middle";
    case json_error_duplicate_key:
        return "the second member of that name";
    case json_error_invalid_utf8:
        return "not UTF-8";
    case json_error_numeric_overflow:
        return "a number too large";
    case json_error_null_byte_in_key:
        return "a name with a NUL";
    default:
        return "a syntax error";
    }
}

/* bytes[from..n); errors count positions from bytes[0]. *repeats (may be NULL) is 1 where the error
 * is a name that an object has twice. */
static int load(const char *bytes, size_t n, size_t from, size_t flags,
                const cara_json_rules *rules, json_t **out, int *repeats, cara_error *err) {
    json_error_t error;
    memset(&error, 0, sizeof error); /* its last byte holds the code, and may stay unset */
    /* Any value may be outermost: "not an event" says more about a bare string than "not JSON". */
    *out = json_loadb(n > from ? bytes + from : "", n - from,
                      flags | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (*out)
        return CARA_OK;
    /* jansson does not always say that there was no memory. */
    enum json_error_code code = json_error_code(&error);
    if (code == json_error_out_of_memory || !error.text[0])
        return no_memory(n, err);
    if (repeats)
        *repeats = code == json_error_duplicate_key;
    int64_t at = (int64_t)from + error.position;
    return cara_fail(err, rules->code, at, "not JSON: byte %lld: %s", (long long)at,
                     what_is_wrong(code));
}

/* Bytes of a byte order mark. */
static size_t bom_size(const char *bytes, size_t n) {
    return n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

int cara_json_read(const char *bytes, size_t n, const cara_json_rules *rules, json_t **out,
                   cara_error *err) {
    *out = NULL;
    size_t from = bom_size(bytes, n);
    int rc = check_ceilings(bytes, n, from, rules, err);
    return rc ? rc
              : load(bytes, n, from, rules->repeated_names ? 0 : JSON_REJECT_DUPLICATES, rules, out,
                     NULL, err);
}

int cara_json_read_repaired(const char *bytes, size_t n, const cara_json_rules *rules, json_t **out,
                            int *repaired, cara_error *err) {
    *out = NULL;
    if (repaired)
        *repaired = 0;
    size_t from = bom_size(bytes, n);
    int rc = check_ceilings(bytes, n, from, rules, err);
    if (rc)
        return rc;
    cara_error first = {.code = CARA_OK, .position = -1};
    int repeats = 0;
    rc = load(bytes, n, from, JSON_REJECT_DUPLICATES, rules, out, &repeats, &first);
    if (repeats)
        rc = load(bytes, n, from, 0, rules, out, NULL, &first);
    if (!rc) {
        if (repaired)
            *repaired = repeats;
        return CARA_OK;
    }
    cara_buf text;
    cara_buf_init(&text, n <= (SIZE_MAX - 16) / 8 ? 8 * n + 16 : n);
    if (rc != CARA_ERR_MEMORY)
        cara_json_repair(bytes + from, n - from, &text);
    if (text.failed) {
        rc = no_memory(n, &first);
    } else if (text.len && (text.len != n - from || memcmp(text.data, bytes + from, text.len))) {
        int second = load(text.data, text.len, 0, 0, rules, out, NULL, NULL);
        if (second == CARA_OK || second == CARA_ERR_MEMORY)
            rc = second ? no_memory(n, &first) : CARA_OK;
        /* else the first error names the right byte */
        if (!rc && repaired)
            *repaired = 1;
    }
    if (rc && err)
        *err = first;
    cara_buf_free(&text);
    return rc;
}

#include "inbox/json.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ceilings are checked on the raw bytes: jansson itself would follow 2048 levels and spend some
 * hundred bytes for every two of "[],[],". */
static int check_ceilings(const char *s, size_t n, cara_error *err) {
    size_t depth = 0, values = 0;
    int in_string = 0;
    for (size_t i = 0; i < n; i++) {
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
            if (++depth > CARA_LIMIT_JSON_DEPTH)
                return cara_fail(err, CARA_ERR_EVENT, (int64_t)i,
                                 "JSON nested deeper than %d levels at byte %zu",
                                 CARA_LIMIT_JSON_DEPTH, i);
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
        if (values > CARA_LIMIT_JSON_VALUES)
            return cara_fail(err, CARA_ERR_EVENT, (int64_t)i, "JSON with more than %d values",
                             CARA_LIMIT_JSON_VALUES);
    }
    return CARA_OK;
}

/* The value of four hex digits at s, or -1. */
static int hex4(const char *s, size_t n) {
    if (n < 4)
        return -1;
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* One escape at s (s[0] is the backslash); returns how many bytes of it are done with. */
static size_t repair_escape(const char *s, size_t n, cara_buf *out) {
    int unit = n >= 6 && s[1] == 'u' ? hex4(s + 2, n - 2) : -1;
    if (unit < 0) {
        size_t take = n < 2 ? n : 2;
        cara_buf_add(out, s, take);
        return take;
    }
    if (unit >= 0xD800 && unit < 0xDC00 && n >= 12 && s[6] == '\\' && s[7] == 'u') {
        int low = hex4(s + 8, n - 8);
        if (low >= 0xDC00 && low < 0xE000) {
            cara_buf_add(out, s, 12);
            return 12;
        }
    }
    if (unit == 0 || (unit >= 0xD800 && unit < 0xE000))
        cara_buf_str(out, "\\ufffd"); /* NUL too: jansson takes it in values but not in keys */
    else
        cara_buf_add(out, s, 6);
    return 6;
}

/* A number that no long long and no double holds becomes a string with the same digits. */
static size_t repair_number(const char *s, size_t n, cara_buf *out) {
    size_t len = 0;
    int real = 0;
    while (len < n && (strchr("+-.eE", s[len]) || (s[len] >= '0' && s[len] <= '9')) && s[len]) {
        real |= s[len] == '.' || s[len] == 'e' || s[len] == 'E';
        len++;
    }
    char copy[400];
    int fits = 0;
    if (len < sizeof copy) {
        memcpy(copy, s, len);
        copy[len] = 0;
        errno = 0;
        if (real) {
            fits = isfinite(strtod(copy, NULL)) != 0;
        } else {
            (void)strtoll(copy, NULL, 10);
            fits = errno == 0;
        }
    }
    if (!fits)
        cara_buf_char(out, '"');
    cara_buf_add(out, s, len);
    if (!fits)
        cara_buf_char(out, '"');
    return len;
}

static void repair(const char *s, size_t n, cara_buf *out) {
    int in_string = 0;
    for (size_t i = 0; i < n && !out->failed;) {
        unsigned char c = (unsigned char)s[i];
        if (!in_string) {
            if (c == '-' || (c >= '0' && c <= '9')) {
                i += repair_number(s + i, n - i, out);
                continue;
            }
            in_string = c == '"';
            cara_buf_char(out, s[i++]);
        } else if (c == '\\') {
            i += repair_escape(s + i, n - i, out);
        } else if (c == '"') {
            in_string = 0;
            cara_buf_char(out, s[i++]);
        } else if (c < 0x20) {
            cara_buf_printf(out, "\\u%04x", c ? c : 0xfffdu);
            i++;
        } else {
            uint32_t code_point;
            size_t skip = 0;
            int len = cara_utf8_decode((const uint8_t *)s + i, n - i, &code_point, &skip);
            if (len > 0)
                cara_buf_add(out, s + i, (size_t)len);
            else
                cara_buf_str(out, "\xEF\xBF\xBD");
            i += len > 0 ? (size_t)len : skip ? skip : 1;
        }
    }
}

static int load(const char *bytes, size_t n, json_t **out, cara_error *err) {
    json_error_t error;
    /* DECODE_ANY, because a bare string or number is better told "not an envelope" than "not JSON".
     */
    *out = json_loadb(bytes, n, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (*out)
        return CARA_OK;
    if (json_error_code(&error) == json_error_out_of_memory || !error.text[0])
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read %zu bytes of JSON", n);
    return cara_fail(err, CARA_ERR_EVENT, error.position, "not JSON: byte %d: %s", error.position,
                     json_error_code(&error) == json_error_premature_end_of_input
                         ? "it ends in the middle"
                         : "a syntax error");
}

int cara_json_parse(const char *bytes, size_t n, json_t **out, int *repaired, cara_error *err) {
    *out = NULL;
    if (repaired)
        *repaired = 0;
    if (n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark */
        bytes += 3;
        n -= 3;
    }
    int rc = check_ceilings(bytes, n, err);
    if (rc)
        return rc;
    rc = load(bytes, n, out, err);
    if (rc != CARA_ERR_EVENT)
        return rc;
    cara_buf text;
    cara_buf_init(&text, n <= (SIZE_MAX - 16) / 8 ? 8 * n + 16 : n);
    repair(bytes, n, &text);
    if (text.failed)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read %zu bytes of JSON", n);
    else if (text.len != n || (n && memcmp(text.data, bytes, n) != 0)) {
        int again = load(text.data, text.len, out, NULL);
        if (again == CARA_OK) {
            rc = CARA_OK;
            if (repaired)
                *repaired = 1;
        } else if (again == CARA_ERR_MEMORY) {
            rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read %zu bytes of JSON", n);
        }
    }
    cara_buf_free(&text);
    return rc;
}

static void write_string(const char *s, size_t n, cara_buf *out) {
    cara_buf_char(out, '"');
    size_t from = 0; /* plain bytes are appended in runs */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        cara_buf_add(out, s + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\')
            cara_buf_printf(out, "\\%c", c);
        else if (c == '\n')
            cara_buf_str(out, "\\n");
        else if (c == '\t')
            cara_buf_str(out, "\\t");
        else if (c == '\r')
            cara_buf_str(out, "\\r");
        else
            cara_buf_printf(out, "\\u%04x", c);
    }
    cara_buf_add(out, s + from, n - from);
    cara_buf_char(out, '"');
}

static void write_real(double v, cara_buf *out) {
    if (!isfinite(v)) {
        cara_buf_str(out, "null");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    char *comma = strchr(text, ','); /* where the program runs in such a locale */
    if (comma)
        *comma = '.';
    cara_buf_str(out, text);
    if (!strpbrk(text, ".e"))
        cara_buf_str(out, ".0"); /* a real stays a real */
}

static int is_plain(const json_t *value) {
    return !json_is_object(value) && !json_is_array(value);
}

static void new_line(int pretty, int level, cara_buf *out) {
    if (!pretty)
        return;
    cara_buf_char(out, '\n');
    for (int i = 0; i < level; i++)
        cara_buf_char(out, ' ');
}

/* Recursion is bounded: what we write was parsed under CARA_LIMIT_JSON_DEPTH or built by us. */
static void write_value(const json_t *value, int pretty, int level, cara_buf *out) {
    if (out->failed)
        return;
    switch (json_typeof(value)) {
    case JSON_OBJECT: {
        const char *key;
        size_t key_len;
        json_t *member;
        int first = 1;
        cara_buf_char(out, '{');
        json_object_keylen_foreach((json_t *)(uintptr_t)value, key, key_len, member) {
            if (!first)
                cara_buf_char(out, ',');
            first = 0;
            new_line(pretty, level + 1, out);
            write_string(key, key_len, out);
            cara_buf_str(out, pretty ? ": " : ":");
            write_value(member, pretty, level + 1, out);
        }
        if (!first)
            new_line(pretty, level, out);
        cara_buf_char(out, '}');
        break;
    }
    case JSON_ARRAY: {
        size_t n = json_array_size(value);
        int lines = 0; /* an element that is no plain value puts each on its own line */
        for (size_t i = 0; i < n && !lines; i++)
            lines = !is_plain(json_array_get(value, i));
        cara_buf_char(out, '[');
        for (size_t i = 0; i < n; i++) {
            if (i)
                cara_buf_str(out, pretty && !lines ? ", " : ",");
            if (lines)
                new_line(pretty, level + 1, out);
            write_value(json_array_get(value, i), pretty, level + 1, out);
        }
        if (lines)
            new_line(pretty, level, out);
        cara_buf_char(out, ']');
        break;
    }
    case JSON_STRING:
        write_string(json_string_value(value), json_string_length(value), out);
        break;
    case JSON_INTEGER:
        cara_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        write_real(json_real_value(value), out);
        break;
    case JSON_TRUE:
        cara_buf_str(out, "true");
        break;
    case JSON_FALSE:
        cara_buf_str(out, "false");
        break;
    case JSON_NULL:
        cara_buf_str(out, "null");
        break;
    }
}

int cara_json_write(const json_t *value, int pretty, cara_buf *out) {
    write_value(value, pretty, 0, out);
    return out->failed ? -1 : 0;
}

const char *cara_json_text(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    return text && strlen(text) == json_string_length(value) ? text : NULL;
}

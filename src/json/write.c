#include "json/json.h"
#include "json/number.h"

#include <stdint.h>
#include <stdio.h>

/* How `c` is escaped, or NULL where it is written as it is; `code` holds what is not constant. */
static const char *escape_of(unsigned char c, cara_json_style style, char code[8]) {
    int python = style == CARA_JSON_PYTHON;
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        break;
    }
    if (python && c == '\b')
        return "\\b";
    if (python && c == '\f')
        return "\\f";
    if (c >= 0x20 && (python || c != 0x7f))
        return NULL;
    snprintf(code, 8, "\\u%04x", c);
    return code;
}

static void write_string(const char *s, size_t n, cara_json_style style, cara_buf *out) {
    char code[8];
    cara_buf_char(out, '"');
    size_t from = 0; /* plain bytes are appended in runs */
    for (size_t i = 0; i < n; i++) {
        const char *escape = escape_of((unsigned char)s[i], style, code);
        if (!escape)
            continue;
        cara_buf_add(out, s + from, i - from);
        cara_buf_str(out, escape);
        from = i + 1;
    }
    cara_buf_add(out, s + from, n - from);
    cara_buf_char(out, '"');
}

static int is_plain(const json_t *value) {
    return !json_is_object(value) && !json_is_array(value);
}

/* Style INDENTED: one blank a level. */
static void new_line(int level, cara_buf *out) {
    cara_buf_char(out, '\n');
    for (int i = 0; i < level; i++)
        cara_buf_char(out, ' ');
}

static void write_value(const json_t *value, cara_json_style style, int level, cara_buf *out);

static void write_object(const json_t *value, cara_json_style style, int level, cara_buf *out) {
    const char *key;
    size_t key_len;
    json_t *member;
    int lines = style == CARA_JSON_INDENTED, first = 1;
    cara_buf_char(out, '{');
    json_object_keylen_foreach((json_t *)(uintptr_t)value, key, key_len, member) {
        if (!first)
            cara_buf_str(out, style == CARA_JSON_PYTHON ? ", " : ",");
        first = 0;
        if (lines)
            new_line(level + 1, out);
        write_string(key, key_len, style, out);
        cara_buf_str(out, style == CARA_JSON_COMPACT ? ":" : ": ");
        write_value(member, style, level + 1, out);
    }
    if (lines && !first)
        new_line(level, out);
    cara_buf_char(out, '}');
}

static void write_array(const json_t *value, cara_json_style style, int level, cara_buf *out) {
    size_t n = json_array_size(value);
    int lines = 0; /* INDENTED: an element that is no plain value puts each on its own line */
    for (size_t i = 0; i < n && !lines && style == CARA_JSON_INDENTED; i++)
        lines = !is_plain(json_array_get(value, i));
    cara_buf_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            cara_buf_str(out, lines || style == CARA_JSON_COMPACT ? "," : ", ");
        if (lines)
            new_line(level + 1, out);
        write_value(json_array_get(value, i), style, level + 1, out);
    }
    if (lines)
        new_line(level, out);
    cara_buf_char(out, ']');
}

static void write_value(const json_t *value, cara_json_style style, int level, cara_buf *out) {
    if (out->failed)
        return;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(value, style, level, out);
        break;
    case JSON_ARRAY:
        write_array(value, style, level, out);
        break;
    case JSON_STRING:
        write_string(json_string_value(value), json_string_length(value), style, out);
        break;
    case JSON_INTEGER:
        cara_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        cara_json_write_real(json_real_value(value), style, out);
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

static int on_piece(const char *bytes, size_t n, void *out) {
    return cara_buf_add(out, bytes, n);
}

int cara_json_write(const json_t *value, cara_json_style style, cara_buf *out) {
    if (value && style == CARA_JSON_SPREAD) {
        if (json_dump_callback(value, on_piece, out, JSON_INDENT(2) | JSON_ENCODE_ANY))
            out->failed = 1;
    } else if (value)
        write_value(value, style, 0, out);
    else
        out->failed = 1;
    return out->failed ? -1 : 0;
}

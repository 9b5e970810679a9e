/* Text that jansson refuses for a damaged value: such values are replaced, all else is kept. */
#include "json/repair.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

void cara_json_repair(const char *s, size_t n, cara_buf *out) {
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

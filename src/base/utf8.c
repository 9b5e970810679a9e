#include "base/utf8.h"

#include <string.h>

int cara_utf8_decode(const uint8_t *s, size_t n, uint32_t *code_point, size_t *skip) {
    uint8_t b = s[0];
    *skip = 1;
    if (b < 0x80) {
        *code_point = b;
        return 1;
    }
    int len = b >= 0xC2 && b <= 0xDF   ? 2
              : b >= 0xE0 && b <= 0xEF ? 3
              : b >= 0xF0 && b <= 0xF4 ? 4
                                       : 0;
    if (!len)
        return 0;
    /* The second byte's range excludes overlong forms, surrogates and what is past U+10FFFF. */
    uint8_t low = b == 0xE0 ? 0xA0 : b == 0xF0 ? 0x90 : 0x80;
    uint8_t high = b == 0xED ? 0x9F : b == 0xF4 ? 0x8F : 0xBF;
    uint32_t c = b & (0x7Fu >> len);
    for (int i = 1; i < len; i++) {
        if ((size_t)i >= n || s[i] < low || s[i] > high) {
            *skip = (size_t)i;
            return 0;
        }
        c = c << 6 | (s[i] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    *code_point = c;
    *skip = (size_t)len;
    return len;
}

int cara_utf8_valid(const void *s, size_t n) {
    const uint8_t *p = s;
    while (n) {
        uint32_t c;
        size_t skip;
        if (!cara_utf8_decode(p, n, &c, &skip))
            return 0;
        p += skip;
        n -= skip;
    }
    return 1;
}

size_t cara_utf8_replace(const void *s, size_t n, char *dst) {
    const uint8_t *p = s;
    char *out = dst;
    while (n) {
        uint32_t c;
        size_t skip;
        if (cara_utf8_decode(p, n, &c, &skip)) {
            memcpy(out, p, skip);
            out += skip;
        } else {
            memcpy(out, "\xEF\xBF\xBD", 3);
            out += 3;
        }
        p += skip;
        n -= skip;
    }
    *out = 0;
    return (size_t)(out - dst);
}

/* str.isspace() of Python */
static int is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

cara_slice cara_utf8_strip(const void *s, size_t n) {
    const uint8_t *p = s;
    size_t start = n, end = 0; /* of the first and after the last character that is no space */
    for (size_t at = 0; at < n;) {
        uint32_t c;
        size_t skip;
        int space = cara_utf8_decode(p + at, n - at, &c, &skip) && is_space(c);
        if (!space) {
            if (start == n)
                start = at;
            end = at + skip;
        }
        at += skip;
    }
    return end ? cara_slice_of(p + start, end - start) : cara_slice_of(p, 0);
}

size_t cara_utf8_count(const void *s, size_t n) {
    const uint8_t *bytes = s;
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += (bytes[i] & 0xC0) != 0x80;
    return count;
}

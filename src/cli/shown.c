#define _XOPEN_SOURCE 700 /* wcwidth */

#include "cli/shown.h"

#include "base/utf8.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

/* Widths as the C library has them for UTF-8, whatever the user's locale: names of files are UTF-8.
 * Where the system has no such locale, only ASCII can be measured. */
typedef struct widths {
    locale_t utf8, before;
} widths;

static widths widths_begin(void) {
    widths w = {newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), (locale_t)0};
    if (w.utf8)
        w.before = uselocale(w.utf8);
    return w;
}

static void widths_end(widths w) {
    if (!w.utf8)
        return;
    uselocale(w.before);
    freelocale(w.utf8);
}

/* Marks that turn the direction of what follows, and other invisible ones. */
static int is_unsafe(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || c == 0x2028 ||
           c == 0x2029 || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f ||
           c == 0x61c || c == 0xfeff;
}

/* One character at s[0..n): its length, what is shown for it, and its columns. */
typedef struct shown_char {
    size_t length;
    const char *bytes;
    size_t n_bytes;
    int columns;
} shown_char;

static shown_char next_char(const char *s, size_t n) {
    uint32_t c = 0;
    size_t skip = 0;
    size_t length = (size_t)cara_utf8_decode((const uint8_t *)s, n, &c, &skip);
    if (!length)
        return (shown_char){skip, "?", 1, 1};
    int columns = c < 0x80 ? 1 : wcwidth((wchar_t)c);
    if (c == 0xfe0f) /* asks for the wide form of the character before */
        columns = 1;
    if (is_unsafe(c) || columns < 0)
        return (shown_char){length, "?", 1, 1};
    return (shown_char){length, s, length, columns};
}

/* From *at on as much as fits into `columns`, with the marks that combine with the last one. */
static int copy(const char *text, size_t len, size_t *at, int columns, char *dst, size_t size,
                size_t *n) {
    int used = 0;
    while (*at < len) {
        shown_char c = next_char(text + *at, len - *at);
        if (used + c.columns > columns || *n + c.n_bytes >= size)
            break;
        memcpy(dst + *n, c.bytes, c.n_bytes);
        *n += c.n_bytes;
        *at += c.length;
        used += c.columns;
    }
    dst[*n] = '\0';
    return used;
}

static int columns_of(const char *text, size_t len) {
    int columns = 0;
    for (size_t at = 0; at < len;) {
        shown_char c = next_char(text + at, len - at);
        at += c.length;
        columns += c.columns;
    }
    return columns;
}

int cara_cli_shown_within(const char *text, int columns, char *dst, size_t size) {
    size_t len = strlen(text), at = 0, n = 0;
    dst[0] = '\0';
    if (columns <= 0)
        return 0;
    widths w = widths_begin();
    int all = columns_of(text, len), used;
    if (all <= columns || columns < 8) {
        used = copy(text, len, &at, columns, dst, size, &n);
    } else {
        int head = (columns - 3) / 2;
        used = copy(text, len, &at, head, dst, size, &n);
        if (n + 3 < size) {
            memcpy(dst + n, "...", 4);
            n += 3;
            used += 3;
        }
        /* As much of the end as fits into the rest. */
        size_t end = at;
        for (int left = columns_of(text + end, len - end); end < len && left > columns - used;) {
            shown_char c = next_char(text + end, len - end);
            end += c.length;
            left -= c.columns;
        }
        while (end < len && next_char(text + end, len - end).columns == 0)
            end += next_char(text + end, len - end).length; /* without what they combined with */
        used += copy(text, len, &end, columns - used, dst, size, &n);
    }
    widths_end(w);
    return used;
}

int cara_cli_shown(const char *text, char *dst, size_t size) {
    size_t at = 0, n = 0;
    dst[0] = '\0';
    widths w = widths_begin();
    int used = copy(text, strlen(text), &at, 1 << 30, dst, size, &n);
    widths_end(w);
    return used;
}

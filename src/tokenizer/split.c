#include "tokenizer/split.h"

#include "base/utf8.h"
#include "tokenizer/unicode_table.h"

#include <string.h>

cara_char_class cara_char_class_of(uint32_t code_point) {
    size_t low = 0, high = sizeof unicode_changes / sizeof unicode_changes[0];
    /* The last entry that is not past the code point; the first entry is for U+0000. */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (unicode_changes[middle] >> 2 <= code_point)
            low = middle;
        else
            high = middle;
    }
    return (cara_char_class)(unicode_changes[low] & 3);
}

/* The class of the character at text[0..n), n > 0, and its length. */
static cara_char_class class_at(const uint8_t *text, size_t n, size_t *len) {
    uint32_t c;
    if (!cara_utf8_decode(text, n, &c, len))
        return CARA_CHAR_OTHER;
    return cara_char_class_of(c);
}

/* The length of the run of one class at the start of text. */
static size_t run(const uint8_t *text, size_t n, cara_char_class wanted) {
    size_t at = 0, len;
    while (at < n && class_at(text + at, n - at, &len) == wanted)
        at += len;
    return at;
}

static size_t contraction(const uint8_t *text, size_t n) {
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t len = strlen(endings[i]);
        if (len <= n && memcmp(text, endings[i], len) == 0)
            return len;
    }
    return 0;
}

size_t cara_split_piece(const uint8_t *text, size_t n) {
    size_t len = contraction(text, n);
    if (len)
        return len;
    /* " ?X+" for each class X that is not space. */
    size_t blank = text[0] == ' ' && n > 1;
    cara_char_class c = class_at(text + blank, n - blank, &len);
    if (c != CARA_CHAR_SPACE)
        return blank + run(text + blank, n - blank, c);
    /* White space: all of it at the end of the text; else the last one is left for what follows,
     * unless it is the only one. */
    size_t at = 0, last = 0;
    while (at < n && class_at(text + at, n - at, &len) == CARA_CHAR_SPACE) {
        last = at;
        at += len;
    }
    return at == n || last == 0 ? at : last;
}

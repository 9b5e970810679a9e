/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

/* Decodes one character at s[0..n), n > 0. Returns its length 1..4 and the code point, or 0 with
 * *skip = the length of the maximal ill-formed prefix (Python's errors="replace" replaces each such
 * prefix by one U+FFFD). */
int cara_utf8_decode(const uint8_t *s, size_t n, uint32_t *code_point, size_t *skip);

/* 1 where all n bytes are valid. */
int cara_utf8_valid(const void *s, size_t n);

/* Copies s[0..n) to dst with each ill-formed prefix replaced by U+FFFD; dst must hold 3 * n + 1
 * bytes. NUL-terminates; returns the length. */
size_t cara_utf8_replace(const void *s, size_t n, char *dst);

/* Characters of s[0..n): bytes that do not continue one. */
size_t cara_utf8_count(const void *s, size_t n);

/* What Python's str.strip() leaves: Unicode white space is cut from both ends. Borrowed from s;
 * ill-formed bytes count as text. */
cara_slice cara_utf8_strip(const void *s, size_t n);

#endif

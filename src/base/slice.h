/* Borrowed bytes: a pointer into memory that something else owns, with its length. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct cara_slice {
    const uint8_t *ptr;
    size_t len;
} cara_slice;

static inline cara_slice cara_slice_of(const void *ptr, size_t len) {
    return (cara_slice){(const uint8_t *)ptr, len};
}

static inline cara_slice cara_slice_str(const char *text) {
    return (cara_slice){(const uint8_t *)text, strlen(text)};
}

static inline int cara_slice_eq_str(cara_slice s, const char *text) {
    return s.len == strlen(text) && (s.len == 0 || memcmp(s.ptr, text, s.len) == 0);
}

#endif

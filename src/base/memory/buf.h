/* A growing byte buffer with a limit from the start. */
#ifndef BASE_MEMORY_BUF_H
#define BASE_MEMORY_BUF_H

#include <stddef.h>

typedef struct cara_buf {
    char *data; /* NUL-terminated once anything was appended; NULL before */
    size_t len;
    size_t cap;
    size_t limit;
    int failed; /* sticky: an append met the limit or found no memory */
    int full;   /* it failed at the limit */
} cara_buf;

void cara_buf_init(cara_buf *buf, size_t limit);
/* Each returns 0, or -1 where the limit or memory ended; the content so far stays. */
int cara_buf_add(cara_buf *buf, const void *bytes, size_t n);
int cara_buf_str(cara_buf *buf, const char *text);
int cara_buf_char(cara_buf *buf, char c);
int cara_buf_printf(cara_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Empties it and keeps the memory. */
void cara_buf_clear(cara_buf *buf);
void cara_buf_free(cara_buf *buf);

#endif

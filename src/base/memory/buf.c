#include "base/memory/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cara_buf_init(cara_buf *buf, size_t limit) {
    *buf = (cara_buf){.limit = limit};
}

/* Room for n more bytes and the NUL. */
static int reserve(cara_buf *buf, size_t n) {
    if (buf->failed)
        return -1;
    if (buf->limit < buf->len || n > buf->limit - buf->len) {
        buf->failed = buf->full = 1;
        return -1;
    }
    size_t need = buf->len + n + 1;
    if (need <= buf->cap)
        return 0;
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap < need)
        cap *= 2;
    if (cap > buf->limit + 1)
        cap = buf->limit + 1;
    char *data = realloc(buf->data, cap);
    if (!data) {
        buf->failed = 1;
        return -1;
    }
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int cara_buf_add(cara_buf *buf, const void *bytes, size_t n) {
    if (reserve(buf, n))
        return -1;
    if (n)
        memcpy(buf->data + buf->len, bytes, n);
    buf->len += n;
    buf->data[buf->len] = 0;
    return 0;
}

int cara_buf_str(cara_buf *buf, const char *text) {
    return cara_buf_add(buf, text, strlen(text));
}

int cara_buf_char(cara_buf *buf, char c) {
    return cara_buf_add(buf, &c, 1);
}

int cara_buf_printf(cara_buf *buf, const char *format, ...) {
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    int rc = n < 0 ? -1 : reserve(buf, (size_t)n);
    if (!rc) {
        vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    va_end(ap);
    return rc;
}

void cara_buf_clear(cara_buf *buf) {
    buf->len = 0;
    buf->failed = buf->full = 0;
    if (buf->data)
        buf->data[0] = 0;
}

void cara_buf_free(cara_buf *buf) {
    free(buf->data);
    cara_buf_init(buf, buf->limit);
}

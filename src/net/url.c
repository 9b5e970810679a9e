#include "net/url.h"

static int unreserved(unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

int cara_url_encode(cara_buf *out, const void *s, size_t n, int keep_slash) {
    static const char hex[] = "0123456789ABCDEF";
    const unsigned char *p = s;
    for (size_t i = 0; i < n; i++) {
        char triple[3] = {'%', hex[p[i] >> 4], hex[p[i] & 15]};
        int bare = unreserved(p[i]) || (keep_slash && p[i] == '/');
        if (bare ? cara_buf_add(out, p + i, 1) : cara_buf_add(out, triple, 3))
            return -1;
    }
    return 0;
}

static int hex_value(unsigned char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int cara_url_decode(cara_buf *out, const void *s, size_t n, int plus) {
    const unsigned char *p = s;
    for (size_t i = 0; i < n; i++) {
        char c = (char)p[i];
        if (c == '%' && n - i > 2 && hex_value(p[i + 1]) >= 0 && hex_value(p[i + 2]) >= 0) {
            c = (char)(hex_value(p[i + 1]) << 4 | hex_value(p[i + 2]));
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (cara_buf_char(out, c))
            return -1;
    }
    return 0;
}

static int starts_with(const char *text, const char *lower) {
    for (; *lower; text++, lower++)
        if ((*text | 0x20) != *lower && *text != *lower)
            return 0;
    return 1;
}

static int port_of(const char *digits, size_t n, unsigned *port) {
    unsigned value = 0;
    if (n == 0 || n > 5)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return -1;
        value = value * 10 + (unsigned)(digits[i] - '0');
    }
    if (value == 0 || value > 65535)
        return -1;
    *port = value;
    return 0;
}

int cara_url_split(const char *text, cara_url *out) {
    *out = (cara_url){0};
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '#' || *p == '\\')
            return -1;
    if (starts_with(text, "https://"))
        out->secure = 1;
    else if (!starts_with(text, "http://"))
        return -1;
    const char *authority = text + (out->secure ? 8 : 7);
    out->scheme = cara_slice_of(text, out->secure ? 5 : 4);
    size_t n = strcspn(authority, "/?");
    if (memchr(authority, '@', n))
        return -1;
    out->authority = cara_slice_of(authority, n);
    size_t host = 0;
    if (n && authority[0] == '[') {
        while (host < n && authority[host] != ']')
            host++;
        if (host == n)
            return -1;
        host++;
    } else {
        while (host < n && authority[host] != ':')
            host++;
    }
    if (host == 0)
        return -1;
    out->host = cara_slice_of(authority, host);
    out->port = out->secure ? 443 : 80;
    if (host < n &&
        (authority[host] != ':' || port_of(authority + host + 1, n - host - 1, &out->port)))
        return -1;
    const char *path = authority + n;
    size_t path_len = strcspn(path, "?");
    out->path = cara_slice_of(path, path_len);
    const char *query = path + path_len + (path[path_len] == '?');
    out->query = cara_slice_of(query, strlen(query));
    return 0;
}

/* Percent-encoding and taking URLs apart (RFC 3986). */
#ifndef NET_URL_H
#define NET_URL_H

#include "base/memory/buf.h"
#include "base/slice.h"

/* Appends s[0..n) with every byte but A-Z a-z 0-9 - _ . ~ as %XX in upper case, which is AWS's
 * UriEncode(); `keep_slash` leaves '/' alone (paths, never queries). 0, or -1 as cara_buf_add(). */
int cara_url_encode(cara_buf *out, const void *s, size_t n, int keep_slash);

/* Appends s[0..n) with %XX decoded; a '%' without two hex digits stays as it is. `plus` also turns
 * '+' into a space (forms, and the keys in S3's lists). 0, or -1 as cara_buf_add(). */
int cara_url_decode(cara_buf *out, const void *s, size_t n, int plus);

/* The parts of an absolute http or https URL, borrowed from it. */
typedef struct cara_url {
    cara_slice scheme;    /* as written */
    cara_slice authority; /* host[:port], as a Host header wants it */
    cara_slice host;      /* an IPv6 address keeps its brackets */
    unsigned port;        /* given, or the scheme's */
    cara_slice path;      /* from the first '/', may be empty */
    cara_slice query;     /* behind '?', may be empty */
    int secure;           /* 1 for https */
} cara_url;

/* 0, or -1 where `text` is no http(s) URL with a host, or carries user info, a fragment, a space, a
 * control byte or a port out of range: none of these belongs in an endpoint. */
int cara_url_split(const char *text, cara_url *out);

#endif

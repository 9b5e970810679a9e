/* AWS's XML answers, element by element (expat); a DOCTYPE is refused, and with it entities of its
 * own. */
#ifndef AWS_XML_H
#define AWS_XML_H

#include "base/error.h"

#include <stddef.h>

/* Either may be NULL; non-zero from `end` stops with that value. `path` is the names from the root
 * joined by '/': "ListBucketResult/Contents/Key". `text` is what stood in a leaf. */
typedef struct cara_xml_handler {
    void (*start)(void *ctx, const char *path);
    int (*end)(void *ctx, const char *path, const char *text, size_t n);
    void *ctx;
} cara_xml_handler;

/* CARA_OK, MEMORY, what `end` gave, or NETWORK for XML that is not well-formed: it was damaged on
 * its way. */
int cara_xml_parse(const char *xml, size_t n, const cara_xml_handler *handler, cara_error *err);

/* 1 where `path` ends with `end`, whole elements only. */
int cara_xml_path_ends(const char *path, const char *end);

#endif

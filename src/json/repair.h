/* The repair behind cara_json_read_repaired(). */
#ifndef JSON_REPAIR_H
#define JSON_REPAIR_H

#include "base/memory/buf.h"

/* Appends the text with each value that jansson would refuse replaced; what is not JSON stays so.
 * Look at out->failed afterwards. */
void cara_json_repair(const char *bytes, size_t n, cara_buf *out);

#endif

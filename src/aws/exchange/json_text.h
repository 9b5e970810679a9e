/* The JSON of services and agents, on jansson. */
#ifndef AWS_JSON_TEXT_H
#define AWS_JSON_TEXT_H

#include "base/buf.h"

#include <jansson.h>

/* Appends `value`, compact. 0, or -1 on no memory. Not json_dumps(): where that finds no memory in
 * the middle it can give a text with a member's name left out (jansson 2.14, do_dump). */
int cara_aws_json_write(const json_t *value, cara_buf *out);

/* Parses like json_loadb(), which does not always say when it found no memory. NULL with *memory =
 * 1 for that, NULL with 0 for what is no JSON. */
json_t *cara_aws_json_parse(const char *text, size_t n, int *memory);

/* A string member, or "" where it is missing or no string. */
const char *cara_aws_json_text(const json_t *object, const char *name);

#endif

/* Tags for all resources of an installation. */
#ifndef DEPLOY_TAGS_H
#define DEPLOY_TAGS_H

#include "base/error.h"

#include <jansson.h>

/* Reads "Key=Value,Key=Value" into a new list of {"Key", "Value"}; "none" is an empty list, which
 * takes the stack's tags away. AWS's rules (its guide "Tagging AWS resources"): at most 50, keys of
 * 1 to 128 letters and values of up to 256, of letters, digits, blanks and _ . : / = + - @ in any
 * script, and no key that begins with "aws:". A value may hold '='. USAGE, MEMORY. */
int cara_tags_read(const char *text, json_t **out, cara_error *err);

#endif

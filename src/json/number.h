/* Reals for cara_json_write(). */
#ifndef JSON_NUMBER_H
#define JSON_NUMBER_H

#include "json/json.h"

/* Appends the shortest decimal that reads back as the same double, as cara_json_write() says for
 * the style: always with a point or an exponent, so that a real stays a real ("0.02", "1e-05",
 * "3.0"); "null" for NaN and infinities. Returns as cara_buf_add(). */
int cara_json_write_real(double value, cara_json_style style, cara_buf *out);

#endif

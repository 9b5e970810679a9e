/* Floating point numbers as Python's repr() writes them. */
#ifndef TRANSCRIPT_NUMBER_H
#define TRANSCRIPT_NUMBER_H

#include "base/buf.h"

/* Appends the shortest decimal that reads back as the same double ("0.02", "1e-05", "3.0"); "null"
 * for NaN and infinities, which JSON lacks. Returns as cara_buf_add(). */
int cara_number_write(double value, cara_buf *out);

#endif

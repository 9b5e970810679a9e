/* What the program needs of the writers beside <caracola/writers.h>. */
#ifndef TRANSCRIPT_TRANSCRIPT_H
#define TRANSCRIPT_TRANSCRIPT_H

#include "base/error.h"
#include "base/memory/buf.h"

#include <caracola/writers.h>

/* A cara_write_fn that appends to the cara_buf that is its cookie. MEMORY where the buffer's limit
 * is met, or there is no memory. */
int cara_transcript_to_buf(void *buf, const char *bytes, size_t n, cara_error *err);

/* format_timestamp() of utils.py: "MM:SS.mmm", with hours where asked or needed. -1 for what is no
 * time, and where the buffer's limit or memory ended. */
int cara_transcript_timestamp(double seconds, int always_hours, char decimal_marker, cara_buf *out);

#endif

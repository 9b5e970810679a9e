/* What the program needs of the writers beside <caracola/writers.h>. */
#ifndef TRANSCRIPT_TRANSCRIPT_H
#define TRANSCRIPT_TRANSCRIPT_H

#include "base/error.h"
#include "base/memory/buf.h"

#include <caracola/writers.h>

/* A cara_write_fn that appends to the cara_buf that is its cookie. MEMORY where the buffer's limit
 * is met, or there is no memory. */
int cara_transcript_to_buf(void *buf, const char *bytes, size_t n, cara_error *err);

#endif

/* The JSON writer behind cara_transcript_write(). */
#ifndef TRANSCRIPT_JSON_H
#define TRANSCRIPT_JSON_H

#include "base/buf.h"
#include "base/error.h"

#include <caracola/result.h>

/* Appends {"text", "segments", "language"}. MEMORY; a failed buffer at the very end is the caller's
 * to see. */
int cara_transcript_json(const cara_result *result, cara_buf *out, cara_error *err);

#endif

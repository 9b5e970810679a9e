/* Writers of a result: what openai/whisper's utils.py writes, byte for byte where the fields match.
 */
#ifndef TRANSCRIPT_TRANSCRIPT_H
#define TRANSCRIPT_TRANSCRIPT_H

#include "base/buf.h"
#include "base/error.h"

#include <caracola/result.h>

typedef enum cara_format {
    CARA_FORMAT_TXT,
    CARA_FORMAT_VTT,
    CARA_FORMAT_SRT,
    CARA_FORMAT_TSV,
    CARA_FORMAT_JSON,
    CARA_FORMATS
} cara_format;

const char *cara_format_name(cara_format format); /* "txt", "vtt", ... also the file extension */
int cara_format_find(const char *name);           /* -1 where there is none */

/* Appends the whole file. MEMORY where the buffer's limit is met. JSON: keys text, segments,
 * language, as json.dump(result); NaN and infinities become null; non-ASCII is written as is. */
int cara_transcript_write(const cara_result *result, cara_format format, cara_buf *out,
                          cara_error *err);

/* format_timestamp() of utils.py: "MM:SS.mmm", with hours where asked or needed. */
int cara_transcript_timestamp(double seconds, int always_hours, char decimal_marker, cara_buf *out);

#endif

/* Writers of a result: the files of openai/whisper's utils.py, byte for byte. */
#ifndef TRANSCRIPT_TRANSCRIPT_H
#define TRANSCRIPT_TRANSCRIPT_H

#include "base/error.h"
#include "base/memory/buf.h"

#include <caracola/result.h>

typedef enum cara_transcript_format {
    CARA_TRANSCRIPT_TXT,
    CARA_TRANSCRIPT_VTT,
    CARA_TRANSCRIPT_SRT,
    CARA_TRANSCRIPT_TSV,
    CARA_TRANSCRIPT_JSON,
    CARA_TRANSCRIPT_FORMATS
} cara_transcript_format;

/* "txt", "vtt", ...: also the file's extension. "" for what is no format; static. */
const char *cara_transcript_format_name(cara_transcript_format format);
int cara_transcript_format_find(const char *name); /* -1 where there is none */

/* Appends the whole file; JSON as cara_transcript_json() in style PYTHON.
 * Errors: MEMORY, also where the buffer's limit is met; USAGE for an unknown format, or times that
 * the format cannot express. */
int cara_transcript_write(const cara_result *result, cara_transcript_format format, cara_buf *out,
                          cara_error *err);

/* format_timestamp() of utils.py: "MM:SS.mmm", with hours where asked or needed. */
int cara_transcript_timestamp(double seconds, int always_hours, char decimal_marker, cara_buf *out);

#endif

/* Times as the files have them: format_timestamp() of whisper/utils.py. */
#ifndef TRANSCRIPT_TIMESTAMP_H
#define TRANSCRIPT_TIMESTAMP_H

#include "base/memory/buf.h"

#include <stdint.h>

/* Seconds to whole milliseconds as Python's round(): halves to the even one. */
int64_t cara_milliseconds(double seconds);

/* 1 for a time that a file can hold: not NaN, not before 0, less than some 31,000 years. */
int cara_is_time(double seconds);

/* format_timestamp() of utils.py: "MM:SS.mmm", with hours where asked or needed. -1 for what is no
 * time, and where the buffer's limit or memory ended. */
int cara_transcript_timestamp(double seconds, int always_hours, char decimal_marker, cara_buf *out);

#endif

/* A result as JSON: the objects that openai/whisper's transcribe() returns. Files, lines and
 * records are written from these. */
#ifndef TRANSCRIPT_RESULT_JSON_H
#define TRANSCRIPT_RESULT_JSON_H

#include <caracola/result.h>
#include <jansson.h>

/* The ten fields of whisper/transcribe.py: new_segment, in its order; NaN and infinities are null.
 * A new reference, or NULL where there is no memory. */
json_t *cara_segment_json(const cara_segment *segment);

/* {"text", "segments", "language"}, as WriteJSON of whisper/utils.py: cleared segments have
 * "words": [], too. Ours is "cut_short": true at the end of a result that was stopped. A new
 * reference, or NULL where there is no memory. */
json_t *cara_transcript_json(const cara_result *result);

/* {"count", "seconds"}, the seconds to the millisecond. A new reference, or NULL where there is no
 * memory. */
json_t *cara_gaps_json(const cara_gaps *gaps);

#endif

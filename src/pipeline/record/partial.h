/* A transcript that was cut short, as its record keeps it, and how to continue it. */
#ifndef PIPELINE_PARTIAL_H
#define PIPELINE_PARTIAL_H

#include "pipeline/record/record.h"
#include "pipeline/transcriber/transcriber.h"

typedef struct cara_partial {
    json_t *transcription; /* the record's; NULL where it cannot be continued */
    int32_t *tokens;
    int64_t kept_frame; /* how far the record goes, whether or not it can be continued */
    cara_resume resume; /* zeros: from the beginning */
} cara_partial;

/* Reads a record of state CARA_RECORD_PARTIAL. The tokens are valid only for the model that decoded
 * them: with another one, and where the record is incomplete, the audio is transcribed from its
 * beginning. On success the caller frees *out. MEMORY. */
int cara_partial_read(const char *bytes, size_t n, const char *model, cara_partial *out,
                      cara_error *err);
void cara_partial_free(cara_partial *partial); /* a zeroed one is allowed */

/* Puts the earlier segments before those that cara_record_result() has just set. Where the
 * transcript is still cut short, sets "resume_at" (seconds): all before `frame` is transcribed. */
void cara_partial_join(const cara_partial *before, int64_t frame, cara_record *record);

#endif

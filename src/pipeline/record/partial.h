/* A transcript that was cut short, as its record keeps it, and going on from there. */
#ifndef PIPELINE_PARTIAL_H
#define PIPELINE_PARTIAL_H

#include "pipeline/record/record.h"
#include "pipeline/transcriber/transcriber.h"

typedef struct cara_partial {
    json_t *transcription; /* the record's; NULL where there is nothing to go on from */
    int32_t *tokens;
    int64_t kept_frame; /* how far the record says it has come, whoever can go on from it */
    cara_resume resume; /* zeros: from the beginning */
} cara_partial;

/* Reads the record of state CARA_RECORD_PARTIAL. Tokens mean nothing to another model than the one
 * that heard them: then, and where the record lacks what it takes, the audio is heard from its
 * beginning. On success the caller frees *out. MEMORY. */
int cara_partial_read(const char *bytes, size_t n, const char *model, cara_partial *out,
                      cara_error *err);
void cara_partial_free(cara_partial *partial); /* a zeroed one is allowed */

/* Puts what was heard before in front of what cara_record_result() has just set, and where it is
 * still cut short, notes that all up to `frame` was heard ("resume_at", in seconds). */
void cara_partial_join(const cara_partial *before, int64_t frame, cara_record *record);

#endif

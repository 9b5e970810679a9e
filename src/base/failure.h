/* What a failure means for a message: one table, from the stage at which it failed and the code.
 * docs/pipeline.md shows the same table, and a test compares the two. */
#ifndef BASE_FAILURE_H
#define BASE_FAILURE_H

#include "base/error.h"

/* The outcome of a message. */
typedef enum cara_outcome {
    CARA_OUTCOME_DONE,        /* its record is complete */
    CARA_OUTCOME_ALREADY,     /* its record was there before, and nothing is left to do */
    CARA_OUTCOME_FAILED,      /* recorded with its error; there is no need to deliver it again */
    CARA_OUTCOME_RETRY,       /* deliver it again: a retry can succeed. What we have is kept */
    CARA_OUTCOME_QUARANTINED, /* not understood; kept under quarantine/ with the reason */
} cara_outcome;

/* Where a message failed. */
typedef enum cara_stage {
    CARA_STAGE_NONE,       /* it did not fail */
    CARA_STAGE_EVENT,      /* reading the event, or a part of it */
    CARA_STAGE_MESSAGE,    /* a message of type audio without a usable media id */
    CARA_STAGE_STORE,      /* reading or writing the store, or claiming a record */
    CARA_STAGE_MEDIA,      /* getting the audio */
    CARA_STAGE_CHECK,      /* comparing the audio with its SHA-256 and with what the store has */
    CARA_STAGE_MODEL,      /* opening the model */
    CARA_STAGE_TRANSCRIBE, /* decoding and transcribing the audio */
} cara_stage;
enum { CARA_STAGES = CARA_STAGE_TRANSCRIBE + 1 };

/* The kinds of failure that a service reports. */
typedef enum cara_failure_type {
    CARA_FAILURE_OUT_OF_TIME,
    CARA_FAILURE_OUT_OF_MEMORY,
    CARA_FAILURE_EVENT,
    CARA_FAILURE_STORE_BUSY,
    CARA_FAILURE_STORE_UNAVAILABLE,
    CARA_FAILURE_MEDIA_UNAVAILABLE,
    CARA_FAILURE_MODEL_UNAVAILABLE,
    CARA_FAILURE_MODEL_UNUSABLE,
    CARA_FAILURE_AUDIO,
} cara_failure_type;
enum { CARA_FAILURE_TYPES = CARA_FAILURE_AUDIO + 1 };

typedef struct cara_failure {
    cara_outcome outcome; /* FAILED, RETRY or QUARANTINED */
    int final;            /* FAILED, and not tried again when the event comes again */
    cara_stage stage;     /* at which it is reported */
    cara_code code;       /* under which it is reported */
    cara_failure_type type;
} cara_failure;

/* What a failure with `code` (not CARA_OK) at `stage` means. */
cara_failure cara_failure_of(cara_stage stage, cara_code code);

/* 1 where an error that a record names (cara_code_name()) is final at any stage; a record does not
 * say the stage. Other names, and NULL, give 0. */
int cara_failure_is_final(const char *name);

/* "done", "already", "failed", "retry", "quarantined"; static. */
const char *cara_outcome_name(cara_outcome outcome);

#endif

#include "base/failure.h"

#include <string.h>

#define CODES 6

/* The first row that fits is used. */
typedef struct row {
    cara_stage stage;       /* NONE: any */
    cara_code codes[CODES]; /* up to the first CARA_OK; none: any */
    cara_failure failure;   /* NONE as its stage and CARA_OK as its code: as they are */
} row;

#define RETRY CARA_OUTCOME_RETRY
#define FAILED CARA_OUTCOME_FAILED
#define FINAL 1
#define SAME_STAGE CARA_STAGE_NONE
#define SAME_CODE CARA_OK

/* The same audio or message will fail the same way however often it is tried. */
#define UNREADABLE                                                                                 \
    {                                                                                              \
        CARA_ERR_AUDIO_FORMAT, CARA_ERR_AUDIO_CORRUPT, CARA_ERR_AUDIO_LIMIT, CARA_ERR_EVENT,       \
            CARA_ERR_LIMIT                                                                         \
    }
#define ANY                                                                                        \
    { CARA_OK }

static const row rows[] = {
    {CARA_STAGE_NONE,
     {CARA_ERR_CANCELLED},
     {RETRY, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_OUT_OF_TIME}},
    {CARA_STAGE_NONE,
     {CARA_ERR_MEMORY},
     {RETRY, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_OUT_OF_MEMORY}},

    {CARA_STAGE_EVENT,
     ANY,
     {CARA_OUTCOME_QUARANTINED, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_EVENT}},

    {CARA_STAGE_MESSAGE, UNREADABLE, {FAILED, FINAL, SAME_STAGE, SAME_CODE, CARA_FAILURE_EVENT}},
    {CARA_STAGE_MESSAGE, ANY, {FAILED, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_EVENT}},

    {CARA_STAGE_STORE,
     {CARA_ERR_CONFLICT},
     {RETRY, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_STORE_BUSY}},
    /* The caller can only try again later, whatever reason S3 gave. */
    {CARA_STAGE_STORE,
     {CARA_ERR_IO, CARA_ERR_NETWORK, CARA_ERR_DENIED, CARA_ERR_INTERNAL},
     {RETRY, 0, SAME_STAGE, CARA_ERR_STORE, CARA_FAILURE_STORE_UNAVAILABLE}},
    {CARA_STAGE_STORE, ANY, {RETRY, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_STORE_UNAVAILABLE}},

    {CARA_STAGE_MEDIA,
     {CARA_ERR_STORE, CARA_ERR_NETWORK, CARA_ERR_CONFLICT},
     {RETRY, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_MEDIA_UNAVAILABLE}},
    {CARA_STAGE_MEDIA,
     UNREADABLE,
     {FAILED, FINAL, SAME_STAGE, SAME_CODE, CARA_FAILURE_MEDIA_UNAVAILABLE}},
    {CARA_STAGE_MEDIA, ANY, {FAILED, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_MEDIA_UNAVAILABLE}},

    /* The next delivery may bring the whole audio: never final. */
    {CARA_STAGE_CHECK,
     ANY,
     {FAILED, 0, CARA_STAGE_MEDIA, SAME_CODE, CARA_FAILURE_MEDIA_UNAVAILABLE}},

    /* The installation is wrong, not the audio, which waits. */
    {CARA_STAGE_MODEL,
     {CARA_ERR_NETWORK},
     {RETRY, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_MODEL_UNAVAILABLE}},
    {CARA_STAGE_MODEL, ANY, {RETRY, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_MODEL_UNUSABLE}},

    /* Codes that no audio causes: options that this model does not support, or a model that cannot
     * be fetched or is a wrong one. */
    {CARA_STAGE_TRANSCRIBE,
     {CARA_ERR_NETWORK},
     {RETRY, 0, CARA_STAGE_MODEL, SAME_CODE, CARA_FAILURE_MODEL_UNAVAILABLE}},
    {CARA_STAGE_TRANSCRIBE,
     {CARA_ERR_USAGE, CARA_ERR_NOT_FOUND, CARA_ERR_MODEL_CORRUPT, CARA_ERR_CPU, CARA_ERR_DENIED,
      CARA_ERR_CONFLICT},
     {RETRY, 0, CARA_STAGE_MODEL, SAME_CODE, CARA_FAILURE_MODEL_UNUSABLE}},
    {CARA_STAGE_TRANSCRIBE, UNREADABLE, {FAILED, FINAL, SAME_STAGE, SAME_CODE, CARA_FAILURE_AUDIO}},
    {CARA_STAGE_TRANSCRIBE, ANY, {FAILED, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_AUDIO}},

    {CARA_STAGE_NONE, ANY, {FAILED, 0, SAME_STAGE, SAME_CODE, CARA_FAILURE_EVENT}},
};

static int has_code(const row *r, cara_code code) {
    for (int i = 0; i < CODES && r->codes[i]; i++)
        if (r->codes[i] == code)
            return 1;
    return !r->codes[0];
}

cara_failure cara_failure_of(cara_stage stage, cara_code code) {
    const row *r = rows;
    while ((r->stage && r->stage != stage) || !has_code(r, code)) /* the last row fits all */
        r++;
    cara_failure failure = r->failure;
    if (failure.stage == SAME_STAGE)
        failure.stage = stage;
    if (failure.code == SAME_CODE)
        failure.code = code;
    return failure;
}

int cara_failure_is_final(const char *name) {
    int code = CARA_ERR_INTERNAL; /* the lowest */
    while (name && code && strcmp(name, cara_code_name((cara_code)code)) != 0)
        code++;
    for (int stage = 0; name && code && stage < CARA_STAGES; stage++)
        if (cara_failure_of((cara_stage)stage, (cara_code)code).final)
            return 1;
    return 0;
}

const char *cara_outcome_name(cara_outcome outcome) {
    static const char *const names[] = {"done", "already", "failed", "retry", "quarantined"};
    return names[outcome];
}

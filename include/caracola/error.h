/* Errors are values: a code, a position and a sentence that a user can act on. */
#ifndef CARACOLA_ERROR_H
#define CARACOLA_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CARA_API __attribute__((visibility("default")))
#define CARA_MUST_USE __attribute__((warn_unused_result))

/* Every function that can fail returns one of these: CARA_OK, or a negative code. */
typedef enum cara_code {
    CARA_OK = 0,
    CARA_ERR_USAGE = -1,         /* an option or argument out of its range, or an unexpected NULL */
    CARA_ERR_MEMORY = -2,        /* no memory */
    CARA_ERR_IO = -3,            /* the system refused to read or write */
    CARA_ERR_NOT_FOUND = -4,     /* no such file, key or message */
    CARA_ERR_LIMIT = -5,         /* larger than the limit for such a thing (not for audio) */
    CARA_ERR_AUDIO_FORMAT = -10, /* the bytes are no audio that we know */
    CARA_ERR_AUDIO_CORRUPT = -11, /* audio of a known format that cannot be decoded */
    CARA_ERR_AUDIO_LIMIT = -12,   /* longer or larger than the limits allow */
    CARA_ERR_AUDIO_MODULE = -13,  /* the format needs the libav module, which is not installed */
    CARA_ERR_MODEL_FORMAT = -20,  /* not a model file that we know, or of a newer version */
    CARA_ERR_MODEL_CORRUPT = -21, /* a model file with wrong sizes, offsets or counts */
    CARA_ERR_MODEL_SHAPE = -22,   /* a tensor is missing or has another shape than its dims ask */
    CARA_ERR_VOCAB = -23,         /* no vocabulary, or one that does not fit the model */
    CARA_ERR_CPU = -30,           /* CARACOLA_CPU names a level that this machine lacks */
    CARA_ERR_CANCELLED = -31,     /* the progress callback asked to stop */
    CARA_ERR_EVENT = -40,         /* an event or message that cannot be understood */
    CARA_ERR_STORE = -41,         /* the store refused a write that may succeed later */
    CARA_ERR_NETWORK = -42,       /* a remote service failed; a retry may succeed */
    CARA_ERR_DENIED = -43,        /* a remote service refused; a retry fails again */
    CARA_ERR_CONFLICT = -44,      /* the object is already there (a conditional write lost) */
    CARA_ERR_INTERNAL = -99       /* a defect of ours */
} cara_code;

/* Owned by the caller, who need not set anything; any function may be given NULL instead. Untouched
 * on success. */
typedef struct cara_error {
    cara_code code;
    int64_t position; /* byte offset in the input, or -1 where there is none */
    char text[512];   /* one sentence, UTF-8, no newline: what was wrong, expected, to do */
    uint64_t
        reserved[8]; /* 0 after a failure: room for members to come, as callers own the struct */
} cara_error;

/* A stable lower-case name for machines ("audio_format", "model_shape", ...); never NULL. */
CARA_API const char *cara_code_name(cara_code code);

#ifdef __cplusplus
}
#endif
#endif

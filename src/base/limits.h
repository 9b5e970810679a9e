/* Every limit of the program in one place. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define CARA_KIB ((size_t)1024)
#define CARA_MIB (1024 * CARA_KIB)
#define CARA_GIB (1024 * CARA_MIB)

#define CARA_LIMIT_EVENT_BYTES (8 * CARA_MIB)       /* one event; SNS and SQS stop at 1 MiB */
#define CARA_LIMIT_QUARANTINE_BYTES (32 * CARA_MIB) /* what is kept of one piece */
#define CARA_LIMIT_EVENT_MESSAGES 10000             /* messages in one event */
#define CARA_LIMIT_JSON_DEPTH 64                    /* levels of arrays and objects in JSON */
#define CARA_LIMIT_JSON_VALUES 1000000              /* values in one JSON text from outside */
#define CARA_LIMIT_AUDIO_BYTES (2 * CARA_GIB)       /* encoded audio */
#define CARA_LIMIT_AUDIO_SECONDS (24.0 * 3600)      /* decoded audio */
/* Held by libav for one audio, beside twice its size. */
#define CARA_LIMIT_LIBAV_BYTES (128 * CARA_MIB)
#define CARA_LIMIT_ANSWER_BYTES                                                                    \
    (16 * CARA_MIB)                              /* JSON from AWS: ten messages of 1 MiB, escaped  \
                                                  */
#define CARA_LIMIT_MEDIA_BYTES (128 * CARA_MIB)  /* one WhatsApp media file (theirs is 100 MB) */
#define CARA_LIMIT_VOCAB_BYTES (16 * CARA_MIB)   /* a tiktoken file */
#define CARA_LIMIT_RECORD_BYTES (64 * CARA_MIB)  /* one record as JSON */
#define CARA_LIMIT_RESULT_BYTES (512 * CARA_MIB) /* one transcript in memory */
#define CARA_LIMIT_PROMPT_BYTES (64 * CARA_KIB)  /* initial_prompt */
#define CARA_LIMIT_THREADS 256
#define CARA_LIMIT_SLOW_BYTES_S 8192 /* of a transfer; a slower one is given up */
#define CARA_LIMIT_LIST_PAGES 1000   /* of one list of S3's, a thousand keys each */

#endif

/* The record of one message: the message as received, its transcript, and how that was made. */
#ifndef PIPELINE_RECORD_H
#define PIPELINE_RECORD_H

#include "base/error.h"
#include "base/limits.h"
#include "base/memory/buf.h"
#include "inbox/inbox.h"

#include <caracola/result.h>
#include <jansson.h>

/* How far a record in the store has come. */
typedef enum cara_record_state {
    CARA_RECORD_DAMAGED, /* not JSON, or no object */
    CARA_RECORD_PENDING, /* audio without a transcript; an error in it is not final */
    CARA_RECORD_PARTIAL, /* a transcript that was cut short */
    CARA_RECORD_FAILED,  /* audio whose failure is final: cara_failure_is_final() */
    CARA_RECORD_COMPLETE,
} cara_record_state;

/* Seconds by stage; negative where the stage was not reached. */
typedef struct cara_record_times {
    double media, model, total;
} cara_record_times;

/* A record builder. Every step may run out of memory; cara_record_write() checks that once. */
typedef struct cara_record {
    json_t *root;
    json_t *about; /* root's "caracola", borrowed */
    int failed;
} cara_record;

/* The message as received plus "caracola" (the sender's profile name, ids, our version). Members of
 * the message that have one of our names (audio_file, transcription, caracola) move to
 * caracola.received, so that a sender cannot write our part. */
void cara_record_init(cara_record *record, const cara_inbox_message *message);

/* "audio_file": the key, or null where the audio could not be fetched. */
void cara_record_audio_file(cara_record *record, const char *key);

/* "transcription": {"ok": false, "error": <name>, "message": <sentence>}. */
void cara_record_error(cara_record *record, const char *name, const char *message);

/* "transcription": {"ok": true, text, language, segments[], no_speech[, cut_short]}, and the model,
 * seconds of audio, gaps in it and times in "caracola". NaN is written as null. */
void cara_record_result(cara_record *record, const cara_result *result, const char *model);

/* caracola.times of what the pipeline itself measured. */
void cara_record_times_set(cara_record *record, const cara_record_times *times);

/* The limits of cara_record_write()'s buffer. A message leaves room for an error that is written
 * later, and a transcript for the mark of a claim, so that both can be read back. */
#define CARA_RECORD_MESSAGE_MAX (CARA_LIMIT_RECORD_BYTES - 128 * CARA_KIB)
#define CARA_RECORD_MAX (CARA_LIMIT_RECORD_BYTES - 64 * CARA_KIB)

/* Appends the record as JSON with a newline, stamped with caracola.handled_at. LIMIT where it is
 * larger than the buffer's limit; MEMORY. */
int cara_record_write(cara_record *record, cara_buf *out, cara_error *err);
void cara_record_free(cara_record *record);

/* The names that "error" may have besides those of cara_code_name(). */
#define CARA_RECORD_WAITING "pending"
#define CARA_RECORD_DIGEST "sha256_mismatch"

/* Parses a stored record: *root is the caller's reference, NULL where it is damaged (not JSON). The
 * only failure is MEMORY. */
int cara_record_parse(const char *bytes, size_t n, json_t **root, cara_error *err);

/* Reads a stored record's state. `id` gets the message id in it (malloc'd, the caller's; NULL where
 * it has none); `id` may be NULL. MEMORY is the only failure. */
int cara_record_read(const char *bytes, size_t n, cara_record_state *state, char **id,
                     cara_error *err);

/* The reason and the bytes of something not understood, as JSON: "reason", "received" (text) or
 * "received_base64" (no UTF-8, or more than a quarter of control bytes), and "cut_short" where more
 * came than these bytes. MEMORY, LIMIT. */
int cara_record_quarantine(const void *bytes, size_t n, int cut_short, const char *reason,
                           cara_buf *out, cara_error *err);

#endif

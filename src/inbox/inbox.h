/* An event to WhatsApp messages: pure parsing of every envelope, no I/O.
 *
 * Envelopes (AWS End User Messaging Social user guide; SNS, SQS and Lambda developer guides; Meta's
 * Cloud API webhooks): Lambda-SNS `Records[].Sns`, SNS JSON (over HTTPS or inside SQS), SQS
 * `Records[].body` with either of them or with raw delivery, the bare End User Messaging event,
 * Meta's bare webhook, and what a Lambda on-failure destination wraps around any of them. */
#ifndef INBOX_INBOX_H
#define INBOX_INBOX_H

#include "base/error.h"
#include "base/limits.h"
#include "base/memory/arena.h"

#include <jansson.h>
#include <stddef.h>

/* What a part of an event may become when it is written back as compact JSON: an escape has up to
 * six bytes, a number written as 1e9 grows as well. */
#define CARA_INBOX_TEXT_MAX (16 * CARA_LIMIT_EVENT_BYTES)

typedef struct cara_inbox_message {
    const json_t *message;       /* the WhatsApp message object as received, less the short-lived
                                    download urls of its media; owned by the inbox */
    const char *id;              /* wamid; never empty */
    const char *from;            /* as received (a number as its digits); "" where missing */
    int64_t timestamp;           /* unix seconds, 0 .. CARA_INBOX_MAX_TIMESTAMP */
    const char *type;            /* "text", "audio", ...; "" where missing */
    const char *profile_name;    /* contacts[].profile.name of the sender, or NULL */
    const char *group_id;        /* or NULL */
    const char *phone_number_id; /* Meta's, of value.metadata, or NULL */
    const char *display_phone_number;
    const char *phone_number_arn; /* context.MetaPhoneNumberIds[] with that id, or NULL */
    const char *waba_id;          /* entry.id, or NULL */
    const char *waba_arn;         /* context.MetaWabaIds[] with that id, or NULL */
    size_t record;                /* index of the SNS/SQS record it came in */
    const char *record_id;        /* SQS messageId of that record (for partial batches), or NULL */
} cara_inbox_message;

/* 9999-12-30: in no time zone is the year 10000. */
#define CARA_INBOX_MAX_TIMESTAMP 253402128000

/* A piece that could not be understood: kept, with the reason. */
typedef struct cara_inbox_reject {
    const char *bytes; /* the smallest piece that could not be understood, as text */
    size_t n;
    const char *reason; /* a sentence */
    size_t record;
    const char *record_id;
} cara_inbox_reject;

typedef struct cara_inbox {
    cara_arena arena;
    json_t *roots;                /* array that keeps the documents alive */
    cara_inbox_message *messages; /* [n_messages], in order of arrival */
    size_t n_messages;
    cara_inbox_reject *rejects; /* [n_rejects] */
    size_t n_rejects;
    size_t n_statuses;      /* delivery reports seen and left out */
    size_t n_records;       /* SNS/SQS records in the envelope; 1 for bare events */
    int is_sqs;             /* the envelope is SQS: failures go back as batchItemFailures */
    size_t n_errors;        /* value.errors[]: errors that belong to no message */
    size_t n_other_fields;  /* changes of other fields (template states, ...), left out */
    size_t n_confirmations; /* SNS (un)subscribe confirmations; their urls are not followed here */
} cara_inbox;

/* *out can be given to cara_inbox_free() in any case. Input that is no JSON at all, or that
 * exceeds a ceiling of base/limits.h, is one reject (the whole event), not a failure.
 * Errors: MEMORY. `bytes` are not needed afterwards. */
int cara_inbox_parse(const char *bytes, size_t n, cara_inbox *out, cara_error *err);
void cara_inbox_free(cara_inbox *inbox);

/* 1 where nothing in the event was understood: no message, report, confirmation or known change. */
int cara_inbox_is_unreadable(const cara_inbox *inbox);

#endif

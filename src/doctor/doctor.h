/* The checks, in the order in which a voice note uses the parts. None of them waits for ever or
 * deletes anything; the only object that is written is always the same. */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include "doctor/checkup.h"
#include "pipeline/transcriber/transcriber.h"

struct cara_aws;

typedef struct cara_doctor { /* everything is borrowed */
    cara_checkup *checkup;
    double deadline; /* of all together, on cara_clock_monotonic()'s scale; 0: each has its own */
    int (*stop)(void *cookie); /* the work is to end; may be NULL */
    void *stop_cookie;

    /* ---- this machine ---- */
    const char *model;        /* a path, or s3://bucket/key; NULL: see model_error */
    const char *model_error;  /* why there is none */
    const char *model_sha256; /* what its digest should be, in hex; NULL: unknown */
    const char *model_source; /* where it is filled from (CARACOLA_MODEL_SOURCE), or NULL */
    const char *vocab;        /* or NULL */
    const char *language;     /* that notes are spoken in, or NULL */
    const char *cpu;          /* $CARACOLA_CPU, or NULL */
    int threads;              /* to be used; 0: all there are */
    int memory_mb;            /* what Lambda gives; 0: no Lambda */
    const cara_transcriber *transcriber;

    /* ---- the store, and AWS behind it ---- */
    const char *store;    /* a folder or s3://bucket/prefix; NULL: none is set */
    int aws_wanted;       /* something here points to AWS */
    int in_function;      /* only calls that the function's role allows */
    struct cara_aws *aws; /* NULL with aws_error where it could not be opened */
    const char *aws_error;
    char phone[160]; /* phone-number-id-... to ask for media; "" until it is known */

    /* ---- what is in the account; "" until it is known ---- */
    const char *stack;
    char function[256], topic[304], queue[512], dead_letters[512];
    char bucket_store[160]; /* the store that the stack has */

    /* ---- what earlier checks found, for later ones ---- */
    int unreachable;  /* AWS does not answer at all: the rest is skipped */
    int unusable;     /* the model cannot be opened */
    int english_only; /* the model's */
    int is_demo;
} cara_doctor;

/* CPU, threads, audio formats, model, digest, memory, a voice note. */
void cara_doctor_machine(cara_doctor *doctor);
/* Region, credentials, the store, the permission to fetch media, the clock. In a function, and
 * everywhere else after cara_doctor_account() has found what there is. */
void cara_doctor_store(cara_doctor *doctor);
/* Region and credentials, then what the account holds: stack, function, topic, destination, queue,
 * dead letters. Never in a function: its role has no permission for it. */
void cara_doctor_account(cara_doctor *doctor);
/* Has the function examine itself, and adds what it finds. */
void cara_doctor_function(cara_doctor *doctor);

#endif

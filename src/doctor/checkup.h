/* What was checked and what was found: one check, one sentence, one piece of advice. */
#ifndef DOCTOR_CHECKUP_H
#define DOCTOR_CHECKUP_H

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

#define CARA_CHECKUP_MAX 64

typedef enum cara_finding { /* from the best to the worst */
                            CARA_FINDING_OK,
                            CARA_FINDING_SKIPPED, /* does not apply here, and the sentence says why
                                                   */
                            CARA_FINDING_WARNING, /* works, but badly, or not for long */
                            CARA_FINDING_FAILURE, /* keeps voice notes from becoming text */
} cara_finding;

typedef struct cara_check {
    char name[24];  /* stable, for machines: "model", "bucket" */
    char where[12]; /* "here" or "function" */
    cara_finding finding;
    char text[640];   /* a sentence */
    char advice[480]; /* what to do; "" where there is nothing to do */
} cara_check;

typedef struct cara_checkup {
    cara_check checks[CARA_CHECKUP_MAX];
    size_t n, n_reported; /* how many `on_check` was called for */
    const char *where;    /* of what is added from now on; NULL: "here" */
    /* Called for each check once it is complete; may be NULL. */
    void (*on_check)(void *cookie, const cara_check *check);
    void *cookie;
} cara_checkup;

/* "ok", "skipped", "warning", "failure"; static. */
const char *cara_finding_name(cara_finding finding);

/* Adds a check, whose sentence is given like printf's; earlier checks are complete and `on_check`
 * is called for them. Control bytes become blanks. Where the list is full, the last place is
 * overwritten. */
void cara_checkup_add(cara_checkup *checkup, const char *name, cara_finding finding,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The advice to the latest check. */
void cara_checkup_advise(cara_checkup *checkup, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Calls `on_check` for all checks that it was not called for yet. */
void cara_checkup_flush(cara_checkup *checkup);

/* OK, WARNING or FAILURE: the worst finding; what was skipped counts as well. */
cara_finding cara_checkup_verdict(const cara_checkup *checkup);

/* {"verdict": "ok", "version": "0.1.0", "checks": [{"name", "where", "status", "message"[,
 * "advice"]}, ...]}; the caller's. NULL on no memory. */
json_t *cara_checkup_json(const cara_checkup *checkup);

/* Adds the checks of such a document, from elsewhere, as of `checkup->where`. EVENT where it is
 * none: then nothing is added. */
int cara_checkup_read(cara_checkup *checkup, const char *text, size_t n, cara_error *err);

#endif

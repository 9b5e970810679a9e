/* A store in a fresh folder, a media folder, and a transcriber whose text is always the same. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "pipeline/pipeline.h"

#include <jansson.h>

typedef struct fixture {
    char root[64]; /* /tmp/..., with store/ and media/ */
    char store_path[80], media_path[80];
    cara_store *store;
    cara_media media, inner_media; /* `media` counts and calls `inner_media` */
    cara_transcriber transcriber;
    cara_pipeline pipeline;
    int n_prepared, n_transcribed, n_fetched;
    int prepare_rc, transcribe_rc, fetch_rc; /* codes to fail with, 0 for none */
    int resume_rc; /* the same for a transcription that continues an earlier one */
    int silence, cut_short;
    const char *text;   /* of the transcript; NULL: " hay una panga" */
    int64_t resumed_at; /* frame at which the last transcription began */
    size_t n_context;
    int busy_ms;       /* how long a transcription takes */
    char last_ext[16]; /* of the last audio that was transcribed */
    /* of the last event */
    cara_summary summary;
    char last_key[CARA_KEY_SIZE];
    cara_outcome last_outcome;
    cara_stage last_stage;
    cara_error last_error;
} fixture;

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Handles an event of tests/data/events, or a text. */
void fixture_event(fixture *f, const char *name);
void fixture_text(fixture *f, const char *event);
/* An event with the one message given as JSON. */
void fixture_message(fixture *f, const char *message);

void fixture_media(fixture *f, const char *name, const void *bytes, size_t n);

/* A record, parsed; fails the test where it is missing or no JSON. The caller's reference. */
json_t *fixture_record(const fixture *f, const char *key);
int fixture_has(const fixture *f, const char *key); /* 1 where the store has it */
/* Files in the store (kind 'r': records, 'm': media, 'q': quarantine, 't': temporaries, 0: all).
 * Fails the test on any path that the contract does not allow. */
size_t fixture_count(const fixture *f, char kind);
/* "Q1" where `json`'s member path "a.b" is that string. */
const char *fixture_at(const json_t *json, const char *path);

#endif

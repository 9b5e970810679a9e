/* What turns audio into text, as the pipeline sees it. The engine (engine.h) is one; tests have
 * their own. */
#ifndef PIPELINE_TRANSCRIBER_H
#define PIPELINE_TRANSCRIBER_H

#include <caracola/error.h>
#include <caracola/result.h>
#include <stddef.h>

/* Polled during long work; non-zero ends it as soon as possible. */
typedef int (*cara_stop_fn)(void *cookie);

/* Where an earlier run over the same audio was cut short. */
typedef struct cara_resume {
    int64_t frame;         /* of 10 ms each: all before it is transcribed */
    const char *language;  /* that was used or detected, or NULL */
    const int32_t *tokens; /* [n_tokens] of its segments that still count as context */
    size_t n_tokens;
} cara_resume;

/* Borrowed. */
typedef struct cara_encoded_audio {
    const void *bytes; /* [n] */
    size_t n;
    const char *ext; /* of its file, or made of its media type: "ogg"; for sound whose bytes do not
                        tell what it is */
} cara_encoded_audio;

typedef struct cara_transcriber {
    /* Called before each transcribe(): gets everything ready that transcribing takes (the model).
     * `stop` may be NULL. What each code means: base/failure.h, CARA_STAGE_MODEL. */
    int (*prepare)(void *ctx, cara_stop_fn stop, void *cookie, cara_error *err);
    /* Begins at resume->frame (0: the beginning), and sets it to how far all is transcribed.
     * Stopped work is a success with result->cut_short. On success *out is the caller's, for
     * release(). What each code means: base/failure.h, CARA_STAGE_TRANSCRIBE. */
    int (*transcribe)(void *ctx, const cara_encoded_audio *encoded, cara_stop_fn stop, void *cookie,
                      cara_resume *resume, cara_result **out, cara_error *err);
    void (*release)(void *ctx, cara_result *result);
    /* For the record; NULL before a successful prepare(). */
    const char *(*model_name)(void *ctx);
    void *ctx;
} cara_transcriber;

#endif

/* Who turns audio into text, as the pipeline sees it. */
#ifndef PIPELINE_TRANSCRIBER_H
#define PIPELINE_TRANSCRIBER_H

#include <caracola/audio.h>
#include <caracola/error.h>
#include <caracola/result.h>
#include <caracola/transcribe.h>
#include <stddef.h>

/* Asked again and again during long work; non-zero ends it as soon as can be. */
typedef int (*cara_stop_fn)(void *cookie);

/* Where a run over the same audio was cut short, to go on from there. */
typedef struct cara_resume {
    int64_t frame;         /* of 10 ms each: up to here all was heard */
    const char *language;  /* what that run heard, or NULL */
    const int32_t *tokens; /* [n_tokens] of its segments that still count as context */
    size_t n_tokens;
} cara_resume;

typedef struct cara_transcriber {
    /* Called before the first audio and before each: makes ready whatever it takes to listen (the
     * model). A failure here is the installation's, not the audio's: the message waits for a retry.
     */
    int (*prepare)(void *ctx, cara_error *err);
    /* `stop` may be NULL. Begins at resume->frame (0: the beginning) and leaves there up to where
     * all was heard. Stopped work is a success with result->cut_short. A retry cures MEMORY
     * and CANCELLED, whoever set the options cures USAGE and CPU; any other failure is the audio's,
     * and recorded with the message. */
    int (*transcribe)(void *ctx, const void *bytes, size_t n, cara_stop_fn stop, void *cookie,
                      cara_resume *resume, cara_result **out, cara_error *err);
    void (*release)(void *ctx, cara_result *result);
    /* For the record; NULL before a successful prepare. */
    const char *(*model_name)(void *ctx);
    void *ctx;
} cara_transcriber;

/* libcaracola as a transcriber. The model is opened at the first prepare(), so that events without
 * audio do not pay for it; where that fails, later calls give the same error without another try.
 */
typedef struct cara_engine cara_engine;

typedef struct cara_engine_options { /* everything is borrowed as long as the engine lives */
    const char *model_path;
    const char *vocab_path;   /* or NULL */
    int threads;              /* 0: as many as this process may run on */
    cara_options transcribe;  /* progress may be set; it is called before `stop` is asked */
    cara_audio_limits limits; /* zeros: the defaults */
} cara_engine_options;

/* NULL on no memory. */
cara_engine *cara_engine_new(const cara_engine_options *options);
cara_transcriber cara_engine_transcriber(cara_engine *engine);
void cara_engine_free(cara_engine *engine);

#endif

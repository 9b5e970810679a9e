/* Who turns audio into text, as the pipeline sees it. */
#ifndef PIPELINE_TRANSCRIBER_H
#define PIPELINE_TRANSCRIBER_H

#include <caracola/audio.h>
#include <caracola/error.h>
#include <caracola/model.h>
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
     * `stop` may be NULL. */
    int (*prepare)(void *ctx, cara_stop_fn stop, void *cookie, cara_error *err);
    /* Begins at resume->frame (0: the beginning) and leaves there up to where all is transcribed.
     * Stopped work is a success with result->cut_short. What each code means: base/failure.h,
     * CARA_STAGE_TRANSCRIBE. */
    int (*transcribe)(void *ctx, const void *bytes, size_t n, cara_stop_fn stop, void *cookie,
                      cara_resume *resume, cara_result **out, cara_error *err);
    void (*release)(void *ctx, cara_result *result);
    /* For the record; NULL before a successful prepare. */
    const char *(*model_name)(void *ctx);
    void *ctx;
} cara_transcriber;

/* A model that is no file of this machine's. */
typedef struct cara_model_source {
    /* Makes the model ready for use, though its weights may still be on their way. `stop` is asked
     * whenever something has to be waited for, until close(); it knows who waits now. After
     * CANCELLED it is called again and goes on. The engine closes *out before close(). */
    int (*open)(void *ctx, cara_stop_fn stop, void *cookie, cara_model **out, cara_error *err);
    /* Waits until all of it is there, and is what it must be: only then may anything be kept that
     * was heard with it. Called after each transcribe(); CANCELLED leaves the model open. */
    int (*verify)(void *ctx, cara_error *err);
    void (*close)(void *ctx); /* also after an open that failed otherwise */
    void *ctx;
} cara_model_source;

/* libcaracola as a transcriber. The model is opened at the first prepare(), so that events without
 * audio do not pay for it; where that fails, calls in the next seconds give the same error without
 * another try. */
typedef struct cara_engine cara_engine;

typedef struct cara_engine_options { /* everything is borrowed as long as the engine lives */
    const char *model_path;          /* with `source`: only names the model */
    const cara_model_source *source; /* or NULL */
    const char *vocab_path;          /* or NULL */
    int threads;                     /* 0: as many as this process may run on */
    int ears;                        /* most that hear at once, each in a thread; 0: one */
    /* With several ears, asked while all wait for a source's model, from any thread; or NULL. */
    cara_stop_fn stop;
    void *stop_cookie;
    cara_options transcribe;  /* progress may be set; it is called before `stop` is asked */
    cara_audio_limits limits; /* zeros: the defaults */
} cara_engine_options;

/* NULL on no memory. */
cara_engine *cara_engine_new(const cara_engine_options *options);
/* `index` is 0 to ears - 1; each is used by one thread at a time. While several decode, each weight
 * is read once for all. */
cara_transcriber cara_engine_transcriber(cara_engine *engine, int index);
/* Closes the model, or forgets why it could not be opened: the next prepare() looks again. Not
 * while any ear hears. */
void cara_engine_reset(cara_engine *engine);
void cara_engine_free(cara_engine *engine);

#endif

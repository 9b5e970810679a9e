/* libcaracola as a transcriber. The model is opened at the first prepare(), so that events without
 * audio do not need it. If that fails, prepare() gives the same error for the next seconds without
 * another try. */
#ifndef PIPELINE_ENGINE_H
#define PIPELINE_ENGINE_H

#include "pipeline/transcriber/transcriber.h"

#include <caracola/audio.h>
#include <caracola/model.h>
#include <caracola/transcribe.h>

/* A source of a model other than the file at model_path. */
typedef struct cara_model_source {
    /* Makes the model ready for use, though its weights may still be on their way. `stop` is called
     * whenever something has to be waited for, until close(), and must know which call waits.
     * After CANCELLED, open() is called again and goes on. The engine closes *out before close().
     */
    int (*open)(void *ctx, cara_stop_fn stop, void *cookie, cara_model **out, cara_error *err);
    /* Waits until all of the model is there, and checks it: only then may a transcript made with it
     * be kept. Called after each transcription; CANCELLED leaves the model open. */
    int (*verify)(void *ctx, cara_error *err);
    void (*close)(void *ctx); /* also after an open() that failed with another code */
    void *ctx;
} cara_model_source;

typedef struct cara_engine cara_engine;

typedef struct cara_engine_options { /* everything is borrowed as long as the engine lives */
    const char *model_path;          /* with `source`: only names the model */
    const cara_model_source *source; /* or NULL */
    const char *vocab_path;          /* or NULL */
    const char *vocab_setting;       /* what messages call vocab_path; NULL: they do not name it */
    int threads;                     /* 0: as many as this process may run on */
    int concurrent; /* transcriptions at the same time, each in a thread of its own; 0: one */
    /* If `concurrent` > 1: called, from any thread, while all wait for a source's model. May be
     * NULL. */
    cara_stop_fn stop;
    void *stop_cookie;
    cara_options transcribe; /* progress may be set; it is called before `stop` */
} cara_engine_options;

/* NULL on no memory. Free it with cara_engine_free(). */
cara_engine *cara_engine_new(const cara_engine_options *options);

/* Valid as long as the engine; `index` is 0 to concurrent - 1. Each is for one thread at a time.
 * While several decode, each weight is read once for all. */
cara_transcriber cara_engine_transcriber(cara_engine *engine, int index);

/* Closes the model, and forgets why it could not be opened: the next prepare() tries again. Not
 * while a transcription runs. */
void cara_engine_reset(cara_engine *engine);

/* NULL is allowed. */
void cara_engine_free(cara_engine *engine);

#endif

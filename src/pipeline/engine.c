#include "pipeline/transcriber.h"

#include "base/clock.h"
#include "base/error.h"

#include <caracola/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILED_S 10.0 /* so long a failure is not tried again: the messages of a batch share it */

struct cara_engine {
    cara_engine_options options;
    cara_model *model;
    cara_session *session;
    cara_error failure; /* of the last try to open the model */
    double failed_at;   /* cara_clock_monotonic(); 0: it did not fail, or may be tried again */
    int verified;       /* the source's model is what it must be */
    char name[64];
    cara_stop_fn stop; /* of the call in progress */
    void *stop_cookie;
    int64_t frame; /* up to here it has heard all */
};

cara_engine *cara_engine_new(const cara_engine_options *options) {
    cara_engine *engine = calloc(1, sizeof *engine);
    if (engine)
        engine->options = *options;
    return engine;
}

/* "medium" where the model is a published one, else its file's name without folder and ending. */
static void name_model(cara_engine *engine) {
    const char *name = cara_model_name(engine->model);
    int n = 64;
    if (strcmp(name, "custom") == 0) {
        const char *slash = strrchr(engine->options.model_path, '/');
        name = slash ? slash + 1 : engine->options.model_path;
        const char *dot = strrchr(name, '.');
        if (dot && dot > name && dot - name < n)
            n = (int)(dot - name);
    }
    snprintf(engine->name, sizeof engine->name, "%.*s", n, name);
}

static int engine_stop(void *cookie) {
    const cara_engine *engine = cookie;
    return engine->stop && engine->stop(engine->stop_cookie);
}

void cara_engine_reset(cara_engine *engine) {
    cara_session_free(engine->session);
    cara_model_close(engine->model);
    if (engine->options.source)
        engine->options.source->close(engine->options.source->ctx);
    engine->session = NULL;
    engine->model = NULL;
    engine->failed_at = 0;
    engine->verified = 0;
}

static int open_model(cara_engine *engine, cara_error *err) {
    const cara_engine_options *o = &engine->options;
    return o->source ? o->source->open(o->source->ctx, engine_stop, engine, &engine->model, err)
                     : cara_model_open(o->model_path, o->vocab_path, &engine->model, err);
}

static int engine_prepare(void *ctx, cara_stop_fn stop, void *cookie, cara_error *err) {
    cara_engine *engine = ctx;
    if (engine->session)
        return CARA_OK;
    if (engine->failed_at > 0 && cara_clock_monotonic() - engine->failed_at < FAILED_S) {
        if (err)
            *err = engine->failure;
        return (int)engine->failure.code;
    }
    engine->stop = stop;
    engine->stop_cookie = cookie;
    cara_session_options session = {.threads = engine->options.threads};
    int rc = open_model(engine, &engine->failure);
    if (!rc)
        rc = cara_session_new(engine->model, &session, &engine->session, &engine->failure);
    engine->stop = NULL;
    if (!rc) {
        name_model(engine);
        return CARA_OK;
    }
    cara_engine_reset(engine);
    if (rc != CARA_ERR_MEMORY && rc != CARA_ERR_CANCELLED) /* which may be over at once */
        engine->failed_at = cara_clock_monotonic();
    if (err)
        *err = engine->failure;
    return rc;
}

/* What was heard with a model that is not what it must be is worth nothing. */
static int verify(cara_engine *engine, int rc, cara_result **result, cara_error *err) {
    const cara_model_source *source = engine->options.source;
    if (!source || engine->verified)
        return rc;
    if (!rc) {
        rc = source->verify(source->ctx, err);
        engine->verified = !rc;
    }
    if (!rc)
        return rc;
    cara_result_free(*result);
    *result = NULL;
    if (rc != CARA_ERR_USAGE && rc != CARA_ERR_CPU && cara_transcriber_is_model(rc)) {
        cara_engine_reset(engine);
        engine->failure = *err;
        engine->failed_at = cara_clock_monotonic();
    }
    return rc;
}

static int engine_progress(void *cookie, int64_t done, int64_t total) {
    cara_engine *engine = cookie;
    /* Before its first window, a run that begins in the middle tells 0. */
    if (done > engine->frame)
        engine->frame = done;
    const cara_options *options = &engine->options.transcribe;
    if (options->progress && options->progress(options->cookie, done, total))
        return 1;
    return engine_stop(engine);
}

static int engine_transcribe(void *ctx, const void *bytes, size_t n, cara_stop_fn stop,
                             void *cookie, cara_resume *resume, cara_result **out,
                             cara_error *err) {
    cara_engine *engine = ctx;
    cara_audio *audio = NULL;
    *out = NULL;
    int rc = cara_audio_open_memory(bytes, n, &engine->options.limits, &audio, err);
    if (rc)
        return rc;
    cara_options options = engine->options.transcribe;
    options.progress = engine_progress;
    options.on_segment = NULL;
    options.cookie = engine;
    char clip[32];
    if (resume->frame > 0) {
        snprintf(clip, sizeof clip, "%lld.%02d", (long long)(resume->frame / 100),
                 (int)(resume->frame % 100));
        options.clip_timestamps = clip;
        if (resume->language)
            options.language = resume->language;
        if (options.condition_on_previous_text) {
            options.previous_tokens = resume->tokens;
            options.n_previous_tokens = resume->n_tokens;
        }
    }
    engine->frame = resume->frame;
    engine->stop = stop;
    engine->stop_cookie = cookie;
    rc = cara_transcribe(engine->session, cara_audio_source(audio), &options, out, err);
    cara_audio_close(audio);
    rc = verify(engine, rc, out, err);
    engine->stop = NULL;
    if (!rc)
        resume->frame = engine->frame;
    return rc;
}

static void engine_release(void *ctx, cara_result *result) {
    cara_result_free(result);
}

static const char *engine_model_name(void *ctx) {
    const cara_engine *engine = ctx;
    return engine->session ? engine->name : NULL;
}

cara_transcriber cara_engine_transcriber(cara_engine *engine) {
    return (cara_transcriber){engine_prepare, engine_transcribe, engine_release, engine_model_name,
                              engine};
}

void cara_engine_free(cara_engine *engine) {
    if (!engine)
        return;
    cara_engine_reset(engine);
    free(engine);
}

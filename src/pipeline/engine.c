#include "pipeline/transcriber.h"

#include "base/error.h"

#include <caracola/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cara_engine {
    cara_engine_options options;
    cara_model *model;
    cara_session *session;
    cara_error failure; /* of the one try to open the model */
    int failed;
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

static int engine_prepare(void *ctx, cara_error *err) {
    cara_engine *engine = ctx;
    if (engine->session)
        return CARA_OK;
    int rc = CARA_OK;
    if (!engine->failed) {
        cara_session_options session = {.threads = engine->options.threads};
        rc = cara_model_open(engine->options.model_path, engine->options.vocab_path, &engine->model,
                             &engine->failure);
        if (!rc) {
            rc = cara_session_new(engine->model, &session, &engine->session, &engine->failure);
            if (!rc)
                name_model(engine);
        }
        engine->failed = rc && rc != CARA_ERR_MEMORY; /* which may come back */
        if (rc && !engine->failed) {
            cara_model_close(engine->model);
            engine->model = NULL;
            if (err)
                *err = engine->failure;
        }
    }
    if (engine->failed) {
        if (err)
            *err = engine->failure;
        rc = (int)engine->failure.code;
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
    return engine->stop && engine->stop(engine->stop_cookie);
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
    cara_session_free(engine->session);
    cara_model_close(engine->model);
    free(engine);
}

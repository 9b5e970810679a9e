#include "pipeline/transcriber.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/failure.h"

#include <caracola/model.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILED_S 10.0 /* so long a failure is not tried again: the messages of a batch share it */

typedef struct ear {
    cara_engine *engine;
    cara_session *session; /* NULL: the model is not open */
    cara_stop_fn stop;     /* of the call in progress */
    void *stop_cookie;
    int64_t frame; /* up to here it has heard all */
} ear;

struct cara_engine {
    cara_engine_options options;
    int n; /* ears */
    ear ears[CARA_MAX_SESSIONS];
    pthread_mutex_t verifying; /* held by the ear that does; before the other lock */
    pthread_mutex_t lock;      /* over all below */
    cara_model *model;
    int hearing;        /* ears in transcribe() */
    int broken;         /* the model is to be closed once none hears */
    cara_error failure; /* of the last try to open the model */
    double failed_at;   /* cara_clock_monotonic(); 0: it did not fail, or may be tried again */
    int verified;       /* the source's model is what it must be */
    char name[64];
};

cara_engine *cara_engine_new(const cara_engine_options *options) {
    cara_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->options = *options;
    engine->n = options->ears > 1 ? options->ears : 1;
    if (engine->n > CARA_MAX_SESSIONS)
        engine->n = CARA_MAX_SESSIONS;
    for (int i = 0; i < engine->n; i++)
        engine->ears[i].engine = engine;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_mutex_init(&engine->verifying, NULL);
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

static int ear_stop(void *cookie) {
    const ear *e = cookie;
    return e->stop && e->stop(e->stop_cookie);
}

/* While a source's model is waited for, by whoever computes for all. */
static int engine_stop(void *cookie) {
    cara_engine *engine = cookie;
    if (engine->n == 1)
        return ear_stop(&engine->ears[0]);
    return engine->options.stop && engine->options.stop(engine->options.stop_cookie);
}

static void close_model(cara_engine *engine) {
    for (int i = 0; i < engine->n; i++) {
        cara_session_free(engine->ears[i].session);
        engine->ears[i].session = NULL;
    }
    cara_model_close(engine->model);
    engine->model = NULL;
}

void cara_engine_reset(cara_engine *engine) {
    close_model(engine);
    if (engine->options.source)
        engine->options.source->close(engine->options.source->ctx);
    engine->failed_at = 0;
    engine->broken = engine->verified = 0;
}

static int open_all(cara_engine *engine, cara_error *err) {
    const cara_engine_options *o = &engine->options;
    const cara_session_options options = {.threads = o->threads};
    cara_session *sessions[CARA_MAX_SESSIONS];
    int rc = o->source ? o->source->open(o->source->ctx, engine_stop, engine, &engine->model, err)
                       : cara_model_open(o->model_path, o->vocab_path, &engine->model, err);
    if (!rc)
        rc = cara_sessions_new(engine->model, &options, engine->n, sessions, err);
    for (int i = 0; i < engine->n && !rc; i++)
        engine->ears[i].session = sessions[i];
    return rc;
}

/* With the lock. */
static int prepare(cara_engine *engine, ear *e, cara_stop_fn stop, void *cookie, cara_error *err) {
    if (e->session && !engine->broken)
        return CARA_OK;
    if (engine->failed_at > 0 && cara_clock_monotonic() - engine->failed_at < FAILED_S) {
        if (err)
            *err = engine->failure;
        return (int)engine->failure.code;
    }
    if (engine->hearing) /* with a model that proved wrong; it ends soon */
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "the model is about to be opened again");
    if (engine->broken)
        cara_engine_reset(engine);
    e->stop = stop;
    e->stop_cookie = cookie;
    int rc = open_all(engine, &engine->failure);
    e->stop = NULL;
    if (!rc) {
        name_model(engine);
        return CARA_OK;
    }
    if (rc == CARA_ERR_CANCELLED)
        close_model(engine); /* but what has come of it stays */
    else
        cara_engine_reset(engine);
    if (rc != CARA_ERR_MEMORY && rc != CARA_ERR_CANCELLED) /* which may be over at once */
        engine->failed_at = cara_clock_monotonic();
    if (err)
        *err = engine->failure;
    return rc;
}

static int engine_prepare(void *ctx, cara_stop_fn stop, void *cookie, cara_error *err) {
    ear *e = ctx;
    pthread_mutex_lock(&e->engine->lock);
    int rc = prepare(e->engine, e, stop, cookie, err);
    pthread_mutex_unlock(&e->engine->lock);
    return rc;
}

/* What was heard with a model that is not what it must be is worth nothing. */
static int verify(cara_engine *engine, cara_error *err) {
    const cara_model_source *source = engine->options.source;
    cara_error failure;
    if (!source)
        return CARA_OK;
    pthread_mutex_lock(&engine->verifying);
    pthread_mutex_lock(&engine->lock);
    int verified = engine->verified;
    pthread_mutex_unlock(&engine->lock);
    int rc = verified ? CARA_OK : source->verify(source->ctx, &failure);
    if (!rc && !verified) {
        pthread_mutex_lock(&engine->lock);
        engine->verified = 1;
        pthread_mutex_unlock(&engine->lock);
    }
    pthread_mutex_unlock(&engine->verifying);
    if (rc && err)
        *err = failure;
    return rc;
}

/* A model that failed is closed, and opened again in a while. With the lock. */
static void give_up(cara_engine *engine, int rc, const cara_error *failure) {
    if (rc == CARA_ERR_USAGE || rc == CARA_ERR_CPU ||
        cara_failure_of(CARA_STAGE_TRANSCRIBE, rc).stage != CARA_STAGE_MODEL)
        return;
    engine->broken = 1;
    engine->failure = *failure;
    engine->failed_at = cara_clock_monotonic();
}

static int engine_progress(void *cookie, int64_t done, int64_t total) {
    ear *e = cookie;
    /* Before its first window, a run that begins in the middle tells 0. */
    if (done > e->frame)
        e->frame = done;
    const cara_options *options = &e->engine->options.transcribe;
    if (options->progress && options->progress(options->cookie, done, total))
        return 1;
    return ear_stop(e);
}

static int hear(ear *e, cara_audio *audio, cara_resume *resume, cara_result **out,
                cara_error *err) {
    cara_options options = e->engine->options.transcribe;
    options.progress = engine_progress;
    options.on_segment = NULL;
    options.cookie = e;
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
    e->frame = resume->frame;
    int rc = cara_transcribe(e->session, cara_audio_source(audio), &options, out, err);
    if (!rc && (rc = verify(e->engine, err)) != 0) {
        cara_result_free(*out);
        *out = NULL;
    }
    if (!rc)
        resume->frame = e->frame;
    return rc;
}

static int engine_transcribe(void *ctx, const void *bytes, size_t n, cara_stop_fn stop,
                             void *cookie, cara_resume *resume, cara_result **out,
                             cara_error *err) {
    ear *e = ctx;
    cara_engine *engine = e->engine;
    cara_audio *audio = NULL;
    cara_error failure = {.code = CARA_OK, .position = -1};
    *out = NULL;
    int rc = cara_audio_open_memory(bytes, n, &engine->options.limits, &audio, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&engine->lock);
    /* Another ear may have found meanwhile that the model is not what it must be. */
    rc = prepare(engine, e, stop, cookie, &failure);
    if (!rc)
        engine->hearing++;
    pthread_mutex_unlock(&engine->lock);
    if (!rc) {
        e->stop = stop;
        e->stop_cookie = cookie;
        rc = hear(e, audio, resume, out, &failure);
        e->stop = NULL;
        pthread_mutex_lock(&engine->lock);
        if (rc && engine->options.source && !engine->verified)
            give_up(engine, rc, &failure);
        if (--engine->hearing == 0 && engine->broken) {
            double failed_at = engine->failed_at;
            cara_engine_reset(engine);
            engine->failed_at = failed_at;
        }
        pthread_mutex_unlock(&engine->lock);
    }
    cara_audio_close(audio);
    if (rc && err)
        *err = failure;
    return rc;
}

static void engine_release(void *ctx, cara_result *result) {
    cara_result_free(result);
}

static const char *engine_model_name(void *ctx) {
    const ear *e = ctx;
    return e->session ? e->engine->name : NULL;
}

cara_transcriber cara_engine_transcriber(cara_engine *engine, int index) {
    return (cara_transcriber){engine_prepare, engine_transcribe, engine_release, engine_model_name,
                              &engine->ears[index]};
}

void cara_engine_free(cara_engine *engine) {
    if (!engine)
        return;
    cara_engine_reset(engine);
    pthread_mutex_destroy(&engine->verifying);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

#include "pipeline/transcriber/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/failure.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds after a failure in which the model is not opened again: the messages of a batch share
 * it. */
#define FAILED_S 10.0

/* One of the engine's concurrent transcriptions. */
typedef struct concurrent_session {
    cara_engine *engine;
    cara_session *session; /* NULL: the model is not open */
    cara_stop_fn stop;     /* of the call in progress */
    void *stop_cookie;
    int64_t frame; /* all before it is transcribed */
} concurrent_session;

struct cara_engine {
    cara_engine_options options;
    int n; /* sessions */
    concurrent_session sessions[CARA_MAX_SESSIONS];
    pthread_mutex_t verifying; /* held during a source's verify(); taken before the other lock */
    pthread_mutex_t lock;      /* over all below */
    cara_model *model;
    int transcribing;   /* sessions in transcribe() */
    int broken;         /* the model is to be closed once `transcribing` is 0 */
    cara_error failure; /* of the last try to open the model */
    double failed_at;   /* cara_clock_monotonic(); 0: it did not fail, or may be tried again */
    int verified;       /* the source's model is complete and right */
    char name[64];
};

cara_engine *cara_engine_new(const cara_engine_options *options) {
    cara_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->options = *options;
    engine->n = options->concurrent > 1 ? options->concurrent : 1;
    if (engine->n > CARA_MAX_SESSIONS)
        engine->n = CARA_MAX_SESSIONS;
    for (int i = 0; i < engine->n; i++)
        engine->sessions[i].engine = engine;
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

static int should_stop(const concurrent_session *s) {
    return s->stop && s->stop(s->stop_cookie);
}

/* For a source's model: whichever session computes for all may have to wait for it. */
static int should_stop_waiting(void *cookie) {
    cara_engine *engine = cookie;
    if (engine->n == 1)
        return should_stop(&engine->sessions[0]);
    return engine->options.stop && engine->options.stop(engine->options.stop_cookie);
}

static void close_model(cara_engine *engine) {
    for (int i = 0; i < engine->n; i++) {
        cara_session_free(engine->sessions[i].session);
        engine->sessions[i].session = NULL;
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

/* Messages name an option of libcaracola; a user of the pipeline can set only this one. */
static const char *setting_of(void *cookie, const char *option) {
    const cara_engine *engine = cookie;
    return strcmp(option, "vocab_path") == 0 ? engine->options.vocab_setting : NULL;
}

static int open_model(cara_engine *engine, cara_error *err) {
    const cara_engine_options *o = &engine->options;
    const cara_session_options options = {.struct_size = sizeof options, .threads = o->threads};
    cara_session *sessions[CARA_MAX_SESSIONS];
    int rc = o->source
                 ? o->source->open(o->source->ctx, should_stop_waiting, engine, &engine->model, err)
                 : cara_model_open(o->model_path, o->vocab_path, &engine->model, err);
    if (!rc)
        rc = cara_sessions_new(engine->model, &options, engine->n, sessions, err);
    for (int i = 0; i < engine->n && !rc; i++)
        engine->sessions[i].session = sessions[i];
    if (rc)
        cara_error_name_options(err, setting_of, engine);
    return rc;
}

/* With the lock. */
static int prepare(concurrent_session *s, cara_stop_fn stop, void *cookie, cara_error *err) {
    cara_engine *engine = s->engine;
    if (s->session && !engine->broken)
        return CARA_OK;
    if (engine->failed_at > 0 && cara_clock_monotonic() - engine->failed_at < FAILED_S) {
        if (err)
            *err = engine->failure;
        return (int)engine->failure.code;
    }
    if (engine->transcribing) /* with a broken model; that ends soon */
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "the model is about to be opened again");
    if (engine->broken)
        cara_engine_reset(engine);
    s->stop = stop;
    s->stop_cookie = cookie;
    int rc = open_model(engine, &engine->failure);
    s->stop = NULL;
    if (!rc) {
        name_model(engine);
        return CARA_OK;
    }
    if (rc == CARA_ERR_CANCELLED)
        close_model(engine); /* the source keeps what has arrived */
    else
        cara_engine_reset(engine);
    if (rc != CARA_ERR_MEMORY && rc != CARA_ERR_CANCELLED) /* these may pass at once */
        engine->failed_at = cara_clock_monotonic();
    if (err)
        *err = engine->failure;
    return rc;
}

static int engine_prepare(void *ctx, cara_stop_fn stop, void *cookie, cara_error *err) {
    concurrent_session *s = ctx;
    pthread_mutex_lock(&s->engine->lock);
    int rc = prepare(s, stop, cookie, err);
    pthread_mutex_unlock(&s->engine->lock);
    return rc;
}

/* A transcript counts only if the source's model was complete and right. */
static int verify(cara_engine *engine, cara_error *err) {
    const cara_model_source *source = engine->options.source;
    if (!source)
        return CARA_OK;
    pthread_mutex_lock(&engine->verifying);
    pthread_mutex_lock(&engine->lock);
    int verified = engine->verified;
    pthread_mutex_unlock(&engine->lock);
    int rc = verified ? CARA_OK : source->verify(source->ctx, err);
    if (!rc && !verified) {
        pthread_mutex_lock(&engine->lock);
        engine->verified = 1;
        pthread_mutex_unlock(&engine->lock);
    }
    pthread_mutex_unlock(&engine->verifying);
    return rc;
}

static int begin(concurrent_session *s, cara_stop_fn stop, void *cookie, cara_error *err) {
    pthread_mutex_lock(&s->engine->lock);
    /* Another session may have found since prepare() that the model is broken. */
    int rc = prepare(s, stop, cookie, err);
    if (!rc) {
        s->engine->transcribing++;
        s->stop = stop;
        s->stop_cookie = cookie;
    }
    pthread_mutex_unlock(&s->engine->lock);
    return rc;
}

/* 1 where the model caused the failure, and opening it again may help. The table says whether the
 * model is the cause, of a message's failure; it does not say what an engine does with its model.
 * USAGE and CPU come from the options and the machine, so the same model would fail again. */
static int is_broken(int rc) {
    return rc && rc != CARA_ERR_USAGE && rc != CARA_ERR_CPU &&
           cara_failure_of(CARA_STAGE_TRANSCRIBE, rc).stage == CARA_STAGE_MODEL;
}

static void end(concurrent_session *s, int rc, const cara_error *failure) {
    cara_engine *engine = s->engine;
    pthread_mutex_lock(&engine->lock);
    s->stop = NULL;
    if (engine->options.source && !engine->verified && is_broken(rc)) {
        engine->broken = 1;
        engine->failure = *failure;
        engine->failed_at = cara_clock_monotonic();
    }
    if (--engine->transcribing == 0 && engine->broken) {
        double failed_at = engine->failed_at;
        cara_engine_reset(engine);
        engine->failed_at = failed_at;
    }
    pthread_mutex_unlock(&engine->lock);
}

static int on_progress(void *cookie, int64_t done, int64_t total) {
    concurrent_session *s = cookie;
    /* Before its first window, a run that begins in the middle reports 0. */
    if (done > s->frame)
        s->frame = done;
    const cara_options *options = &s->engine->options.transcribe;
    if (options->progress && options->progress(options->cookie, done, total))
        return 1;
    return should_stop(s);
}

/* The engine's options, to begin at `resume`; `clip` backs one of them. */
static cara_options options_from(concurrent_session *s, const cara_resume *resume, char clip[32]) {
    cara_options options = s->engine->options.transcribe;
    options.progress = on_progress;
    options.on_segment = NULL;
    options.cookie = s;
    if (resume->frame > 0) {
        snprintf(clip, 32, "%lld.%02d", (long long)(resume->frame / 100),
                 (int)(resume->frame % 100));
        options.clip_timestamps = clip;
        if (resume->language)
            options.language = resume->language;
        if (options.condition_on_previous_text) {
            options.previous_tokens = resume->tokens;
            options.n_previous_tokens = resume->n_tokens;
        }
    }
    return options;
}

static int engine_transcribe(void *ctx, const cara_encoded_audio *encoded, cara_stop_fn stop,
                             void *cookie, cara_resume *resume, cara_result **out,
                             cara_error *err) {
    concurrent_session *s = ctx;
    cara_audio *audio = NULL;
    cara_error failure = {.code = CARA_OK, .position = -1};
    char clip[32];
    *out = NULL;
    cara_audio_options how;
    cara_audio_options_default(&how, sizeof how);
    how.input_format = encoded->ext;
    how.stop = stop;
    how.stop_cookie = cookie;
    int rc = cara_audio_open_memory(encoded->bytes, encoded->n, &how, &audio, &failure);
    if (!rc)
        rc = begin(s, stop, cookie, &failure);
    if (rc)
        goto done;
    const cara_options options = options_from(s, resume, clip);
    s->frame = resume->frame;
    rc = cara_transcribe(s->session, cara_audio_source(audio), &options, out, &failure);
    if (!rc)
        rc = verify(s->engine, &failure);
    if (!rc)
        resume->frame = s->frame;
    end(s, rc, &failure);
done:
    if (rc) {
        cara_result_free(*out);
        *out = NULL;
        cara_error_name_options(&failure, setting_of, s->engine);
        if (err)
            *err = failure;
    }
    cara_audio_close(audio);
    return rc;
}

static void engine_release(void *ctx, cara_result *result) {
    cara_result_free(result);
}

static const char *engine_model_name(void *ctx) {
    const concurrent_session *s = ctx;
    return s->session ? s->engine->name : NULL;
}

cara_transcriber cara_engine_transcriber(cara_engine *engine, int index) {
    return (cara_transcriber){engine_prepare, engine_transcribe, engine_release, engine_model_name,
                              &engine->sessions[index]};
}

void cara_engine_free(cara_engine *engine) {
    if (!engine)
        return;
    cara_engine_reset(engine);
    pthread_mutex_destroy(&engine->verifying);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

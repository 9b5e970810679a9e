#include "app/events.h"

#include "app/settings/zone.h"
#include "aws/client/client.h"

static int open_engine(cara_events *e, const cara_events_options *o, cara_error *err) {
    cara_model_file_init(&e->model, o->model);
    e->model.vocab_path = o->vocab;
    e->model.on_demo = o->on_demo;
    e->model.cookie = o->cookie;
    e->source = cara_model_file_source(&e->model);
    cara_engine_options options = {.model_path = e->model.choice.path,
                                   .vocab_setting = "--vocab",
                                   .source = &e->source,
                                   .threads = o->threads};
    cara_options_default(&options.transcribe, sizeof options.transcribe);
    options.transcribe.best_of = 5; /* as openai's command */
    options.transcribe.language = o->language;
    options.transcribe.progress = o->progress;
    options.transcribe.cookie = o->cookie;
    e->engine = cara_engine_new(&options);
    if (!e->engine)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the engine");
    e->transcriber = cara_engine_transcriber(e->engine, 0);
    return CARA_OK;
}

int cara_events_open(cara_events *e, const cara_events_options *o, cara_error *err) {
    *e = (cara_events){.engine = NULL};
    int rc = cara_zone_set(o->timezone, "--timezone", err);
    if (!rc)
        rc = cara_app_store_open(&e->store, o->store, NULL, err);
    if (!rc)
        rc = cara_app_media_open(&e->store, o->media, "--media", &e->media, err);
    if (!rc)
        rc = open_engine(e, o, err);
    if (rc)
        return rc;
    if (e->store.aws)
        cara_aws_set_stop(e->store.aws, o->stop, o->cookie);
    e->pipeline = (cara_pipeline){.store = e->store.store,
                                  .media = &e->media,
                                  .transcriber = &e->transcriber,
                                  .local_time = cara_zone_local_time,
                                  .retry_failed = o->retry_failed,
                                  .stop = o->stop,
                                  .stop_cookie = o->cookie};
    return CARA_OK;
}

void cara_events_close(cara_events *e) {
    cara_engine_free(e->engine);
    cara_model_file_close(&e->model);
    cara_app_store_close(&e->store);
}

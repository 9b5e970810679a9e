#include "app/examine.h"

#include "app/model/path.h"
#include "app/model/stream.h"
#include "app/settings/environment.h"
#include "aws/client/client.h"
#include "base/clock.h"
#include "pipeline/service/lambda.h"
#include "tokenizer/language.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_S 1.5 /* what a function needs for its answer */

void cara_examine_environment(cara_doctor *d) {
    d->model_sha256 = cara_env("CARACOLA_MODEL_SHA256");
    d->model_source = cara_env("CARACOLA_MODEL_SOURCE");
    d->vocab = cara_env("CARACOLA_VOCAB");
    d->language = cara_env("CARACOLA_LANGUAGE");
    d->cpu = cara_env("CARACOLA_CPU");
    d->store = cara_env("CARACOLA_STORE");
}

/* Calls that end soon, even where nothing answers. */
static void open_aws(cara_doctor *d, cara_error *err) {
    static const cara_aws_options aws = {.connect_timeout_s = 4, .timeout_s = 10, .stall_s = 5};
    if (cara_aws_open(&aws, &d->aws, err))
        d->aws_error = err->text;
}

int cara_examine_function(cara_app *app, const json_t *event, double left_s, json_t **answer,
                          cara_error *err) {
    cara_checkup *checkup = calloc(1, sizeof *checkup);
    cara_doctor *d = calloc(1, sizeof *d);
    if (!checkup || !d) {
        free(checkup);
        free(d);
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the checks");
    }
    cara_error aws_err = {.code = CARA_OK, .position = -1};
    cara_examine_environment(d);
    const char *memory = cara_env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), *phone;
    d->checkup = checkup;
    d->in_function = 1;
    d->deadline = left_s > 0 ? cara_clock_monotonic() + left_s - ANSWER_S : 0;
    d->model = app->model_path;
    d->model_error = "no model is set";
    d->transcriber = &app->transcriber;
    d->memory_mb = memory ? (int)strtol(memory, NULL, 10) : 0;
    d->threads = cara_lambda_threads(memory);
    phone = cara_json_text(event, "phone");
    snprintf(d->phone, sizeof d->phone, "%s", phone ? phone : "");
    open_aws(d, &aws_err);
    checkup->where = "function";
    cara_doctor_store(d); /* quick, and nothing outside the function can check it */
    cara_doctor_machine(d);
    *answer = cara_checkup_json(checkup);
    cara_aws_close(d->aws);
    free(d);
    free(checkup);
    return *answer ? CARA_OK : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the answer");
}

static int wants_aws(const cara_doctor *d, int named) {
    return named || (d->store && cara_model_is_s3(d->store)) ||
           (d->model && cara_model_is_s3(d->model)) || d->queue[0];
}

static void check_all(cara_doctor *d, int named) {
    cara_checkup *checkup = d->checkup;
    cara_error aws_err = {.code = CARA_OK, .position = -1};
    d->aws_wanted = wants_aws(d, named);
    if (d->aws_wanted)
        open_aws(d, &aws_err);
    if (d->aws)
        cara_aws_set_stop(d->aws, d->stop, d->stop_cookie);
    cara_doctor_machine(d);
    if (d->aws_wanted) {
        cara_doctor_account(d);
        cara_doctor_store(d);
        cara_doctor_function(d);
    } else {
        if (d->store)
            cara_doctor_store(d);
        cara_checkup_add(
            checkup, "aws", CARA_FINDING_SKIPPED,
            "not set up for AWS: skipped (give --stack, --function or a store in s3:// to "
            "check it)");
    }
    cara_checkup_flush(checkup);
    cara_aws_close(d->aws);
}

void cara_examine_stack(cara_doctor *d) {
    cara_error err = {.code = CARA_OK, .position = -1};
    d->store = NULL;
    d->aws_wanted = 1;
    open_aws(d, &err);
    if (d->aws)
        cara_aws_set_stop(d->aws, d->stop, d->stop_cookie);
    cara_doctor_account(d);
    cara_doctor_store(d);
    cara_doctor_function(d);
    cara_checkup_flush(d->checkup);
    cara_aws_close(d->aws);
}

int cara_examine(cara_doctor *d, const char *model, int named, cara_error *err) {
    cara_error model_err = {.code = CARA_OK, .position = -1};
    cara_model_choice choice;
    cara_model_stream stream;
    cara_model_source source;
    int rc = cara_env_threads(&d->threads, err);
    if (rc)
        return rc;
    if (d->language && cara_language_find(d->language) < 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "a language is one such as es or Spanish, got \"%.64s\"", d->language);
    if (cara_model_choose(model, &choice, &model_err))
        d->model_error = model_err.text;
    d->model = choice.path;
    cara_engine_options options = {
        .model_path = choice.path, .vocab_path = d->vocab, .threads = d->threads};
    if (choice.path && cara_model_is_s3(choice.path)) {
        if (cara_model_stream_init(&stream, choice.path, d->model_sha256, &model_err)) {
            d->model = NULL;
            d->model_error = model_err.text;
        }
        stream.vocab_path = d->vocab;
        source = cara_model_stream_source(&stream);
        options.source = &source;
    }
    cara_options_default(&options.transcribe, sizeof options.transcribe);
    options.transcribe.best_of = 5; /* as openai's command */
    options.transcribe.language = d->language;
    cara_engine *engine = cara_engine_new(&options);
    if (engine) {
        cara_transcriber transcriber = cara_engine_transcriber(engine, 0);
        d->transcriber = &transcriber;
        check_all(d, named);
        d->transcriber = NULL;
    } else {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the engine");
    }
    cara_engine_free(engine);
    free(choice.path);
    d->model = NULL;
    d->model_error = NULL;
    return rc;
}

#include "pipeline/service/lambda.h"

#include "base/clock.h"
#include "base/limits.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MB_PER_CPU 1769
#define COMMAND_BYTES 4096 /* of an event that may be one */

int cara_lambda_threads(const char *memory_mb) {
    size_t n = memory_mb ? strlen(memory_mb) : 0;
    if (n == 0 || n > 9 || strspn(memory_mb, "0123456789") != n)
        return 0;
    /* floor(mb / 1769 + 0.5) */
    long threads = (2 * strtol(memory_mb, NULL, 10) + MB_PER_CPU) / (2 * MB_PER_CPU);
    return threads < 1 ? 1 : threads > CARA_LIMIT_THREADS ? CARA_LIMIT_THREADS : (int)threads;
}

/* {"batchItemFailures":[{"itemIdentifier":"..."}]}; NULL on no memory. */
static json_t *batch_failures(const cara_handled *handled) {
    json_t *items = json_array();
    int failed = 0;
    const char *id;
    json_t *value;
    json_object_foreach(handled->failed, id, value) failed |=
        json_array_append_new(items, json_pack("{s:s}", "itemIdentifier", id));
    if (failed) {
        json_decref(items);
        return NULL;
    }
    return json_pack("{s:o}", "batchItemFailures", items);
}

static json_t *counts(const cara_handled *handled) {
    json_t *root = json_object();
    int failed = json_object_set_new(root, "messages",
                                     json_integer((json_int_t)handled->summary.n_messages));
    for (int o = 0; o <= CARA_OUTCOME_QUARANTINED; o++)
        failed |= json_object_set_new(root, cara_outcome_name((cara_outcome)o),
                                      json_integer((json_int_t)handled->summary.by_outcome[o]));
    if (failed) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* 1 where Lambda took the answer, or no longer expects it: the next event may come. */
static int may_continue(cara_service *service, int rc, const cara_error *err) {
    if (rc != CARA_ERR_USAGE)
        return rc == CARA_OK;
    cara_log_line(&service->log->log, CARA_LOG_WARN, "%s", err->text);
    return 1;
}

/* Sends `answer`, which is taken over. MEMORY for NULL, too; else as cara_lambda_respond(). */
static int respond(cara_lambda *lambda, const char *id, json_t *answer, cara_error *err) {
    cara_buf body;
    cara_buf_init(&body, CARA_LIMIT_EVENT_BYTES);
    int rc = !cara_json_write(answer, CARA_JSON_COMPACT, &body)
                 ? cara_lambda_respond(lambda, id, body.data, body.len, err)
                 : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the answer");
    cara_buf_free(&body);
    json_decref(answer);
    return rc;
}

/* Answers the invocation. CARA_OK, or why the sandbox is lost. */
static int answer(cara_lambda *lambda, cara_service *service, const char *id,
                  const cara_handled *handled, int handle_rc, cara_error *failure,
                  cara_error *err) {
    const char *type = cara_service_error_type(CARA_STAGE_EVENT, CARA_ERR_MEMORY);
    const char *message = failure->text;
    if (!handle_rc) {
        int named = handled->summary.is_sqs && !handled->unnamed;
        if (!handled->n_retry || named) {
            json_t *root = named ? batch_failures(handled) : counts(handled);
            int rc = respond(lambda, id, root, err);
            if (rc != CARA_ERR_MEMORY)
                return may_continue(service, rc, err) ? CARA_OK : rc;
            message = "no memory for the answer, or it is too large for Lambda";
        } else {
            type = cara_service_error_type(handled->stage, handled->error.code);
            message = handled->error.text;
        }
    }
    cara_log_line(&service->log->log, CARA_LOG_ERROR, "the event is to be delivered again: %s: %s",
                  type, message);
    int rc = cara_lambda_fail(lambda, id, type, message, err);
    return may_continue(service, rc, err) ? CARA_OK : rc;
}

/* *command becomes the event where it is {"caracola":"NAME", ...}, else NULL. MEMORY. */
static int read_command(const cara_invocation *invocation, json_t **command, cara_error *err) {
    *command = NULL;
    if (invocation->body_len > COMMAND_BYTES || !strstr(invocation->body, "\"caracola\""))
        return CARA_OK;
    static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_EVENT, COMMAND_BYTES);
    json_t *root;
    if (cara_json_read(invocation->body, invocation->body_len, &rules, &root, NULL) ==
        CARA_ERR_MEMORY)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for an event");
    const char *name = cara_json_text(root, "caracola");
    if (name && *name)
        *command = root;
    else
        json_decref(root);
    return CARA_OK;
}

/* Runs the command that the event names, and answers. CARA_OK, or why the sandbox is lost. */
static int run_command(cara_lambda *lambda, cara_service *service, const char *id,
                       const json_t *event, double left_s, cara_error *err) {
    const char *name = cara_json_text(event, "caracola");
    cara_error failure = {.code = CARA_OK, .position = -1};
    json_t *root = NULL;
    cara_buf body;
    cara_buf_init(&body, CARA_LIMIT_EVENT_BYTES);
    int rc = service->command
                 ? service->command(service->command_ctx, name, event, left_s, &root, &failure)
                 : cara_fail(&failure, CARA_ERR_USAGE, -1, "there is no command \"%s\"", name);
    if (!rc && cara_json_write(root, CARA_JSON_COMPACT, &body))
        rc = cara_fail(&failure, CARA_ERR_MEMORY, -1, "no memory for the answer");
    json_decref(root);
    if (rc) {
        /* A command has no message and no stage, so the table of failures does not cover it. */
        const char *type = rc == CARA_ERR_USAGE     ? "Command.Invalid"
                           : rc == CARA_ERR_NETWORK ? "Command.Unavailable"
                           : rc == CARA_ERR_MEMORY  ? "Runtime.OutOfMemory"
                                                    : "Command.Failed";
        cara_log_line(&service->log->log, CARA_LOG_ERROR, "%s: %s: %s", name, type, failure.text);
        rc = cara_lambda_fail(lambda, id, type, failure.text, err);
    } else {
        rc = cara_lambda_respond(lambda, id, body.data, body.len, err);
    }
    cara_buf_free(&body);
    return may_continue(service, rc, err) ? CARA_OK : rc;
}

int cara_lambda_serve(cara_lambda *lambda, cara_service *service, cara_error *err) {
    for (;;) {
        cara_invocation invocation;
        cara_error failure = {.code = CARA_OK, .position = -1};
        service->log->request_id[0] = 0;
        /* One byte more than what is kept of an event: the pipeline sees that it is too large. */
        int rc = cara_lambda_next(lambda, CARA_LIMIT_QUARANTINE_BYTES + 1, &invocation, err);
        if (rc && !(rc == CARA_ERR_MEMORY && invocation.request_id[0])) {
            cara_invocation_free(&invocation);
            return rc;
        }
        snprintf(service->log->request_id, sizeof service->log->request_id, "%s",
                 invocation.request_id);
        /* For all that sends traces to X-Ray from this process; Lambda's own runtimes set it too.
         */
        if (invocation.trace_id[0])
            (void)setenv("_X_AMZN_TRACE_ID", invocation.trace_id, 1);
        else
            (void)unsetenv("_X_AMZN_TRACE_ID");
        double left = 0;
        if (!rc && invocation.deadline_ms > 0) {
            left = (double)(invocation.deadline_ms - cara_clock_wall_ms()) / 1000;
            left = left > 0.001 ? left : 0.001; /* late already; 0 would mean "no limit" */
        }
        cara_handled handled = {.n_retry = 0};
        json_t *command = NULL;
        if (rc) {
            failure = *err;
        } else if ((rc = read_command(&invocation, &command, &failure)) == CARA_OK && command) {
            rc = run_command(lambda, service, invocation.request_id, command, left, err);
            json_decref(command);
            cara_invocation_free(&invocation);
            if (rc)
                return rc;
            continue;
        } else if (!rc) {
            rc = cara_service_handle(service, invocation.body, invocation.body_len, left, &handled,
                                     &failure);
        }
        rc = answer(lambda, service, invocation.request_id, &handled, rc, &failure, err);
        cara_handled_free(&handled);
        cara_invocation_free(&invocation);
        if (rc)
            return rc;
    }
}

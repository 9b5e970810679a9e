#include "deploy/stack/events.h"

#include "json/json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FAILURES = 5, MAX_REPORTED = 300 };

static int ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int fetch(const cara_stack_watch *watch, json_t **events, cara_error *err) {
    const char *const args[] = {"cloudformation",
                                "describe-stack-events",
                                "--stack-name",
                                watch->id,
                                "--max-items",
                                "300",
                                NULL};
    json_t *answer;
    *events = NULL;
    int rc = cara_awscli_json(watch->cli, &cara_service_cloudformation, args, &answer, NULL, err);
    if (!rc)
        *events = json_incref(json_object_get(answer, "StackEvents"));
    json_decref(answer);
    return rc;
}

static void remember(cara_stack_watch *watch, const json_t *newest) {
    snprintf(watch->seen, sizeof watch->seen, "%s", cara_json_text_or(newest, "EventId", ""));
}

int cara_stack_watch_begin(cara_stack_watch *watch, const cara_awscli *cli,
                           const cara_progress *progress, const char *name, const char *id,
                           cara_error *err) {
    *watch = (cara_stack_watch){.cli = cli, .progress = progress, .name = name};
    snprintf(watch->id, sizeof watch->id, "%s", id);
    json_t *events;
    int rc = fetch(watch, &events, err);
    if (!rc)
        remember(watch, json_array_get(events, 0));
    json_decref(events);
    return rc;
}

/* Advice for some of AWS's error texts. */
static void report_advice(const cara_progress *progress, const char *why) {
    static const struct {
        const char *words, *advice;
    } known[] = {
        {"UnreservedConcurrentExecution",
         "the account has too few functions at once to reserve some: --concurrency 0, or ask AWS "
         "for more"},
        {"'MemorySize' value failed to satisfy", "new accounts are held to --memory 3008"},
        {"is not authorized to perform",
         "these credentials may not do that; use an administrator's"},
        {"already exists", "something of that name is there: another --stack, or delete it"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(why, known[i].words))
            cara_progress_report(progress, "  -> %s", known[i].advice);
}

/* Reports one event; 1 where it is the stack's own end. */
static int report(const cara_stack_watch *watch, const json_t *event) {
    const char *status = cara_json_text_or(event, "ResourceStatus", "");
    const char *name = cara_json_text_or(event, "LogicalResourceId", "");
    const char *why = cara_json_text_or(event, "ResourceStatusReason", "");
    int busy = ends_with(status, "_IN_PROGRESS");
    int own = strcmp(cara_json_text_or(event, "PhysicalResourceId", ""), watch->id) == 0;
    if (own && strstr(status, "ROLLBACK_IN_PROGRESS"))
        cara_progress_report(watch->progress, "  rolling back: %s", why);
    if (own)
        return !busy;
    cara_progress_status(watch->progress, "%s: %s %s", watch->name, name, status);
    /* Those that were cancelled only because another one failed say nothing new. */
    if (ends_with(status, "_FAILED") && !strstr(why, "cancelled")) {
        cara_progress_report(watch->progress, "  %s (%s) %s: %s", name,
                             cara_json_text_or(event, "ResourceType", ""), status, why);
        report_advice(watch->progress, why);
    } else if (strcmp(status, "DELETE_SKIPPED") == 0)
        cara_progress_report(watch->progress, "  %s (%s) kept: %s", name,
                             cara_json_text_or(event, "ResourceType", ""),
                             cara_json_text_or(event, "PhysicalResourceId", ""));
    else if (!busy)
        cara_progress_report(watch->progress, "  %s (%s) %s", name,
                             cara_json_text_or(event, "ResourceType", ""), status);
    return 0;
}

/* Those after watch->seen, oldest first. */
static int report_new(cara_stack_watch *watch, const json_t *events) {
    size_t n = 0, have = json_array_size(events);
    while (n < have && n < MAX_REPORTED &&
           strcmp(cara_json_text_or(json_array_get(events, n), "EventId", ""), watch->seen) != 0)
        n++;
    int done = 0;
    for (size_t i = n; i-- > 0;)
        done = report(watch, json_array_get(events, i)) || done;
    if (n)
        remember(watch, json_array_get(events, 0));
    return done;
}

int cara_stack_watch_end(cara_stack_watch *watch, cara_error *err) {
    int rc = CARA_OK;
    for (int i = 0, failed = 0, done = 0; !rc && !done; i++) {
        rc = cara_progress_wait(watch->cli, cara_progress_delay(i), err);
        if (rc)
            break;
        json_t *events;
        rc = fetch(watch, &events, err);
        if (!rc) {
            done = report_new(watch, events);
            failed = 0;
        } else if (rc == CARA_ERR_NETWORK && ++failed < MAX_FAILURES) {
            rc = CARA_OK;
        }
        json_decref(events);
    }
    cara_progress_status(watch->progress, "%s", "");
    return rc;
}

#include "deploy/stack/change.h"

#include "base/clock.h"
#include "deploy/stack/events.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

#define SERVICE &cara_service_cloudformation

static int ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int is_one_of(const char *status, const char *const *list) {
    for (; *list; list++)
        if (strcmp(status, *list) == 0)
            return 1;
    return 0;
}

int cara_stack_describe(const cara_awscli *cli, const char *name, cara_stack *out,
                        cara_error *err) {
    *out = (cara_stack){.exists = 0};
    const char *const args[] = {"cloudformation", "describe-stacks", "--stack-name", name, NULL};
    cara_awscli_fault fault;
    json_t *answer;
    int rc = cara_awscli_json(cli, SERVICE, args, &answer, &fault, err);
    if (rc && strcmp(fault.code, "ValidationError") == 0 && strstr(fault.message, "does not exist"))
        return CARA_OK;
    if (rc)
        return rc;
    rc = cara_stack_read_json(answer, name, out, err);
    json_decref(answer);
    return rc;
}

/* Waits until no operation goes on; describes the stack again. */
static int wait_until_idle(const cara_awscli *cli, const cara_progress *progress, const char *name,
                           cara_stack *stack, cara_error *err) {
    int rc = CARA_OK;
    for (int i = 0; !rc && cara_stack_is_busy(stack->status); i++) {
        if (i == 0)
            cara_progress_report(progress, "stack %s is busy (%s); waiting for it", name,
                                 stack->status);
        cara_progress_status(progress, "%s: %s", name, stack->status);
        rc = cara_progress_wait(cli, cara_progress_delay(i), err);
        if (!rc) {
            cara_stack_free(stack);
            rc = cara_stack_describe(cli, name, stack, err);
        }
    }
    cara_progress_status(progress, "%s", "");
    return rc;
}

/* A failed creation leaves a stack that can only be deleted. */
static int delete_failed_creation(const cara_awscli *cli, const cara_progress *progress,
                                  const char *name, cara_stack *stack, cara_error *err) {
    static const char *const dead[] = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED",
                                       "DELETE_FAILED", NULL};
    if (strcmp(stack->status, "UPDATE_ROLLBACK_FAILED") == 0)
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "stack %s is stuck in UPDATE_ROLLBACK_FAILED (%.200s): fix what it names, "
                         "then run `aws cloudformation continue-update-rollback --stack-name %s`",
                         name, stack->reason, name);
    if (!is_one_of(stack->status, dead))
        return CARA_OK;
    if (progress->dry) {
        cara_progress_report(progress, "would delete stack %s, which a failed try left (%s)", name,
                             stack->status);
        stack->exists = 0;
        return CARA_OK;
    }
    cara_progress_report(progress, "stack %s is what a failed try left (%s); deleting it first",
                         name, stack->status);
    int rc = cara_stack_delete(cli, progress, name, err);
    cara_stack_free(stack);
    return rc;
}

typedef struct change_set {
    const cara_stack_request *request;
    int create;
    char id[400];
    char stack_id[300];
} change_set;

/* A file of JSON for the CLI; its address goes into `url`. */
static int json_file(const cara_awscli *cli, const char *name, const json_t *value, char *url,
                     size_t size, cara_error *err) {
    char path[160];
    cara_buf text;
    cara_buf_init(&text, 1 << 20);
    int rc = CARA_OK;
    if (cara_json_write(value, CARA_JSON_COMPACT, &text))
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %s", name);
    if (!rc)
        rc = cara_awscli_file(cli, name, text.data, text.len, path, sizeof path, err);
    cara_buf_free(&text);
    if (!rc)
        snprintf(url, size, "file://%s", path);
    return rc;
}

static int create_set(const cara_awscli *cli, change_set *set, cara_error *err) {
    const cara_stack_request *request = set->request;
    char body[160], body_url[180], parameters_url[180], tags_url[180] = "", name[40];
    snprintf(name, sizeof name, "caracola-%lld", (long long)cara_clock_wall_ms());
    int rc = json_file(cli, "parameters.json", request->parameters, parameters_url,
                       sizeof parameters_url, err);
    if (!rc && request->tags)
        rc = json_file(cli, "tags.json", request->tags, tags_url, sizeof tags_url, err);
    if (!rc && request->template_body)
        rc = cara_awscli_file(cli, "template.yaml", request->template_body,
                              strlen(request->template_body), body, sizeof body, err);
    if (rc)
        return rc;
    snprintf(body_url, sizeof body_url, "file://%s", body);
    const char *const args[] = {"cloudformation",
                                "create-change-set",
                                "--stack-name",
                                request->name,
                                "--change-set-name",
                                name,
                                "--change-set-type",
                                set->create ? "CREATE" : "UPDATE",
                                "--capabilities",
                                "CAPABILITY_IAM",
                                "--parameters",
                                parameters_url,
                                request->template_url ? "--template-url" : "--template-body",
                                request->template_url ? request->template_url : body_url,
                                request->tags ? "--tags" : NULL,
                                tags_url,
                                NULL};
    json_t *answer;
    cara_awscli_fault fault;
    rc = cara_awscli_json(cli, SERVICE, args, &answer, &fault, err);
    if (rc && fault.code[0])
        cara_error_prefix(err, "stack %s", request->name);
    snprintf(set->id, sizeof set->id, "%s", cara_json_text_or(answer, "Id", ""));
    snprintf(set->stack_id, sizeof set->stack_id, "%s", cara_json_text_or(answer, "StackId", ""));
    json_decref(answer);
    return rc;
}

static int delete_set(const cara_awscli *cli, const change_set *set, cara_error *err) {
    const char *const args[] = {"cloudformation", "delete-change-set", "--change-set-name", set->id,
                                NULL};
    return cara_awscli_json(cli, SERVICE, args, NULL, NULL, err);
}

static void show_changes(const cara_progress *progress, const json_t *answer) {
    const json_t *changes = json_object_get(answer, "Changes");
    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *one = json_object_get(json_array_get(changes, i), "ResourceChange");
        const char *action = cara_json_text_or(one, "Action", "");
        const char *replaced = cara_json_text_or(one, "Replacement", "");
        if (strcmp(action, "Add") != 0)
            cara_progress_report(progress, "  to %s: %s (%s)%s",
                                 strcmp(action, "Remove") ? "change" : "remove",
                                 cara_json_text_or(one, "LogicalResourceId", ""),
                                 cara_json_text_or(one, "ResourceType", ""),
                                 strcmp(replaced, "True") == 0 ? ", by a new one" : "");
    }
}

/* *empty = 1 where the stack is as requested already. */
static int wait_for_set(const cara_awscli *cli, const cara_progress *progress,
                        const change_set *set, int *empty, cara_error *err) {
    const char *const args[] = {"cloudformation", "describe-change-set", "--change-set-name",
                                set->id, NULL};
    for (int i = 0;; i++) {
        json_t *answer;
        int rc = cara_awscli_json(cli, SERVICE, args, &answer, NULL, err);
        if (rc)
            return rc;
        const char *status = cara_json_text_or(answer, "Status", "");
        const char *why = cara_json_text_or(answer, "StatusReason", "");
        int busy = ends_with(status, "_IN_PROGRESS") || ends_with(status, "_PENDING");
        if (strcmp(status, "CREATE_COMPLETE") == 0)
            show_changes(progress, answer);
        else if (!busy && (strstr(why, "didn't contain changes") ||
                           strstr(why, "No updates are to be performed")))
            *empty = 1;
        else if (!busy)
            rc = cara_fail(err, CARA_ERR_DENIED, -1,
                           "CloudFormation refuses the change of stack %s: %.380s",
                           set->request->name, why[0] ? why : status);
        json_decref(answer);
        if (rc || !busy)
            return rc;
        cara_progress_status(progress, "%s: finding out what is to be changed", set->request->name);
        rc = cara_progress_wait(cli, cara_progress_delay(i), err);
        if (rc)
            return rc;
    }
}

static int execute(const cara_awscli *cli, const cara_progress *progress, const change_set *set,
                   cara_error *err) {
    cara_stack_watch watch;
    int rc = cara_stack_watch_begin(&watch, cli, progress, set->request->name, set->stack_id, err);
    const char *const args[] = {"cloudformation", "execute-change-set", "--change-set-name",
                                set->id, NULL};
    if (!rc)
        rc = cara_awscli_json(cli, SERVICE, args, NULL, NULL, err);
    if (!rc)
        rc = cara_stack_watch_end(&watch, err);
    if (rc == CARA_ERR_CANCELLED)
        cara_progress_report(progress, "stack %s: AWS goes on with it by itself",
                             set->request->name);
    return rc;
}

static int check_status(const cara_stack *stack, const cara_stack_request *request, int create,
                        cara_error *err) {
    static const char *const good[] = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE",
                                       NULL};
    if (is_one_of(stack->status, good))
        return CARA_OK;
    return cara_fail(err, CARA_ERR_DENIED, -1,
                     "stack %s failed, and %s (%s)%s%.300s: fix what the lines above name, and "
                     "run setup again",
                     request->name,
                     strstr(stack->status, "FAILED") ? "the rollback failed too"
                     : create                        ? "what had been created was deleted again"
                                                     : "all is as it was before",
                     stack->status, stack->reason[0] ? ": " : "", stack->reason);
}

static int apply(const cara_awscli *cli, const cara_progress *progress,
                 const cara_stack_request *request, cara_stack *out, int *changed,
                 cara_error *err) {
    change_set set = {.request = request, .create = !out->exists};
    int empty = 0;
    int rc = create_set(cli, &set, err);
    if (rc)
        return rc;
    rc = wait_for_set(cli, progress, &set, &empty, err);
    cara_progress_status(progress, "%s", "");
    if (empty || (rc && rc != CARA_ERR_CANCELLED)) {
        cara_error unsaid;
        int left = delete_set(cli, &set, empty ? err : &unsaid);
        if (empty)
            rc = left;
        else if (set.create) /* a stack in review holds nothing */
            (void)cara_stack_delete(cli, progress, request->name, &unsaid);
    }
    if (rc)
        return rc;
    if (empty) {
        cara_progress_report(progress, "stack %s: nothing to change", request->name);
        return CARA_OK;
    }
    *changed = 1;
    cara_progress_report(progress, "stack %s: %s", request->name,
                         set.create ? "creating" : "updating");
    rc = execute(cli, progress, &set, err);
    cara_stack_free(out);
    if (!rc)
        rc = cara_stack_describe(cli, request->name, out, err);
    if (!rc)
        rc = check_status(out, request, set.create, err);
    if (!rc)
        cara_progress_report(progress, "stack %s: %s", request->name,
                             set.create ? "created" : "updated");
    return rc;
}

static void report_dry_run(const cara_progress *progress, const cara_stack_request *request,
                           const cara_stack *stack) {
    int n = 0;
    if (request->tags)
        cara_progress_report(progress, "would set %zu tags on all of stack %s",
                             json_array_size(request->tags), request->name);
    for (size_t i = 0; i < json_array_size(request->parameters); i++) {
        const json_t *one = json_array_get(request->parameters, i);
        const char *key = cara_json_text_or(one, "ParameterKey", "");
        const char *want = cara_json_text_or(one, "ParameterValue", "");
        const char *is_now = stack->exists ? cara_stack_parameter(stack, key) : NULL;
        if (is_now ? strcmp(is_now, want) == 0 : !want[0])
            continue;
        if (n++ == 0)
            cara_progress_report(
                progress, "would %s stack %s:", stack->exists ? "update" : "create", request->name);
        if (is_now)
            cara_progress_report(progress, "  %s: %s (is %s)", key, want,
                                 is_now[0] ? is_now : "empty");
        else
            cara_progress_report(progress, "  %s: %s", key, want);
    }
    if (n == 0 && stack->exists)
        cara_progress_report(progress, "would update stack %s if this version's template differs",
                             request->name);
    else if (n == 0)
        cara_progress_report(progress, "would create stack %s", request->name);
}

int cara_stack_deploy(const cara_awscli *cli, const cara_progress *progress,
                      const cara_stack_request *request, cara_stack *out, int *changed,
                      cara_error *err) {
    int unasked = 0;
    changed = changed ? changed : &unasked;
    *changed = 0;
    int rc = progress->dry ? CARA_OK : wait_until_idle(cli, progress, request->name, out, err);
    if (!rc)
        rc = delete_failed_creation(cli, progress, request->name, out, err);
    if (!rc && progress->dry)
        report_dry_run(progress, request, out);
    else if (!rc)
        rc = apply(cli, progress, request, out, changed, err);
    return rc;
}

int cara_stack_delete(const cara_awscli *cli, const cara_progress *progress, const char *name,
                      cara_error *err) {
    cara_stack stack;
    int rc = cara_stack_describe(cli, name, &stack, err);
    if (!rc && strcmp(stack.status, "DELETE_IN_PROGRESS") != 0)
        rc = wait_until_idle(cli, progress, name, &stack, err);
    if (rc || !stack.id[0] || strcmp(stack.status, "DELETE_COMPLETE") == 0)
        goto done;
    if (progress->dry) {
        cara_progress_report(progress, "would delete stack %s", name);
        goto done;
    }
    cara_stack_watch watch;
    rc = cara_stack_watch_begin(&watch, cli, progress, name, stack.id, err);
    const char *const args[] = {"cloudformation", "delete-stack", "--stack-name", stack.id, NULL};
    if (!rc)
        rc = cara_awscli_json(cli, SERVICE, args, NULL, NULL, err);
    if (!rc)
        rc = cara_stack_watch_end(&watch, err);
    if (rc)
        goto done;
    char id[sizeof stack.id];
    memcpy(id, stack.id, sizeof id);
    cara_stack_free(&stack);
    rc = cara_stack_describe(cli, id, &stack, err);
    if (!rc && stack.id[0] && strcmp(stack.status, "DELETE_COMPLETE") != 0)
        rc = cara_fail(err, CARA_ERR_DENIED, -1,
                       "stack %s could not be deleted (%s): %.300s: fix what the lines above name, "
                       "and try again",
                       name, stack.status, stack.reason);
    if (!rc)
        cara_progress_report(progress, "stack %s: deleted", name);
done:
    cara_stack_free(&stack);
    return rc;
}

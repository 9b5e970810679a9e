/* The model on EFS: the function itself copies it from the bucket (docs/aws.md, "A file that a fill
 * brings"), in as many calls as it takes. */
#include "base/files/file.h"
#include "base/limits.h"
#include "deploy/deploy.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_LIMIT (64 * CARA_KIB)

enum { MOST_CALLS = 100, MOST_WITHOUT_PROGRESS = 5 };

typedef struct fill_state {
    const char *function;
    char payload[180];    /* as the CLI takes it */
    char answer[170];     /* where it puts the answer */
    json_int_t bytes;     /* that are there, as reported last */
    int without_progress; /* calls since more came */
} fill_state;

static json_t *read_answer(const fill_state *f) {
    char *text;
    size_t n;
    if (cara_read_file(f->answer, ANSWER_LIMIT, &text, &n, NULL))
        return NULL;
    static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_NETWORK, ANSWER_LIMIT);
    json_t *answer;
    (void)cara_json_read(text, n, &rules, &answer, NULL);
    free(text);
    return answer;
}

/* One call. *done = 1 once the model is there. */
static int call(cara_deploy *d, fill_state *f, int *done, cara_error *err) {
    const char *const args[] = {"lambda",    "invoke",   "--function-name",    f->function,
                                "--payload", f->payload, "--cli-read-timeout", "930",
                                f->answer,   NULL};
    json_t *result;
    int rc = cara_awscli_json(&d->cli, &cara_service_lambda, args, &result, NULL, err);
    int failed = cara_json_text_or(result, "FunctionError", "")[0] != 0;
    json_decref(result);
    if (rc)
        return rc;
    json_t *answer = read_answer(f);
    json_int_t bytes = json_integer_value(json_object_get(answer, "bytes"));
    json_int_t size = json_integer_value(json_object_get(answer, "size"));
    *done = !failed && json_is_true(json_object_get(answer, "done"));
    f->without_progress = bytes > f->bytes ? 0 : f->without_progress + 1;
    if (bytes > f->bytes)
        f->bytes = bytes;
    if (!*done && f->without_progress >= MOST_WITHOUT_PROGRESS)
        rc = cara_fail(err, CARA_ERR_NETWORK, -1,
                       "%.100s does not copy the model to its file system: %.300s", f->function,
                       failed ? cara_json_text_or(answer, "errorMessage", "")
                              : "no more bytes arrive");
    else if (!*done && size > 0)
        cara_progress_status(&d->progress, "copying the model to the file system: %d %%",
                             (int)(100.0 * (double)f->bytes / (double)size));
    json_decref(answer);
    return rc;
}

int cara_deploy_fill(cara_deploy *d, cara_error *err) {
    static const char event[] = "{\"caracola\":\"fill\"}";
    fill_state f = {.function = cara_stack_output(&d->stack, "FunctionName")};
    char path[160];
    if (!f.function)
        return cara_fail(err, CARA_ERR_NETWORK, -1, "stack %s has no output FunctionName",
                         d->request.stack);
    int done = 0;
    int rc =
        cara_awscli_file(&d->cli, "fill.json", event, sizeof event - 1, path, sizeof path, err);
    snprintf(f.payload, sizeof f.payload, "fileb://%s", path);
    snprintf(f.answer, sizeof f.answer, "%s.answer", path);
    cara_progress_status(&d->progress, "copying the model to the file system");
    for (int i = 0; !rc && !done && i < MOST_CALLS; i++) {
        rc = call(d, &f, &done, err);
        if (!rc && !done && f.without_progress)
            rc = cara_progress_wait(&d->cli, cara_progress_delay(f.without_progress), err);
    }
    cara_progress_status(&d->progress, "%s", "");
    if (!rc && !done)
        rc = cara_fail(
            err, CARA_ERR_NETWORK, -1,
            "the model is not yet complete on the file system; run setup again to continue");
    if (!rc)
        cara_progress_report(&d->progress, "the model is on the function's file system");
    return rc;
}

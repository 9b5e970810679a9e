/* The same examination inside the deployed function. */
#include "doctor/doctor.h"

#include "aws/client/json_call.h"
#include "aws/services/function.h"
#include "base/clock.h"
#include "base/limits.h"
#include "doctor/calls.h"
#include "json/json.h"

#include <string.h>

#define INVOKE_S 240.0

static void no_answer(cara_doctor *d, int rc, const cara_error *err) {
    cara_doctor_read_failed(d, "invoke", "the function cannot be asked to examine itself", rc, err,
                            "lambda:InvokeFunction");
    if (rc == CARA_ERR_NETWORK && !cara_aws_last_fault(d->aws)->status)
        cara_checkup_advise(d->checkup, "its log shows where it stopped: /aws/lambda/%.200s",
                            d->function);
}

/* {"errorType": "...", "errorMessage": "..."} */
static void function_failed(cara_doctor *d, const cara_buf *answer) {
    json_t *root = NULL;
    static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_NETWORK, CARA_LIMIT_EVENT_BYTES);
    (void)cara_json_read_repaired(answer->data, answer->len, &rules, &root, NULL, NULL);
    const char *type = cara_json_text_or(root, "errorType", "");
    const char *message = cara_json_text_or(root, "errorMessage", "it says nothing more");
    cara_checkup_add(d->checkup, "invoke", CARA_FINDING_FAILURE, "the function fails: %s%s%.400s",
                     type, *type ? ": " : "", message);
    if (strncmp(type, "Configuration.", 14) == 0)
        cara_checkup_advise(d->checkup, "correct its environment: docs/aws.md in " CARA_DOC_DIR
                                        " has the table");
    else if (strcmp(type, "Command.Invalid") == 0)
        cara_checkup_advise(d->checkup, "it is older than this program: deploy it again");
    else
        cara_checkup_advise(d->checkup,
                            "its log says more: /aws/lambda/%.200s; out of memory or time "
                            "shows there, too",
                            d->function);
    json_decref(root);
}

void cara_doctor_function(cara_doctor *d) {
    if (!d->function[0] || !d->aws || d->unreachable)
        return;
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_buf event, answer;
    cara_buf_init(&event, 4096);
    cara_buf_init(&answer, 8 * CARA_MIB);
    json_t *request = d->phone[0] ? json_pack("{s:s, s:s}", "caracola", "doctor", "phone", d->phone)
                                  : json_pack("{s:s}", "caracola", "doctor");
    int failed = 0;
    int rc = CARA_OK;
    if (cara_json_write(request, CARA_JSON_COMPACT, &event))
        rc = cara_fail(&err, CARA_ERR_MEMORY, -1, "no memory for the event");
    json_decref(request);
    double limit = cara_doctor_time(d, INVOKE_S);
    cara_aws_set_deadline(d->aws, cara_clock_monotonic() + limit);
    if (!rc)
        rc = cara_function_invoke(d->aws, d->function, event.data, event.len, limit, &answer,
                                  &failed, &err);
    d->checkup->where = "function";
    if (rc)
        no_answer(d, rc, &err);
    else if (failed)
        function_failed(d, &answer);
    else if (cara_checkup_read(d->checkup, answer.data ? answer.data : "", answer.len, &err)) {
        cara_checkup_add(d->checkup, "invoke", CARA_FINDING_FAILURE,
                         "the function answers something else than doctor's checks: %s", err.text);
        cara_checkup_advise(d->checkup, "is %.140s a function of caracola's, and not an old one?",
                            d->function);
    }
    d->checkup->where = NULL;
    cara_checkup_flush(d->checkup);
    cara_buf_free(&event);
    cara_buf_free(&answer);
}

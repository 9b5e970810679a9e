#include "doctor/checkup.h"

#include "base/utf8.h"
#include "json/json.h"

#include <caracola/version.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_EVENT, CARA_LIMIT_EVENT_BYTES);

static const char *const names[] = {"ok", "skipped", "warning", "failure"};

const char *cara_finding_name(cara_finding finding) {
    return names[finding];
}

/* One line of valid UTF-8: a sentence may hold what a server or a file name said, cut anywhere. */
static void clean(char *text) {
    size_t n = strlen(text), at = 0, kept = 0;
    while (at < n) {
        uint32_t code;
        size_t skip = 1;
        size_t len = (size_t)cara_utf8_decode((const uint8_t *)text + at, n - at, &code, &skip);
        if (len == 0) {
            at += skip;
            continue;
        }
        if (code < 0x20 || code == 0x7f)
            text[at] = ' ';
        memmove(text + kept, text + at, len);
        kept += len;
        at += len;
    }
    text[kept] = 0;
}

void cara_checkup_flush(cara_checkup *checkup) {
    for (; checkup->n_reported < checkup->n; checkup->n_reported++)
        if (checkup->on_check)
            checkup->on_check(checkup->cookie, &checkup->checks[checkup->n_reported]);
}

void cara_checkup_add(cara_checkup *checkup, const char *name, cara_finding finding,
                      const char *format, ...) {
    cara_checkup_flush(checkup);
    if (checkup->n == CARA_CHECKUP_MAX)
        checkup->n_reported = --checkup->n;
    cara_check *check = &checkup->checks[checkup->n++];
    *check = (cara_check){.finding = finding};
    snprintf(check->name, sizeof check->name, "%s", name);
    snprintf(check->where, sizeof check->where, "%s", checkup->where ? checkup->where : "here");
    va_list ap;
    va_start(ap, format);
    vsnprintf(check->text, sizeof check->text, format, ap);
    va_end(ap);
    clean(check->name);
    clean(check->text);
}

void cara_checkup_advise(cara_checkup *checkup, const char *format, ...) {
    if (!checkup->n)
        return;
    cara_check *check = &checkup->checks[checkup->n - 1];
    va_list ap;
    va_start(ap, format);
    vsnprintf(check->advice, sizeof check->advice, format, ap);
    va_end(ap);
    clean(check->advice);
}

cara_finding cara_checkup_verdict(const cara_checkup *checkup) {
    cara_finding worst = CARA_FINDING_OK;
    for (size_t i = 0; i < checkup->n; i++) {
        cara_finding f = checkup->checks[i].finding;
        if (f > worst && f != CARA_FINDING_SKIPPED)
            worst = f;
    }
    return worst;
}

json_t *cara_checkup_json(const cara_checkup *checkup) {
    json_t *list = json_array();
    int failed = !list;
    for (size_t i = 0; i < checkup->n && !failed; i++) {
        const cara_check *c = &checkup->checks[i];
        json_t *one = json_pack("{s:s, s:s, s:s, s:s}", "name", c->name, "where", c->where,
                                "status", names[c->finding], "message", c->text);
        failed = json_array_append(list, one) ||
                 (c->advice[0] && json_object_set_new(one, "advice", json_string(c->advice)));
        json_decref(one);
    }
    json_t *root =
        failed ? NULL
               : json_pack("{s:s, s:s, s:O}", "verdict", names[cara_checkup_verdict(checkup)],
                           "version", CARA_VERSION, "checks", list);
    json_decref(list);
    return root;
}

/* The finding of that name, or -1. */
static int finding_of(const char *name) {
    for (int i = 0; name && i <= CARA_FINDING_FAILURE; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int cara_checkup_read(cara_checkup *checkup, const char *text, size_t n, cara_error *err) {
    json_t *root = NULL;
    int rc = cara_json_read(text, n, &rules, &root, err);
    if (rc)
        return rc;
    const json_t *list = json_object_get(root, "checks");
    size_t count = json_array_size(list), good = 0;
    for (size_t i = 0; i < count && i < CARA_CHECKUP_MAX; i++) {
        const json_t *one = json_array_get(list, i);
        good += finding_of(cara_json_text(one, "status")) >= 0 && cara_json_text(one, "name") &&
                cara_json_text(one, "message");
    }
    if (count == 0 || good != count) {
        json_decref(root);
        return cara_fail(err, CARA_ERR_EVENT, -1, "that is no answer of caracola's doctor");
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(list, i);
        const char *advice = cara_json_text(one, "advice");
        cara_checkup_add(checkup, cara_json_text(one, "name"),
                         (cara_finding)finding_of(cara_json_text(one, "status")), "%s",
                         cara_json_text(one, "message"));
        if (advice)
            cara_checkup_advise(checkup, "%s", advice);
    }
    json_decref(root);
    return CARA_OK;
}

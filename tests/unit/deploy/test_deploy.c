#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deploy/commands/awscli.h"
#include "deploy/deploy_settings.h"
#include "deploy/stack/change.h"
#include "deploy/templates.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- the table of settings is the template's ---- */

/* The lines of one parameter, "  Name:" and what is indented under it. */
static void parameter_block(const char *name, char *dst, size_t size) {
    char head[80];
    snprintf(head, sizeof head, "\n  %s:\n", name);
    const char *begin = strstr(strstr(cara_template_caracola, "\nParameters:\n"), head);
    if (!begin)
        fail_msg("the template has no parameter %s", name);
    begin += strlen(head);
    const char *end = begin;
    while (strncmp(end, "    ", 4) == 0)
        end += strcspn(end, "\n") + 1;
    assert_true((size_t)(end - begin) < size);
    memcpy(dst, begin, (size_t)(end - begin));
    dst[end - begin] = 0;
}

/* What stands behind "    key: ", over its lines, without quotes, brackets and commas. */
static int field(const char *block, const char *key, char *dst, size_t size) {
    char head[80];
    snprintf(head, sizeof head, "    %s: ", key);
    const char *p = strncmp(block, head, strlen(head)) == 0 ? block : NULL;
    for (const char *line = block; !p && (line = strchr(line, '\n')); line++)
        if (strncmp(line + 1, head, strlen(head)) == 0)
            p = line + 1;
    if (!p)
        return 0;
    p += strlen(head);
    int list = *p == '[';
    size_t n = 0;
    for (; *p && (list ? *p != ']' : *p != '\n'); p++) {
        if (strchr("[],'\n", *p) || (*p == ' ' && (n == 0 || dst[n - 1] == ' ')))
            continue;
        assert_true(n + 1 < size);
        dst[n++] = *p;
    }
    dst[n] = 0;
    return 1;
}

static void test_settings_equal_the_template(void **state) {
    for (int id = 0; id < CARA_N_SETTINGS; id++) {
        const cara_setting *s = &cara_deploy_settings[id];
        char block[4096], value[1024];
        parameter_block(s->parameter, block, sizeof block);
        assert_true(field(block, "Default", value, sizeof value));
        assert_string_equal(value, s->fallback);
        assert_int_equal(field(block, "AllowedValues", value, sizeof value), s->choices != NULL);
        if (s->choices)
            assert_string_equal(value, s->choices);
        assert_int_equal(field(block, "MinValue", value, sizeof value), s->min != s->max);
        if (s->min == s->max)
            continue;
        assert_int_equal(strtol(value, NULL, 10), s->min);
        assert_true(field(block, "MaxValue", value, sizeof value));
        assert_int_equal(strtol(value, NULL, 10), s->max);
    }
}

static void test_every_parameter_can_be_set(void **state) {
    static const char *const by_work[] = {"PackageType", "CodeBucket", "CodeKey",    "ImageUri",
                                          "ModelBucket", "ModelKey",   "ModelSha256"};
    const char *p = strstr(cara_template_caracola, "\nParameters:\n") + strlen("\nParameters:\n");
    int seen = 0;
    for (; *p == ' ' || *p == '\n'; p += strcspn(p, "\n") + 1) {
        char name[80];
        size_t n = strcspn(p + 2, ":");
        if (strncmp(p, "  ", 2) != 0 || p[2] == ' ' || n >= sizeof name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)n, p + 2);
        int known = 0;
        for (int id = 0; id < CARA_N_SETTINGS; id++)
            known |= strcmp(cara_deploy_settings[id].parameter, name) == 0;
        for (size_t i = 0; i < COUNT(by_work); i++)
            known |= strcmp(by_work[i], name) == 0;
        if (!known)
            fail_msg("nothing sets parameter %s", name);
        seen++;
    }
    assert_int_equal(seen, CARA_N_SETTINGS + COUNT(by_work));
}

static void test_values_that_fit(void **state) {
    static const struct {
        cara_setting_id id;
        const char *value;
        int fits;
    } cases[] = {
        {CARA_SET_VARIANT, "queued", 1},   {CARA_SET_VARIANT, "queue", 0},
        {CARA_SET_VARIANT, "", 0},         {CARA_SET_VARIANT, "direct queued", 0},
        {CARA_SET_LANGUAGE, "", 1},        {CARA_SET_LANGUAGE, "es", 1},
        {CARA_SET_LANGUAGE, "Spanish", 0}, {CARA_SET_MEMORY, "128", 1},
        {CARA_SET_MEMORY, "127", 0},       {CARA_SET_MEMORY, "10241", 0},
        {CARA_SET_MEMORY, "1e3", 0},       {CARA_SET_MEMORY, "+200", 0},
        {CARA_SET_MEMORY, "", 0},          {CARA_SET_MEMORY, "99999999999999999999", 0},
        {CARA_SET_EMAIL, "", 1},           {CARA_SET_EMAIL, "a@b.c", 1},
        {CARA_SET_EMAIL, "a@b", 0},        {CARA_SET_EMAIL, "@b.c", 0},
        {CARA_SET_EMAIL, "a b@c.d", 0},    {CARA_SET_EMAIL, "a@b@c.d", 0},
        {CARA_SET_TIMEZONE, "UTC", 1},     {CARA_SET_TIMEZONE, "a\nb", 0},
        {CARA_SET_TIMEOUT, "60", 1},       {CARA_SET_TIMEOUT, "61", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (cara_setting_fits(&cara_deploy_settings[cases[i].id], cases[i].value) != cases[i].fits)
            fail_msg("--%s \"%s\"", cara_deploy_settings[cases[i].id].flag, cases[i].value);
}

/* ---- what the AWS CLI says ---- */

static void test_faults(void **state) {
    static const struct {
        const char *text;
        int is_one;
        const char *code, *message;
    } cases[] = {
        {"\nAn error occurred (ValidationError) when calling the DescribeStacks operation: Stack "
         "with id x does not exist\n",
         1, "ValidationError", "Stack with id x does not exist"},
        {"An error occurred (Throttling) when calling the X operation (reached max retries: 2): "
         "Rate exceeded",
         1, "Throttling", "Rate exceeded"},
        {"An error occurred (404) when calling the HeadObject operation: Not Found", 1, "404",
         "Not Found"},
        {"aws: [ERROR]: An error occurred (AccessDenied) when calling the Y operation: User: "
         "arn:x is not (ever) authorized: no",
         1, "AccessDenied", "User: arn:x is not (ever) authorized: no"},
        {"An error occurred (A) when calling the X operation: one\ntwo", 1, "A", "one two"},
        {"An error occurred (A", 0, "", ""},
        {"An error occurred (A) when calling", 0, "", ""},
        {"An error occurred (A) when calling the X operation (reached", 0, "", ""},
        {"Unable to locate credentials", 0, "", ""},
        {"", 0, "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cara_awscli_fault fault;
        assert_int_equal(cara_awscli_fault_read(cases[i].text, &fault), cases[i].is_one);
        assert_string_equal(fault.code, cases[i].code);
        assert_string_equal(fault.message, cases[i].message);
    }
}

static void test_busy_states(void **state) {
    assert_true(cara_stack_is_busy("CREATE_IN_PROGRESS"));
    assert_true(cara_stack_is_busy("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"));
    assert_false(cara_stack_is_busy("REVIEW_IN_PROGRESS"));
    assert_false(cara_stack_is_busy("UPDATE_ROLLBACK_COMPLETE"));
    assert_false(cara_stack_is_busy(""));
}

/* ---- child processes ---- */

static int run_shell(const char *script, cara_child_spec more, cara_child_result *result,
                     cara_error *err) {
    const char *const argv[] = {"sh", "-c", script, NULL};
    cara_child_spec spec = more;
    spec.program = "/bin/sh";
    spec.argv = argv;
    if (!spec.max_output)
        spec.max_output = 1 << 20;
    return cara_child_run(&spec, result, err);
}

static void test_child_output_and_status(void **state) {
    cara_child_result r;
    cara_error err = {.code = CARA_OK};
    static const char *const extra[] = {"CARACOLA_CHILD=two words", "HOME=/elsewhere", NULL};
    const cara_child_spec spec = {.extra = extra, .input = "in\n", .n_input = 3};
    assert_int_equal(
        run_shell("cat; echo \"$CARACOLA_CHILD $HOME\"; echo bad >&2; exit 3", spec, &r, &err),
        CARA_OK);
    assert_int_equal(r.status, 3);
    assert_string_equal(r.out.data, "in\ntwo words /elsewhere\n");
    assert_string_equal(r.err, "bad\n");
    cara_child_free(&r);
    assert_int_equal(run_shell("kill -9 $$", (cara_child_spec){0}, &r, &err), CARA_OK);
    assert_int_equal(r.status, 128 + 9);
    cara_child_free(&r);
}

static void test_child_keeps_the_end_of_its_errors(void **state) {
    cara_child_result r;
    cara_error err;
    assert_int_equal(run_shell("i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done",
                               (cara_child_spec){0}, &r, &err),
                     CARA_OK);
    assert_true(strlen(r.err) < sizeof r.err);
    assert_non_null(strstr(r.err, "line 1999\n"));
    assert_null(strstr(r.err, "line 10\n"));
    cara_child_free(&r);
}

static void test_child_with_large_input_and_output(void **state) {
    size_t n = 3 << 20;
    char *bytes = malloc(n);
    assert_non_null(bytes);
    memset(bytes, 'x', n);
    cara_child_result r;
    cara_error err;
    const cara_child_spec spec = {.input = bytes, .n_input = n, .max_output = n};
    assert_int_equal(run_shell("cat", spec, &r, &err), CARA_OK);
    assert_int_equal(r.out.len, n);
    assert_memory_equal(r.out.data, bytes, n);
    cara_child_free(&r);
    free(bytes);
}

static void test_child_that_does_not_read_its_input(void **state) {
    char bytes[200000] = "";
    cara_child_result r;
    cara_error err;
    signal(SIGPIPE, SIG_IGN); /* as main does */
    const cara_child_spec spec = {.input = bytes, .n_input = sizeof bytes};
    assert_int_equal(run_shell("exec <&-; echo done", spec, &r, &err), CARA_OK);
    assert_string_equal(r.out.data, "done\n");
    cara_child_free(&r);
}

static int stop_at_third(void *cookie) {
    return ++*(int *)cookie > 3;
}

/* Neither gone nor a zombie that init has yet to reap. */
static int is_alive(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "r");
    if (!stat)
        return 0;
    for (int c; (c = fgetc(stat)) != EOF && c != ')';) {
    }
    (void)fgetc(stat);
    int state = fgetc(stat);
    fclose(stat);
    return state != 'Z' && state != 'X' && state != EOF;
}

static void test_child_that_does_not_end(void **state) {
    cara_child_result r;
    cara_error err = {.code = CARA_OK};
    int asked = 0;
    const cara_child_spec stop = {.stop = stop_at_third, .stop_cookie = &asked};
    assert_int_equal(run_shell("exec sleep 1000", stop, &r, &err), CARA_ERR_CANCELLED);
    cara_child_free(&r);
    const cara_child_spec slow = {.timeout_s = 0.3};
    assert_int_equal(run_shell("exec sleep 1000", slow, &r, &err), CARA_ERR_NETWORK);
    assert_non_null(strstr(err.text, "did not end"));
    cara_child_free(&r);
    const cara_child_spec wordy = {.max_output = 10000};
    assert_int_equal(run_shell("exec yes", wordy, &r, &err), CARA_ERR_MEMORY);
    assert_true(r.out.len <= 10000);
    cara_child_free(&r);
    /* One that leaves a grandchild with its pipes, which ends with it. */
    assert_int_equal(run_shell("sleep 1000 & echo $!", (cara_child_spec){0}, &r, &err), CARA_OK);
    pid_t left = (pid_t)strtol(r.out.data, NULL, 10);
    assert_true(left > 0);
    int alive = 1; /* being killed takes a moment */
    for (int i = 0; i < 500 && alive; i++) {
        alive = is_alive(left);
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
    }
    assert_false(alive);
    cara_child_free(&r);
}

static void test_child_program_missing(void **state) {
    char path[300];
    cara_error err = {.code = CARA_OK};
    assert_int_equal(cara_child_find("no-such-program-here", path, sizeof path, &err),
                     CARA_ERR_NOT_FOUND);
    assert_int_equal(cara_child_find("/etc/passwd", path, sizeof path, &err), CARA_ERR_NOT_FOUND);
    assert_int_equal(cara_child_find("sh", path, sizeof path, &err), CARA_OK);
    assert_int_equal(access(path, X_OK), 0);
    const char *const argv[] = {"nothing", NULL};
    const cara_child_spec spec = {.program = "/nowhere/nothing", .argv = argv, .max_output = 10};
    cara_child_result r;
    assert_int_equal(cara_child_run(&spec, &r, &err), CARA_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/nothing"));
    cara_child_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_equal_the_template),
        cmocka_unit_test(test_every_parameter_can_be_set),
        cmocka_unit_test(test_values_that_fit),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_busy_states),
        cmocka_unit_test(test_child_output_and_status),
        cmocka_unit_test(test_child_keeps_the_end_of_its_errors),
        cmocka_unit_test(test_child_with_large_input_and_output),
        cmocka_unit_test(test_child_that_does_not_read_its_input),
        cmocka_unit_test(test_child_that_does_not_end),
        cmocka_unit_test(test_child_program_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

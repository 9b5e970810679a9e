/* The list of findings and its JSON; comparing words; queues by ARN and URL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/services/sns.h"
#include "aws/services/sqs.h"
#include "aws/services/stack.h"
#include "base/limits.h"
#include "doctor/account.h"
#include "doctor/note.h"
#include "doctor/notes.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void on_check(void *cookie, const cara_check *check) {
    char *seen = cookie;
    snprintf(seen + strlen(seen), 200 - strlen(seen), "%s=%s/%s;", check->name,
             cara_finding_name(check->finding), check->advice);
}

static void findings_are_reported_and_give_a_verdict(void **state) {
    (void)state;
    char seen[200] = "";
    cara_checkup *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->on_check = on_check;
    c->cookie = seen;
    cara_checkup_advise(c, "to no check");
    assert_int_equal(cara_checkup_verdict(c), CARA_FINDING_OK);
    cara_checkup_add(c, "a", CARA_FINDING_SKIPPED, "one");
    assert_int_equal(cara_checkup_verdict(c), CARA_FINDING_OK);
    assert_string_equal(seen, "");
    cara_checkup_add(c, "b", CARA_FINDING_WARNING, "line\n%s \xff\xc3", "two");
    assert_string_equal(seen, "a=skipped/;");
    cara_checkup_advise(c, "do %d", 1);
    c->where = "function";
    cara_checkup_add(c, "c", CARA_FINDING_OK, "three");
    assert_string_equal(seen, "a=skipped/;b=warning/do 1;");
    cara_checkup_flush(c);
    cara_checkup_flush(c);
    assert_string_equal(seen, "a=skipped/;b=warning/do 1;c=ok/;");
    assert_int_equal(cara_checkup_verdict(c), CARA_FINDING_WARNING);
    json_t *root = cara_checkup_json(c);
    cara_buf text;
    cara_buf_init(&text, CARA_MIB);
    assert_int_equal(cara_json_write(root, CARA_JSON_COMPACT, &text), 0);
    assert_non_null(strstr(text.data, "\"name\":\"b\",\"where\":\"here\",\"status\":\"warning\","
                                      "\"message\":\"line two \",\"advice\":\"do 1\""));
    json_decref(root);
    /* More checks than fit: the last ones are kept, and none is reported twice. */
    for (int i = 0; i < 2 * CARA_CHECKUP_MAX; i++)
        cara_checkup_add(c, "d", i % 2 ? CARA_FINDING_OK : CARA_FINDING_FAILURE, "%d", i);
    assert_int_equal(c->n, CARA_CHECKUP_MAX);
    assert_string_equal(c->checks[c->n - 1].text, "127");
    /* Read by another. */
    cara_checkup *other = calloc(1, sizeof *other);
    cara_error err = {0};
    assert_non_null(other);
    other->where = "there";
    assert_int_equal(cara_checkup_read(other, text.data, text.len, &err), CARA_OK);
    assert_int_equal(other->n, 3);
    assert_string_equal(other->checks[1].where, "there");
    assert_string_equal(other->checks[1].advice, "do 1");
    assert_int_equal(other->checks[1].finding, CARA_FINDING_WARNING);
    cara_buf_free(&text);
    free(other);
    free(c);
}

static void other_answers_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"checks\":{}}",
        "{\"checks\":[]}",
        "{\"checks\":[1]}",
        "{\"checks\":[{\"name\":\"a\",\"message\":\"b\"}]}",
        "{\"checks\":[{\"name\":\"a\",\"status\":\"fine\",\"message\":\"b\"}]}",
        "{\"checks\":[{\"status\":\"ok\",\"message\":\"b\"}]}",
        "{\"checks\":[{\"name\":\"a\",\"status\":\"ok\"}]}",
        "{\"checks\":[{\"name\":\"a\",\"status\":\"ok\",\"message\":\"b\"},{}]}",
        "{\"checks\":[{\"name\":\"a\",\"status\":\"ok\",\"message\":\"b\"}]",
    };
    cara_checkup *c = calloc(1, sizeof *c);
    assert_non_null(c);
    for (size_t i = 0; i < COUNT(bad); i++) {
        cara_error err = {0};
        if (cara_checkup_read(c, bad[i], strlen(bad[i]), &err) != CARA_ERR_EVENT || c->n ||
            !err.text[0])
            fail_msg("%s: %zu checks, %s", bad[i], c->n, err.text);
    }
    /* More than a list can have. */
    cara_buf many;
    cara_buf_init(&many, CARA_MIB);
    cara_buf_str(&many, "{\"checks\":[");
    for (int i = 0; i < CARA_CHECKUP_MAX + 1; i++)
        cara_buf_printf(&many, "%s{\"name\":\"a\",\"status\":\"ok\",\"message\":\"b\"}",
                        i ? "," : "");
    cara_buf_str(&many, "]}");
    cara_error err = {0};
    assert_int_equal(cara_checkup_read(c, many.data, many.len, &err), CARA_ERR_EVENT);
    cara_buf_free(&many);
    free(c);
}

static void words_are_compared(void **state) {
    (void)state;
    static const struct {
        const char *expected, *got;
        size_t wrong, n;
    } cases[] = {
        {"", "", 0, 0},
        {"Una panga blanca.", " una  PANGA, blanca", 0, 3},
        {"una panga", "", 2, 2},
        {"", "una panga", 2, 0},
        {"a b c d", "a x c d", 1, 4},
        {"a b c d", "a c d", 1, 4},
        {"a b c d", "a b z c d", 1, 4},
        {"a b", "b a", 2, 2},
        {"tibur\xc3\xb3n", "tiburon", 1, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = 99, wrong = cara_doctor_wrong_words(cases[i].expected, cases[i].got, &n);
        if (wrong != cases[i].wrong || n != cases[i].n)
            fail_msg("%s | %s: %zu of %zu", cases[i].expected, cases[i].got, wrong, n);
    }
    /* More words than are compared. */
    char *many = malloc(4096);
    assert_non_null(many);
    for (int i = 0; i < 4096; i++)
        many[i] = i % 2 ? ' ' : 'a';
    many[4095] = 0;
    size_t n;
    size_t wrong = cara_doctor_wrong_words(many, "a", &n);
    assert_true(n > 100 && wrong == n - 1);
    free(many);
}

static void voice_notes_are_built_in(void **state) {
    (void)state;
    for (int i = 0; i < CARA_NOTES; i++) {
        assert_true(cara_notes[i].n > 10000);
        assert_memory_equal(cara_notes[i].bytes, "OggS", 4);
    }
    assert_non_null(strstr(cara_notes[CARA_NOTE_SPANISH].text, "Estrella del Mar"));
    assert_non_null(strstr(cara_notes[CARA_NOTE_ENGLISH].text, "blue panga"));
}

static void queues_by_arn_and_url(void **state) {
    (void)state;
    static const struct {
        const char *arn, *url; /* url NULL: the ARN is none of a queue's */
    } cases[] = {
        {"arn:aws:sqs:us-east-1:111122223333:name",
         "https://sqs.us-east-1.amazonaws.com/111122223333/name"},
        {"arn:aws-cn:sqs:cn-north-1:111122223333:n.fifo",
         "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/n.fifo"},
        {"", NULL},
        {"arn:aws:sns:us-east-1:111122223333:name", NULL},
        {"arn:aws:sqs:us-east-1:111122223333", NULL},
        {"arn:aws:sqs:us-east-1:111122223333:", NULL},
        {"arn:aws:sqs::111122223333:name", NULL},
        {"arn:aws:sqs:us-east-1:111122223333:name:more", NULL},
        {"arx:aws:sqs:us-east-1:111122223333:name", NULL},
    };
    char url[200], small[20];
    for (size_t i = 0; i < COUNT(cases); i++) {
        int rc = cara_sqs_url_of(cases[i].arn, url, sizeof url);
        if (cases[i].url ? rc != 0 || strcmp(url, cases[i].url) != 0 : rc != -1)
            fail_msg("%s: %d %s", cases[i].arn, rc, url);
        if (cases[i].url)
            assert_int_equal(cara_doctor_same_queue(cases[i].arn, cases[i].url), 1);
    }
    assert_int_equal(cara_sqs_url_of(cases[0].arn, small, sizeof small), -1);
    assert_int_equal(cara_doctor_same_queue(cases[0].arn, "http://127.0.0.1:9/111122223333/name"),
                     1);
    assert_int_equal(cara_doctor_same_queue(cases[0].arn, "http://127.0.0.1:9/111122223334/name"),
                     0);
    assert_int_equal(cara_doctor_same_queue(cases[0].arn, "http://127.0.0.1:9/111122223333/nam"),
                     0);
    assert_int_equal(cara_doctor_same_queue("", ""), 0);
    assert_int_equal(cara_doctor_same_queue("name", "name"), 0);
}

static int on_subscription(void *ctx, const cara_sns_subscription *s) {
    char *seen = ctx;
    snprintf(seen + strlen(seen), 300 - strlen(seen), "%s %s %d;", s->protocol, s->endpoint,
             s->confirmed);
    return strcmp(s->protocol, "stop") == 0 ? 7 : 0;
}

static void answers_in_xml(void **state) {
    (void)state;
#define LIST(members, token)                                                                       \
    "<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions>" members    \
    "</Subscriptions>" token                                                                       \
    "</ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>"
    static const struct {
        const char *xml, *seen, *token;
        int rc;
    } lists[] = {
        {LIST("", ""), "", "", 0},
        {LIST("<member><Protocol>sqs</Protocol><Endpoint>q</Endpoint><SubscriptionArn>arn:x"
              "</SubscriptionArn></member><member><Protocol>email</Protocol></member>",
              "<NextToken>2&amp;</NextToken>"),
         "sqs q 1;email  0;", "2&", 0},
        {LIST("<member><Protocol>stop</Protocol></member><member/>", ""), "stop  0;", "", 7},
        {"<ListSubscriptionsByTopicResponse>", "", "", CARA_ERR_NETWORK},
        {"", "", "", CARA_ERR_NETWORK},
    };
    for (size_t i = 0; i < COUNT(lists); i++) {
        char seen[300] = "", token[2048];
        cara_error err = {0};
        int rc = cara_sns_read_page(lists[i].xml, strlen(lists[i].xml), on_subscription, seen,
                                    token, &err);
        if (rc != lists[i].rc || strcmp(seen, lists[i].seen) != 0 ||
            strcmp(token, lists[i].token) != 0)
            fail_msg("%zu: %d %s %s", i, rc, seen, token);
    }
}

#define XML(stacks)                                                                                \
    "<DescribeStacksResponse xmlns='x'><DescribeStacksResult>" stacks                              \
    "</DescribeStacksResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"         \
    "</DescribeStacksResponse>"

/* The service's XML and the AWS CLI's JSON say the same. */
static void stacks_are_read_from_both(void **state) {
    static const char xml[] = XML(
        "<Stacks>\n<member><StackId>arn:s</StackId><StackStatus>UPDATE_COMPLETE</StackStatus>"
        "<StackStatusReason>a &amp; b</StackStatusReason><Parameters><member><ParameterKey>P"
        "</ParameterKey><ParameterValue>1</ParameterValue></member></Parameters><Outputs><member>"
        "<OutputKey>A</OutputKey><OutputValue>b</OutputValue></member><member><OutputKey>C"
        "</OutputKey></member></Outputs><Tags/></member></Stacks>");
    static const char json[] =
        "{\"Stacks\": [{\"StackId\": \"arn:s\", \"StackStatus\": \"UPDATE_COMPLETE\", "
        "\"StackStatusReason\": \"a & b\", \"Parameters\": [{\"ParameterKey\": \"P\", "
        "\"ParameterValue\": \"1\"}], \"Outputs\": [{\"OutputKey\": \"A\", \"OutputValue\": "
        "\"b\"}, "
        "{\"OutputKey\": \"C\"}]}]}";
    json_t *answer = json_loads(json, 0, NULL);
    for (int i = 0; i < 2; i++) {
        cara_stack stack;
        cara_error err = {0};
        int rc = i ? cara_stack_read_json(answer, "s", &stack, &err)
                   : cara_stack_read_xml(xml, strlen(xml), "s", &stack, &err);
        assert_int_equal(rc, CARA_OK);
        assert_int_equal(stack.exists, 1);
        assert_string_equal(stack.id, "arn:s");
        assert_string_equal(stack.status, "UPDATE_COMPLETE");
        assert_string_equal(stack.reason, "a & b");
        assert_string_equal(cara_stack_parameter(&stack, "P"), "1");
        assert_string_equal(cara_stack_output(&stack, "A"), "b");
        assert_string_equal(cara_stack_output(&stack, "C"), "");
        assert_null(cara_stack_output(&stack, "P"));
        cara_stack_free(&stack);
    }
    json_decref(answer);
}

static void other_stacks_are_refused(void **state) {
#define NESTED "<a><a><a><a><a><a><a><a>"
    static const struct {
        const char *xml, *words;
    } cases[] = {
        {"", "cannot be read"},
        {"<DescribeStacksResponse>", "cannot be read"},
        {"<x/>", "returned no status for stack s"},
        {XML(""), "returned no status for stack s"},
        {XML("<Stacks/>"), "returned no status for stack s"},
        {XML("<Stacks><member/></Stacks>"), "returned no status for stack s"},
        {XML("<Stacks><member><StackId>arn:s</StackId></member></Stacks>"),
         "returned no status for stack s"},
        {XML("<Stacks>s</Stacks>"), "returned no status for stack s"},
        {XML("<Stacks><member/><other/></Stacks>"), "no description of a stack"},
        {XML("<Stacks><other/><member/></Stacks>"), "no description of a stack"},
        {NESTED NESTED NESTED NESTED "</a>", "no description of a stack"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cara_stack stack;
        cara_error err = {0};
        int rc = cara_stack_read_xml(cases[i].xml, strlen(cases[i].xml), "s", &stack, &err);
        cara_stack_free(&stack);
        if (rc != CARA_ERR_NETWORK || !strstr(err.text, cases[i].words))
            fail_msg("%zu: %d %s", i, rc, err.text);
    }
    static const struct {
        const char *status;
        int exists;
    } states[] = {{"CREATE_COMPLETE", 1}, {"REVIEW_IN_PROGRESS", 0}, {"DELETE_COMPLETE", 0}};
    for (size_t i = 0; i < COUNT(states); i++) {
        json_t *answer = json_pack("{s:[{s:s, s:s}]}", "Stacks", "StackId", "arn:s", "StackStatus",
                                   states[i].status);
        cara_stack stack;
        assert_int_equal(cara_stack_read_json(answer, "s", &stack, NULL), CARA_OK);
        assert_int_equal(stack.exists, states[i].exists);
        cara_stack_free(&stack);
        json_decref(answer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(findings_are_reported_and_give_a_verdict),
        cmocka_unit_test(other_answers_are_refused),
        cmocka_unit_test(words_are_compared),
        cmocka_unit_test(voice_notes_are_built_in),
        cmocka_unit_test(queues_by_arn_and_url),
        cmocka_unit_test(answers_in_xml),
        cmocka_unit_test(stacks_are_read_from_both),
        cmocka_unit_test(other_stacks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

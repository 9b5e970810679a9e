/* Replies: how a long text is cut, and that no message is answered twice. */
#include "fixture.h"

#include "aws/client/client.h"
#include "fake_platform.h"
#include "pipeline/reply.h"
#include "test_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define KEY "2025-10-15/15550001111-01-10-13-abcdefghijk.json"
#define PHONE "arn:aws:social-messaging:us-east-1:1:phone-number-id/0f"

static void texts_are_cut_between_words(void **state) {
    static const struct {
        const char *text;
        size_t most, n;
    } cases[] = {
        {"", 5, 0},
        {"hola", 5, 4},
        {"hola!", 5, 5},
        {"hola, que tal", 9, 9},       /* "hola, que" would do, but nothing shows the blank */
        {"hola, que tal", 10, 10},     /* after the blank */
        {"hola, que tal", 12, 10},     /* still in the last quarter */
        {"a bcdefghijklmnop", 12, 12}, /* a blank too far ahead */
        {"\303\261\303\261\303\261\303\261", 3, 6}, /* characters, not bytes */
        {"\360\237\220\232\360\237\220\232", 1, 4},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(cara_reply_cut(cases[i].text, cases[i].most), cases[i].n);
}

typedef struct world {
    test_server *server;
    fake_platform platform;
    cara_aws *aws;
    cara_error err;
} world;

static void begin(world *w, const test_reply *replies, size_t n) {
    memset(w, 0, sizeof *w);
    w->server = test_server_start(replies, n);
    w->platform = (fake_platform){.env = {{"AWS_ACCESS_KEY_ID", "AKID"},
                                          {"AWS_SECRET_ACCESS_KEY", "secret"},
                                          {"AWS_REGION", "us-east-1"},
                                          {"AWS_ENDPOINT_URL", test_server_url(w->server)}},
                                  .now_ms = FAKE_NOW,
                                  .random = 0.5};
    cara_platform platform = fake_platform_of(&w->platform);
    const cara_aws_options options = {.platform = &platform};
    assert_int_equal(cara_aws_open(&options, &w->aws, &w->err), CARA_OK);
}

static void end(world *w) {
    cara_aws_close(w->aws);
    test_server_stop(w->server);
}

static void a_message_is_answered_once(void **state) {
    fixture *f = *state;
    static const test_reply sent = {.body = "{\"messageId\":\"m\"}"};
    const test_reply replies[] = {sent, sent, sent};
    const cara_inbox_message message = {
        .id = "wamid.A", .from = "+1 555-000-1111", .phone_number_arn = PHONE};
    world w;
    begin(&w, replies, COUNT(replies));
    char text[6001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_int_equal(cara_reply_send(w.aws, f->store, &message, KEY, text, &w.err), CARA_OK);
    assert_int_equal(test_server_count(w.server), 2); /* two messages: it is long */
    assert_int_equal(cara_reply_send(w.aws, f->store, &message, KEY, text, &w.err),
                     CARA_ERR_CONFLICT);
    assert_int_equal(test_server_count(w.server), 2);
    end(&w);
}

static void replies_need_a_sender_and_a_phone_number(void **state) {
    fixture *f = *state;
    static const cara_inbox_message messages[] = {
        {.id = "a", .from = "", .phone_number_arn = PHONE},
        {.id = "a", .from = "1", .phone_number_arn = PHONE, .group_id = "g"},
        {.id = "a", .from = "1"},
    };
    world w;
    begin(&w, NULL, 0);
    for (size_t i = 0; i < COUNT(messages); i++)
        assert_int_equal(cara_reply_send(w.aws, f->store, &messages[i], KEY, "hola", &w.err),
                         CARA_ERR_NOT_FOUND);
    const cara_inbox_message fine = {.id = "a", .from = "1", .phone_number_arn = PHONE};
    assert_int_equal(cara_reply_send(w.aws, f->store, &fine, KEY, "  ", &w.err),
                     CARA_ERR_NOT_FOUND);
    assert_int_equal(cara_reply_send(w.aws, f->store, &fine, "x", "hola", &w.err),
                     CARA_ERR_INTERNAL);
    assert_int_equal(test_server_count(w.server), 0);
    assert_int_equal(fixture_count(f, 0), 0); /* the right to answer is not used up */
    end(&w);
}

/* WhatsApp may have taken what was not answered: it is not sent again. */
static void a_lost_answer_is_not_repeated(void **state) {
    fixture *f = *state;
    const test_reply replies[] = {{.drop = 1}, {.body = "{\"messageId\":\"m\"}"}};
    const cara_inbox_message message = {.id = "a", .from = "1", .phone_number_arn = PHONE};
    world w;
    begin(&w, replies, COUNT(replies));
    assert_int_not_equal(cara_reply_send(w.aws, f->store, &message, KEY, "hola", &w.err), CARA_OK);
    assert_int_equal(cara_reply_send(w.aws, f->store, &message, KEY, "hola", &w.err),
                     CARA_ERR_CONFLICT);
    assert_int_equal(test_server_count(w.server), 1);
    end(&w);
}

#define WITH_STORE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_cut_between_words),
        WITH_STORE(a_message_is_answered_once),
        WITH_STORE(replies_need_a_sender_and_a_phone_number),
        WITH_STORE(a_lost_answer_is_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

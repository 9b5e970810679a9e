#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files/file.h"
#include "base/limits.h"
#include "base/memory/buf.h"
#include "inbox/inbox.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void parse(const char *text, cara_inbox *inbox) {
    cara_error err = {0};
    int rc = cara_inbox_parse(text, strlen(text), inbox, &err);
    if (rc)
        fail_msg("%s", err.text);
}

/* Every event of the contracts, as counts. */
static void all_envelopes(void **state) {
    static const struct {
        const char *file;
        size_t messages, rejects, statuses, records, other_fields, confirmations;
        int is_sqs;
    } cases[] = {
        {"01-text", 1, 0, 0, 1, 0, 0, 0},
        {"02-voice-note", 1, 0, 0, 1, 0, 0, 0},
        {"03-audio-file-mp3", 1, 0, 0, 1, 0, 0, 0},
        {"04-image-caption", 1, 0, 0, 1, 0, 0, 0},
        {"05-statuses-only", 0, 0, 4, 1, 0, 0, 0},
        {"06-batch-multi-message", 5, 0, 0, 2, 0, 0, 0},
        {"07-duplicate-delivery", 2, 0, 0, 2, 0, 0, 0},
        {"09-other-types", 10, 0, 0, 1, 0, 0, 0},
        {"10-unsupported-with-errors", 1, 0, 0, 1, 0, 0, 0},
        {"11-template-status-field", 0, 0, 0, 1, 1, 0, 0},
        {"20-bad-no-phone-id", 1, 0, 0, 1, 0, 0, 0},
        {"21-bad-one-of-three", 2, 1, 0, 1, 0, 0, 0},
        {"22-bad-message-not-json", 0, 1, 0, 1, 0, 0, 0},
        {"23-bad-entry-not-json", 0, 1, 0, 1, 0, 0, 0},
        {"26-not-sns", 0, 1, 0, 1, 0, 0, 0},
        {"30-sqs-envelope", 1, 0, 0, 1, 0, 0, 1},
        {"31-sqs-raw", 1, 0, 0, 1, 0, 0, 1},
        {"40-https-notification-v1", 1, 0, 0, 1, 0, 0, 0},
        {"41-https-notification-v2-subject", 1, 0, 0, 1, 0, 0, 0},
        {"42-https-tampered", 1, 0, 0, 1, 0, 0, 0},
        {"44-https-subscription-confirmation", 0, 0, 0, 1, 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        char *event = NULL;
        size_t n = 0;
        snprintf(path, sizeof path, "%s/tests/data/events/%s.json", getenv("CARACOLA_SOURCE_DIR"),
                 cases[i].file);
        assert_int_equal(cara_read_file(path, CARA_MIB, &event, &n, NULL), CARA_OK);
        cara_inbox inbox;
        assert_int_equal(cara_inbox_parse(event, n, &inbox, NULL), CARA_OK);
        free(event); /* nothing may point into it */
        print_message("%s\n", cases[i].file);
        assert_int_equal(inbox.n_messages, cases[i].messages);
        assert_int_equal(inbox.n_rejects, cases[i].rejects);
        assert_int_equal(inbox.n_statuses, cases[i].statuses);
        assert_int_equal(inbox.n_records, cases[i].records);
        assert_int_equal(inbox.n_other_fields, cases[i].other_fields);
        assert_int_equal(inbox.n_confirmations, cases[i].confirmations);
        assert_int_equal(inbox.is_sqs, cases[i].is_sqs);
        assert_int_equal(cara_inbox_is_unreadable(&inbox),
                         cases[i].rejects == 1 && !cases[i].messages);
        for (size_t k = 0; k < inbox.n_messages; k++) {
            const cara_inbox_message *m = &inbox.messages[k];
            assert_string_equal(m->from, "525550100150");
            assert_string_equal(m->waba_id, "102290129340398");
            assert_string_equal(m->phone_number_id, "106540352242922");
            assert_string_equal(m->profile_name, "Luc\303\255a Prueba");
            if (strstr(cases[i].file, "no-phone-id"))
                assert_null(m->phone_number_arn);
            else
                assert_non_null(strstr(m->phone_number_arn, ":phone-number-id/"));
            assert_non_null(strstr(m->waba_arn, ":waba/"));
            assert_int_equal(m->record_id != NULL, cases[i].is_sqs);
        }
        cara_inbox_free(&inbox);
    }
}

#define MESSAGE(extra)                                                                             \
    "{\"id\":\"w1\",\"from\":\"1\",\"timestamp\":\"5\",\"type\":\"text\"" extra "}"
#define CHANGE(messages) "{\"field\":\"messages\",\"value\":{\"messages\":[" messages "]}}"
#define WEBHOOK(messages)                                                                          \
    "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"9\",\"changes\":[" CHANGE(     \
        messages) "]}]}"

/* One message in each bare or nested form. */
static void envelope_variants_are_read(void **state) {
    static const char *const forms[] = {
        WEBHOOK(MESSAGE("")),
        "{\"id\":\"9\",\"changes\":[" CHANGE(MESSAGE("")) "]}",
        "{\"changes\":[{\"value\":{\"messages\":[" MESSAGE("") "]}}]}",
        "{\"whatsAppWebhookEntry\":{\"changes\":[" CHANGE(MESSAGE("")) "]}}",
        "{\"whatsAppWebhookEntry\":[{\"changes\":[" CHANGE(MESSAGE("")) "]}]}",
        "{\"MetaWabaIds\":7,\"MetaPhoneNumberIds\":[1,{}],\"whatsAppWebhookEntry\":{\"changes\":"
        "[" CHANGE(MESSAGE("")) "]}}",
        /* a dead letter: the Lambda event in an SQS body, and in a destination's wrapper */
        "{\"Records\":[{\"messageId\":\"q\",\"body\":\"{\\\"Records\\\":[{\\\"Sns\\\":{"
        "\\\"Message\\\":\\\"{\\\\\\\"changes\\\\\\\":[{\\\\\\\"value\\\\\\\":{"
        "\\\\\\\"messages\\\\\\\":[{\\\\\\\"id\\\\\\\":\\\\\\\"w1\\\\\\\","
        "\\\\\\\"from\\\\\\\":\\\\\\\"1\\\\\\\",\\\\\\\"timestamp\\\\\\\":\\\\\\\"5\\\\\\\","
        "\\\\\\\"type\\\\\\\":\\\\\\\"text\\\\\\\"}]}}]}\\\"}}]}\"}]}",
        "{\"version\":\"1.0\",\"requestPayload\":" WEBHOOK(MESSAGE("")) "}",
        WEBHOOK("{\"id\":\"w1\",\"from\":1,\"timestamp\":5,\"type\":\"text\"}"),
        "{\"changes\":[{\"value\":{\"statuses\":null,\"errors\":3,\"messages\":[" MESSAGE(
            "") "]}}]}",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        cara_inbox inbox;
        print_message("%zu\n", i);
        parse(forms[i], &inbox);
        assert_int_equal(inbox.n_messages, 1);
        assert_int_equal(inbox.n_rejects, 0);
        assert_int_equal(inbox.n_records, 1);
        assert_string_equal(inbox.messages[0].id, "w1");
        assert_string_equal(inbox.messages[0].from, "1");
        assert_int_equal(inbox.messages[0].timestamp, 5);
        cara_inbox_free(&inbox);
    }
}

/* A refused message does not affect the others. */
static void a_bad_message_does_not_affect_others(void **state) {
    static const struct {
        const char *message, *reason;
    } cases[] = {
        {"7", "no JSON object"},
        {"null", "no JSON object"},
        {"[{\"id\":\"x\"}]", "no JSON object"},
        {"{\"from\":\"1\",\"timestamp\":\"5\"}", "without an id"},
        {"{\"id\":\"\",\"timestamp\":\"5\"}", "without an id"},
        {"{\"id\":12,\"timestamp\":\"5\"}", "without an id"},
        {"{\"id\":\"a\\u0000b\",\"timestamp\":\"5\"}", "without an id"},
        {"{\"id\":\"a\"}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":null}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":\"\"}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":\"-5\"}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":\" 5\"}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":\"5.5\"}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":5.5}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":-1}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":\"1760490612000\"}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":\"99999999999999999999999999\"}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":\"253402128001\"}", "timestamp"},
        {"{\"id\":\"a\",\"timestamp\":true}", "timestamp"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        cara_inbox inbox;
        snprintf(text, sizeof text, WEBHOOK(MESSAGE("") ",%s," MESSAGE("")), cases[i].message);
        parse(text, &inbox);
        print_message("%s\n", cases[i].message);
        assert_int_equal(inbox.n_messages, 2);
        assert_int_equal(inbox.n_rejects, 1);
        assert_non_null(strstr(inbox.rejects[0].reason, cases[i].reason));
        /* The piece is the message alone. */
        json_t *piece = json_loadb(inbox.rejects[0].bytes, inbox.rejects[0].n,
                                   JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        json_t *wanted = json_loads(cases[i].message, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_true(json_equal(piece, wanted));
        json_decref(piece);
        json_decref(wanted);
        cara_inbox_free(&inbox);
    }
    cara_inbox inbox; /* the last second that is taken */
    parse(WEBHOOK("{\"id\":\"a\",\"timestamp\":\"253402128000\"}"), &inbox);
    assert_int_equal(inbox.n_messages, 1);
    cara_inbox_free(&inbox);
}

static void bad_envelopes_are_one_reject(void **state) {
    static const char *const cases[] = {
        "",
        "[]",
        "5",
        "\"text\"",
        "{}",
        "{\"Records\":{}}",
        "{\"Records\":[7]}",
        "{\"Records\":[{\"Sns\":7}]}",
        "{\"Records\":[{\"Sns\":{}}]}",
        "{\"Records\":[{\"Sns\":{\"Message\":\"7\"}}]}",
        "{\"Records\":[{\"body\":\"\"}]}",
        "{\"Records\":[{\"body\":7}]}",
        "{\"entry\":[{}]}",
        "{\"entry\":[{\"changes\":7}]}",
        "{\"entry\":[{\"changes\":[7]}]}",
        "{\"entry\":[{\"changes\":[{\"value\":7}]}]}",
        "{\"entry\":[{\"changes\":[{\"field\":\"messages\"}]}]}",
        "{\"entry\":[{\"changes\":[{\"field\":\"messages\",\"value\":{\"messages\":{}}}]}]}",
        "{\"changes\":[{\"value\":{}}]}",
        "{\"changes\":[{\"field\":\"later\",\"value\":{\"messages\":[{\"id\":\"1\"}]}}]}",
        "{\"whatsAppWebhookEntry\":null}",
        "{\"whatsAppWebhookEntry\":\"\"}",
        "{\"whatsAppWebhookEntry\":\"{\"}",
        "{\"Type\":\"Notification\",\"TopicArn\":\"a\"}",
        /* parentheses: one string in two pieces */
        ("{\"requestPayload\":{\"requestPayload\":{\"requestPayload\":{\"requestPayload\":"
         "{\"requestPayload\":{\"requestPayload\":{\"requestPayload\":{\"entry\":[]}}}}}}}}"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_inbox inbox;
        parse(cases[i], &inbox);
        print_message("%s\n", cases[i]);
        assert_int_equal(inbox.n_messages, 0);
        assert_int_equal(inbox.n_rejects, 1);
        assert_true(strlen(inbox.rejects[0].reason) > 0);
        assert_true(cara_inbox_is_unreadable(&inbox));
        cara_inbox_free(&inbox);
    }
}

static void flawed_text_is_read_and_kept(void **state) {
    cara_inbox inbox;
    const char *text = WEBHOOK(MESSAGE(",\"text\":{\"body\":\"\xFF\"}") "," MESSAGE(""));
    parse(text, &inbox);
    assert_int_equal(inbox.n_messages, 2);
    assert_int_equal(inbox.n_rejects, 1);
    assert_int_equal(inbox.rejects[0].n, strlen(text));
    assert_memory_equal(inbox.rejects[0].bytes, text, strlen(text));
    assert_false(cara_inbox_is_unreadable(&inbox));
    cara_inbox_free(&inbox);
}

/* JSON readers take one of the two; what the other says must not be lost. */
static void nothing_is_lost_where_one_of_two_is_read(void **state) {
    static const struct {
        const char *text;
        size_t n_messages;
    } cases[] = {
        {"{\"Records\":[{\"Sns\":{\"Message\":\"lost\"}}],\"Records\":[]}", 0},
        {"{\"entry\":[{\"changes\":[{\"field\":\"messages\",\"value\":{\"messages\":[" MESSAGE(
             "") "],\"messages\":[" MESSAGE("") "]}}]}]}",
         1},
        {WEBHOOK(MESSAGE(",\"text\":{\"body\":\"a\",\"body\":\"b\"}")), 1},
        {"{\"Records\":[{\"body\":\"{\\\"entry\\\":[7],\\\"entry\\\":[]}\"}]}", 0},
        {"{\"Records\":[],\"entry\":[{\"changes\":[]}]}", 0},
        {"{\"Records\":[{\"Sns\":{\"Message\":\"{\\\"entry\\\":[]}\"},\"body\":\"b\"}]}", 0},
        {"{\"whatsAppWebhookEntry\":{\"changes\":[]},\"requestPayload\":{}}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_inbox inbox;
        print_message("%s\n", cases[i].text);
        parse(cases[i].text, &inbox);
        assert_int_equal(inbox.n_messages, cases[i].n_messages);
        assert_int_equal(inbox.n_rejects, 1);
        assert_non_null(strstr(inbox.rejects[0].reason, "this is what came"));
        cara_inbox_free(&inbox);
    }
}

static void numbers_are_matched_by_id(void **state) {
    static const char text[] =
        "{\"context\":{\"MetaWabaIds\":[{\"wabaId\":\"8\",\"arn\":\"w8\"},{\"wabaId\":\"9\","
        "\"arn\":"
        "\"w9\"}],\"MetaPhoneNumberIds\":[{\"metaPhoneNumberId\":\"1\",\"arn\":\"p1\"},"
        "{\"metaPhoneNumberId\":\"2\",\"arn\":\"p2\"}]},\"whatsAppWebhookEntry\":{\"id\":\"9\","
        "\"changes\":[{\"field\":\"messages\",\"value\":{\"metadata\":{\"phone_number_id\":\"2\","
        "\"display_phone_number\":\"+1 555\"},\"contacts\":[{\"wa_id\":\"70\",\"profile\":{"
        "\"name\":\"Ana\"}},{\"wa_id\":\"71\",\"profile\":{\"name\":\"Beto\"}}],\"messages\":["
        "{\"id\":\"a\",\"from\":\"71\",\"timestamp\":\"5\",\"group_id\":\"G\"},"
        "{\"id\":\"b\",\"from\":\"72\",\"timestamp\":\"5\"}]}},"
        "{\"field\":\"messages\",\"value\":{\"metadata\":{\"phone_number_id\":\"3\"},\"contacts\":["
        "{\"wa_id\":\"70\",\"profile\":{\"name\":\"Ana\"}}],\"messages\":["
        "{\"id\":\"c\",\"from\":\"+70\",\"timestamp\":\"5\"}]}}]}}";
    cara_inbox inbox;
    parse(text, &inbox);
    assert_int_equal(inbox.n_messages, 3);
    const cara_inbox_message *m = inbox.messages;
    assert_string_equal(m[0].phone_number_arn, "p2");
    assert_string_equal(m[0].waba_arn, "w9");
    assert_string_equal(m[0].profile_name, "Beto");
    assert_string_equal(m[0].group_id, "G");
    assert_string_equal(m[0].display_phone_number, "+1 555");
    assert_null(m[1].profile_name); /* neither of two */
    assert_null(m[1].group_id);
    assert_string_equal(m[2].profile_name, "Ana"); /* the only one */
    assert_null(m[2].phone_number_arn);            /* not a number of the context */
    cara_inbox_free(&inbox);
}

static void media_urls_are_removed(void **state) {
    cara_inbox inbox;
    parse(
        WEBHOOK(
            "{\"id\":\"a\",\"timestamp\":\"5\",\"type\":\"audio\",\"audio\":{\"id\":\"1\",\"url\":"
            "\"https://secret\",\"new\":1},\"image\":{\"url\":\"https://secret\"},\"later\":{"
            "\"mime_type\":\"x/y\",\"url\":\"https://secret\"},\"contacts\":[{\"urls\":[{"
            "\"url\":\"https://kept\"}]}],\"text\":{\"url\":\"https://kept\"}},"
            "{\"audio\":{\"url\":\"https://secret\"}}"),
        &inbox);
    assert_int_equal(inbox.n_messages, 1);
    assert_int_equal(inbox.n_rejects, 1);
    char *text = json_dumps(inbox.messages[0].message, JSON_COMPACT);
    assert_null(strstr(text, "secret"));
    assert_non_null(strstr(text, "\"new\":1"));
    const char *kept = strstr(text, "https://kept");
    assert_non_null(kept);
    assert_non_null(strstr(kept + 1, "https://kept"));
    free(text);
    assert_string_equal(inbox.rejects[0].bytes, "{\"audio\":{}}");
    cara_inbox_free(&inbox);
}

/* 10,000 messages are read; one more makes the event too large to read, and it is kept whole. */
static void many_messages(void **state) {
    for (int extra = 0; extra <= 1; extra++) {
        cara_buf text;
        cara_buf_init(&text, 4 * CARA_MIB);
        cara_buf_str(&text, "{\"changes\":[{\"value\":{\"messages\":[");
        for (int i = 0; i < CARA_LIMIT_EVENT_MESSAGES + extra; i++)
            cara_buf_printf(&text, "%s{\"id\":\"m%d\",\"from\":\"1\",\"timestamp\":\"%d\"}",
                            i ? "," : "", i, i);
        cara_buf_str(&text, "]}}]}");
        assert_false(text.failed);
        cara_inbox inbox;
        assert_int_equal(cara_inbox_parse(text.data, text.len, &inbox, NULL), CARA_OK);
        if (extra) {
            assert_int_equal(inbox.n_messages, 0);
            assert_int_equal(inbox.n_rejects, 1);
            assert_int_equal(inbox.rejects[0].n, text.len);
            assert_memory_equal(inbox.rejects[0].bytes, text.data, text.len);
        } else {
            assert_int_equal(inbox.n_messages, CARA_LIMIT_EVENT_MESSAGES);
            assert_int_equal(inbox.n_rejects, 0);
            assert_string_equal(inbox.messages[9999].id, "m9999");
        }
        cara_inbox_free(&inbox);
        cara_buf_free(&text);
    }
}

static void an_event_above_the_limit_is_quarantined_whole(void **state) {
    size_t n = CARA_LIMIT_EVENT_BYTES + 1;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, ' ', n);
    cara_inbox inbox;
    assert_int_equal(cara_inbox_parse(text, n, &inbox, NULL), CARA_OK);
    assert_int_equal(inbox.n_rejects, 1);
    assert_int_equal(inbox.rejects[0].n, n);
    cara_inbox_free(&inbox);
    cara_inbox_free(&inbox); /* twice does no harm */
    free(text);
}

/* What can't be read grows when it is written back: from one byte to six. Its pieces do not fit the
 * memory for one event, so the event is kept instead of them. */
static void an_event_that_takes_too_much_memory_is_quarantined_whole(void **state) {
    size_t n = CARA_LIMIT_EVENT_BYTES;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, 0x7f, n);
    static const char head[] = "{\"changes\":[\"", tail[] = "\xff\"]}";
    memcpy(text, head, sizeof head - 1);
    memcpy(text + n - (sizeof tail - 1), tail, sizeof tail - 1);
    cara_inbox inbox;
    assert_int_equal(cara_inbox_parse(text, n, &inbox, NULL), CARA_OK);
    assert_int_equal(inbox.n_rejects, 1);
    assert_int_equal(inbox.rejects[0].n, n);
    assert_string_equal(inbox.rejects[0].reason, "an event that takes more memory than the limit");
    cara_inbox_free(&inbox);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_envelopes),
        cmocka_unit_test(envelope_variants_are_read),
        cmocka_unit_test(a_bad_message_does_not_affect_others),
        cmocka_unit_test(bad_envelopes_are_one_reject),
        cmocka_unit_test(flawed_text_is_read_and_kept),
        cmocka_unit_test(nothing_is_lost_where_one_of_two_is_read),
        cmocka_unit_test(numbers_are_matched_by_id),
        cmocka_unit_test(media_urls_are_removed),
        cmocka_unit_test(many_messages),
        cmocka_unit_test(an_event_above_the_limit_is_quarantined_whole),
        cmocka_unit_test(an_event_that_takes_too_much_memory_is_quarantined_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

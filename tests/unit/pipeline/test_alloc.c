/* No memory, at every single allocation of the inbox and the pipeline: the event is to be delivered
 * again, nothing is recorded wrongly, nothing leaks, and the next delivery completes it.
 *
 * Our own allocations and jansson's fail one after the other; those in json_loadb() do not (jansson
 * 2.14 ignores there what its buffer says, and goes on to an assertion). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_memory.h"
#include "pipeline/record/record.h"
#include "pipeline/service/service.h"
#include "store/store_backend.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- a store in memory, whose own allocations never fail ---- */

typedef struct object {
    char key[CARA_KEY_SIZE];
    char *bytes;
    size_t n;
} object;

typedef struct mem_store {
    cara_store base;
    object objects[16];
    size_t n;
    int claimed;
} mem_store;

typedef struct mem_claim {
    cara_store_claim base;
    char key[CARA_KEY_SIZE];
} mem_claim;

static object *find(mem_store *s, const char *key) {
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->objects[i].key, key) == 0)
            return &s->objects[i];
    return NULL;
}

static int mem_put(cara_store *store, const char *key, const void *bytes, size_t n, int if_absent,
                   cara_error *err) {
    mem_store *s = (mem_store *)store;
    object *o = find(s, key);
    if (o && if_absent)
        return cara_fail(err, CARA_ERR_CONFLICT, -1, "it is there");
    if (!o) {
        assert_true(s->n < COUNT(s->objects));
        o = &s->objects[s->n++];
        snprintf(o->key, sizeof o->key, "%s", key);
    }
    __real_free(o->bytes);
    o->bytes = __real_malloc(n + 1);
    memcpy(o->bytes, bytes, n);
    o->bytes[n] = 0;
    o->n = n;
    return CARA_OK;
}

static int mem_get(cara_store *store, const char *key, size_t limit, char **bytes, size_t *n,
                   cara_error *err) {
    const object *o = find((mem_store *)store, key);
    if (!o)
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1, "it is not there");
    *bytes = malloc(o->n + 1);
    if (!*bytes)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    memcpy(*bytes, o->bytes, o->n + 1);
    *n = o->n;
    return CARA_OK;
}

static int mem_claim_take(cara_store *store, const char *key, cara_store_claim **out,
                          cara_error *err) {
    mem_claim *c = malloc(sizeof *c);
    if (!c)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    *c = (mem_claim){.base = {store}};
    snprintf(c->key, sizeof c->key, "%s", key);
    assert_int_equal(((mem_store *)store)->claimed++, 0);
    *out = &c->base;
    return CARA_OK;
}

static int mem_claim_put(cara_store_claim *claim, const void *bytes, size_t n, cara_error *err) {
    return mem_put(claim->store, ((mem_claim *)claim)->key, bytes, n, 0, err);
}

static void mem_claim_release(cara_store_claim *claim) {
    ((mem_store *)claim->store)->claimed--;
    free(claim);
}

static const cara_store_ops ops = {.put = mem_put,
                                   .get = mem_get,
                                   .claim_take = mem_claim_take,
                                   .claim_put = mem_claim_put,
                                   .claim_release = mem_claim_release};

static void empty(mem_store *s) {
    for (size_t i = 0; i < s->n; i++)
        __real_free(s->objects[i].bytes);
    *s = (mem_store){.base = {&ops}};
}

/* ---- media and words ---- */

static int fetch(void *ctx, const cara_media_request *request, cara_media_file *out,
                 cara_error *err) {
    out->bytes = malloc(4);
    if (!out->bytes)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    memcpy(out->bytes, "OggS", 4);
    out->n = 4;
    return CARA_OK;
}

static int prepare(void *ctx, cara_stop_fn stop, void *cookie, cara_error *err) {
    return CARA_OK;
}

/* Cut short at the first try, so that resuming is tested as well. */
static int transcribe(void *ctx, const cara_encoded_audio *encoded, cara_stop_fn stop, void *cookie,
                      cara_resume *resume, cara_result **out, cara_error *err) {
    static const int32_t tokens[] = {50364, 1, 50464};
    static const cara_segment segment = {.text = " hay una panga", .tokens = tokens, .n_tokens = 3};
    *out = malloc(sizeof **out);
    if (!*out)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    **out = (cara_result){.text = segment.text,
                          .language = "es",
                          .segments = &segment,
                          .n_segments = 1,
                          .duration_s = 4,
                          .cut_short = resume->frame == 0};
    resume->frame += 200;
    return CARA_OK;
}

static void release(void *ctx, cara_result *result) {
    free(result);
}

static const char *model_name(void *ctx) {
    return "fake";
}

static const char event[] =
    "{\"Records\":[{\"messageId\":\"m1\",\"body\":\"{\\\"changes\\\":[{\\\"value\\\":{"
    "\\\"metadata\\\":{\\\"phone_number_id\\\":\\\"1\\\"},"
    "\\\"contacts\\\":[{\\\"wa_id\\\":\\\"1\\\",\\\"profile\\\":{\\\"name\\\":\\\"L\\\"}}],"
    "\\\"messages\\\":[{\\\"id\\\":\\\"a\\\",\\\"from\\\":\\\"1\\\",\\\"timestamp\\\":\\\"1\\\","
    "\\\"type\\\":\\\"text\\\",\\\"caracola\\\":1},{\\\"id\\\":\\\"b\\\",\\\"from\\\":\\\"1\\\","
    "\\\"timestamp\\\":\\\"1\\\",\\\"type\\\":\\\"audio\\\",\\\"audio\\\":{\\\"id\\\":\\\"7\\\","
    "\\\"url\\\":\\\"u\\\"}},{\\\"id\\\":3},\\\"odd\\\"]}}]}\"},"
    "{\"messageId\":\"m2\",\"body\":\"nonsense\"}]}";

static void inbox_parse_reports_every_failed_allocation(void **state) {
    int reached = 1;
    long n = 0;
    while (reached) {
        cara_inbox inbox;
        cara_error err = {.code = CARA_OK};
        failing_memory_arm(1, ++n);
        int rc = cara_inbox_parse(event, sizeof event - 1, &inbox, &err);
        size_t messages = inbox.n_messages;
        cara_inbox_free(&inbox);
        reached = failing_memory_disarm();
        assert_int_equal(memory.live, 0);
        if (reached && rc == CARA_OK)
            assert_int_equal(messages, 2); /* it could do without */
        else
            assert_int_equal(rc, reached ? CARA_ERR_MEMORY : CARA_OK);
    }
    assert_true(n >= 10);
}

static int failed_for_good;

static int count_replies(void *ctx, const cara_inbox_message *message, const char *key,
                         const char *text, cara_error *err) {
    ++*(int *)ctx;
    assert_string_equal(text, " hay una panga hay una panga");
    return CARA_OK;
}

static void check_records(mem_store *s) {
    size_t complete = 0, quarantined = 0;
    for (size_t i = 0; i < s->n; i++) {
        const object *o = &s->objects[i];
        if (strncmp(o->key, "quarantine/", 11) == 0) {
            quarantined++;
        } else if (strstr(o->key, ".json")) {
            cara_record_state record_state = (cara_record_state)0;
            assert_int_equal(cara_record_read(o->bytes, o->n, &record_state, NULL, NULL), CARA_OK);
            complete += record_state == CARA_RECORD_COMPLETE;
        }
    }
    if (quarantined != 3)
        for (size_t i = 0; i < s->n; i++)
            print_message("%ld %s %s\n", memory.until, s->objects[i].key, s->objects[i].bytes);
    assert_int_equal(complete, 2);
    assert_int_equal(quarantined, 3);
    assert_int_equal(s->n, 6); /* and the audio */
    assert_int_equal(s->claimed, 0);
}

static void the_pipeline_asks_for_another_delivery(void **state) {
    mem_store store = {.base = {&ops}};
    cara_media media = {fetch, NULL};
    cara_transcriber transcriber = {prepare, transcribe, release, model_name, NULL};
    cara_service_log log;
    int replies = 0, fd = open("/dev/null", O_WRONLY);
    (void)cara_service_log_init(&log, fd, "JSON", "DEBUG");
    cara_service service = {.pipeline = {.store = &store.base,
                                         .media = &media,
                                         .transcriber = &transcriber,
                                         .reply = count_replies,
                                         .reply_ctx = &replies},
                            .log = &log,
                            .function = "f"};
    /* In the first delivery, then in the second, which completes what was cut short. */
    for (int second = 0; second < 2; second++) {
        int reached = 1;
        long n = 0;
        while (reached) {
            cara_handled handled = {.n_retry = 0};
            cara_error err = {.code = CARA_OK};
            empty(&store);
            replies = 0;
            if (second) {
                assert_int_equal(
                    cara_service_handle(&service, event, sizeof event - 1, 0, &handled, &err), 0);
                cara_handled_free(&handled);
            }
            failing_memory_arm(1, ++n);
            int rc = cara_service_handle(&service, event, sizeof event - 1, 0, &handled, &err);
            if (!rc)
                failed_for_good += (int)handled.summary.by_outcome[CARA_OUTCOME_FAILED];
            int again = rc || handled.n_retry;
            if (!rc)
                cara_handled_free(&handled);
            reached = failing_memory_disarm();
            assert_int_equal(memory.live, 0);
            assert_int_equal(failed_for_good, 0);
            if (rc)
                assert_int_equal(rc, CARA_ERR_MEMORY);
            if (!second && !again)
                fail_msg("the first delivery transcribed all");
            if (second && !again)
                check_records(&store);
            for (int i = 0; i < 2; i++) {
                assert_int_equal(
                    cara_service_handle(&service, event, sizeof event - 1, 0, &handled, &err), 0);
                cara_handled_free(&handled);
            }
            check_records(&store);
            assert_true(replies <= 1);
        }
        assert_true(n > 100);
    }
    empty(&store);
    close(fd);
}

int main(void) {
    if (failing_memory_init())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inbox_parse_reports_every_failed_allocation),
        cmocka_unit_test(the_pipeline_asks_for_another_delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

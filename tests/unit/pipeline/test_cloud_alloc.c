/* No memory, at every single allocation, between the cloud and the pipeline: replies, media by
 * social messaging, Lambda's answers and the worker's queue. An event that is answered as done is
 * done: the message is kept, and its audio transcribed. All else comes again, and is then
 * completed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_memory.h"
#include "fake_platform.h"
#include "fake_s3.h"

#include "aws/client/client.h"
#include "aws/services/lambda_runtime.h"
#include "pipeline/record/record.h"
#include "pipeline/reply.h"
#include "pipeline/service/lambda.h"
#include "pipeline/service/worker.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define KEY "2025-10-15/1-01-10-12-a.json"
#define PHONE "arn:aws:social-messaging:us-east-1:1:phone-number-id/0f"
#define SHA256 "68d9ed2adb24458ff173db06b41b9d1b6e228764c457030d63fad11b02bfae1e" /* of "OggS" */
#define STEP 61  /* in events each STEP-th of the libraries' allocations fails: they are many */
#define AGAIN 16 /* and after each AGAIN-th failure, the event is delivered once more */
#define QUEUE "https://sqs.us-east-1.amazonaws.com/1/q"

int __real_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);

static struct world {
    fake_s3 s3;
    const char *event; /* what Lambda or the queue hands out */
    int media_down;    /* media 78 cannot be fetched for now */
    int sends;         /* replies that WhatsApp took */
    int at;            /* invocations handed out */
    int n_answers;
    char answer[2048], type[80]; /* the first: that is the one that counts */
    int deleted;                 /* from the queue */
    _Atomic int settled;         /* deleted or given back */
    int slept;
} world;

/* Replaces the worker's pauses: it is interrupted instead. */
int __wrap_nanosleep(const struct timespec *t, struct timespec *left) {
    if (!memory.armed)
        return __real_nanosleep(t, left);
    world.slept = 1;
    return 0;
}

/* ---- the services, by path ---- */

static char receive_answer[8192];

static void handle_media(const test_request *r, test_reply *reply) {
    reply->body = "{\"mimeType\":\"audio/ogg; codecs=opus\",\"fileSize\":4}";
    if (strstr(r->body, "\"77\"")) {
        fake_s3_set(&world.s3, "p/2025-10-15/77.ogg", "OggS");
    } else if (strstr(r->body, "\"78\"")) {
        fake_s3_set(&world.s3, "p/2025-10-15/78.ogg", "OggS");
        reply->status = world.media_down ? 503 : 200;
    } else if (strstr(r->body, "\"79\"")) { /* only a list has its name */
        fake_s3_set(&world.s3, "p/2025-10-15/79.oga", "OggS");
    } else { /* deleted by WhatsApp, but copied by an earlier try */
        reply->status = 404;
        reply->body = "{}";
    }
}

static void handle_lambda(const test_request *r, test_reply *reply) {
    if (strstr(r->raw, "/invocation/next")) {
        reply->status = world.at++ ? 500 : 200;
        reply->headers = "Lambda-Runtime-Aws-Request-Id: id\r\n";
        reply->body = world.event;
        return;
    }
    reply->status = world.n_answers ? 400 : 202;
    if (world.n_answers++)
        return;
    snprintf(world.answer, sizeof world.answer, "%s %.*s",
             strncmp(strstr(r->raw, "/id/"), "/id/error", 9) == 0 ? "error" : "response",
             (int)r->body_len, r->body);
    test_request_header(r, "Lambda-Runtime-Function-Error-Type", world.type, sizeof world.type);
}

static void handle_sqs(const test_request *r, test_reply *reply) {
    char target[80];
    test_request_header(r, "X-Amz-Target", target, sizeof target);
    reply->body = "{}";
    if (strcmp(target, "AmazonSQS.ReceiveMessage") == 0 && !world.deleted)
        reply->body = receive_answer;
    world.deleted |= strcmp(target, "AmazonSQS.DeleteMessage") == 0;
    if (strcmp(target, "AmazonSQS.ReceiveMessage") != 0)
        world.settled = 1;
}

static void handle(void *ctx, const test_request *r, test_reply *reply) {
    *reply = (test_reply){.status = 200};
    if (strncmp(r->raw, "POST /v1/whatsapp/media/get ", 28) == 0) {
        handle_media(r, reply);
    } else if (strncmp(r->raw, "POST /v1/whatsapp/send ", 23) == 0) {
        world.sends++;
        reply->body = "{\"messageId\":\"m\"}";
    } else if (strstr(r->raw, " /2018-06-01/")) {
        handle_lambda(r, reply);
    } else if (strncmp(r->raw, "POST /sqs/ ", 11) == 0) {
        handle_sqs(r, reply);
    } else {
        fake_s3_handle(&world.s3, r, reply);
    }
}

static test_server *server;

/* ---- one process of ours ---- */

enum { MAIN, POLL, RENEWAL, N_CLIENTS };

typedef struct process {
    fake_platform outside_of;
    cara_platform platform;
    cara_aws *aws[N_CLIENTS];
    cara_store *store;
    cara_media_social social;
    cara_media media;
    cara_transcriber transcriber;
    cara_service_log log;
    cara_service service;
    cara_error err;
} process;

static int prepare(void *ctx, cara_stop_fn stop, void *cookie, cara_error *err) {
    return CARA_OK;
}

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
                          .duration_s = 4};
    return CARA_OK;
}

static void release(void *ctx, cara_result *result) {
    free(result);
}

static const char *model_name(void *ctx) {
    return "fake";
}

static int send_reply(void *ctx, const cara_inbox_message *message, const char *key,
                      const char *text, cara_error *err) {
    process *p = ctx;
    return cara_reply_send(p->aws[MAIN], p->store, message, key, text, err);
}

static int interrupted(void *ctx) {
    return world.settled || world.slept;
}

static int null_fd;

/* Opening has memory (the tests of the AWS room fail that); what it leaves is counted. */
static void begin(process *p, int64_t later_ms, int n_clients) {
    static char sqs_url[128];
    snprintf(sqs_url, sizeof sqs_url, "%s/sqs", test_server_url(server));
    memory.spared++;
    *p = (process){.outside_of = {.env = {{"AWS_ACCESS_KEY_ID", "AKID"},
                                          {"AWS_SECRET_ACCESS_KEY", "secret"},
                                          {"AWS_REGION", "us-east-1"},
                                          {"AWS_ENDPOINT_URL", test_server_url(server)},
                                          {"AWS_ENDPOINT_URL_SQS", sqs_url}},
                                  .now_ms = FAKE_NOW + later_ms,
                                  .random = 0.5},
                   .err = {.code = CARA_OK, .position = -1}};
    p->platform = fake_platform_of(&p->outside_of);
    const cara_aws_options options = {.platform = &p->platform, .timeout_s = 5};
    for (int i = 0; i < n_clients; i++)
        assert_int_equal(cara_aws_open(&options, &p->aws[i], &p->err), CARA_OK);
    assert_int_equal(cara_store_open_s3("s3://bucket/p", p->aws[MAIN], NULL, &p->store, &p->err),
                     CARA_OK);
    p->social = (cara_media_social){p->aws[MAIN], p->store};
    p->media = cara_media_from_social(&p->social);
    p->transcriber = (cara_transcriber){prepare, transcribe, release, model_name, NULL};
    (void)cara_service_log_init(&p->log, null_fd, "JSON", "DEBUG");
    p->service = (cara_service){.pipeline = {.store = p->store,
                                             .media = &p->media,
                                             .transcriber = &p->transcriber,
                                             .reply = send_reply,
                                             .reply_ctx = p},
                                .aws = p->aws[MAIN],
                                .log = &p->log,
                                .function = "f"};
    memory.spared--;
}

static void end(process *p) {
    memory.spared++;
    cara_store_close(p->store);
    for (int i = 0; i < N_CLIENTS; i++)
        cara_aws_close(p->aws[i]);
    memory.spared--;
}

static void forget_all(void) {
    fake_s3_free(&world.s3);
    memset(&world, 0, sizeof world);
}

/* What the store knows of the message: DAMAGED where nothing. */
static cara_record_state kept(const char *id) {
    cara_record_state state = CARA_RECORD_DAMAGED;
    for (size_t i = 0; i < FAKE_S3_OBJECTS; i++) {
        const struct fake_s3_object *o = &world.s3.objects[i];
        cara_record_state found;
        char *whose = NULL;
        if (!strstr(o->key, ".json"))
            continue;
        assert_int_equal(cara_record_read(o->body, o->len, &found, &whose, NULL), CARA_OK);
        if (whose && strcmp(whose, id) == 0)
            state = found;
        free(whose);
    }
    return state;
}

/* A code that brings the message again, or the true cause of all of this. */
static int is_passing(int kind, int rc) {
    return rc == CARA_ERR_MEMORY || (kind == 2 && (rc == CARA_ERR_NETWORK || rc == CARA_ERR_STORE));
}

/* Runs `once` until the n-th allocation is beyond the last, each time in an empty world. It arms
 * and disarms by itself, and returns whether the n-th was reached. */
static void every_allocation(const char *name, int (*once)(int kind, long n, const void *ctx),
                             int kind, long step, const void *ctx) {
    long n = 1;
    for (int reached = 1; reached; n += step) {
        forget_all();
        reached = once(kind, n, ctx);
        if (memory.live)
            fail_msg("%s: allocation %ld of kind %d: %ld pieces are left over", name, n, kind,
                     memory.live);
    }
    printf("%s: %ld allocations of kind %d\n", name, n - step - 1, kind);
    assert_true(n - step > 10);
}

/* ---- replies ---- */

static int reply_once(int kind, long n, const void *ctx) {
    static char text[6001];
    const cara_inbox_message message = {.id = "a", .from = "1", .phone_number_arn = PHONE};
    process p;
    memset(text, 'a', sizeof text - 1); /* two messages */
    failing_memory_arm(kind, n);
    begin(&p, 0, 1);
    int rc = cara_reply_send(p.aws[MAIN], p.store, &message, KEY, text, &p.err);
    end(&p);
    int reached = failing_memory_disarm();
    /* A claim whose answer libcurl could not read looks like another process's when tried again. */
    int lost = kind == 2 && rc == CARA_ERR_CONFLICT;
    if (rc && !(reached && (lost || is_passing(kind, rc))))
        fail_msg("reply: allocation %ld of kind %d gave %d: %s", n, kind, rc, p.err.text);
    assert_true(rc != CARA_OK || world.sends == 2);
    assert_true(rc == CARA_OK || p.err.code == (cara_code)rc);
    /* In any case nothing is sent twice. */
    int sent = world.sends,
        claimed = fake_s3_find(&world.s3, "p/2025-10-15/1-01-10-12-a.reply") != 0;
    assert_true(!sent || claimed);
    process again;
    begin(&again, 600000, 1);
    rc = cara_reply_send(again.aws[MAIN], again.store, &message, KEY, text, &again.err);
    end(&again);
    assert_int_equal(rc, claimed ? CARA_ERR_CONFLICT : CARA_OK);
    assert_int_equal(world.sends, claimed ? sent : 2);
    return reached;
}

static void replies(void **state) {
    every_allocation("reply", reply_once, 1, 1, NULL);
    every_allocation("reply", reply_once, 2, 1, NULL);
}

/* ---- media ---- */

static int media_once(int kind, long n, const void *media_id) {
    const cara_media_request request = {.media_id = media_id,
                                        .mime_type = "audio/ogg",
                                        .phone_number_arn = PHONE,
                                        .record_key = KEY};
    cara_media_file file = {.bytes = NULL};
    process p;
    fake_s3_set(&world.s3, "p/2025-10-15/80.ogg", "OggS");
    failing_memory_arm(kind, n);
    begin(&p, 0, 1);
    int rc = p.media.fetch(p.media.ctx, &request, &file, &p.err);
    int same = file.bytes && file.n == 4 && memcmp(file.bytes, "OggS", 4) == 0;
    free(file.bytes);
    end(&p);
    int reached = failing_memory_disarm();
    if (rc && !(reached && is_passing(kind, rc)))
        fail_msg("media %s: allocation %ld of kind %d gave %d: %s", (const char *)media_id, n, kind,
                 rc, p.err.text);
    assert_int_equal(same, rc == CARA_OK);
    assert_true(rc == CARA_OK || p.err.code == (cara_code)rc);
    return reached;
}

static void media(void **state) {
    static const char *const ids[] = {"77", "79", "80"};
    for (size_t i = 0; i < COUNT(ids); i++)
        for (int kind = 1; kind <= 2; kind++)
            every_allocation(ids[i], media_once, kind, 1, ids[i]);
}

/* ---- events ---- */

typedef struct scenario {
    const char *name;
    const char *ids; /* of its messages, one letter each: 'a' is a text, the others are audio */
    const char *media[3];
    int sqs; /* each message in a record of its own */
    int media_down;
    const char *answer; /* how Lambda's begins where there is memory */
} scenario;

static const scenario scenarios[] = {
    {"success", "b", {"77"}, 0, 0, "response {\"messages\":1,\"done\":1,"},
    {"error", "c", {"78"}, 0, 1, "error {\"errorMessage\":"},
    {"partial failure",
     "ac",
     {"", "78"},
     1,
     1,
     "response {\"batchItemFailures\":[{\"itemIdentifier\":\"record-c\"}]}"},
};

/* {"context": ..., "whatsAppWebhookEntry": "{...}"} around some messages; the caller's. */
static char *envelope(const scenario *s, size_t from, size_t to) {
    json_t *messages = json_array();
    for (size_t i = from; i < to; i++) {
        char id[2] = {s->ids[i]};
        json_t *m = json_pack("{s:s, s:s, s:s, s:s}", "id", id, "from", "1", "timestamp",
                              "1760490612", "type", *s->media[i] ? "audio" : "text");
        if (*s->media[i])
            json_object_set_new(m, "audio",
                                json_pack("{s:s, s:s, s:s}", "id", s->media[i], "mime_type",
                                          "audio/ogg", "sha256", SHA256));
        json_array_append_new(messages, m);
    }
    json_t *entry =
        json_pack("{s:s, s:[{s:s, s:{s:{s:s}, s:o}}]}", "id", "w", "changes", "field", "messages",
                  "value", "metadata", "phone_number_id", "5", "messages", messages);
    char *text = json_dumps(entry, JSON_COMPACT);
    json_t *event = json_pack("{s:{s:[{s:s, s:s}]}, s:s}", "context", "MetaPhoneNumberIds",
                              "metaPhoneNumberId", "5", "arn", PHONE, "whatsAppWebhookEntry", text);
    char *out = json_dumps(event, JSON_COMPACT);
    assert_non_null(out);
    free(text);
    json_decref(entry);
    json_decref(event);
    return out;
}

static char *event_of(const scenario *s) {
    if (!s->sqs)
        return envelope(s, 0, strlen(s->ids));
    json_t *records = json_array();
    for (size_t i = 0; s->ids[i]; i++) {
        char id[] = "record-?", *body = envelope(s, i, i + 1);
        id[7] = s->ids[i];
        json_array_append_new(records, json_pack("{s:s, s:s, s:s}", "messageId", id, "eventSource",
                                                 "aws:sqs", "body", body));
        free(body);
    }
    json_t *event = json_pack("{s:o}", "Records", records);
    char *out = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    assert_non_null(out);
    return out;
}

typedef struct delivery {
    const scenario *s;
    char *event;
} delivery;

static void set_up(const delivery *d) {
    world.event = d->event;
    world.media_down = d->s->media_down;
    fake_s3_set(&world.s3, "p/2025-10-15/80.ogg", "OggS");
}

/* Everything that is not done must be delivered again. */
static void check_told(const scenario *s, int kind, long n, const char *answer) {
    for (const char *id = s->ids; *id; id++) {
        char message[2] = {*id}, record[] = "record-?";
        record[7] = *id;
        if (strncmp(answer, "response ", 9) == 0 && !strstr(answer, record) &&
            kept(message) != CARA_RECORD_COMPLETE)
            fail_msg("%s: allocation %ld of kind %d: %s is lost: %s", s->name, n, kind, message,
                     answer);
    }
}

/* A later delivery, with memory: all is done, and no message was answered twice. */
static void check_completed(const scenario *s) {
    for (const char *id = s->ids; *id; id++)
        assert_int_equal(kept((char[2]){*id}), CARA_RECORD_COMPLETE);
    assert_true(world.sends <= (int)strlen(s->ids) - (s->ids[0] == 'a'));
}

static int lambda_run(process *p) {
    cara_lambda *lambda;
    memory.spared++;
    world.at = world.n_answers = 0;
    world.answer[0] = 0;
    assert_int_equal(cara_lambda_open(test_server_url(server) + 7, &lambda, &p->err), CARA_OK);
    memory.spared--;
    int rc = cara_lambda_serve(lambda, &p->service, &p->err);
    memory.spared++;
    cara_lambda_close(lambda);
    memory.spared--;
    return rc;
}

static int lambda_once(int kind, long n, const void *ctx) {
    const delivery *d = ctx;
    const scenario *s = d->s;
    process p;
    set_up(d);
    failing_memory_arm(kind, n);
    begin(&p, 0, 1);
    int rc = lambda_run(&p);
    end(&p);
    int reached = failing_memory_disarm();
    /* It ends with the second event, which there is not; or earlier, for lack of memory. */
    assert_true(rc == CARA_ERR_NETWORK || (reached && rc == CARA_ERR_MEMORY));
    assert_true(world.n_answers || (reached && is_passing(kind, rc)));
    int failed = strncmp(world.answer, "error ", 6) == 0;
    if (failed && strcmp(world.type, "Runtime.OutOfMemory") != 0 && kind == 1)
        assert_true(s->media_down && strcmp(world.type, "Media.Unavailable") == 0);
    check_told(s, kind, n, world.answer);
    if (!reached && strncmp(world.answer, s->answer, strlen(s->answer)) != 0)
        fail_msg("%s: %s", s->name, world.answer);
    if (reached && n % AGAIN)
        return reached;
    world.media_down = 0;
    begin(&p, 600000, 1);
    (void)lambda_run(&p);
    end(&p);
    assert_int_equal(strncmp(world.answer, "response ", 9), 0);
    check_completed(s);
    return reached;
}

static void lambda_answers(void **state) {
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        delivery d = {&scenarios[i], event_of(&scenarios[i])};
        every_allocation(d.s->name, lambda_once, 1, 1, &d);
        every_allocation(d.s->name, lambda_once, 2, STEP, &d);
        free(d.event);
    }
}

static int worker_run(process *p, cara_worker_summary *summary) {
    const cara_worker_options options = {
        .queue_url = QUEUE, .wait_s = 1, .queue = p->aws[POLL], .renewal = p->aws[RENEWAL]};
    world.settled = world.slept = 0;
    p->service.interrupted = interrupted;
    p->service.function = NULL;
    return cara_worker_run(&p->service, &options, summary, &p->err);
}

static int worker_once(int kind, long n, const void *ctx) {
    const delivery *d = ctx;
    cara_worker_summary summary;
    process p;
    set_up(d);
    failing_memory_arm(kind, n);
    begin(&p, 0, N_CLIENTS);
    int rc = worker_run(&p, &summary);
    end(&p);
    int reached = failing_memory_disarm();
    assert_int_equal(rc, CARA_OK);
    if (world.deleted || summary.n_done)
        check_told(d->s, kind, n, "response ");
    assert_true(!world.deleted || summary.n_done);
    if (!reached)
        assert_int_equal(world.deleted, !d->s->media_down);
    if (reached && n % AGAIN)
        return reached;
    world.media_down = 0;
    begin(&p, 600000, N_CLIENTS);
    if (!world.deleted)
        assert_int_equal(worker_run(&p, &summary), CARA_OK);
    end(&p);
    assert_true(world.deleted);
    check_completed(d->s);
    return reached;
}

static void the_worker_deletes_what_is_kept(void **state) {
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        if (scenarios[i].sqs)
            continue; /* an event of Lambda's */
        delivery d = {&scenarios[i], event_of(&scenarios[i])};
        json_t *message = json_pack("{s:[{s:s, s:s, s:s}]}", "Messages", "MessageId", "i",
                                    "ReceiptHandle", "r", "Body", d.event);
        char *answer = json_dumps(message, JSON_COMPACT);
        assert_true(answer && strlen(answer) < sizeof receive_answer);
        snprintf(receive_answer, sizeof receive_answer, "%s", answer);
        free(answer);
        json_decref(message);
        every_allocation(d.s->name, worker_once, 1, 1, &d);
        every_allocation(d.s->name, worker_once, 2, STEP, &d);
        free(d.event);
    }
}

int main(void) {
    if (failing_memory_init())
        return 1;
    null_fd = open("/dev/null", O_WRONLY);
    server = test_server_start_handler(handle, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies),
        cmocka_unit_test(media),
        cmocka_unit_test(lambda_answers),
        cmocka_unit_test(the_worker_deletes_what_is_kept),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    test_server_stop(server);
    forget_all();
    close(null_fd);
    curl_global_cleanup();
    return rc;
}

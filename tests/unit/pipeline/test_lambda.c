/* The Lambda loop against a Runtime API on loopback. */
#include "fixture.h"

#include "base/clock.h"
#include "base/files/file.h"
#include "base/limits.h"
#include "pipeline/service/lambda.h"
#include "test_server.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define TEXT(id)                                                                                   \
    "{\"changes\":[{\"value\":{\"messages\":[{\"id\":\"" id                                        \
    "\",\"from\":\"15550001111\",\"timestamp\":\"1760490612\",\"type\":\"text\",\"text\":"         \
    "{\"body\":\"secreto\"}}]}}]}"
#define VOICE(id)                                                                                  \
    "{\"changes\":[{\"value\":{\"messages\":[{\"id\":\"" id                                        \
    "\",\"from\":\"15550001111\",\"timestamp\":\"1760490612\",\"type\":\"audio\",\"audio\":"       \
    "{\"id\":\"77\"}}]}}]}"

/* The events of the API, one after the other, and its status for each answer. */
typedef struct turn {
    const char *event;
    double left_s; /* of time; 0: no deadline is named */
    int answer;    /* HTTP status for the answer; 0: 202 */
} turn;

typedef struct api {
    const turn *turns;
    size_t n, at;
    char headers[400];
    char answers[8][2048]; /* "response {...}" or "error {...}" */
    size_t n_answers;
    char types[8][80];
} api;

static void serve(void *ctx, const test_request *request, test_reply *reply) {
    api *a = ctx;
    reply->status = 200;
    if (strstr(request->raw, "/invocation/next")) {
        if (a->at == a->n) {
            reply->status = 500;
            return;
        }
        const turn *t = &a->turns[a->at++];
        char deadline[80] = "";
        if (t->left_s > 0)
            snprintf(deadline, sizeof deadline, "lambda-runtime-deadline-ms: %lld\r\n",
                     (long long)(cara_clock_wall_ms() + (int64_t)(t->left_s * 1000)));
        snprintf(
            a->headers, sizeof a->headers,
            "Lambda-Runtime-Aws-Request-Id: req-%zu\r\nLambda-Runtime-Trace-Id: Root=%zu\r\n%s",
            a->at, a->at, deadline);
        reply->headers = a->headers;
        reply->body = t->event;
        return;
    }
    size_t i = a->n_answers++ % COUNT(a->answers);
    snprintf(a->answers[i], sizeof a->answers[i], "%s %.*s",
             strstr(request->raw, "/error") ? "error" : "response", (int)request->body_len,
             request->body);
    test_request_header(request, "Lambda-Runtime-Function-Error-Type", a->types[i],
                        sizeof a->types[i]);
    reply->status = a->turns[a->at - 1].answer ? a->turns[a->at - 1].answer : 202;
    reply->body = "{}";
}

typedef struct run {
    api api;
    cara_service_log log;
    cara_service service;
    int (*command)(void *ctx, const char *name, const json_t *event, double left_s, json_t **answer,
                   cara_error *err);
    cara_error err;
    int rc;
    char *printed;
} run;

/* Serves all turns; the log is left in r->printed. */
static void go(fixture *f, run *r, const turn *turns, size_t n, const char *level) {
    memset(&r->api, 0, sizeof r->api);
    r->api.turns = turns;
    r->api.n = n;
    char path[100];
    snprintf(path, sizeof path, "%s/log", f->root);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(cara_service_log_init(&r->log, fd, "JSON", level), 0);
    r->service = (cara_service){.pipeline = f->pipeline, .log = &r->log, .function = "f"};
    r->service.command = r->command;
    r->service.command_ctx = (void *)(uintptr_t)r->command;
    test_server *server = test_server_start_handler(serve, &r->api);
    cara_lambda *lambda;
    assert_int_equal(
        cara_lambda_open(test_server_url(server) + strlen("http://"), &lambda, &r->err), CARA_OK);
    r->rc = cara_lambda_serve(lambda, &r->service, &r->err);
    cara_lambda_close(lambda);
    test_server_stop(server);
    close(fd);
    size_t len;
    free(r->printed);
    assert_int_equal(cara_read_file(path, 1 << 20, &r->printed, &len, &r->err), CARA_OK);
    unlink(path);
}

static void events_are_answered(void **state) {
    fixture *f = *state;
    run r = {.rc = 0};
    const turn turns[] = {{TEXT("a"), 0, 0}, {VOICE("b"), 5, 0}, {"no json", 5, 0}};
    fixture_media(f, "77.ogg", "OggS", 4);
    go(f, &r, turns, COUNT(turns), NULL);
    assert_int_equal(r.rc, CARA_ERR_NETWORK);
    assert_int_equal(r.api.n_answers, 3);
    assert_non_null(strstr(r.api.answers[0], "response {\"messages\":1,\"done\":1,"));
    assert_non_null(strstr(r.api.answers[1], "\"done\":1,"));
    assert_non_null(strstr(r.api.answers[2], "\"quarantined\":1}"));
    assert_string_equal(getenv("_X_AMZN_TRACE_ID"), "Root=3");
    assert_int_equal(fixture_count(f, 'r'), 2);
    assert_int_equal(fixture_count(f, 'q'), 1);
    free(r.printed);
}

/* Failing them would only bring them again. */
static void too_large_events_are_quarantined(void **state) {
    fixture *f = *state;
    run r = {.rc = 0};
    static const size_t sizes[] = {CARA_LIMIT_EVENT_BYTES + 1, CARA_LIMIT_QUARANTINE_BYTES + 2};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *event = malloc(sizes[i] + 1);
        assert_non_null(event);
        memset(event, 'x', sizes[i]);
        event[sizes[i]] = 0;
        const turn turns[] = {{event, 5, 0}, {TEXT("a"), 5, 0}};
        go(f, &r, turns, 2, NULL);
        free(event);
        assert_int_equal(r.api.n_answers, 2);
        assert_string_equal(r.api.types[0], "");
        assert_non_null(strstr(r.api.answers[0], "\"quarantined\":1}"));
        assert_int_equal(fixture_count(f, 'q'), i + 1);
        assert_int_equal(fixture_count(f, 'r'), 1); /* the next event is handled */
    }
    free(r.printed);
}

static void retryable_errors_fail_the_event(void **state) {
    fixture *f = *state;
    run r = {.rc = 0};
    const turn turns[] = {{VOICE("a"), 5, 0}};
    static const struct {
        int fetch_rc, prepare_rc, transcribe_rc, cut_short;
        const char *type; /* NULL: the event succeeds */
    } cases[] = {
        {CARA_ERR_NETWORK, 0, 0, 0, "Media.Unavailable"},
        {CARA_ERR_MEMORY, 0, 0, 0, "Runtime.OutOfMemory"},
        {0, CARA_ERR_MODEL_FORMAT, 0, 0, "Model.Unusable"},
        {0, 0, CARA_ERR_MEMORY, 0, "Runtime.OutOfMemory"},
        {0, 0, 0, 1, "Runtime.OutOfTime"},
        {CARA_ERR_DENIED, 0, 0, 0, NULL},
        {0, 0, CARA_ERR_AUDIO_CORRUPT, 0, NULL},
    };
    fixture_media(f, "77.ogg", "OggS", 4);
    for (size_t i = 0; i < COUNT(cases); i++) {
        f->fetch_rc = cases[i].fetch_rc;
        f->prepare_rc = cases[i].prepare_rc;
        f->transcribe_rc = cases[i].transcribe_rc;
        f->cut_short = cases[i].cut_short;
        go(f, &r, turns, 1, NULL);
        assert_int_equal(r.api.n_answers, 1);
        assert_string_equal(r.api.types[0], cases[i].type ? cases[i].type : "");
        assert_int_equal(strncmp(r.api.answers[0], "error {\"errorMessage\":", 22) == 0,
                         cases[i].type != NULL);
    }
    free(r.printed);
}

#define SQS(id, body) "{\"messageId\":\"" id "\",\"eventSource\":\"aws:sqs\",\"body\":" body "}"
#define TEXT_IN_SQS(id)                                                                            \
    "\"{\\\"changes\\\":[{\\\"value\\\":{\\\"messages\\\":[{\\\"id\\\":\\\"" id                    \
    "\\\",\\\"from\\\":\\\"1\\\",\\\"timestamp\\\":\\\"1\\\",\\\"type\\\":\\\"text\\\"}]}}]}\""
#define VOICE_IN_SQS(id)                                                                           \
    "\"{\\\"changes\\\":[{\\\"value\\\":{\\\"messages\\\":[{\\\"id\\\":\\\"" id                    \
    "\\\",\\\"from\\\":\\\"1\\\",\\\"timestamp\\\":\\\"1\\\",\\\"type\\\":\\\"audio\\\","          \
    "\\\"audio\\\":{\\\"id\\\":\\\"77\\\"}}]}}]}\""

static void only_failed_records_of_a_batch_are_redelivered(void **state) {
    fixture *f = *state;
    run r = {.rc = 0};
    const turn turns[] = {
        {"{\"Records\":[" SQS("m1", TEXT_IN_SQS("a")) "," SQS("m2", VOICE_IN_SQS("b")) "," SQS(
             "m3", "\"nonsense\"") "," SQS("m4", VOICE_IN_SQS("c")) "]}",
         5, 0}};
    f->fetch_rc = CARA_ERR_NETWORK;
    go(f, &r, turns, 1, NULL);
    assert_string_equal(r.api.answers[0],
                        "response {\"batchItemFailures\":[{\"itemIdentifier\":\"m2\"},"
                        "{\"itemIdentifier\":\"m4\"}]}");
    f->fetch_rc = 0;
    fixture_media(f, "77.ogg", "OggS", 4);
    go(f, &r, turns, 1, NULL);
    assert_string_equal(r.api.answers[0], "response {\"batchItemFailures\":[]}");
    free(r.printed);
}

static void without_time_no_audio_is_begun(void **state) {
    fixture *f = *state;
    run r = {.rc = 0};
    const turn turns[] = {{VOICE("a"), 0.001, 0}};
    fixture_media(f, "77.ogg", "OggS", 4);
    go(f, &r, turns, 1, NULL);
    assert_int_equal(f->n_transcribed, 0);
    assert_string_equal(r.api.types[0], "Runtime.OutOfTime");
    assert_int_equal(fixture_count(f, 'r'), 1); /* but the message is kept */
    free(r.printed);
}

static void the_runtime_api_status_decides(void **state) {
    fixture *f = *state;
    run r = {.rc = 0};
    static const struct {
        int status, rc;
        size_t n_answers;
    } cases[] = {
        {202, CARA_ERR_NETWORK, 2}, /* both events; then there is no third */
        {400, CARA_ERR_NETWORK, 2}, /* that one is given up; the next may come */
        {403, CARA_ERR_DENIED, 1},  {500, CARA_ERR_NETWORK, 1},
        {413, CARA_ERR_MEMORY, 2}, /* too large: failed instead, which is refused as well */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const turn turns[] = {{TEXT("a"), 5, cases[i].status}, {TEXT("b"), 5, cases[i].status}};
        go(f, &r, turns, 2, NULL);
        assert_int_equal(r.rc, cases[i].rc);
        assert_int_equal(r.api.n_answers, cases[i].n_answers);
    }
    free(r.printed);
}

static int obey(void *ctx, const char *name, const json_t *event, double left_s, json_t **answer,
                cara_error *err) {
    assert_ptr_equal(ctx, (void *)(uintptr_t)obey);
    assert_true(left_s > 4 && left_s <= 5);
    if (strcmp(name, "look") == 0) {
        *answer = json_pack("{s:s, s:b, s:O}", "caracola", name, "done", 1, "at",
                            json_object_get(event, "at"));
        return CARA_OK;
    }
    return strcmp(name, "reach") == 0  ? cara_fail(err, CARA_ERR_NETWORK, -1, "no answer")
           : strcmp(name, "move") == 0 ? cara_fail(err, CARA_ERR_IO, -1, "no place")
                                       : cara_fail(err, CARA_ERR_USAGE, -1, "what is %s?", name);
}

static void command_events_are_run(void **state) {
    fixture *f = *state;
    run r = {.rc = 0};
    const turn turns[] = {
        {"{\"caracola\":\"look\",\"at\":2}", 5, 0},
        {" { \"a\" : 1, \"caracola\" : \"reach\" }", 5, 0},
        {"{\"caracola\":\"move\"}", 5, 0},
        {"{\"caracola\":\"dance\"}", 5, 0},
        /* Events, understood or not: */
        {"{\"caracola\":1}", 5, 0},
        {"{\"caracola\":\"look\"", 5, 0},
        {"[{\"caracola\":\"look\"}]", 5, 0},
    };
    static const char *const answers[][2] = {
        {"response {\"caracola\":\"look\",\"done\":true,\"at\":2}", ""},
        {"\"errorMessage\":\"no answer\"", "Command.Unavailable"},
        {"\"errorMessage\":\"no place\"", "Command.Failed"},
        {"\"errorMessage\":\"what is dance?\"", "Command.Invalid"},
        {"response {\"messages\":0,", ""},
        {"response {\"messages\":0,", ""},
        {"response {\"messages\":0,", ""},
    };
    r.command = obey;
    go(f, &r, turns, COUNT(turns), NULL);
    assert_int_equal(r.api.n_answers, COUNT(turns));
    for (size_t i = 0; i < COUNT(turns); i++) {
        assert_non_null(strstr(r.api.answers[i], answers[i][0]));
        assert_string_equal(r.api.types[i], answers[i][1]);
    }
    r.command = NULL;
    go(f, &r, turns, 1, NULL);
    assert_string_equal(r.api.types[0], "Command.Invalid");
    free(r.printed);
}

static void logs_are_json_and_keep_secrets(void **state) {
    fixture *f = *state;
    run r = {.rc = 0};
    const turn turns[] = {{TEXT("a"), 5, 0}, {VOICE("b"), 5, 0}};
    f->fetch_rc = CARA_ERR_NETWORK;
    go(f, &r, turns, COUNT(turns), NULL);
    assert_null(strstr(r.printed, "15550001111"));
    assert_null(strstr(r.printed, "secreto"));
    size_t lines = 0, metrics = 0, requests = 0;
    for (char *line = r.printed, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(json);
        if (json_object_get(json, "_aws")) {
            metrics++;
        } else {
            assert_string_equal(json_string_value(json_object_get(json, "timestamp")) + 19 + 4,
                                "Z");
            assert_non_null(json_string_value(json_object_get(json, "level")));
            assert_non_null(json_string_value(json_object_get(json, "message")));
            requests += json_object_get(json, "requestId") != NULL;
        }
        json_decref(json);
    }
    assert_int_equal(metrics, 4); /* of each event one line, and one for its kind of message */
    assert_int_equal(requests, lines - metrics);
    go(f, &r, turns, COUNT(turns), "ERROR");
    assert_null(strstr(r.printed, "\"INFO\""));
    assert_non_null(strstr(r.printed, "\"ERROR\""));
    go(f, &r, turns, COUNT(turns), "debug");
    assert_non_null(strstr(r.printed, "15550001111"));
    assert_null(strstr(r.printed, "secreto"));
    free(r.printed);
    assert_int_equal(cara_service_log_init(&r.log, 2, NULL, "LOUD"), -1);
}

static void threads_follow_memory(void **state) {
    static const struct {
        const char *mb;
        int threads;
    } cases[] = {{"128", 1},  {"884", 1},  {"885", 1},   {"1769", 1},  {"2653", 1},
                 {"2654", 2}, {"3538", 2}, {"10240", 6}, {"0", 1},     {"", 0},
                 {NULL, 0},   {"viel", 0}, {"1e9", 0},   {"-1769", 0}, {"999999999", 256}};
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(cara_lambda_threads(cases[i].mb), cases[i].threads);
}

static void senders_are_hidden(void **state) {
    static const char *const cases[][2] = {
        {"2025-10-15/5215512345678-01-10-13-abc.json: retry",
         "2025-10-15/x-01-10-13-abc.json: retry"},
        {"a/2025-10-15/1-01 b 2025-10-15/22-33", "a/2025-10-15/x-01 b 2025-10-15/x-33"},
        {"2025-10-15/1908647269898587.ogg", "2025-10-15/1908647269898587.ogg"},
        {"2025-10-15/", "2025-10-15/"},
        {"", ""},
        {"quarantine/5215-a.json", "quarantine/5215-a.json"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[100];
        snprintf(text, sizeof text, "%s", cases[i][0]);
        cara_key_hide(text);
        assert_string_equal(text, cases[i][1]);
    }
}

#define WITH_STORE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_STORE(events_are_answered),
        WITH_STORE(too_large_events_are_quarantined),
        WITH_STORE(retryable_errors_fail_the_event),
        WITH_STORE(only_failed_records_of_a_batch_are_redelivered),
        WITH_STORE(without_time_no_audio_is_begun),
        WITH_STORE(the_runtime_api_status_decides),
        WITH_STORE(command_events_are_run),
        WITH_STORE(logs_are_json_and_keep_secrets),
        cmocka_unit_test(threads_follow_memory),
        cmocka_unit_test(senders_are_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

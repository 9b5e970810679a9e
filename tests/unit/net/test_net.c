#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/http.h"
#include "net/url.h"
#include "test_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

typedef struct fixture {
    test_server *server;
    cara_http *http;
    cara_http_response response;
    cara_error err;
    char url[256];
} fixture;

static void begin(fixture *f, const test_reply *replies, size_t n, const char *path) {
    memset(f, 0, sizeof *f);
    f->server = test_server_start(replies, n);
    assert_int_equal(cara_http_new(NULL, &f->http, &f->err), CARA_OK);
    snprintf(f->url, sizeof f->url, "%s%s", test_server_url(f->server), path);
}

static void end(fixture *f) {
    cara_http_response_free(&f->response);
    cara_http_free(f->http);
    test_server_stop(f->server);
}

static void *make_client(void *made) {
    cara_http *http;
    *(int *)made = cara_http_new(NULL, &http, NULL);
    cara_http_free(http);
    return NULL;
}

/* The first in this process, so that libcurl has not been set up. */
static void threads_may_make_the_first_clients(void **state) {
    pthread_t threads[8];
    int made[COUNT(threads)];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_client, &made[i]), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(made[i], CARA_OK);
    }
}

static int get(fixture *f) {
    cara_http_request request = {.method = "GET", .url = f->url, .timeout_s = 5};
    return cara_http_do(f->http, &request, &f->response, &f->err);
}

static void sends_what_it_is_given_and_keeps_the_connection(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.body = "hello", .headers = "X-One: a\r\nx-two:  b c \r\nX-One: later\r\nX-None:\r\n"},
        {.status = 201},
        {.status = 404, .body = "<no/>"},
        {.headers = "Content-Type: text/plain\r\n", .body = "not sent on HEAD"},
        {.status = 204},
    };
    fixture f;
    begin(&f, replies, COUNT(replies), "/a//b/../c%20d?x=1&y=%2F");
    assert_int_equal(get(&f), CARA_OK);
    assert_int_equal(f.response.status, 200);
    assert_string_equal(f.response.body.data, "hello");
    assert_string_equal(cara_http_header_of(&f.response, "x-ONE"), "a");
    assert_string_equal(cara_http_header_of(&f.response, "X-Two"), "b c");
    assert_string_equal(cara_http_header_of(&f.response, "x-none"), "");
    assert_null(cara_http_header_of(&f.response, "x-three"));

    const cara_http_header headers[] = {{"X-Caracola", "sí"}, {"X-Empty", ""}};
    cara_http_request put = {.method = "PUT",
                             .url = f.url,
                             .headers = headers,
                             .n_headers = 2,
                             .body = "b\0dy",
                             .body_len = 4};
    assert_int_equal(cara_http_do(f.http, &put, &f.response, &f.err), CARA_OK);
    assert_int_equal(f.response.status, 201);
    assert_int_equal(f.response.body.len, 0);

    cara_http_request post = {.method = "POST", .url = f.url};
    assert_int_equal(cara_http_do(f.http, &post, &f.response, &f.err), CARA_OK);
    assert_int_equal(f.response.status, 404);
    assert_string_equal(f.response.body.data, "<no/>");

    cara_http_request head = {.method = "HEAD", .url = f.url, .timeout_s = 5};
    assert_int_equal(cara_http_do(f.http, &head, &f.response, &f.err), CARA_OK);
    assert_int_equal(f.response.body.len, 0);
    assert_string_equal(cara_http_header_of(&f.response, "content-length"), "16");

    cara_http_request delete = {.method = "DELETE", .url = f.url};
    assert_int_equal(cara_http_do(f.http, &delete, &f.response, &f.err), CARA_OK);
    assert_int_equal(f.response.status, 204);

    assert_int_equal(test_server_count(f.server), 5);
    char text[128];
    test_request r = test_server_request(f.server, 0);
    assert_memory_equal(r.raw, "GET /a//b/../c%20d?x=1&y=%2F HTTP/1.1\r\n", 39);
    assert_string_equal(test_request_header(&r, "accept", text, sizeof text), "");
    assert_string_equal(test_request_header(&r, "content-type", text, sizeof text), "");
    r = test_server_request(f.server, 1);
    assert_memory_equal(r.raw, "PUT ", 4);
    assert_string_equal(test_request_header(&r, "x-caracola", text, sizeof text), "sí");
    assert_non_null(strstr(r.raw, "\r\nX-Empty:"));
    assert_string_equal(test_request_header(&r, "content-type", text, sizeof text), "");
    assert_string_equal(test_request_header(&r, "content-length", text, sizeof text), "4");
    assert_int_equal(r.body_len, 4);
    assert_memory_equal(r.body, "b\0dy", 4);
    r = test_server_request(f.server, 2);
    assert_string_equal(test_request_header(&r, "content-length", text, sizeof text), "0");
    r = test_server_request(f.server, 4);
    assert_memory_equal(r.raw, "DELETE ", 7);
    assert_int_equal(r.connection, 1); /* all over one connection */
    end(&f);
}

static void fresh_connection_opens_a_new_connection(void **state) {
    (void)state;
    static const test_reply replies[] = {{.body = "1"}, {.body = "2"}};
    fixture f;
    begin(&f, replies, COUNT(replies), "/");
    assert_int_equal(get(&f), CARA_OK);
    cara_http_request request = {.method = "GET", .url = f.url, .fresh_connection = 1};
    assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_OK);
    assert_int_equal(test_server_request(f.server, 1).connection, 2);
    end(&f);
}

static void redirects_are_answers(void **state) {
    (void)state;
    static const test_reply replies[] = {{.status = 307, .headers = "Location: /elsewhere\r\n"}};
    fixture f;
    begin(&f, replies, 1, "/");
    assert_int_equal(get(&f), CARA_OK);
    assert_int_equal(f.response.status, 307);
    assert_int_equal(test_server_count(f.server), 1);
    end(&f);
}

static void an_interim_answer_leaves_no_headers(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.raw = "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Late: 1\r\n\r\nok"}};
    fixture f;
    begin(&f, replies, 1, "/");
    assert_int_equal(get(&f), CARA_OK);
    assert_null(cara_http_header_of(&f.response, "x-early"));
    assert_non_null(cara_http_header_of(&f.response, "x-late"));
    end(&f);
}

typedef struct sink_state {
    char bytes[64];
    size_t n;
    int refuse;
} sink_state;

static int sink(void *cookie, const void *bytes, size_t n) {
    sink_state *s = cookie;
    if (s->refuse || n > sizeof s->bytes - s->n)
        return 1;
    memcpy(s->bytes + s->n, bytes, n);
    s->n += n;
    return 0;
}

static void only_2xx_bodies_go_to_the_sink(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.body = "to the sink"}, {.status = 500, .body = "trouble"}, {.body = "refused"}};
    fixture f;
    begin(&f, replies, COUNT(replies), "/");
    sink_state s = {.n = 0};
    cara_http_request request = {.method = "GET", .url = f.url, .sink = sink, .sink_cookie = &s};
    assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_OK);
    assert_int_equal(s.n, 11);
    assert_memory_equal(s.bytes, "to the sink", 11);
    assert_int_equal(f.response.body.len, 0);
    assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_OK);
    assert_int_equal(s.n, 11);
    assert_string_equal(f.response.body.data, "trouble");
    s.refuse = 1;
    assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_ERR_CANCELLED);
    assert_int_equal(f.response.failure, CARA_HTTP_STOPPED);
    end(&f);
}

static int stop_now(void *cookie) {
    return *(int *)cookie;
}

/* Every fault of a network, with its code and failure. */
static void service_faults_are_parsed(void **state) {
    (void)state;
    static const struct {
        const char *what;
        test_reply reply;
        cara_http_failure failure;
        int code;
        const char *words;
    } cases[] = {
        {"dropped", {.drop = 1}, CARA_HTTP_BROKEN, CARA_ERR_NETWORK, "broke"},
        {"reset mid-body",
         {.body = "0123456789", .cut = 4},
         CARA_HTTP_BROKEN,
         CARA_ERR_NETWORK,
         "broke"},
        {"shorter than declared",
         {.body = "0123", .declared = 10, .close = 1},
         CARA_HTTP_BROKEN,
         CARA_ERR_NETWORK,
         "broke"},
        {"hang", {.hang = 1}, CARA_HTTP_TIMEOUT, CARA_ERR_NETWORK, "in time"},
        {"no HTTP",
         {.raw = "SSH-2.0-OpenSSH_9.2\r\n", .close = 1},
         CARA_HTTP_BROKEN,
         CARA_ERR_NETWORK,
         "broke"},
        {"too large",
         {.body = "0123456789012345678901234567890123"},
         CARA_HTTP_TOO_LARGE,
         CARA_ERR_LIMIT,
         "32 bytes"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f;
        begin(&f, &cases[i].reply, 1, "/secret-path?token=secret");
        cara_http_request request = {
            .method = "GET", .url = f.url, .timeout_s = 0.3, .max_body = 32};
        int code = cara_http_do(f.http, &request, &f.response, &f.err);
        if (code != cases[i].code || f.response.failure != cases[i].failure ||
            !strstr(f.err.text, cases[i].words))
            fail_msg("%s: code %d, trouble %d, text %s", cases[i].what, code,
                     (int)f.response.failure, f.err.text);
        assert_null(strstr(f.err.text, "secret"));
        end(&f);
    }
}

static void an_address_without_a_server(void **state) {
    (void)state;
    fixture f;
    begin(&f, NULL, 0, "/");
    int port = test_server_port(f.server);
    end(&f);
    memset(&f, 0, sizeof f);
    assert_int_equal(cara_http_new(NULL, &f.http, &f.err), CARA_OK);
    snprintf(f.url, sizeof f.url, "http://127.0.0.1:%d/", port);
    assert_int_equal(get(&f), CARA_ERR_NETWORK);
    assert_int_equal(f.response.failure, CARA_HTTP_CONNECT);
    cara_http_request tls = {.method = "GET", .url = "https://127.0.0.1:1/", .timeout_s = 2};
    assert_int_equal(cara_http_do(f.http, &tls, &f.response, &f.err), CARA_ERR_NETWORK);
    cara_http_request file = {.method = "GET", .url = "file:///etc/passwd"};
    assert_int_not_equal(cara_http_do(f.http, &file, &f.response, &f.err), CARA_OK);
    assert_int_equal(f.response.body.len, 0);
    cara_http_response_free(&f.response);
    cara_http_free(f.http);
}

static void deadlines_and_stops(void **state) {
    (void)state;
    static const test_reply replies[] = {{.hang = 1}, {.hang = 1}, {.hang = 1}};
    fixture f;
    begin(&f, replies, COUNT(replies), "/");
    double start = cara_clock_monotonic();
    cara_http_request request = {
        .method = "GET", .url = f.url, .timeout_s = 10, .deadline = start + 0.3};
    assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_ERR_NETWORK);
    assert_int_equal(f.response.failure, CARA_HTTP_DEADLINE);
    double took = cara_clock_monotonic() - start;
    assert_true(took > 0.25 && took < 3);
    /* A deadline that has passed sends nothing. */
    assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_ERR_NETWORK);
    assert_int_equal(f.response.failure, CARA_HTTP_DEADLINE);
    assert_int_equal(test_server_count(f.server), 1);
    int yes = 1;
    cara_http_request stopped = {
        .method = "GET", .url = f.url, .stop = stop_now, .stop_cookie = &yes};
    assert_int_equal(cara_http_do(f.http, &stopped, &f.response, &f.err), CARA_ERR_CANCELLED);
    assert_int_equal(f.response.failure, CARA_HTTP_STOPPED);
    end(&f);
}

static void stalls_are_timeouts(void **state) {
    (void)state;
    static const test_reply replies[] = {
        {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstalled"}};
    fixture f;
    begin(&f, replies, 1, "/");
    cara_http_request request = {.method = "GET", .url = f.url, .timeout_s = 20, .stall_s = 1};
    double start = cara_clock_monotonic();
    assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_ERR_NETWORK);
    assert_int_equal(f.response.failure, CARA_HTTP_TIMEOUT);
    assert_true(cara_clock_monotonic() - start < 8);
    end(&f);
}

/* A server that sends a byte from time to time makes progress for ever. */
static void slow_answers_are_given_up(void **state) {
    (void)state;
    static const test_reply body = {.body = "a body of which one byte comes at a time",
                                    .drip_s = 0.1};
    static const test_reply head = {.raw = "HTTP/1.1 200 OK\r\nX-Slow: a head of which one byte "
                                           "comes at a time\r\nContent-Length: 0\r\n\r\n",
                                    .drip_s = 0.1};
    const struct {
        const test_reply *reply;
        cara_http_request request;
        int rc;
    } cases[] = {
        {&body, {.timeout_s = 0.6, .stall_s = 20}, CARA_ERR_NETWORK},
        {&head, {.timeout_s = 0.6, .stall_s = 20}, CARA_ERR_NETWORK},
        {&body, {.timeout_s = 0.6, .stall_s = 20, .rate = 1000}, CARA_ERR_NETWORK},
        {&head, {.timeout_s = 0.6, .stall_s = 20, .rate = 1000}, CARA_ERR_NETWORK},
        {&body, {.stall_s = 1, .rate = 1000}, CARA_ERR_NETWORK},
        {&body, {.timeout_s = 0.6, .from_answer = 1}, CARA_ERR_NETWORK},
        /* ten bytes a second are enough here */
        {&body, {.timeout_s = 0.6, .rate = 5}, CARA_OK},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f;
        print_message("case %zu\n", i);
        begin(&f, cases[i].reply, 1, "/");
        cara_http_request request = cases[i].request;
        request.method = "GET";
        request.url = f.url;
        double start = cara_clock_monotonic();
        assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), cases[i].rc);
        if (cases[i].rc) {
            assert_int_equal(f.response.failure, CARA_HTTP_TIMEOUT);
            assert_true(cara_clock_monotonic() - start < 3.5);
        }
        end(&f);
    }
}

/* A long poll: what comes before the answer does not count. */
static void a_poll_may_wait(void **state) {
    (void)state;
    static const test_reply replies[] = {{.body = "an event", .delay_s = 1.5}};
    fixture f;
    begin(&f, replies, 1, "/");
    cara_http_request request = {
        .method = "GET", .url = f.url, .timeout_s = 0.2, .rate = 1000, .from_answer = 1};
    assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_OK);
    assert_string_equal(f.response.body.data, "an event");
    end(&f);
}

static void header_injection_is_refused(void **state) {
    (void)state;
    static const test_reply replies[] = {{.body = "x"}};
    fixture f;
    begin(&f, replies, 1, "/");
    const cara_http_header bad[] = {
        {"X-A", "a\r\nX-B: b"}, {"X:A", "a"}, {"", "a"}, {"X A", "a"}, {"X\n", "a"}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        cara_http_request request = {
            .method = "GET", .url = f.url, .headers = &bad[i], .n_headers = 1};
        assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_ERR_USAGE);
    }
    static const char *const urls[] = {"/a b", "/a\r\nX: y", "/a\tb"};
    for (size_t i = 0; i < COUNT(urls); i++) {
        snprintf(f.url, sizeof f.url, "%s%s", test_server_url(f.server), urls[i]);
        assert_int_equal(get(&f), CARA_ERR_USAGE);
    }
    assert_int_equal(test_server_count(f.server), 0);
    end(&f);
}

static void a_proxy_variable_is_obeyed_or_not(void **state) {
    (void)state;
    static const test_reply replies[] = {{.body = "direct"}};
    fixture f;
    begin(&f, replies, 1, "/");
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    assert_int_equal(get(&f), CARA_ERR_NETWORK);
    cara_http_request request = {.method = "GET", .url = f.url, .no_proxy = 1};
    assert_int_equal(cara_http_do(f.http, &request, &f.response, &f.err), CARA_OK);
    unsetenv("http_proxy");
    end(&f);
}

static void too_many_headers_are_refused(void **state) {
    (void)state;
    size_t size = 100 * 1024;
    char *raw = malloc(size + 512);
    assert_non_null(raw);
    size_t n = (size_t)snprintf(raw, size + 512, "HTTP/1.1 200 OK\r\n");
    while (n < size)
        n += (size_t)snprintf(raw + n, size + 512 - n, "X-%zu: %0100d\r\n", n, 0);
    snprintf(raw + n - 2, 512, "\r\nContent-Length: 0\r\n\r\n");
    test_reply reply = {.raw = raw};
    fixture f;
    begin(&f, &reply, 1, "/");
    assert_int_equal(get(&f), CARA_ERR_NETWORK);
    assert_int_equal(f.response.failure, CARA_HTTP_BROKEN);
    assert_non_null(strstr(f.err.text, "the head of its answer is too large"));
    end(&f);
    free(raw);
}

static void percent_encoding(void **state) {
    (void)state;
    static const struct {
        const char *plain;
        int keep_slash;
        const char *encoded;
    } cases[] = {
        {"", 0, ""},
        {"AZaz09-_.~", 0, "AZaz09-_.~"},
        {"a b+c=d/é", 0, "a%20b%2Bc%3Dd%2F%C3%A9"},
        {"a//b c", 1, "a//b%20c"},
        {"%2F*'()", 1, "%252F%2A%27%28%29"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cara_buf out;
        cara_buf_init(&out, 1000);
        assert_int_equal(cara_buf_str(&out, ""), 0);
        assert_int_equal(
            cara_url_encode(&out, cases[i].plain, strlen(cases[i].plain), cases[i].keep_slash), 0);
        assert_string_equal(out.data, cases[i].encoded);
        cara_buf back;
        cara_buf_init(&back, 1000);
        assert_int_equal(cara_buf_str(&back, ""), 0);
        assert_int_equal(cara_url_decode(&back, out.data, out.len, 1), 0);
        assert_string_equal(back.data, cases[i].plain);
        cara_buf_free(&out);
        cara_buf_free(&back);
    }
    cara_buf out;
    cara_buf_init(&out, 8);
    assert_int_equal(cara_url_decode(&out, "a+%4", 4, 0), 0);
    assert_string_equal(out.data, "a+%4");
    cara_buf_clear(&out);
    assert_int_equal(cara_url_decode(&out, "+%zz%e9", 7, 1), 0);
    assert_string_equal(out.data, " %zz\xe9");
    assert_int_equal(cara_url_encode(&out, "éé", 4, 0), -1);
    cara_buf_free(&out);
}

static void url_parts(void **state) {
    (void)state;
    cara_url u;
    assert_int_equal(cara_url_split("https://s3.us-east-1.amazonaws.com/b/k?x=1", &u), 0);
    assert_true(cara_slice_eq_str(u.host, "s3.us-east-1.amazonaws.com"));
    assert_true(cara_slice_eq_str(u.path, "/b/k"));
    assert_true(cara_slice_eq_str(u.query, "x=1"));
    assert_int_equal(u.port, 443);
    assert_int_equal(u.secure, 1);
    assert_int_equal(cara_url_split("HTTP://localhost:4566", &u), 0);
    assert_true(cara_slice_eq_str(u.authority, "localhost:4566"));
    assert_true(cara_slice_eq_str(u.path, ""));
    assert_int_equal(u.port, 4566);
    assert_int_equal(u.secure, 0);
    assert_int_equal(cara_url_split("http://[fd00:ec2::254]:80/x", &u), 0);
    assert_true(cara_slice_eq_str(u.host, "[fd00:ec2::254]"));
    static const char *const bad[] = {
        "",
        "ftp://a/",
        "http://",
        "http:///x",
        "http://a:0/",
        "http://a:/",
        "http://a:65536/",
        "http://u@h/",
        "http://a b/",
        "http://a/#f",
        "http://[::1",
        "http://a\\b/",
        "http://:80/",
        "https//a",
        "http://a:8x/",
        "http://[::1]x/",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (cara_url_split(bad[i], &u) == 0)
            fail_msg("accepted %s", bad[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_may_make_the_first_clients),
        cmocka_unit_test(sends_what_it_is_given_and_keeps_the_connection),
        cmocka_unit_test(fresh_connection_opens_a_new_connection),
        cmocka_unit_test(redirects_are_answers),
        cmocka_unit_test(an_interim_answer_leaves_no_headers),
        cmocka_unit_test(only_2xx_bodies_go_to_the_sink),
        cmocka_unit_test(service_faults_are_parsed),
        cmocka_unit_test(an_address_without_a_server),
        cmocka_unit_test(deadlines_and_stops),
        cmocka_unit_test(stalls_are_timeouts),
        cmocka_unit_test(slow_answers_are_given_up),
        cmocka_unit_test(a_poll_may_wait),
        cmocka_unit_test(header_injection_is_refused),
        cmocka_unit_test(a_proxy_variable_is_obeyed_or_not),
        cmocka_unit_test(too_many_headers_are_refused),
        cmocka_unit_test(percent_encoding),
        cmocka_unit_test(url_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

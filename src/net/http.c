#include "net/http.h"

#include "base/clock.h"
#include "base/limits.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_LIMIT (64 * CARA_KIB)
#define BODY_DEFAULT CARA_MIB
#define CONNECT_DEFAULT_S 5.0
#define SINK_BYTES (256 * CARA_KIB) /* a sink is for large answers: fewer and larger reads */
#define DEADLINE_GRAIN_S 0.005      /* libcurl's timers may be early by so much */

struct cara_http {
    CURL *curl;
    char *ca_file;
    char reason[CURL_ERROR_SIZE];
};

/* Not pthread_once(): where there was no memory, the next call tries again. */
static int start_libcurl(void) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int started;
    pthread_mutex_lock(&lock);
    if (!started)
        started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    int rc = started ? 0 : -1;
    pthread_mutex_unlock(&lock);
    return rc;
}

int cara_http_new(const char *ca_file, cara_http **out, cara_error *err) {
    *out = NULL;
    cara_http *http = calloc(1, sizeof *http);
    if (!http)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for an HTTP client");
    http->curl = start_libcurl() == 0 ? curl_easy_init() : NULL;
    http->ca_file = ca_file ? strdup(ca_file) : NULL;
    if (!http->curl || (ca_file && !http->ca_file)) {
        cara_http_free(http);
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for an HTTP client");
    }
    *out = http;
    return CARA_OK;
}

void cara_http_free(cara_http *http) {
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    free(http->ca_file);
    free(http);
}

/* One exchange in flight. */
typedef struct transfer {
    CURL *curl;
    const cara_http_request *request;
    cara_http_response *response;
    size_t received;
    size_t max_body;
    double begun, answered;    /* when; the latter 0 before the first byte of the answer */
    double moved;              /* bytes of both bodies */
    cara_http_failure failure; /* why a callback of ours stopped the transfer */
    int no_memory, large_head;
} transfer;

static int is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int cara_http_head_add(cara_buf *head, const char *line, size_t n) {
    const char *colon = memchr(line, ':', n);
    if (!colon || colon == line || memchr(line, 0, n))
        return 0;
    size_t name = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + n;
    while (value < end && is_space(*value))
        value++;
    while (end > value && is_space(end[-1]))
        end--;
    /* All or nothing: the readers walk pairs. */
    if (head->failed || name + 1 + (size_t)(end - value) + 1 > head->limit - head->len)
        return -1;
    size_t before = head->len;
    for (size_t i = 0; i < name; i++) {
        char c = line[i];
        if (cara_buf_char(head, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c))
            goto fail;
    }
    if (cara_buf_char(head, 0) || cara_buf_add(head, value, (size_t)(end - value)) ||
        cara_buf_char(head, 0))
        goto fail;
    return 0;
fail:
    head->len = before;
    return -1;
}

static int same_name(const char *lower, const char *any) {
    for (; *any; lower++, any++) {
        char c = *any >= 'A' && *any <= 'Z' ? (char)(*any + 32) : *any;
        if (*lower != c)
            return 0;
    }
    return *lower == 0;
}

const char *cara_http_header_of(const cara_http_response *response, const char *name) {
    const char *p = response->head.data, *end = p ? p + response->head.len : NULL;
    while (p && p < end) {
        const char *value = p + strlen(p) + 1;
        if (same_name(p, name))
            return value;
        p = value + strlen(value) + 1;
    }
    return NULL;
}

void cara_http_response_free(cara_http_response *response) {
    cara_buf_free(&response->head);
    cara_buf_free(&response->body);
    *response = (cara_http_response){0};
}

static size_t on_header(char *bytes, size_t size, size_t n, void *cookie) {
    transfer *t = cookie;
    n *= size;
    if (t->answered <= 0)
        t->answered = cara_clock_monotonic();
    /* A status line starts a new head: what came before was an interim answer (100). */
    if (n >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        cara_buf_clear(&t->response->head);
        return n;
    }
    if (cara_http_head_add(&t->response->head, bytes, n)) {
        t->no_memory = t->response->head.failed;
        t->large_head = !t->no_memory;
        t->failure = t->no_memory ? CARA_HTTP_OTHER : CARA_HTTP_BROKEN;
        return n ? 0 : 1;
    }
    return n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *cookie) {
    transfer *t = cookie;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    n *= size;
    if (n > t->max_body - t->received) {
        t->failure = CARA_HTTP_TOO_LARGE;
        if (!t->request->sink)
            (void)cara_buf_add(&t->response->body, bytes, t->max_body - t->received);
        return n ? 0 : 1;
    }
    t->received += n;
    if (t->request->sink && status / 100 == 2) {
        if (t->request->sink(t->request->sink_cookie, bytes, n)) {
            t->failure = CARA_HTTP_STOPPED;
            return n ? 0 : 1;
        }
    } else if (cara_buf_add(&t->response->body, bytes, n)) {
        t->failure = CARA_HTTP_OTHER;
        t->no_memory = 1;
        return n ? 0 : 1;
    }
    return n;
}

/* When the call is given up, by its bytes so far; 0: never. */
static double end_of(const transfer *t) {
    const cara_http_request *request = t->request;
    double from = request->from_answer ? t->answered : t->begun;
    if (request->timeout_s <= 0 || from <= 0)
        return 0;
    return from + request->timeout_s + (request->rate > 0 ? t->moved / request->rate : 0);
}

/* libcurl calls it at least once a second. */
static int on_progress(void *cookie, curl_off_t all_down, curl_off_t down, curl_off_t all_up,
                       curl_off_t up) {
    transfer *t = cookie;
    t->moved = (double)down + (double)up;
    double end = end_of(t);
    if (end > 0 && cara_clock_monotonic() >= end) {
        t->failure = CARA_HTTP_TIMEOUT;
        return 1;
    }
    if (t->request->stop && t->request->stop(t->request->stop_cookie)) {
        t->failure = CARA_HTTP_STOPPED;
        return 1;
    }
    return 0;
}

/* Bytes that would end a header or a request line early are an attack or a defect. */
static int is_clean(const char *text) {
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
            return 0;
    return 1;
}

static int add_header(struct curl_slist **list, const char *text) {
    struct curl_slist *more = curl_slist_append(*list, text);
    if (!more)
        return -1;
    *list = more;
    return 0;
}

/* CARA_OK, or USAGE / MEMORY with *list still to be freed. */
static int header_list(const cara_http_request *request, struct curl_slist **list,
                       cara_error *err) {
    int content_type = 0;
    cara_buf line;
    cara_buf_init(&line, HEAD_LIMIT);
    for (size_t i = 0; i < request->n_headers; i++) {
        const cara_http_header *header = &request->headers[i];
        if (!header->name[0] || !is_clean(header->name) || !is_clean(header->value) ||
            strpbrk(header->name, ": \t")) {
            cara_buf_free(&line);
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "the header %.64s cannot be sent: it holds a control byte or a colon",
                             header->name);
        }
        content_type |= same_name("content-type", header->name);
        cara_buf_clear(&line);
        /* "Name;" is libcurl's way to send a header without a value. */
        if (header->value[0] ? cara_buf_printf(&line, "%s: %s", header->name, header->value)
                             : cara_buf_printf(&line, "%s;", header->name))
            goto no_memory;
        if (add_header(list, line.data))
            goto no_memory;
    }
    /* Remove what libcurl would add by itself: it waits a second on Expect, and the body is no
     * form. */
    if (add_header(list, "Expect:") || add_header(list, "Accept:") ||
        (!content_type && add_header(list, "Content-Type:")))
        goto no_memory;
    cara_buf_free(&line);
    return CARA_OK;
no_memory:
    cara_buf_free(&line);
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the headers of a request");
}

static long milliseconds(double seconds) {
    double ms = seconds * 1e3 + 0.999;
    return ms < 1 ? 1 : ms > 1e9 ? 1000000000L : (long)ms;
}

/* 1 where libcurl's own timeout, which is exact, can count the time that the request gives. */
static int is_fixed(const cara_http_request *request) {
    return request->timeout_s > 0 && request->rate <= 0 && !request->from_answer;
}

static CURLcode set_request(cara_http *http, const cara_http_request *request, transfer *t,
                            struct curl_slist *headers, double timeout_s) {
    CURL *curl = http->curl;
    CURLcode rc = CURLE_OK;
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (!rc)                                                                                   \
            rc = curl_easy_setopt(curl, option, value);                                            \
    } while (0)
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PATH_AS_IS, 1L); /* an S3 key may hold "//" or ".." */
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_ERRORBUFFER, http->reason);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        milliseconds(request->connect_timeout_s > 0 ? request->connect_timeout_s
                                                    : CONNECT_DEFAULT_S));
    if (timeout_s > 0)
        SET(CURLOPT_TIMEOUT_MS, milliseconds(timeout_s));
    if (request->stall_s > 0) {
        SET(CURLOPT_LOW_SPEED_LIMIT, request->rate > 1 ? (long)request->rate : 1L);
        SET(CURLOPT_LOW_SPEED_TIME, (long)(request->stall_s + 0.999));
    }
    if (request->sink)
        SET(CURLOPT_BUFFERSIZE, (long)SINK_BYTES);
    if (request->stop || (request->timeout_s > 0 && !is_fixed(request))) {
        SET(CURLOPT_NOPROGRESS, 0L);
        SET(CURLOPT_XFERINFOFUNCTION, on_progress);
        SET(CURLOPT_XFERINFODATA, t);
    }
    if (request->fresh_connection)
        SET(CURLOPT_FRESH_CONNECT, 1L);
    if (request->no_proxy)
        SET(CURLOPT_PROXY, "");
    if (http->ca_file)
        SET(CURLOPT_CAINFO, http->ca_file);
    if (strcmp(request->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "GET") == 0) {
        SET(CURLOPT_HTTPGET, 1L);
    } else {
        int sends = request->body || strcmp(request->method, "DELETE") != 0;
        if (sends) {
            SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(request->body ? request->body_len : 0));
            SET(CURLOPT_POSTFIELDS, request->body ? request->body : "");
        }
        SET(CURLOPT_CUSTOMREQUEST, request->method);
    }
#undef SET
    return rc;
}

static cara_http_failure failure_of(CURLcode rc) {
    switch (rc) {
    case CURLE_OK:
        return CARA_HTTP_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return CARA_HTTP_CONNECT;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_USE_SSL_FAILED:
        return CARA_HTTP_TLS;
    case CURLE_OPERATION_TIMEDOUT:
        return CARA_HTTP_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR: /* also what a reset during the handshake gives */
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_UPLOAD_FAILED:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* also an answer that is no HTTP */
    case CURLE_HTTP2:
    case CURLE_BAD_CONTENT_ENCODING:
        return CARA_HTTP_BROKEN;
    default:
        return CARA_HTTP_OTHER;
    }
}

/* The sentence; `where` is scheme://host. */
static int set_error(const cara_http *http, CURLcode rc, const transfer *t, const char *where,
                     cara_error *err) {
    const char *reason = http->reason[0] ? http->reason : curl_easy_strerror(rc);
    if (t->large_head)
        reason = "the head of its answer is too large";
    switch (t->failure) {
    case CARA_HTTP_CONNECT:
        return cara_fail(err, CARA_ERR_NETWORK, -1,
                         "cannot reach %s: %s; check the address and the network", where, reason);
    case CARA_HTTP_TLS:
        return cara_fail(err, CARA_ERR_NETWORK, -1,
                         "no trusted connection to %s: %s; check this machine's clock and its "
                         "certificates (AWS_CA_BUNDLE)",
                         where, reason);
    case CARA_HTTP_TIMEOUT:
        if (rc == CURLE_ABORTED_BY_CALLBACK)
            return cara_fail(err, CARA_ERR_NETWORK, -1,
                             "%s was too slow: %.0f bytes in %.0f s were sent and received", where,
                             t->moved, cara_clock_monotonic() - t->begun);
        return cara_fail(err, CARA_ERR_NETWORK, -1, "%s did not answer in time: %s", where, reason);
    case CARA_HTTP_DEADLINE:
        return cara_fail(err, CARA_ERR_NETWORK, -1, "no time was left to wait for %s", where);
    case CARA_HTTP_BROKEN:
        return cara_fail(err, CARA_ERR_NETWORK, -1, "the connection to %s broke: %s", where,
                         reason);
    case CARA_HTTP_TOO_LARGE:
        return cara_fail(err, CARA_ERR_LIMIT, -1,
                         "%s answered with more than the %zu bytes that are allowed", where,
                         t->max_body);
    case CARA_HTTP_STOPPED:
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "asked to stop while waiting for %s", where);
    case CARA_HTTP_OK:
    case CARA_HTTP_OTHER:
        break;
    }
    if (t->no_memory || rc == CURLE_OUT_OF_MEMORY)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the answer of %s", where);
    return cara_fail(err, rc == CURLE_URL_MALFORMAT ? CARA_ERR_USAGE : CARA_ERR_NETWORK, -1,
                     "the request to %s failed: %s", where, reason);
}

int cara_http_do(cara_http *http, const cara_http_request *request, cara_http_response *response,
                 cara_error *err) {
    size_t max_body = request->max_body ? request->max_body : BODY_DEFAULT;
    response->status = 0;
    response->failure = CARA_HTTP_OTHER;
    response->head.limit = HEAD_LIMIT;
    response->body.limit = max_body;
    cara_buf_clear(&response->head);
    cara_buf_clear(&response->body);

    /* Names the host in errors, and never the query: it may hold secrets. */
    const char *slashes = strstr(request->url, "://");
    char where[160];
    size_t n = slashes ? (size_t)(slashes - request->url) + 3 : 0;
    n += strcspn(request->url + n, "/?");
    if (n >= sizeof where)
        n = sizeof where - 1;
    memcpy(where, request->url, n);
    where[n] = 0;

    if (!is_clean(request->url) || strchr(request->url, ' '))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "the URL at %s holds a space or control byte; it must be percent-encoded",
                         where);

    transfer t = {.curl = http->curl,
                  .request = request,
                  .response = response,
                  .max_body = max_body,
                  .begun = cara_clock_monotonic()};
    double timeout_s = is_fixed(request) ? request->timeout_s : 0;
    int deadline_first = 0;
    if (request->deadline > 0) {
        double left = request->deadline - t.begun;
        if (left <= DEADLINE_GRAIN_S) {
            response->failure = t.failure = CARA_HTTP_DEADLINE;
            return set_error(http, CURLE_OK, &t, where, err);
        }
        if (timeout_s <= 0 || left <= timeout_s) {
            timeout_s = left;
            deadline_first = 1;
        }
    }

    struct curl_slist *headers = NULL;
    int code = header_list(request, &headers, err);
    if (code) {
        curl_slist_free_all(headers);
        return code;
    }
    http->reason[0] = 0;
    curl_easy_reset(http->curl); /* keeps connections, names and TLS sessions */
    CURLcode rc = set_request(http, request, &t, headers, timeout_s);
    if (!rc)
        rc = curl_easy_perform(http->curl);
    long status = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    /* The handle must not keep pointers to what is freed now. */
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);

    if (!t.failure)
        t.failure = failure_of(rc);
    if (t.failure == CARA_HTTP_TIMEOUT) {
        curl_off_t sent_at = 0;
        curl_easy_getinfo(http->curl, CURLINFO_PRETRANSFER_TIME_T, &sent_at);
        if (deadline_first && cara_clock_monotonic() >= request->deadline - DEADLINE_GRAIN_S)
            t.failure = CARA_HTTP_DEADLINE;
        else if (sent_at == 0)
            t.failure = CARA_HTTP_CONNECT;
    }
    response->failure = t.failure;
    return t.failure ? set_error(http, rc, &t, where, err) : CARA_OK;
}

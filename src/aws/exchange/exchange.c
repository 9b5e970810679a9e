#include "aws/exchange/exchange.h"

#include "aws/signing/dates.h"
#include "aws/signing/sigv4.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "net/url.h"

#include <caracola/version.h>
#include <stdio.h>
#include <string.h>

#define MAX_HEADERS 20
#define OWN_HEADERS 6 /* those added here */
#define URL_LIMIT (16 * CARA_KIB)
#define AGENT_WAIT_S 0.1              /* times the number of attempts so far */
#define POLL_S 0.25                   /* how often `stop` is polled while waiting */
#define SURE_SKEW_MS 2000             /* an offset that explains a refusal that names the clock */
#define MAYBE_SKEW_MS (4 * 60 * 1000) /* and one that may have another reason */

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a call to AWS");
}

static int64_t our_ms(const cara_exchange *x) {
    return x->platform->now_ms(x->platform->ctx);
}

int64_t cara_exchange_now_ms(const cara_exchange *exchange) {
    return our_ms(exchange) + exchange->skew_ms;
}

/* 0, or -1 where the answer has no date that can be read. */
static int date_of(const cara_http_response *response, int64_t *ms) {
    const char *date = cara_http_header_of(response, "date");
    return date ? cara_time_http(date, ms) : -1;
}

/* An answer's Date is the beginning of its second: half a second is the least error. */
static void record_clock(cara_exchange *x, const cara_http_response *response) {
    int64_t theirs;
    if (date_of(response, &theirs))
        return;
    x->ahead_ms = theirs + 500 - our_ms(x);
    x->has_ahead = 1;
}

/* Takes the service's clock for ours, where the two are far enough apart for signatures to be
 * refused. 1 where that changed something. */
static int correct_clock(cara_exchange *x, const cara_aws_fault *fault,
                         const cara_http_response *response) {
    int kind = cara_aws_fault_is_clock(fault);
    int64_t theirs;
    if (!kind || date_of(response, &theirs))
        return 0;
    int64_t off = theirs - cara_exchange_now_ms(x);
    if (off < 0)
        off = -off;
    if (off < (kind == 2 ? SURE_SKEW_MS : MAYBE_SKEW_MS))
        return 0;
    x->skew_ms = theirs - our_ms(x);
    cara_log_line(x->log, CARA_LOG_WARN,
                  "this machine's clock is %lld s off AWS's; signing with theirs",
                  (long long)(x->skew_ms / 1000));
    return 1;
}

/* The headers of one attempt, and the memory that they point into. */
typedef struct attempt_headers {
    cara_http_header list[MAX_HEADERS];
    size_t n;
    char host[320], date[17], hash[65];
    cara_buf authorization, path, query;
} attempt_headers;

static void add(attempt_headers *h, const char *name, const char *value) {
    h->list[h->n++] = (cara_http_header){name, value};
}

/* Adds what signs the request as of now. */
static int sign(const cara_exchange *x, const cara_exchange_request *request,
                const cara_aws_keys *keys, const cara_url *url, attempt_headers *h,
                cara_error *err) {
    int64_t now = cara_exchange_now_ms(x);
    if (cara_sigv4_date(now, h->date))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "this machine's clock is outside the years 1970 to 9999");
    if (cara_sha256_hex(request->body, request->body ? request->body_len : 0, h->hash))
        return cara_fail(err, CARA_ERR_MEMORY, -1, "libcrypto has no memory for a SHA-256");
    add(h, "X-Amz-Date", h->date);
    if (request->service->s3)
        add(h, "X-Amz-Content-Sha256", h->hash);
    if (keys->session_token)
        add(h, "X-Amz-Security-Token", keys->session_token);
    if (cara_buf_add(&h->path, url->path.ptr, url->path.len) ||
        cara_buf_add(&h->query, url->query.ptr, url->query.len))
        return no_memory(err);
    const cara_sigv4_request canonical = {.method = request->method,
                                          .path = h->path.data,
                                          .query = h->query.data,
                                          .headers = h->list,
                                          .n_headers = h->n,
                                          .payload_hash = h->hash,
                                          .s3 = request->service->s3};
    const cara_sigv4_key key = {keys->access_key, keys->secret_key, request->region,
                                request->service->signing, now};
    int rc = cara_sigv4_authorization(&key, &canonical, &h->authorization, err);
    if (!rc)
        add(h, "Authorization", h->authorization.data);
    return rc;
}

/* Where an answer goes that the caller has memory for. */
typedef struct target {
    char *at;
    size_t left;
} target;

static int store_piece(void *cookie, const void *bytes, size_t n) {
    target *t = cookie;
    if (n > t->left)
        n = t->left;
    if (n)
        memcpy(t->at, bytes, n);
    t->at += n;
    t->left -= n;
    return 0;
}

/* Signs as of now and sends once. */
static int attempt(cara_exchange *x, const cara_exchange_request *request,
                   const cara_aws_keys *keys, cara_http_response *response, cara_error *err) {
    cara_url url;
    response->failure = CARA_HTTP_OTHER; /* until something was sent */
    if (cara_url_split(request->url, &url))
        return cara_fail(err, CARA_ERR_USAGE, -1, "the URL for %s cannot be sent", request->what);
    attempt_headers h = {.n = request->n_headers};
    int len = snprintf(h.host, sizeof h.host, "%.*s", (int)url.authority.len,
                       (const char *)url.authority.ptr);
    if (len < 0 || (size_t)len >= sizeof h.host || h.n > MAX_HEADERS - OWN_HEADERS)
        return cara_fail(err, CARA_ERR_USAGE, -1, "the host or headers for %s are too long",
                         request->what);
    cara_buf_init(&h.authorization, 8192);
    cara_buf_init(&h.path, URL_LIMIT);
    cara_buf_init(&h.query, URL_LIMIT);
    for (size_t i = 0; i < request->n_headers; i++)
        h.list[i] = request->headers[i];
    add(&h, "Host", h.host);
    int rc = keys ? sign(x, request, keys, &url, &h, err) : CARA_OK;
    if (!rc) {
        add(&h, "User-Agent", "caracola/" CARA_VERSION);
        target into = {request->into, request->into_len};
        const cara_http_request http = {
            .method = request->method,
            .url = request->url,
            .headers = h.list,
            .n_headers = h.n,
            .body = request->body,
            .body_len = request->body_len,
            .max_body = request->max_body,
            .sink = request->into ? store_piece : NULL,
            .sink_cookie = &into,
            .connect_timeout_s = request->connect_timeout_s,
            .timeout_s = request->timeout_s,
            .rate = request->rate,
            .stall_s = request->stall_s,
            .deadline = x->deadline,
            /* On a kept connection libcurl itself may repeat a request that was received. */
            .fresh_connection = request->retry == CARA_RETRY_UNLESS_SENT,
            .no_proxy = request->no_proxy,
            .stop = x->stop,
            .stop_cookie = x->stop_cookie,
        };
        rc = cara_http_do(x->http, &http, response, err);
        if (response->status && request->retry != CARA_RETRY_AGENT)
            record_clock(x, response);
    }
    cara_buf_free(&h.authorization);
    cara_buf_free(&h.path);
    cara_buf_free(&h.query);
    return rc;
}

/* The sentence and code for an answer that is a refusal. */
static int refuse(const cara_exchange_request *request, const cara_aws_fault *fault, int transient,
                  cara_error *err) {
    const char *what = request->what;
    char why[360];
    cara_aws_fault_text(fault, why, sizeof why);
    char tries[32] = "";
    if (fault->attempts > 1)
        snprintf(tries, sizeof tries, " after %d attempts", fault->attempts);
    if (fault->status / 100 == 3)
        return cara_fail(
            err, CARA_ERR_DENIED, -1,
            "%s was sent to the wrong Region or endpoint (HTTP %d)%s%s; set AWS_REGION "
            "to the bucket's",
            what, fault->status, fault->region[0] ? ": the bucket is in " : "", fault->region);
    if (strcmp(fault->type, "NoSuchBucket") == 0)
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "%s: there is no such bucket; check its name and AWS_REGION", what);
    if (fault->status == 404 || fault->status == 412)
        return cara_fail(err, fault->status == 404 ? CARA_ERR_NOT_FOUND : CARA_ERR_CONFLICT, -1,
                         "%s: %s", what, why);
    if (transient || cara_aws_fault_is_expired_token(fault) || cara_aws_fault_is_clock(fault) == 2)
        return cara_fail(err, CARA_ERR_NETWORK, -1, "%s failed%s: %s", what, tries, why);
    const char *advice = "";
    if (fault->region[0] && fault->status == 400)
        advice = "; is AWS_REGION the bucket's Region?";
    else if (strcmp(fault->type, "SignatureDoesNotMatch") == 0 ||
             strcmp(fault->type, "InvalidSignatureException") == 0)
        advice = "; check the secret key and this machine's clock";
    else if (fault->status == 403)
        advice = "; check the role's permissions";
    return cara_fail(err, CARA_ERR_DENIED, -1, "%s was refused: %s%s", what, why, advice);
}

/* The result of one attempt. */
typedef struct attempt_result {
    int rc;
    int retry;   /* another attempt may succeed */
    int at_once; /* without waiting or taking tokens: the cause is removed */
    int timed_out;
    double retry_after_s;
} attempt_result;

/* For an attempt without a complete answer. */
static attempt_result check_failure(const cara_exchange_request *request, int rc,
                                    cara_http_failure failure, cara_error *err) {
    attempt_result v = {.rc = rc, .retry_after_s = -1, .timed_out = failure == CARA_HTTP_TIMEOUT};
    cara_error_prefix(err, "%s", request->what);
    if (failure == CARA_HTTP_TOO_LARGE) {
        v.rc = CARA_ERR_NETWORK; /* the service's failure, unless the caller expects it */
        if (err)
            err->code = CARA_ERR_NETWORK;
    }
    if (failure == CARA_HTTP_CONNECT)
        v.retry = request->retry != CARA_RETRY_AGENT;
    else if (failure == CARA_HTTP_TIMEOUT || failure == CARA_HTTP_BROKEN)
        v.retry = request->retry != CARA_RETRY_UNLESS_SENT;
    return v;
}

static attempt_result check_refusal(cara_exchange *x, const cara_exchange_request *request,
                                    int is_signed, cara_exchange_progress *progress,
                                    const cara_http_response *response, cara_error *err) {
    int attempts = progress->fault.attempts;
    cara_aws_fault *fault = &progress->fault;
    cara_aws_fault_read(response, fault);
    fault->attempts = attempts;
    int throttled = cara_aws_fault_is_throttling(fault);
    int transient = request->retry == CARA_RETRY_AGENT
                        ? fault->status / 100 == 5
                        : throttled || cara_aws_fault_is_transient(fault);
    attempt_result v = {.rc = refuse(request, fault, transient, err),
                        .retry = request->retry == CARA_RETRY_UNLESS_SENT ? throttled : transient,
                        .retry_after_s = cara_retry_after(response, cara_exchange_now_ms(x))};
    if (!v.retry && is_signed && !progress->corrected_clock && correct_clock(x, fault, response)) {
        progress->corrected_clock = v.retry = v.at_once = 1;
        v.rc = CARA_ERR_NETWORK;
    }
    return v;
}

static attempt_result check_attempt(cara_exchange *x, const cara_exchange_request *request,
                                    int is_signed, int rc, cara_exchange_progress *progress,
                                    const cara_http_response *response, cara_error *err) {
    if (rc)
        return check_failure(request, rc, response->failure, err);
    if (response->status / 100 != 2)
        return check_refusal(x, request, is_signed, progress, response, err);
    attempt_result v = {.retry_after_s = -1};
    if (request->check)
        v.rc = request->check(request->check_cookie, response, err);
    v.retry = v.rc == CARA_ERR_NETWORK && request->retry == CARA_RETRY_IDEMPOTENT;
    return v;
}

/* Seconds to wait before the next attempt, or -1 where there is to be none. */
static double retry_delay(const cara_exchange *x, const cara_exchange_request *request,
                          const attempt_result *v, cara_exchange_progress *progress) {
    int attempts = progress->fault.attempts;
    if (v->at_once) /* one attempt more, whatever the settings say */
        return 0;
    if (attempts >= request->max_attempts)
        return -1;
    if (request->retry == CARA_RETRY_AGENT)
        return AGENT_WAIT_S * attempts;
    double wait =
        cara_retry_delay(attempts - 1, v->retry_after_s, x->platform->random(x->platform->ctx));
    if (!request->bucket)
        return wait;
    int cost = cara_retry_bucket_take(request->bucket, v->timed_out);
    if (wait < 0 || !cost)
        return -1;
    progress->took = cost;
    return wait;
}

/* Waits in short steps, so that `stop` is noticed. CARA_OK, CANCELLED, or NETWORK for no time
 * left. */
static int wait_before_retry(const cara_exchange *x, double seconds, cara_error *err) {
    if (x->deadline > 0 && cara_clock_monotonic() + seconds >= x->deadline)
        return CARA_ERR_NETWORK;
    while (seconds > 0) {
        if (x->stop && x->stop(x->stop_cookie))
            return cara_fail(err, CARA_ERR_CANCELLED, -1,
                             "asked to stop while waiting to try again");
        double step = x->stop && seconds > POLL_S ? POLL_S : seconds;
        x->platform->sleep(x->platform->ctx, step);
        seconds -= step;
    }
    return CARA_OK;
}

int cara_exchange_do(cara_exchange *exchange, const cara_exchange_request *request,
                     const cara_aws_keys *keys, cara_exchange_progress *progress,
                     cara_http_response *response, cara_error *err) {
    for (;;) {
        progress->fault = (cara_aws_fault){.attempts = progress->fault.attempts + 1};
        int rc = attempt(exchange, request, keys, response, err);
        attempt_result v =
            check_attempt(exchange, request, keys != NULL, rc, progress, response, err);
        if (!v.rc) {
            if (request->bucket)
                cara_retry_bucket_success(request->bucket, progress->took);
            return CARA_OK;
        }
        double wait = v.retry ? retry_delay(exchange, request, &v, progress) : -1;
        if (wait < 0)
            return v.rc;
        cara_log_line(exchange->log, CARA_LOG_DEBUG, "trying again in %.2f s: %s", wait,
                      err ? err->text : request->what);
        rc = wait_before_retry(exchange, wait, err);
        if (rc) /* no time left: the attempt's own sentence says what went wrong */
            return rc == CARA_ERR_NETWORK ? v.rc : rc;
    }
}

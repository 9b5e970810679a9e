#include "aws/client/client.h"

#include "aws/credentials/credentials.h"
#include "aws/exchange/retry.h"
#include "aws/signing/dates.h"
#include "aws/signing/sigv4.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADERS 20
#define URL_LIMIT (16 * CARA_KIB)
#define FRESH_MS (5 * 60 * 1000) /* credentials are renewed so long before they end */

struct cara_aws {
    cara_aws_config config;
    cara_aws_options options;
    cara_http *http;
    cara_credentials credentials;
    int64_t ask_again_ms; /* not before that time, after a renewal that failed */
    int64_t skew_ms;      /* the service's clock less ours */
    int64_t ahead_ms;     /* the same, as the latest answer shows it */
    int has_ahead;
    cara_retry_bucket bucket;
    cara_aws_fault fault;
    double deadline;
    int (*stop)(void *cookie);
    void *stop_cookie;
};

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a call to AWS");
}

int cara_aws_open(const cara_aws_options *options, cara_aws **out, cara_error *err) {
    *out = NULL;
    cara_aws *aws = calloc(1, sizeof *aws);
    if (!aws)
        return no_memory(err);
    if (options)
        aws->options = *options;
    cara_outside outside = options && options->outside ? *options->outside : cara_outside_real();
    int rc = cara_aws_config_load(&aws->config, &outside, aws->options.region, aws->options.profile,
                                  err);
    if (!rc)
        rc = cara_http_new(aws->config.ca_bundle, &aws->http, err);
    if (rc) {
        cara_aws_close(aws);
        return rc;
    }
    cara_retry_bucket_init(&aws->bucket);
    *out = aws;
    return CARA_OK;
}

void cara_aws_close(cara_aws *aws) {
    if (!aws)
        return;
    cara_http_free(aws->http);
    cara_credentials_free(&aws->credentials);
    cara_aws_config_free(&aws->config);
    free(aws);
}

void cara_aws_set_deadline(cara_aws *aws, double deadline) {
    aws->deadline = deadline;
}

void cara_aws_set_stop(cara_aws *aws, int (*stop)(void *cookie), void *cookie) {
    aws->stop = stop;
    aws->stop_cookie = cookie;
}

const cara_aws_config *cara_aws_settings(const cara_aws *aws) {
    return &aws->config;
}

const cara_aws_fault *cara_aws_last_fault(const cara_aws *aws) {
    return &aws->fault;
}

static int64_t now_ms(const cara_aws *aws) {
    return aws->config.outside.now_ms(aws->config.outside.ctx);
}

/* Credentials that are good for this call. `force` looks for others than those we hold. */
static int need_credentials(cara_aws *aws, int force, cara_error *err) {
    cara_credentials *held = &aws->credentials;
    int64_t now = now_ms(aws) + aws->skew_ms;
    if (held->access_key && !force &&
        (!held->expires_ms || now < held->expires_ms - FRESH_MS || now < aws->ask_again_ms))
        return CARA_OK;
    const cara_credentials_search search = {&aws->config, aws->http, aws->deadline, aws->stop,
                                            aws->stop_cookie};
    cara_credentials fresh;
    cara_error trouble;
    int rc = cara_credentials_find(&search, &fresh, &trouble);
    if (!rc) {
        cara_log_line(aws->options.log, CARA_LOG_DEBUG, "credentials from: %s", fresh.source);
        cara_credentials_free(held);
        *held = fresh;
        aws->ask_again_ms = 0;
        return CARA_OK;
    }
    /* They are renewed early so that a failure to renew does no harm yet. */
    if (held->access_key && !force && now < held->expires_ms && rc != CARA_ERR_CANCELLED) {
        cara_log_line(aws->options.log, CARA_LOG_WARN,
                      "AWS credentials could not be renewed and are used until they end: %s",
                      trouble.text);
        aws->ask_again_ms = now + 60 * 1000;
        return CARA_OK;
    }
    if (err)
        *err = trouble;
    return rc;
}

int cara_aws_clock_ahead(const cara_aws *aws, int64_t *ms) {
    *ms = aws->ahead_ms;
    return aws->has_ahead ? 0 : -1;
}

/* An answer's Date is of its second's beginning, and half of the way is behind it. */
static void note_clock(cara_aws *aws, const cara_http_response *response) {
    const char *date = cara_http_header_of(response, "date");
    int64_t theirs;
    if (!date || cara_time_http(date, &theirs))
        return;
    aws->ahead_ms = theirs + 500 - now_ms(aws);
    aws->has_ahead = 1;
}

int cara_aws_check_credentials(cara_aws *aws, const char **source, cara_error *err) {
    int rc = need_credentials(aws, 0, err);
    *source = rc ? NULL : aws->credentials.source;
    return rc;
}

/* A bucket's name can be a host name's part only without dots: the certificate is for one level. */
static int bucket_in_host(const char *bucket, int custom) {
    return !custom && !strchr(bucket, '.') && strlen(bucket) >= 3;
}

/* The URL in full, with the places of host, path and query in it. */
static int build_url(cara_aws *aws, const cara_aws_call *call, cara_buf *out, cara_error *err) {
    cara_buf endpoint;
    cara_buf_init(&endpoint, URL_LIMIT);
    int custom = 1;
    int rc = CARA_OK;
    if (!call->endpoint)
        rc = cara_aws_endpoint(&aws->config, call->service, call->region, &endpoint, &custom, err);
    else if (cara_buf_str(&endpoint, call->endpoint))
        rc = no_memory(err);
    int in_host = !rc && call->bucket && bucket_in_host(call->bucket, custom);
    if (!rc && (in_host ? cara_buf_printf(out, "https://%s.%s", call->bucket,
                                          endpoint.data + strlen("https://"))
                        : cara_buf_str(out, endpoint.data)))
        rc = no_memory(err);
    if (!rc && call->bucket && !in_host &&
        (cara_buf_char(out, '/') || cara_url_encode(out, call->bucket, strlen(call->bucket), 0)))
        rc = no_memory(err);
    if (!rc && (cara_buf_str(out, call->path) ||
                (call->query && call->query[0] &&
                 (cara_buf_char(out, '?') || cara_buf_str(out, call->query)))))
        rc = no_memory(err);
    cara_buf_free(&endpoint);
    return rc;
}

/* Where an answer goes that the caller has memory for. */
typedef struct landing {
    char *at;
    size_t left;
} landing;

static int land(void *cookie, const void *bytes, size_t n) {
    landing *l = cookie;
    if (n > l->left)
        n = l->left;
    if (n)
        memcpy(l->at, bytes, n);
    l->at += n;
    l->left -= n;
    return 0;
}

/* Signs as of now and sends once. */
static int attempt_once(cara_aws *aws, const cara_aws_call *call, const char *url_text,
                        const char *payload_hash, cara_http_response *response, cara_error *err) {
    cara_url url;
    if (cara_url_split(url_text, &url))
        return cara_fail(err, CARA_ERR_USAGE, -1, "the URL for %s cannot be sent", call->what);
    char host[320], date[17];
    int host_len = snprintf(host, sizeof host, "%.*s", (int)url.authority.len,
                            (const char *)url.authority.ptr);
    if (host_len < 0 || (size_t)host_len >= sizeof host || call->n_headers > MAX_HEADERS - 6)
        return cara_fail(err, CARA_ERR_USAGE, -1, "the host or headers for %s are too long",
                         call->what);
    cara_http_header headers[MAX_HEADERS];
    size_t n = 0;
    for (; n < call->n_headers; n++)
        headers[n] = call->headers[n];
    headers[n++] = (cara_http_header){"Host", host};
    cara_buf authorization, path, query;
    cara_buf_init(&authorization, 8192);
    cara_buf_init(&path, URL_LIMIT);
    cara_buf_init(&query, URL_LIMIT);
    int rc = CARA_OK;
    if (!call->unsigned_call) {
        int64_t now = now_ms(aws) + aws->skew_ms;
        if (cara_sigv4_date(now, date)) {
            rc = cara_fail(err, CARA_ERR_USAGE, -1, "this machine's clock is out of all range");
            goto done;
        }
        headers[n++] = (cara_http_header){"X-Amz-Date", date};
        if (call->service->s3)
            headers[n++] = (cara_http_header){"X-Amz-Content-Sha256", payload_hash};
        if (aws->credentials.session_token)
            headers[n++] =
                (cara_http_header){"X-Amz-Security-Token", aws->credentials.session_token};
        if (cara_buf_add(&path, url.path.ptr, url.path.len) ||
            cara_buf_add(&query, url.query.ptr, url.query.len)) {
            rc = no_memory(err);
            goto done;
        }
        const cara_sigv4_request request = {.method = call->method,
                                            .path = path.data,
                                            .query = query.data,
                                            .headers = headers,
                                            .n_headers = n,
                                            .payload_hash = payload_hash,
                                            .s3 = call->service->s3};
        const cara_sigv4_key key = {aws->credentials.access_key, aws->credentials.secret_key,
                                    call->region         ? call->region
                                    : aws->config.region ? aws->config.region
                                                         : "us-east-1",
                                    call->service->signing, now};
        rc = cara_sigv4_authorization(&key, &request, &authorization, err);
        if (rc)
            goto done;
        headers[n++] = (cara_http_header){"Authorization", authorization.data};
    }
    headers[n++] = (cara_http_header){"User-Agent", "caracola/" CARA_VERSION};
    landing into = {call->into, call->into_len};
    const cara_http_request request = {
        .method = call->method,
        .url = url_text,
        .headers = headers,
        .n_headers = n,
        .body = call->body,
        .body_len = call->body_len,
        .max_body = call->max_body,
        .sink = call->into ? land : NULL,
        .sink_cookie = &into,
        .connect_timeout_s = aws->options.connect_timeout_s,
        .timeout_s = call->timeout_s < 0          ? 0
                     : call->timeout_s > 0        ? call->timeout_s
                     : aws->options.timeout_s > 0 ? aws->options.timeout_s
                                                  : 60,
        .stall_s = call->timeout_s > 0        ? 0
                   : aws->options.stall_s > 0 ? aws->options.stall_s
                                              : 20,
        .deadline = aws->deadline,
        /* On a kept connection libcurl itself may send again what it cannot know was taken. */
        .fresh_connection = call->again == CARA_AWS_UNLESS_SENT,
        .stop = aws->stop,
        .stop_cookie = aws->stop_cookie,
    };
    rc = cara_http_do(aws->http, &request, response, err);
    if (response->status)
        note_clock(aws, response);
done:
    cara_buf_free(&authorization);
    cara_buf_free(&path);
    cara_buf_free(&query);
    return rc;
}

/* Takes the service's clock for ours, where the two are far enough apart to spoil signatures.
 * 1 where that changed something. */
static int correct_clock(cara_aws *aws, const cara_http_response *response) {
    int kind = cara_aws_fault_is_clock(&aws->fault);
    const char *date = cara_http_header_of(response, "date");
    int64_t theirs;
    if (!kind || !date || cara_time_http(date, &theirs))
        return 0;
    int64_t off = theirs - (now_ms(aws) + aws->skew_ms);
    if (off < 0)
        off = -off;
    if (off < (kind == 2 ? 2000 : 4 * 60 * 1000))
        return 0;
    aws->skew_ms = theirs - now_ms(aws);
    cara_log_line(aws->options.log, CARA_LOG_WARN,
                  "this machine's clock is %lld s off AWS's; signing with theirs",
                  (long long)(aws->skew_ms / 1000));
    return 1;
}

/* The sentence and code for an answer that says no. */
static int refuse(const cara_aws *aws, const cara_aws_call *call, int retryable, cara_error *err) {
    const cara_aws_fault *fault = &aws->fault;
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
            call->what, fault->status, fault->region[0] ? ": the bucket is in " : "",
            fault->region);
    if (strcmp(fault->type, "NoSuchBucket") == 0)
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "%s: there is no such bucket; check its name and AWS_REGION", call->what);
    if (fault->status == 404 || fault->status == 412)
        return cara_fail(err, fault->status == 404 ? CARA_ERR_NOT_FOUND : CARA_ERR_CONFLICT, -1,
                         "%s: %s", call->what, why);
    if (retryable || cara_aws_fault_is_expired_token(fault) || cara_aws_fault_is_clock(fault) == 2)
        return cara_fail(err, CARA_ERR_NETWORK, -1, "%s failed%s: %s", call->what, tries, why);
    const char *advice = "";
    if (fault->region[0] && fault->status == 400)
        advice = "; is AWS_REGION the bucket's Region?";
    else if (strcmp(fault->type, "SignatureDoesNotMatch") == 0 ||
             strcmp(fault->type, "InvalidSignatureException") == 0)
        advice = "; check the secret key and this machine's clock";
    else if (fault->status == 403)
        advice = "; check the role's permissions";
    return cara_fail(err, CARA_ERR_DENIED, -1, "%s was refused: %s%s", call->what, why, advice);
}

/* Waits, in short naps so that `stop` is heard. CARA_OK, CANCELLED, or NETWORK for no time left. */
static int wait_before_retry(cara_aws *aws, double seconds, cara_error *err) {
    if (aws->deadline > 0 && cara_clock_monotonic() + seconds >= aws->deadline)
        return CARA_ERR_NETWORK;
    const cara_outside *outside = &aws->config.outside;
    while (seconds > 0) {
        if (aws->stop && aws->stop(aws->stop_cookie))
            return cara_fail(err, CARA_ERR_CANCELLED, -1,
                             "asked to stop while waiting to try again");
        double nap = aws->stop && seconds > 0.25 ? 0.25 : seconds;
        outside->sleep(outside->ctx, nap);
        seconds -= nap;
    }
    return CARA_OK;
}

/* What an attempt came to. */
typedef struct verdict {
    int rc;
    int again;   /* another attempt may cure it */
    int at_once; /* without waiting: the cause is mended */
    int timed_out;
    double retry_after_s;
} verdict;

static verdict judge(cara_aws *aws, const cara_aws_call *call, int rc, int *mended_clock,
                     int *mended_token, const cara_http_response *response, cara_error *err) {
    verdict v = {.rc = rc, .retry_after_s = -1};
    if (rc) {
        cara_error_prefix(err, "%s", call->what);
        int sent = response->trouble != CARA_HTTP_CONNECT;
        v.again =
            (response->trouble == CARA_HTTP_CONNECT || response->trouble == CARA_HTTP_TIMEOUT ||
             response->trouble == CARA_HTTP_BROKEN) &&
            !(sent && call->again == CARA_AWS_UNLESS_SENT);
        v.timed_out = response->trouble == CARA_HTTP_TIMEOUT;
        return v;
    }
    if (response->status / 100 == 2) {
        if (call->check)
            v.rc = call->check(call->check_cookie, response, err);
        v.again = v.rc == CARA_ERR_NETWORK && call->again == CARA_AWS_IDEMPOTENT;
        return v;
    }
    int attempts = aws->fault.attempts;
    cara_aws_fault_read(response, &aws->fault);
    aws->fault.attempts = attempts;
    int throttled = cara_aws_fault_is_throttling(&aws->fault);
    int retryable = throttled || cara_aws_fault_is_transient(&aws->fault);
    v.rc = refuse(aws, call, retryable, err);
    v.again = call->again == CARA_AWS_UNLESS_SENT ? throttled : retryable;
    v.retry_after_s = cara_retry_after(response, now_ms(aws) + aws->skew_ms);
    if (!v.again && !*mended_clock && correct_clock(aws, response)) {
        *mended_clock = v.again = v.at_once = 1;
        v.rc = CARA_ERR_NETWORK;
    } else if (!v.again && !*mended_token && cara_aws_fault_is_expired_token(&aws->fault)) {
        *mended_token = v.again = v.at_once = 1;
    }
    return v;
}

int cara_aws_do(cara_aws *aws, const cara_aws_call *call, cara_http_response *response,
                cara_error *err) {
    aws->fault = (cara_aws_fault){0};
    char payload_hash[65];
    cara_buf url;
    cara_buf_init(&url, URL_LIMIT);
    int rc = build_url(aws, call, &url, err);
    if (!rc && cara_sha256_hex(call->body, call->body ? call->body_len : 0, payload_hash))
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "libcrypto has no memory for a SHA-256");
    int mended_clock = 0, mended_token = 0, took = 0;
    for (int attempt = 1; !rc; attempt++) {
        if (!call->unsigned_call) {
            rc = need_credentials(aws, mended_token == 1, err);
            if (rc)
                break;
            mended_token *= 2; /* once a call */
        }
        aws->fault = (cara_aws_fault){.attempts = attempt};
        rc = attempt_once(aws, call, url.data, payload_hash, response, err);
        verdict v = judge(aws, call, rc, &mended_clock, &mended_token, response, err);
        rc = v.rc;
        if (!rc) {
            cara_retry_bucket_success(&aws->bucket, took);
            aws->fault = (cara_aws_fault){0};
            break;
        }
        /* A mended clock or token is one attempt more, whatever the settings. */
        if (!v.again || (attempt >= aws->config.max_attempts && !v.at_once))
            break;
        double wait = 0;
        if (!v.at_once) {
            wait = cara_retry_delay(attempt - 1, v.retry_after_s,
                                    aws->config.outside.random(aws->config.outside.ctx));
            int cost = cara_retry_bucket_take(&aws->bucket, v.timed_out);
            if (wait < 0 || !cost)
                break;
            took = cost;
        }
        cara_log_line(aws->options.log, CARA_LOG_DEBUG, "trying again in %.2f s: %s", wait,
                      err ? err->text : call->what);
        int stopped = wait_before_retry(aws, wait, err);
        if (stopped == CARA_ERR_NETWORK) /* no time: the attempt's own sentence says why */
            break;
        rc = stopped;
    }
    cara_buf_free(&url);
    return rc;
}

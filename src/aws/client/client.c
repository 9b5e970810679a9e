#include "aws/client/client.h"

#include "aws/credentials/find.h"
#include "base/limits.h"
#include "net/url.h"

#include <stdlib.h>
#include <string.h>

#define URL_LIMIT (16 * CARA_KIB)
#define FRESH_MS (5 * 60 * 1000) /* seconds before their end at which credentials are renewed */
#define PAUSE_MS (60 * 1000)     /* after a renewal that failed */
#define TIMEOUT_S 60.0
#define STALL_S 20.0

struct cara_aws {
    cara_aws_config config;
    cara_aws_options options;
    cara_http *http;
    cara_exchange exchange;
    cara_retry_bucket bucket;
    cara_credentials credentials;
    int64_t renew_from_ms; /* not before that time, after a renewal that failed */
    cara_aws_fault fault;
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
    cara_platform platform =
        options && options->platform ? *options->platform : cara_platform_real();
    int rc = cara_aws_config_load(&aws->config, &platform, aws->options.region,
                                  aws->options.profile, err);
    if (!rc)
        rc = cara_http_new(aws->config.ca_bundle, &aws->http, err);
    if (rc) {
        cara_aws_close(aws);
        return rc;
    }
    cara_retry_bucket_init(&aws->bucket);
    aws->exchange = (cara_exchange){
        .http = aws->http, .platform = &aws->config.platform, .log = aws->options.log};
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
    aws->exchange.deadline = deadline;
}

void cara_aws_set_stop(cara_aws *aws, int (*stop)(void *cookie), void *cookie) {
    aws->exchange.stop = stop;
    aws->exchange.stop_cookie = cookie;
}

const cara_aws_config *cara_aws_settings(const cara_aws *aws) {
    return &aws->config;
}

const cara_aws_fault *cara_aws_last_fault(const cara_aws *aws) {
    return &aws->fault;
}

/* Makes aws->credentials valid for this call. `force` replaces those held. */
static int ensure_credentials(cara_aws *aws, int force, cara_error *err) {
    cara_credentials *held = &aws->credentials;
    int64_t now = cara_exchange_now_ms(&aws->exchange);
    if (held->access_key && !force &&
        (!held->expires_ms || now < held->expires_ms - FRESH_MS || now < aws->renew_from_ms))
        return CARA_OK;
    const cara_credentials_search search = {&aws->config, &aws->exchange};
    cara_credentials fresh;
    cara_error find_err;
    int rc = cara_credentials_find(&search, &fresh, &find_err);
    if (!rc) {
        cara_log_line(aws->options.log, CARA_LOG_DEBUG, "credentials from: %s", fresh.source);
        cara_credentials_free(held);
        *held = fresh;
        aws->renew_from_ms = 0;
        return CARA_OK;
    }
    /* They are renewed early so that a failure to renew can be ignored at first. */
    if (held->access_key && !force && now < held->expires_ms && rc != CARA_ERR_CANCELLED) {
        cara_log_line(aws->options.log, CARA_LOG_WARN,
                      "AWS credentials could not be renewed and are used until they end: %s",
                      find_err.text);
        aws->renew_from_ms = now + PAUSE_MS;
        return CARA_OK;
    }
    if (err)
        *err = find_err;
    return rc;
}

int cara_aws_clock_ahead(const cara_aws *aws, int64_t *ms) {
    *ms = aws->exchange.ahead_ms;
    return aws->exchange.has_ahead ? 0 : -1;
}

int cara_aws_check_credentials(cara_aws *aws, const char **source, cara_error *err) {
    int rc = ensure_credentials(aws, 0, err);
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

/* Tries the current credentials and, once a call, new ones where those have expired. */
static int exchange(cara_aws *aws, const cara_aws_call *call, const cara_exchange_request *request,
                    cara_http_response *response, cara_error *err) {
    cara_exchange_progress progress = {0};
    int rc;
    if (call->unsigned_call) {
        rc = cara_exchange_do(&aws->exchange, request, NULL, &progress, response, err);
    } else {
        int renew = 0, expired;
        do {
            rc = ensure_credentials(aws, renew, err);
            if (rc)
                break;
            cara_aws_keys keys = cara_credentials_keys(&aws->credentials);
            rc = cara_exchange_do(&aws->exchange, request, &keys, &progress, response, err);
            expired = rc && !renew && cara_aws_fault_is_expired_token(&progress.fault);
            renew = 1;
        } while (expired);
    }
    if (rc)
        aws->fault = progress.fault;
    return rc;
}

int cara_aws_do(cara_aws *aws, const cara_aws_call *call, cara_http_response *response,
                cara_error *err) {
    const cara_aws_options *options = &aws->options;
    const double stall_s = options->stall_s > 0 ? options->stall_s : STALL_S;
    aws->fault = (cara_aws_fault){0};
    cara_buf url;
    cara_buf_init(&url, URL_LIMIT);
    int rc = build_url(aws, call, &url, err);
    if (!rc) {
        const cara_exchange_request request = {
            .service = call->service,
            .region = call->region         ? call->region
                      : aws->config.region ? aws->config.region
                                           : "us-east-1",
            .what = call->what,
            .method = call->method,
            .url = url.data,
            .headers = call->headers,
            .n_headers = call->n_headers,
            .body = call->body,
            .body_len = call->body_len,
            .max_body = call->max_body,
            .into = call->into,
            .into_len = call->into_len,
            .connect_timeout_s = options->connect_timeout_s,
            .timeout_s = call->timeout_s < 0      ? stall_s
                         : call->timeout_s > 0    ? call->timeout_s
                         : options->timeout_s > 0 ? options->timeout_s
                                                  : TIMEOUT_S,
            .rate = call->timeout_s < 0 ? CARA_LIMIT_SLOW_BYTES_S : 0,
            .stall_s = call->timeout_s > 0 ? 0 : stall_s,
            .retry = call->retry,
            .max_attempts = call->max_attempts ? call->max_attempts : aws->config.max_attempts,
            .bucket = &aws->bucket,
            .check = call->check,
            .check_cookie = call->check_cookie,
        };
        rc = exchange(aws, call, &request, response, err);
    }
    cara_buf_free(&url);
    return rc;
}

#include "aws/services/lambda_runtime.h"

#include "base/limits.h"
#include "net/http.h"
#include "net/url.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_LIMIT (64 * CARA_KIB)
#define ANSWER_TIMEOUT_S 30.0 /* once the other side has begun; the API is on this machine */

struct cara_lambda {
    cara_http *http;
    char base[300]; /* "http://host:port/2018-06-01/runtime" */
};

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the Lambda Runtime API");
}

int cara_lambda_open(const char *address, cara_lambda **out, cara_error *err) {
    *out = NULL;
    cara_lambda *lambda = calloc(1, sizeof *lambda);
    if (!lambda)
        return no_memory(err);
    cara_url url;
    int n = snprintf(lambda->base, sizeof lambda->base, "http://%s/2018-06-01/runtime", address);
    int rc = CARA_OK;
    if (n < 0 || (size_t)n >= sizeof lambda->base || cara_url_split(lambda->base, &url) ||
        url.authority.len != strlen(address))
        rc = cara_fail(err, CARA_ERR_USAGE, -1,
                       "AWS_LAMBDA_RUNTIME_API is \"%.128s\"; expected host:port", address);
    if (!rc)
        rc = cara_http_new(NULL, &lambda->http, err);
    if (rc) {
        cara_lambda_close(lambda);
        return rc;
    }
    *out = lambda;
    return CARA_OK;
}

void cara_lambda_close(cara_lambda *lambda) {
    if (!lambda)
        return;
    cara_http_free(lambda->http);
    free(lambda);
}

static void copy_header(const cara_http_response *response, const char *name, char *dst,
                        size_t size) {
    const char *value = cara_http_header_of(response, name);
    snprintf(dst, size, "%s", value && strlen(value) < size ? value : "");
}

/* A part of the answers' URL: only characters that need no encoding. */
static int id_is_valid(const char *id) {
    size_t n = strlen(id);
    return n > 0 && n < 128 &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

int cara_lambda_next(cara_lambda *lambda, size_t limit, cara_invocation *out, cara_error *err) {
    *out = (cara_invocation){.deadline_ms = 0};
    char url[400];
    snprintf(url, sizeof url, "%s/invocation/next", lambda->base);
    const cara_http_request request = {.method = "GET",
                                       .url = url,
                                       .max_body = limit,
                                       .connect_timeout_s = 1,
                                       .timeout_s = ANSWER_TIMEOUT_S,
                                       .rate = CARA_LIMIT_SLOW_BYTES_S,
                                       .from_answer = 1,
                                       .no_proxy = 1};
    cara_http_response response = {0};
    int rc = cara_http_do(lambda->http, &request, &response, err);
    if (response.failure == CARA_HTTP_TOO_LARGE) /* what it begins with is enough to judge it */
        rc = CARA_OK;
    if (!rc && response.status != 200)
        rc = cara_fail(err, CARA_ERR_NETWORK, -1,
                       "the Lambda Runtime API answered HTTP %d instead of an event",
                       response.status);
    if (!rc) {
        copy_header(&response, "lambda-runtime-aws-request-id", out->request_id,
                    sizeof out->request_id);
        if (!id_is_valid(out->request_id)) {
            out->request_id[0] = 0;
            rc = cara_fail(err, CARA_ERR_NETWORK, -1,
                           "the Lambda Runtime API gave an event without a request id");
        }
    }
    if (!rc && !response.body.data && cara_buf_str(&response.body, ""))
        rc = no_memory(err);
    if (!rc) {
        char digits[24];
        copy_header(&response, "lambda-runtime-deadline-ms", digits, sizeof digits);
        size_t n = strlen(digits);
        if (n && n <= 18 && strspn(digits, "0123456789") == n)
            out->deadline_ms = strtoll(digits, NULL, 10);
        copy_header(&response, "lambda-runtime-invoked-function-arn", out->function_arn,
                    sizeof out->function_arn);
        copy_header(&response, "lambda-runtime-trace-id", out->trace_id, sizeof out->trace_id);
        out->body = response.body.data;
        out->body_len = response.body.len;
        response.body = (cara_buf){0};
    }
    cara_http_response_free(&response);
    return rc;
}

void cara_invocation_free(cara_invocation *invocation) {
    free(invocation->body);
    *invocation = (cara_invocation){.deadline_ms = 0};
}

static int post(cara_lambda *lambda, const char *path, const char *type, const void *body, size_t n,
                cara_error *err) {
    char url[600];
    snprintf(url, sizeof url, "%s/%s", lambda->base, path);
    const cara_http_header headers[] = {{"Content-Type", "application/json"},
                                        {"Lambda-Runtime-Function-Error-Type", type ? type : ""}};
    const cara_http_request request = {.method = "POST",
                                       .url = url,
                                       .headers = headers,
                                       .n_headers = type ? 2 : 1,
                                       .body = n ? body : "",
                                       .body_len = n,
                                       .connect_timeout_s = 1,
                                       .timeout_s = ANSWER_TIMEOUT_S,
                                       .no_proxy = 1};
    cara_http_response response = {0};
    int rc = cara_http_do(lambda->http, &request, &response, err);
    int status = response.status;
    cara_http_response_free(&response);
    if (rc || status / 100 == 2)
        return rc;
    cara_code code = status == 413   ? CARA_ERR_MEMORY
                     : status == 400 ? CARA_ERR_USAGE
                     : status == 403 ? CARA_ERR_DENIED
                                     : CARA_ERR_NETWORK;
    const char *why = status == 413   ? "the answer is larger than Lambda takes"
                      : status == 400 ? "it does not know this invocation any more"
                      : status == 403 ? "no answer is due in this state"
                                      : "this sandbox is lost";
    return cara_fail(err, code, -1, "the Lambda Runtime API answered HTTP %d: %s", status, why);
}

int cara_lambda_respond(cara_lambda *lambda, const char *request_id, const void *body, size_t n,
                        cara_error *err) {
    char path[200];
    if (!id_is_valid(request_id))
        return cara_fail(err, CARA_ERR_USAGE, -1, "this is no request id of Lambda's");
    snprintf(path, sizeof path, "invocation/%s/response", request_id);
    return post(lambda, path, NULL, body, n, err);
}

static int post_error(cara_lambda *lambda, const char *path, const char *type, const char *message,
                      cara_error *err) {
    json_t *root =
        json_pack("{s:o, s:s, s:[]}", "errorMessage", cara_json_string(message, strlen(message)),
                  "errorType", type, "stackTrace");
    cara_buf body;
    cara_buf_init(&body, ERROR_LIMIT);
    int unwritten = cara_json_write(root, CARA_JSON_COMPACT, &body);
    json_decref(root);
    /* Without a text where there is no memory: an event that is not failed waits for its
     * timeout. */
    int rc = unwritten ? post(lambda, path, type, "{}", 2, err)
                       : post(lambda, path, type, body.data, body.len, err);
    cara_buf_free(&body);
    return rc;
}

int cara_lambda_fail(cara_lambda *lambda, const char *request_id, const char *type,
                     const char *message, cara_error *err) {
    char path[200];
    if (!id_is_valid(request_id))
        return cara_fail(err, CARA_ERR_USAGE, -1, "this is no request id of Lambda's");
    snprintf(path, sizeof path, "invocation/%s/error", request_id);
    return post_error(lambda, path, type, message, err);
}

int cara_lambda_init_error(cara_lambda *lambda, const char *type, const char *message,
                           cara_error *err) {
    return post_error(lambda, "init/error", type, message, err);
}

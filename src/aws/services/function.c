#include "aws/services/function.h"

#include "aws/client/json_call.h"
#include "base/limits.h"
#include "net/url.h"

#include <stdio.h>
#include <string.h>

#define MAX_PAGES 100
#define NAME_LIMIT 256

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a call to Lambda");
}

/* "<start><name><end>", with the name encoded. */
static int make_path(cara_buf *out, const char *start, const char *name, const char *end,
                     cara_error *err) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:$";
    size_t n = strlen(name);
    if (n == 0 || n > NAME_LIMIT || strspn(name, allowed) != n)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "\"%.140s\" is no name or ARN of a Lambda function", name);
    if (cara_buf_str(out, start) || cara_url_encode(out, name, n, 0) || cara_buf_str(out, end))
        return no_memory(err);
    return CARA_OK;
}

/* The Region in an ARN, or NULL: the client's. */
static const char *region_of(const char *name, char dst[64]) {
    const char *p = strncmp(name, "arn:", 4) == 0 ? strchr(name + 4, ':') : NULL;
    if (!p || strncmp(p, ":lambda:", 8) != 0)
        return NULL;
    size_t n = strcspn(p + 8, ":");
    if (n == 0 || n > 63)
        return NULL;
    snprintf(dst, 64, "%.*s", (int)n, p + 8);
    return dst;
}

static int get_json(cara_aws *aws, const char *what, const char *name, const char *path,
                    const char *query, json_t **answer, cara_error *err) {
    char region[64];
    const cara_aws_call call = {.service = &cara_service_lambda,
                                .what = what,
                                .region = region_of(name, region),
                                .method = "GET",
                                .path = path,
                                .query = query};
    return cara_aws_json(aws, call, NULL, answer, err);
}

static int integer(const json_t *object, const char *name) {
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 && value < 1000000000 ? (int)value : 0;
}

void cara_function_free(cara_function *function) {
    json_decref(function->memory);
    *function = (cara_function){.memory = NULL};
}

int cara_function_get(cara_aws *aws, const char *name, cara_function *out, cara_error *err) {
    *out = (cara_function){.memory = NULL};
    cara_buf path;
    cara_buf_init(&path, 4096);
    json_t *a = NULL;
    int rc = make_path(&path, "/2015-03-31/functions/", name, "/configuration", err);
    if (!rc)
        rc = get_json(aws, "Lambda GetFunctionConfiguration", name, path.data, NULL, &a, err);
    cara_buf_free(&path);
    if (rc)
        return rc;
    const json_t *variables = json_object_get(json_object_get(a, "Environment"), "Variables");
    const char *architecture =
        json_string_value(json_array_get(json_object_get(a, "Architectures"), 0));
    *out = (cara_function){
        .name = cara_json_text_or(a, "FunctionName", ""),
        .arn = cara_json_text_or(a, "FunctionArn", ""),
        .role = cara_json_text_or(a, "Role", ""),
        .state = cara_json_text_or(a, "State", ""),
        .reason = cara_json_text_or(a, "StateReason", ""),
        .package = cara_json_text_or(a, "PackageType", ""),
        .architecture = architecture ? architecture : "",
        .log_format = cara_json_text_or(json_object_get(a, "LoggingConfig"), "LogFormat", ""),
        .timeout_s = integer(a, "Timeout"),
        .memory_mb = integer(a, "MemorySize"),
        .storage_mb = integer(json_object_get(a, "EphemeralStorage"), "Size"),
        .in_vpc =
            json_array_size(json_object_get(json_object_get(a, "VpcConfig"), "SubnetIds")) > 0,
        .has_file_system = json_array_size(json_object_get(a, "FileSystemConfigs")) > 0,
        .variables = json_is_object(variables) ? variables : NULL,
        .memory = a};
    return CARA_OK;
}

const char *cara_function_variable(const cara_function *function, const char *name) {
    return cara_json_text_or(function->variables, name, "");
}

int cara_function_failures_get(cara_aws *aws, const char *name, cara_function_failures *out,
                               cara_error *err) {
    *out = (cara_function_failures){.retries = -1};
    cara_buf path;
    cara_buf_init(&path, 4096);
    cara_error call_err = {.code = CARA_OK, .position = -1};
    json_t *a = NULL;
    int rc = make_path(&path, "/2019-09-25/functions/", name, "/event-invoke-config", &call_err);
    if (!rc)
        rc = get_json(aws, "Lambda GetFunctionEventInvokeConfig", name, path.data, NULL, &a,
                      &call_err);
    cara_buf_free(&path);
    if (rc == CARA_ERR_NOT_FOUND)
        return CARA_OK;
    if (rc) {
        if (err)
            *err = call_err;
        return rc;
    }
    const json_t *retries = json_object_get(a, "MaximumRetryAttempts");
    if (json_is_integer(retries))
        out->retries = json_integer_value(retries) > 0 ? integer(a, "MaximumRetryAttempts") : 0;
    const json_t *failure = json_object_get(json_object_get(a, "DestinationConfig"), "OnFailure");
    snprintf(out->destination, sizeof out->destination, "%s",
             cara_json_text_or(failure, "Destination", ""));
    json_decref(a);
    return CARA_OK;
}

static int each_source(const json_t *answer, cara_function_each each, void *ctx) {
    const json_t *list = json_object_get(answer, "EventSourceMappings");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const json_t *types = json_object_get(one, "FunctionResponseTypes");
        cara_function_source source = {.arn = cara_json_text_or(one, "EventSourceArn", ""),
                                       .state = cara_json_text_or(one, "State", "")};
        for (size_t t = 0; t < json_array_size(types); t++) {
            const char *type = json_string_value(json_array_get(types, t));
            source.partial |= type && strcmp(type, "ReportBatchItemFailures") == 0;
        }
        int rc = each(ctx, &source);
        if (rc)
            return rc;
    }
    return 0;
}

int cara_function_sources(cara_aws *aws, const char *name, cara_function_each each, void *ctx,
                          cara_error *err) {
    cara_buf query;
    cara_buf_init(&query, 8192);
    int rc = make_path(&query, "FunctionName=", name, "", err);
    for (int pages = 0; !rc; pages++) {
        json_t *answer = NULL;
        rc = get_json(aws, "Lambda ListEventSourceMappings", name,
                      "/2015-03-31/event-source-mappings", query.data, &answer, err);
        if (rc)
            break;
        rc = each_source(answer, each, ctx);
        const char *next = cara_json_text_or(answer, "NextMarker", "");
        int more = !rc && next[0];
        cara_buf_clear(&query);
        if (more && pages == MAX_PAGES)
            rc = cara_fail(err, CARA_ERR_NETWORK, -1, "the list of event sources has no end");
        else if (more && (make_path(&query, "FunctionName=", name, "&Marker=", NULL) ||
                          cara_url_encode(&query, next, strlen(next), 0)))
            rc = no_memory(err);
        json_decref(answer);
        if (!more)
            break;
    }
    cara_buf_free(&query);
    return rc;
}

int cara_function_invoke(cara_aws *aws, const char *name, const char *payload, size_t n,
                         double timeout_s, cara_buf *answer, int *failed, cara_error *err) {
    *failed = 0;
    char region[64];
    cara_buf path;
    cara_buf_init(&path, 4096);
    cara_http_response response = {0};
    int rc = make_path(&path, "/2015-03-31/functions/", name, "/invocations", err);
    if (!rc) {
        static const cara_http_header headers[] = {{"Content-Type", "application/octet-stream"},
                                                   {"X-Amz-Invocation-Type", "RequestResponse"}};
        const cara_aws_call call = {.service = &cara_service_lambda,
                                    .what = "Lambda Invoke",
                                    .region = region_of(name, region),
                                    .method = "POST",
                                    .path = path.data,
                                    .headers = headers,
                                    .n_headers = 2,
                                    .body = payload,
                                    .body_len = n,
                                    .max_body = 7 * CARA_MIB, /* Lambda's most is 6 MB */
                                    .timeout_s = timeout_s,
                                    /* One request, one run. */
                                    .retry = CARA_RETRY_UNLESS_SENT};
        rc = cara_aws_do(aws, &call, &response, err);
    }
    if (!rc) {
        *failed = cara_http_header_of(&response, "x-amz-function-error") != NULL;
        if (cara_buf_add(answer, response.body.data ? response.body.data : "", response.body.len))
            rc = no_memory(err);
    }
    cara_http_response_free(&response);
    cara_buf_free(&path);
    return rc;
}

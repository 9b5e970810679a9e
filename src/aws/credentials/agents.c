#include "aws/credentials/agents.h"

#include "base/files/file.h"
#include "base/limits.h"
#include "net/url.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ECS_HOST "http://169.254.170.2"
#define TOKEN_LIMIT (16 * CARA_KIB)
#define ANSWER_LIMIT (64 * CARA_KIB)

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for AWS credentials");
}

/* The bodies hold secrets. */
static void wipe_response(cara_http_response *response) {
    if (response->body.data)
        OPENSSL_cleanse(response->body.data, response->body.cap);
    cara_http_response_free(response);
}

/* NOT_FOUND for 404. */
static int request_agent(const cara_credentials_search *search, const char *method, const char *url,
                         const cara_http_header *headers, size_t n_headers, double timeout_s,
                         const char *agent, cara_http_response *response, cara_error *err) {
    const cara_exchange_request request = {
        .what = agent,
        .method = method,
        .url = url,
        .headers = headers,
        .n_headers = n_headers,
        .max_body = ANSWER_LIMIT,
        .connect_timeout_s = 1,
        .timeout_s = timeout_s,
        .no_proxy = 1,
        .retry = CARA_RETRY_AGENT,
        .max_attempts = CARA_CREDENTIALS_ATTEMPTS,
    };
    cara_exchange_progress progress = {0};
    int rc = cara_exchange_do(search->exchange, &request, NULL, &progress, response, err);
    int status = progress.fault.status;
    if (!rc || !status)
        return rc;
    if (status / 100 == 5)
        return cara_fail(err, CARA_ERR_NETWORK, -1, "the %s answered HTTP %d", agent, status);
    return cara_fail(err, status == 404 ? CARA_ERR_NOT_FOUND : CARA_ERR_DENIED, -1,
                     "the %s refused with HTTP %d", agent, status);
}

int cara_credentials_uri_is_allowed(const char *uri) {
    cara_url url;
    if (cara_url_split(uri, &url))
        return 0;
    if (url.secure)
        return 1;
    char host[64];
    const char *name = (const char *)url.host.ptr;
    size_t n = url.host.len;
    if (n && name[0] == '[') {
        name++;
        n -= 2;
    }
    if (n >= sizeof host)
        return 0;
    memcpy(host, name, n);
    host[n] = 0;
    struct in_addr v4;
    struct in6_addr v6, want;
    if (strcasecmp(host, "localhost") == 0)
        return 1;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127 || strcmp(host, "169.254.170.2") == 0 ||
               strcmp(host, "169.254.170.23") == 0;
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        static const char *const allowed[] = {"::1", "fd00:ec2::23"};
        for (size_t i = 0; i < 2; i++)
            if (inet_pton(AF_INET6, allowed[i], &want) == 1 && memcmp(&v6, &want, sizeof v6) == 0)
                return 1;
    }
    return 0;
}

/* The Authorization header's value, malloc'd; NULL with CARA_OK where none is set. */
static int container_token(const cara_platform *platform, char **out, cara_error *err) {
    *out = NULL;
    const char *file = cara_platform_env(platform, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = cara_platform_env(platform, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (file) {
        size_t n;
        int rc = cara_read_file(file, TOKEN_LIMIT, out, &n, err);
        if (rc) {
            cara_error_prefix(err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
            return rc == CARA_ERR_MEMORY ? rc : CARA_ERR_DENIED;
        }
        while (n && strchr(" \t\r\n", (*out)[n - 1]))
            (*out)[--n] = 0;
    } else if (token && !(*out = strdup(token))) {
        return no_memory(err);
    }
    return CARA_OK;
}

int cara_credentials_container(const cara_credentials_search *search, cara_credentials *out,
                               cara_error *err) {
    const cara_platform *platform = &search->config->platform;
    const char *relative = cara_platform_env(platform, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = cara_platform_env(platform, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    *out = (cara_credentials){0};
    if (!relative && !full)
        return CARA_ERR_NOT_FOUND;
    char *token = NULL;
    cara_buf url;
    cara_buf_init(&url, 4096);
    cara_http_response response = {0};
    int rc;
    if (relative && relative[0] != '/')
        rc = cara_fail(err, CARA_ERR_DENIED, -1,
                       "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with a slash");
    else if (!relative && !cara_credentials_uri_is_allowed(full))
        rc = cara_fail(err, CARA_ERR_DENIED, -1,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or http to this machine "
                       "or to the ECS or EKS agent");
    else if (relative ? cara_buf_printf(&url, ECS_HOST "%s", relative) : cara_buf_str(&url, full))
        rc = no_memory(err);
    else
        rc = container_token(platform, &token, err);
    if (!rc) {
        const cara_http_header headers[] = {{"Accept", "application/json"},
                                            {"Authorization", token ? token : ""}};
        rc = request_agent(search, "GET", url.data, headers, token ? 2 : 1, 5,
                           "container credentials agent", &response, err);
        if (rc == CARA_ERR_NOT_FOUND) /* the agent is there: it answered */
            rc = CARA_ERR_DENIED;
    }
    if (!rc)
        rc = cara_credentials_from_json(response.body.data, response.body.len,
                                        "container credentials agent", out, err);
    wipe_response(&response);
    cara_buf_free(&url);
    if (token)
        OPENSSL_cleanse(token, strlen(token));
    free(token);
    return rc;
}

/* Every request after the first carries the session token that only a PUT gives out: that is what
 * makes version 2 safe against a server that can be made to fetch any URL. */
int cara_credentials_imds(const cara_credentials_search *search, cara_credentials *out,
                          cara_error *err) {
    static const char agent[] = "instance metadata service";
    const cara_platform *platform = &search->config->platform;
    *out = (cara_credentials){0};
    if (cara_platform_flag(platform, "AWS_EC2_METADATA_DISABLED"))
        return CARA_ERR_NOT_FOUND;
    const char *base = cara_platform_env(platform, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = cara_platform_env(platform, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    if (!base)
        base = mode && strcasecmp(mode, "ipv6") == 0 ? "http://[fd00:ec2::254]"
                                                     : "http://169.254.169.254";
    cara_url parts;
    if (cara_url_split(base, &parts))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "AWS_EC2_METADATA_SERVICE_ENDPOINT must be an http URL");
    size_t base_len = strlen(base);
    while (base_len && base[base_len - 1] == '/')
        base_len--;
    cara_http_response response = {0};
    cara_buf url, token, role;
    cara_buf_init(&url, 4096);
    cara_buf_init(&token, TOKEN_LIMIT);
    cara_buf_init(&role, 1024);
    int rc = CARA_OK;
    static const char roles[] = "/latest/meta-data/iam/security-credentials/";

    if (cara_buf_add(&url, base, base_len) || cara_buf_str(&url, "/latest/api/token"))
        goto no_memory;
    const cara_http_header ttl = {"X-aws-ec2-metadata-token-ttl-seconds", "21600"};
    rc = request_agent(search, "PUT", url.data, &ttl, 1, 1, agent, &response, err);
    if (rc) {
        /* Outside EC2, on most networks, nothing answers at that address. */
        if (response.failure == CARA_HTTP_CONNECT || response.failure == CARA_HTTP_TIMEOUT ||
            response.failure == CARA_HTTP_BROKEN)
            rc = CARA_ERR_NOT_FOUND;
        goto done;
    }
    if (cara_buf_add(&token, response.body.data, response.body.len))
        goto no_memory;

    const cara_http_header headers = {"X-aws-ec2-metadata-token", token.data};
    cara_buf_clear(&url);
    if (cara_buf_add(&url, base, base_len) || cara_buf_str(&url, roles))
        goto no_memory;
    rc = request_agent(search, "GET", url.data, &headers, 1, 2, agent, &response, err);
    if (rc == CARA_ERR_NOT_FOUND) {
        rc = cara_fail(err, CARA_ERR_DENIED, -1,
                       "this EC2 instance has no role; attach one, or set AWS_ACCESS_KEY_ID");
        goto done;
    }
    if (rc)
        goto done;
    size_t n = response.body.data ? strcspn(response.body.data, "\r\n") : 0;
    if (n == 0) {
        rc = cara_fail(err, CARA_ERR_DENIED, -1, "the %s names no role", agent);
        goto done;
    }
    if (cara_url_encode(&role, response.body.data, n, 0) || cara_buf_str(&url, role.data))
        goto no_memory;
    rc = request_agent(search, "GET", url.data, &headers, 1, 2, agent, &response, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = CARA_ERR_DENIED;
    if (!rc)
        rc = cara_credentials_from_json(response.body.data, response.body.len, agent, out, err);
    /* The service may give expired keys while it has a fault of its own; AWS then goes on
     * accepting them, so the SDKs use them for a while before they ask again. */
    int64_t now = platform->now_ms(platform->ctx);
    if (!rc && out->expires_ms && out->expires_ms < now)
        out->expires_ms = now + 10 * 60 * 1000;
    goto done;
no_memory:
    rc = no_memory(err);
done:
    wipe_response(&response);
    cara_buf_free(&url);
    cara_buf_free(&token);
    cara_buf_free(&role);
    return rc;
}

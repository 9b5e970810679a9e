/* Credentials of a role from STS: with a web identity's token (unsigned), or with other keys. */
#include "aws/credentials/credentials.h"

#include "aws/exchange/fault.h"
#include "aws/exchange/xml.h"
#include "aws/signing/dates.h"
#include "aws/signing/sigv4.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "net/url.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM_LIMIT (64 * CARA_KIB)

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for AWS credentials");
}

static int add_field(cara_buf *form, const char *name, const char *value) {
    if (!value)
        return 0;
    return (form->len && cara_buf_char(form, '&')) || cara_buf_str(form, name) ||
           cara_buf_char(form, '=') || cara_url_encode(form, value, strlen(value), 0);
}

/* Fixed texts: the answer's four values, none longer than a session token. */
typedef struct answer {
    char access[160], secret[160], token[8192], expiration[64];
} answer;

static int on_end(void *ctx, const char *path, const char *text, size_t n) {
    answer *a = ctx;
    const struct {
        const char *name;
        char *dst;
        size_t size;
    } fields[] = {
        {"/Credentials/AccessKeyId", a->access, sizeof a->access},
        {"/Credentials/SecretAccessKey", a->secret, sizeof a->secret},
        {"/Credentials/SessionToken", a->token, sizeof a->token},
        {"/Credentials/Expiration", a->expiration, sizeof a->expiration},
    };
    size_t path_len = strlen(path);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        size_t m = strlen(fields[i].name);
        if (path_len < m || strcmp(path + path_len - m, fields[i].name) != 0)
            continue;
        if (n >= fields[i].size)
            return CARA_ERR_NETWORK;
        memcpy(fields[i].dst, text, n);
        fields[i].dst[n] = 0;
    }
    return 0;
}

static int make_form(const cara_credentials_search *search, const cara_assume_role *role,
                     cara_buf *form, cara_error *err) {
    char *token = NULL;
    if (!role->source) {
        size_t n;
        int rc = cara_read_file(role->token_file, 16 * CARA_KIB, &token, &n, err);
        if (rc) {
            cara_error_prefix(err, "the web identity token file");
            return rc == CARA_ERR_MEMORY ? rc : CARA_ERR_DENIED;
        }
        while (n && strchr(" \t\r\n", token[n - 1]))
            token[--n] = 0;
    }
    char made_up[40];
    const cara_outside *outside = &search->config->outside;
    snprintf(made_up, sizeof made_up, "caracola-%lld", (long long)outside->now_ms(outside->ctx));
    int bad =
        add_field(form, "Action", role->source ? "AssumeRole" : "AssumeRoleWithWebIdentity") ||
        add_field(form, "Version", "2011-06-15") || add_field(form, "RoleArn", role->role_arn) ||
        add_field(form, "RoleSessionName", role->session_name ? role->session_name : made_up) ||
        add_field(form, "ExternalId", role->external_id) ||
        add_field(form, "DurationSeconds", role->duration) ||
        add_field(form, "WebIdentityToken", token);
    if (token)
        OPENSSL_cleanse(token, strlen(token));
    free(token);
    return bad ? no_memory(err) : CARA_OK;
}

/* One exchange; signed where there are keys to sign with. */
static int post(const cara_credentials_search *search, const cara_assume_role *role,
                const char *endpoint, const cara_buf *form, cara_http_response *response,
                cara_error *err) {
    const cara_outside *outside = &search->config->outside;
    cara_url url;
    if (cara_url_split(endpoint, &url))
        return cara_fail(err, CARA_ERR_INTERNAL, -1, "the STS endpoint is no URL");
    char host[300], date[17], hash[65];
    snprintf(host, sizeof host, "%.*s", (int)url.authority.len, (const char *)url.authority.ptr);
    int64_t now = outside->now_ms(outside->ctx);
    cara_buf path, authorization, target;
    cara_buf_init(&path, 4096);
    cara_buf_init(&authorization, 4096);
    cara_buf_init(&target, 8192);
    int rc = CARA_OK;
    if (cara_buf_printf(&path, "%.*s/", (int)url.path.len, (const char *)url.path.ptr) ||
        cara_buf_printf(&target, "%s/", endpoint))
        rc = no_memory(err);
    else if (cara_sigv4_date(now, date) || cara_sha256_hex(form->data, form->len, hash))
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a SHA-256 to sign with");
    cara_http_header headers[5] = {
        {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
    size_t n = 1;
    if (!rc && role->source) {
        headers[n++] = (cara_http_header){"Host", host};
        headers[n++] = (cara_http_header){"X-Amz-Date", date};
        if (role->source->session_token)
            headers[n++] = (cara_http_header){"X-Amz-Security-Token", role->source->session_token};
        const cara_sigv4_request request = {.method = "POST",
                                            .path = path.data,
                                            .headers = headers,
                                            .n_headers = n,
                                            .payload_hash = hash};
        const cara_sigv4_key key = {role->source->access_key, role->source->secret_key,
                                    search->config->region ? search->config->region : "us-east-1",
                                    "sts", now};
        rc = cara_sigv4_authorization(&key, &request, &authorization, err);
        if (!rc)
            headers[n++] = (cara_http_header){"Authorization", authorization.data};
    }
    if (!rc) {
        const cara_http_request request = {
            .method = "POST",
            .url = target.data,
            .headers = headers,
            .n_headers = n,
            .body = form->data,
            .body_len = form->len,
            .max_body = 64 * CARA_KIB,
            .timeout_s = 10,
            .deadline = search->deadline,
            .stop = search->stop,
            .stop_cookie = search->stop_cookie,
        };
        rc = cara_http_do(search->http, &request, response, err);
    }
    cara_buf_free(&path);
    cara_buf_free(&authorization);
    cara_buf_free(&target);
    return rc;
}

int cara_credentials_assume_role(const cara_credentials_search *search,
                                 const cara_assume_role *role, cara_credentials *out,
                                 cara_error *err) {
    *out = (cara_credentials){0};
    const cara_outside *outside = &search->config->outside;
    const char *region = search->config->region;
    cara_buf endpoint, form;
    cara_buf_init(&endpoint, 4096);
    cara_buf_init(&form, FORM_LIMIT);
    cara_http_response response = {0};
    answer *a = calloc(1, sizeof *a);
    int custom;
    int rc = a ? cara_aws_endpoint(search->config, &cara_service_sts, region ? region : "us-east-1",
                                   &endpoint, &custom, err)
               : no_memory(err);
    if (!rc)
        rc = make_form(search, role, &form, err);
    for (int attempt = 0; !rc && attempt < 3; attempt++) {
        if (attempt)
            outside->sleep(outside->ctx, outside->random(outside->ctx) * (1 << (attempt - 1)));
        rc = post(search, role, endpoint.data, &form, &response, err);
        int again = rc == CARA_ERR_NETWORK && response.trouble != CARA_HTTP_TLS &&
                    response.trouble != CARA_HTTP_DEADLINE;
        if (!rc && response.status != 200) {
            cara_aws_fault fault;
            cara_aws_fault_read(&response, &fault);
            again = cara_aws_fault_is_throttling(&fault) || cara_aws_fault_is_transient(&fault);
            char why[400];
            cara_aws_fault_text(&fault, why, sizeof why);
            rc = cara_fail(err, again ? CARA_ERR_NETWORK : CARA_ERR_DENIED, -1,
                           "STS gave no credentials for role %.128s: %s", role->role_arn, why);
        }
        if (!rc || !again || attempt == 2 ||
            (search->deadline > 0 && cara_clock_monotonic() + 2 > search->deadline))
            break;
        rc = CARA_OK;
    }
    if (!rc) {
        const cara_xml_handler handler = {.end = on_end, .ctx = a};
        rc = cara_xml_parse(response.body.data, response.body.len, &handler, err);
        if (!rc && (!a->access[0] || !a->secret[0] || !a->token[0]))
            rc = CARA_ERR_NETWORK;
        if (rc && rc != CARA_ERR_MEMORY)
            rc = cara_fail(err, CARA_ERR_NETWORK, -1, "STS answered without credentials in it");
    }
    if (!rc)
        rc = cara_credentials_set(out, a->access, a->secret, a->token, a->expiration,
                                  role->source ? "assumed role" : "web identity", err);
    if (response.body.data)
        OPENSSL_cleanse(response.body.data, response.body.cap);
    if (form.data)
        OPENSSL_cleanse(form.data, form.cap);
    if (a)
        OPENSSL_cleanse(a, sizeof *a);
    free(a);
    cara_http_response_free(&response);
    cara_buf_free(&endpoint);
    cara_buf_free(&form);
    return rc;
}

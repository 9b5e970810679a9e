#include "aws/credentials/sts.h"

#include "aws/exchange/xml.h"
#include "base/files/file.h"
#include "base/limits.h"
#include "net/url.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM_LIMIT (64 * CARA_KIB)
#define ANSWER_LIMIT (64 * CARA_KIB)
#define TIMEOUT_S 10.0 /* of one attempt */

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
typedef struct sts_answer {
    char access[160], secret[160], token[8192], expiration[64];
} sts_answer;

static int on_end(void *ctx, const char *path, const char *text, size_t n) {
    sts_answer *a = ctx;
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
    const cara_platform *platform = &search->config->platform;
    snprintf(made_up, sizeof made_up, "caracola-%lld", (long long)platform->now_ms(platform->ctx));
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

/* The code and sentence for an answer that is a refusal: a retry cannot help where, for instance,
 * the keys of `source` have expired. */
static int refuse(const cara_assume_role *role, const cara_aws_fault *fault, cara_error *err) {
    char why[400];
    cara_aws_fault_text(fault, why, sizeof why);
    return cara_fail(err,
                     cara_aws_fault_is_throttling(fault) || cara_aws_fault_is_transient(fault)
                         ? CARA_ERR_NETWORK
                         : CARA_ERR_DENIED,
                     -1, "STS gave no credentials for role %.128s: %s", role->role_arn, why);
}

int cara_credentials_assume_role(const cara_credentials_search *search,
                                 const cara_assume_role *role, cara_credentials *out,
                                 cara_error *err) {
    *out = (cara_credentials){0};
    const char *region = search->config->region ? search->config->region : "us-east-1";
    cara_buf url, form;
    cara_buf_init(&url, 4096);
    cara_buf_init(&form, FORM_LIMIT);
    cara_http_response response = {0};
    sts_answer *a = calloc(1, sizeof *a);
    int custom;
    int rc = a ? cara_aws_endpoint(search->config, &cara_service_sts, region, &url, &custom, err)
               : no_memory(err);
    if (!rc && cara_buf_char(&url, '/'))
        rc = no_memory(err);
    if (!rc)
        rc = make_form(search, role, &form, err);
    if (!rc) {
        const cara_http_header type = {"Content-Type",
                                       "application/x-www-form-urlencoded; charset=utf-8"};
        const cara_exchange_request request = {
            .service = &cara_service_sts,
            .region = region,
            .what = role->source ? "STS AssumeRole" : "STS AssumeRoleWithWebIdentity",
            .method = "POST",
            .url = url.data,
            .headers = &type,
            .n_headers = 1,
            .body = form.data,
            .body_len = form.len,
            .max_body = ANSWER_LIMIT,
            .timeout_s = TIMEOUT_S,
            .max_attempts = CARA_CREDENTIALS_ATTEMPTS,
        };
        cara_aws_keys keys;
        if (role->source)
            keys = cara_credentials_keys(role->source);
        cara_exchange_progress progress = {0};
        rc = cara_exchange_do(search->exchange, &request, role->source ? &keys : NULL, &progress,
                              &response, err);
        if (rc && progress.fault.status)
            rc = refuse(role, &progress.fault, err);
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
    cara_buf_free(&url);
    cara_buf_free(&form);
    return rc;
}

#include "aws/credentials/credentials.h"

#include "aws/signing/dates.h"
#include "json/json.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for AWS credentials");
}

static void wipe(char *secret) {
    if (secret)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

void cara_credentials_free(cara_credentials *credentials) {
    wipe(credentials->access_key);
    wipe(credentials->secret_key);
    wipe(credentials->session_token);
    *credentials = (cara_credentials){0};
}

cara_aws_keys cara_credentials_keys(const cara_credentials *credentials) {
    return (cara_aws_keys){credentials->access_key, credentials->secret_key,
                           credentials->session_token};
}

int cara_credentials_set(cara_credentials *out, const char *access_key, const char *secret_key,
                         const char *token, const char *expiration, const char *source,
                         cara_error *err) {
    *out = (cara_credentials){.source = source};
    if (expiration && expiration[0] && cara_time_iso8601(expiration, &out->expires_ms)) {
        *out = (cara_credentials){0};
        return cara_fail(err, CARA_ERR_NETWORK, -1,
                         "the %s gave credentials that expire at \"%.40s\", which is no time",
                         source, expiration);
    }
    out->access_key = strdup(access_key);
    out->secret_key = strdup(secret_key);
    out->session_token = token && token[0] ? strdup(token) : NULL;
    if (!out->access_key || !out->secret_key || (token && token[0] && !out->session_token)) {
        cara_credentials_free(out);
        return no_memory(err);
    }
    return CARA_OK;
}

int cara_credentials_from_json(const char *text, size_t n, const char *source,
                               cara_credentials *out, cara_error *err) {
    *out = (cara_credentials){0};
    static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_NETWORK, CARA_LIMIT_ANSWER_BYTES);
    json_t *root;
    if (cara_json_read(text, n, &rules, &root, NULL) == CARA_ERR_MEMORY)
        return no_memory(err);
    const char *code = cara_json_text(root, "Code");
    const char *message =
        cara_json_text_or(root, "Message", cara_json_text_or(root, "message", ""));
    const char *access = cara_json_text(root, "AccessKeyId");
    const char *secret = cara_json_text(root, "SecretAccessKey");
    int rc;
    if (!root)
        rc = cara_fail(err, CARA_ERR_NETWORK, -1, "the %s gave credentials that are not JSON",
                       source);
    else if (code && strcmp(code, "Success") != 0)
        rc = cara_fail(err, CARA_ERR_DENIED, -1, "the %s gave no credentials: %.80s %.160s", source,
                       code, message);
    else if (!access || !access[0] || !secret || !secret[0])
        rc = cara_fail(err, CARA_ERR_NETWORK, -1,
                       "the %s answered without AccessKeyId and SecretAccessKey", source);
    else
        rc = cara_credentials_set(out, access, secret, cara_json_text(root, "Token"),
                                  cara_json_text(root, "Expiration"), source, err);
    json_decref(root);
    return rc;
}

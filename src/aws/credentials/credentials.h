/* Credentials as a value: the keys that requests are signed with, and when they end. */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include "aws/exchange/exchange.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cara_credentials {
    char *access_key;
    char *secret_key;
    char *session_token; /* NULL for long-lived keys */
    int64_t expires_ms;  /* 0: never, or not known */
    const char *source;  /* "environment", "profile", "web identity", ...; static */
} cara_credentials;

/* For cara_exchange_do(); borrowed from `credentials`. */
cara_aws_keys cara_credentials_keys(const cara_credentials *credentials);

/* Wipes and frees; a zeroed one is allowed. */
void cara_credentials_free(cara_credentials *credentials);

/* Of each request for credentials: agents are busy while a machine starts. */
#define CARA_CREDENTIALS_ATTEMPTS 3

/* What the sources of credentials work with. */
typedef struct cara_credentials_search {
    const cara_aws_config *config;
    cara_exchange *exchange;
} cara_credentials_search;

/* Fills *out with copies; `token` and `expiration` (ISO 8601) may be NULL or "". */
int cara_credentials_set(cara_credentials *out, const char *access_key, const char *secret_key,
                         const char *token, const char *expiration, const char *source,
                         cara_error *err);

/* The JSON that containers and instances answer with (AccessKeyId, SecretAccessKey, Token,
 * Expiration). NETWORK where it is damaged, DENIED where it is a refusal. */
int cara_credentials_from_json(const char *text, size_t n, const char *source,
                               cara_credentials *out, cara_error *err);

#endif

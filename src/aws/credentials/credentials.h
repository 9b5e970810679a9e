/* Who we are to AWS: the SDKs' places to look, in their order. */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include "aws/settings/config.h"
#include "net/http.h"

#include <stdint.h>

typedef struct cara_credentials {
    char *access_key;
    char *secret_key;
    char *session_token; /* NULL for long-lived keys */
    int64_t expires_ms;  /* 0: never, as far as we are told */
    const char *source;  /* "environment", "profile", "web identity", ...; static */
} cara_credentials;

/* Wipes and frees; a zeroed one is allowed. */
void cara_credentials_free(cara_credentials *credentials);

/* How a search may use the network. */
typedef struct cara_credentials_search {
    const cara_aws_config *config;
    cara_http *http;
    double deadline; /* cara_clock_monotonic(); 0: none */
    int (*stop)(void *cookie);
    void *stop_cookie;
} cara_credentials_search;

/* Looks in, and takes the first of:
 *   1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   2. the profile's role_arn with source_profile or credential_source (STS AssumeRole)
 *   3. AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, or the profile's (AssumeRoleWithWebIdentity)
 *   4. the profile's own keys, in ~/.aws/credentials or ~/.aws/config
 *   5. AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (ECS, EKS)
 *   6. the EC2 instance metadata service, version 2 only
 * A profile with sso_*, login_session, credential_process or mfa_serial is refused with a sentence
 * that says what to do instead. On success the caller frees *out; on failure it is zeroed.
 * DENIED: none found, or refused; NETWORK: a place exists but did not answer; USAGE; MEMORY. */
int cara_credentials_find(const cara_credentials_search *search, cara_credentials *out,
                          cara_error *err);

/* The places that answer over HTTP (credentials_http.c). NOT_FOUND where the place is not there. */
int cara_credentials_container(const cara_credentials_search *search, cara_credentials *out,
                               cara_error *err);
int cara_credentials_imds(const cara_credentials_search *search, cara_credentials *out,
                          cara_error *err);

/* STS (credentials_sts.c). `source` NULL: web identity with the token in `token_file`. */
typedef struct cara_assume_role {
    const char *role_arn;
    const char *session_name; /* NULL: made up */
    const char *external_id;  /* NULL: none */
    const char *duration;     /* seconds, as text; NULL: STS's default */
    const char *token_file;
    const cara_credentials *source;
} cara_assume_role;
int cara_credentials_assume_role(const cara_credentials_search *search,
                                 const cara_assume_role *role, cara_credentials *out,
                                 cara_error *err);

/* Fills *out with copies; `token` and `expiration` (ISO 8601) may be NULL or "". */
int cara_credentials_set(cara_credentials *out, const char *access_key, const char *secret_key,
                         const char *token, const char *expiration, const char *source,
                         cara_error *err);

/* The JSON that containers and instances answer with (AccessKeyId, SecretAccessKey, Token,
 * Expiration). NETWORK where it is damaged, DENIED where it says no. */
int cara_credentials_from_json(const char *text, size_t n, const char *source,
                               cara_credentials *out, cara_error *err);

/* 1 where AWS_CONTAINER_CREDENTIALS_FULL_URI may be asked: https, or loopback, or the addresses of
 * ECS's and EKS's agents. Else a token would go over the network in the clear. */
int cara_credentials_uri_is_allowed(const char *uri);

#endif

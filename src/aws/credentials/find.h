/* The SDKs' places to look for credentials, in their order. */
#ifndef AWS_FIND_H
#define AWS_FIND_H

#include "aws/credentials/credentials.h"

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

#endif

#include "aws/credentials/find.h"

#include "aws/credentials/agents.h"
#include "aws/credentials/sts.h"

#include <string.h>

#define MAX_CHAIN 5 /* profiles that name each other as source_profile */

static int from_environment(const cara_credentials_search *search, cara_credentials *out,
                            cara_error *err) {
    const cara_platform *platform = &search->config->platform;
    const char *access = cara_platform_env(platform, "AWS_ACCESS_KEY_ID");
    const char *secret = cara_platform_env(platform, "AWS_SECRET_ACCESS_KEY");
    if (!access && !secret)
        return CARA_ERR_NOT_FOUND;
    if (!access || !secret)
        return cara_fail(err, CARA_ERR_DENIED, -1, "%s is set but %s is not; set both or neither",
                         access ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                         access ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    return cara_credentials_set(out, access, secret,
                                cara_platform_env(platform, "AWS_SESSION_TOKEN"), NULL,
                                "environment", err);
}

static int from_static_keys(const cara_credentials_search *search, const char *profile,
                            cara_credentials *out, cara_error *err) {
    const cara_aws_config *config = search->config;
    const char *access = cara_aws_profile_get(config, profile, "aws_access_key_id");
    const char *secret = cara_aws_profile_get(config, profile, "aws_secret_access_key");
    if (!access && !secret)
        return CARA_ERR_NOT_FOUND;
    if (!access || !secret)
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "profile \"%.64s\" has one of aws_access_key_id and "
                         "aws_secret_access_key but not the other",
                         profile);
    return cara_credentials_set(out, access, secret,
                                cara_aws_profile_get(config, profile, "aws_session_token"), NULL,
                                "profile", err);
}

/* Refuses sources that need a browser, another program or a person. */
static int refuse_others(const cara_credentials_search *search, const char *profile,
                         cara_error *err) {
    static const char *const keys[] = {"sso_session", "sso_start_url", "login_session",
                                       "credential_process"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (cara_aws_profile_get(search->config, profile, keys[i]))
            return cara_fail(err, CARA_ERR_DENIED, -1,
                             "profile \"%.64s\" uses %s, which caracola does not; run: "
                             "eval \"$(aws configure export-credentials --profile %.64s "
                             "--format env)\"",
                             profile, keys[i], profile);
    return CARA_ERR_NOT_FOUND;
}

static int from_profile_web_identity(const cara_credentials_search *search, const char *profile,
                                     cara_credentials *out, cara_error *err) {
    const cara_aws_config *config = search->config;
    cara_assume_role role = {
        .role_arn = cara_aws_profile_get(config, profile, "role_arn"),
        .session_name = cara_aws_profile_get(config, profile, "role_session_name"),
        .token_file = cara_aws_profile_get(config, profile, "web_identity_token_file"),
    };
    if (!role.token_file)
        return CARA_ERR_NOT_FOUND;
    if (!role.role_arn)
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "profile \"%.64s\" has web_identity_token_file but no role_arn", profile);
    return cara_credentials_assume_role(search, &role, out, err);
}

static int from_web_identity(const cara_credentials_search *search, cara_credentials *out,
                             cara_error *err) {
    const cara_platform *platform = &search->config->platform;
    cara_assume_role role = {
        .role_arn = cara_platform_env(platform, "AWS_ROLE_ARN"),
        .session_name = cara_platform_env(platform, "AWS_ROLE_SESSION_NAME"),
        .token_file = cara_platform_env(platform, "AWS_WEB_IDENTITY_TOKEN_FILE"),
    };
    if (!role.token_file)
        return from_profile_web_identity(search, search->config->profile, out, err);
    if (!role.role_arn)
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not");
    return cara_credentials_assume_role(search, &role, out, err);
}

static int from_source(const cara_credentials_search *search, const char *profile, int depth,
                       cara_credentials *out, cara_error *err);

/* The credentials that a role is to be assumed with. */
static int role_source(const cara_credentials_search *search, const char *profile,
                       const char *source_profile, const char *credential_source, int depth,
                       cara_credentials *out, cara_error *err) {
    if (source_profile) {
        /* A profile may name itself, and then means its own keys. */
        if (strcmp(source_profile, profile) == 0) {
            int rc = from_static_keys(search, profile, out, err);
            return rc != CARA_ERR_NOT_FOUND
                       ? rc
                       : cara_fail(err, CARA_ERR_DENIED, -1,
                                   "profile \"%.64s\" is its own source_profile but has no keys",
                                   profile);
        }
        return from_source(search, source_profile, depth + 1, out, err);
    }
    int rc;
    if (strcmp(credential_source, "Environment") == 0)
        rc = from_environment(search, out, err);
    else if (strcmp(credential_source, "EcsContainer") == 0)
        rc = cara_credentials_container(search, out, err);
    else if (strcmp(credential_source, "Ec2InstanceMetadata") == 0)
        rc = cara_credentials_imds(search, out, err);
    else
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "profile \"%.64s\" has credential_source \"%.64s\"; it must be "
                         "Environment, EcsContainer or Ec2InstanceMetadata",
                         profile, credential_source);
    if (rc == CARA_ERR_NOT_FOUND)
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "profile \"%.64s\" takes its credentials from %s, which has none", profile,
                         credential_source);
    return rc;
}

static int from_role(const cara_credentials_search *search, const char *profile, int depth,
                     cara_credentials *out, cara_error *err) {
    const cara_aws_config *config = search->config;
    const char *arn = cara_aws_profile_get(config, profile, "role_arn");
    const char *source_profile = cara_aws_profile_get(config, profile, "source_profile");
    const char *credential_source = cara_aws_profile_get(config, profile, "credential_source");
    if (!arn || cara_aws_profile_get(config, profile, "web_identity_token_file"))
        return CARA_ERR_NOT_FOUND;
    if (!source_profile == !credential_source)
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "profile \"%.64s\" has role_arn, so it needs one of source_profile and "
                         "credential_source",
                         profile);
    if (cara_aws_profile_get(config, profile, "mfa_serial"))
        return cara_fail(
            err, CARA_ERR_DENIED, -1,
            "profile \"%.64s\" wants an MFA code, which caracola cannot ask for; run: "
            "eval \"$(aws configure export-credentials --profile %.64s --format env)\"",
            profile, profile);
    if (depth >= MAX_CHAIN)
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "the source_profile chain at \"%.64s\" is a circle, or longer than %d",
                         profile, MAX_CHAIN);
    cara_credentials source;
    int rc = role_source(search, profile, source_profile, credential_source, depth, &source, err);
    if (rc)
        return rc;
    const cara_assume_role role = {
        .role_arn = arn,
        .session_name = cara_aws_profile_get(config, profile, "role_session_name"),
        .external_id = cara_aws_profile_get(config, profile, "external_id"),
        .duration = cara_aws_profile_get(config, profile, "duration_seconds"),
        .source = &source,
    };
    rc = cara_credentials_assume_role(search, &role, out, err);
    cara_credentials_free(&source);
    return rc;
}

/* A profile that another one named as its source. */
static int from_source(const cara_credentials_search *search, const char *profile, int depth,
                       cara_credentials *out, cara_error *err) {
    if (!cara_aws_profile_exists(search->config, profile))
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "source_profile \"%.64s\" is in neither ~/.aws/config nor "
                         "~/.aws/credentials",
                         profile);
    int rc = from_static_keys(search, profile, out, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = from_role(search, profile, depth, out, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = from_profile_web_identity(search, profile, out, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = refuse_others(search, profile, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = cara_fail(err, CARA_ERR_DENIED, -1, "source_profile \"%.64s\" has no credentials",
                       profile);
    return rc;
}

int cara_credentials_find(const cara_credentials_search *search, cara_credentials *out,
                          cara_error *err) {
    const cara_aws_config *config = search->config;
    *out = (cara_credentials){0};
    /* As the AWS CLI: a profile that was named by a flag wins over keys in variables. */
    int rc = config->profile_given ? CARA_ERR_NOT_FOUND : from_environment(search, out, err);
    if (rc == CARA_ERR_NOT_FOUND && config->profile_named &&
        !cara_aws_profile_exists(config, config->profile))
        rc = cara_fail(err, CARA_ERR_DENIED, -1,
                       "profile \"%.64s\" is in neither ~/.aws/config nor ~/.aws/credentials",
                       config->profile);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = from_role(search, config->profile, 0, out, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = from_web_identity(search, out, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = from_static_keys(search, config->profile, out, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = refuse_others(search, config->profile, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = cara_credentials_container(search, out, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = cara_credentials_imds(search, out, err);
    if (rc == CARA_ERR_NOT_FOUND)
        rc = cara_fail(err, CARA_ERR_DENIED, -1,
                       "no AWS credentials found: not in AWS_ACCESS_KEY_ID, profile \"%.64s\", web "
                       "identity, container or instance metadata; run aws configure, or give this "
                       "task or instance a role",
                       config->profile);
    return rc;
}

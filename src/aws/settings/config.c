#include "aws/settings/config.h"

#include "base/files/file.h"
#include "base/limits.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_LIMIT CARA_MIB
#define ARENA_LIMIT                                                                                \
    (256 * CARA_MIB) /* an entry costs a few cache lines, however short its line                   \
                      */

const cara_aws_service cara_service_s3 = {"S3", "s3", "s3", "S3", "s3", 1};
const cara_aws_service cara_service_social = {"End User Messaging Social", "social-messaging",
                                              "social-messaging",          "SOCIALMESSAGING",
                                              "socialmessaging",           0};
const cara_aws_service cara_service_sqs = {"SQS", "sqs", "sqs", "SQS", "sqs", 0};
const cara_aws_service cara_service_sns = {"SNS", "sns", "sns", "SNS", "sns", 0};
const cara_aws_service cara_service_sts = {"STS", "sts", "sts", "STS", "sts", 0};
const cara_aws_service cara_service_lambda = {"Lambda", "lambda", "lambda", "LAMBDA", "lambda", 0};
const cara_aws_service cara_service_cloudformation = {
    "CloudFormation", "cloudformation", "cloudformation", "CLOUDFORMATION", "cloudformation", 0};

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the AWS settings");
}

/* A file that is not there is an empty one. */
static int load_file(cara_aws_config *config, const char *variable, const char *fallback,
                     cara_ini *ini, cara_error *err) {
    const char *path = cara_platform_env(&config->platform, variable);
    const char *home = cara_platform_env(&config->platform, "HOME");
    if (path && path[0] == '~' && path[1] == '/' && home)
        path = cara_arena_printf(&config->arena, "%s%s", home, path + 1);
    else if (!path && home)
        path = cara_arena_printf(&config->arena, "%s/.aws/%s", home, fallback);
    else if (!path)
        return CARA_OK;
    if (!path)
        return no_memory(err);
    char *text;
    size_t n;
    cara_error read_err;
    int rc = cara_read_file(path, FILE_LIMIT, &text, &n, &read_err);
    if (rc == CARA_ERR_NOT_FOUND)
        return CARA_OK;
    if (rc) {
        if (err)
            *err = read_err;
        return rc;
    }
    rc = cara_ini_parse(path, text, n, &config->arena, ini, err);
    free(text);
    return rc;
}

/* In ~/.aws/config a profile is [profile x], and [default] may go without the word. */
static const char *config_section(char *buffer, size_t size, const char *profile) {
    int n = snprintf(buffer, size, "profile %s", profile);
    return n > 0 && (size_t)n < size ? buffer : "";
}

const char *cara_aws_profile_get(const cara_aws_config *config, const char *profile,
                                 const char *key) {
    char section[512];
    const char *value = cara_ini_find(&config->credentials, profile, NULL, key);
    if (!value)
        value = cara_ini_find(&config->config, config_section(section, sizeof section, profile),
                              NULL, key);
    if (!value && strcmp(profile, "default") == 0)
        value = cara_ini_find(&config->config, "default", NULL, key);
    return value && value[0] ? value : NULL;
}

int cara_aws_profile_exists(const cara_aws_config *config, const char *profile) {
    char section[512];
    return cara_ini_has(&config->credentials, profile) ||
           cara_ini_has(&config->config, config_section(section, sizeof section, profile)) ||
           (strcmp(profile, "default") == 0 && cara_ini_has(&config->config, "default"));
}

/* A variable, else the profile's setting, else NULL. */
static const char *setting(const cara_aws_config *config, const char *variable, const char *key) {
    const char *value = cara_platform_env(&config->platform, variable);
    return value ? value : cara_aws_profile_get(config, config->profile, key);
}

static int flag(const cara_aws_config *config, const char *variable, const char *key) {
    const char *value = setting(config, variable, key);
    return value && strcasecmp(value, "true") == 0;
}

static const char *copy(cara_aws_config *config, const char *text, int *failed) {
    char *out = text ? cara_arena_strdup(&config->arena, text) : NULL;
    *failed |= text && !out;
    return out;
}

/* Becomes part of a host name and of the signature's scope. */
static int region_is_valid(const char *region) {
    size_t n = strlen(region);
    return n > 0 && n <= 63 && region[0] != '-' && region[n - 1] != '-' &&
           strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

int cara_aws_config_load(cara_aws_config *config, const cara_platform *platform, const char *region,
                         const char *profile, cara_error *err) {
    *config = (cara_aws_config){.platform = *platform};
    cara_arena_init(&config->arena, ARENA_LIMIT);
    int rc = load_file(config, "AWS_CONFIG_FILE", "config", &config->config, err);
    if (!rc)
        rc = load_file(config, "AWS_SHARED_CREDENTIALS_FILE", "credentials", &config->credentials,
                       err);
    if (rc)
        goto fail;
    config->profile_given = profile != NULL;
    if (!profile)
        profile = cara_platform_env(platform, "AWS_PROFILE");
    config->profile_named = profile != NULL;
    int failed = 0;
    config->profile = copy(config, profile ? profile : "default", &failed);
    if (failed) {
        rc = no_memory(err);
        goto fail;
    }
    if (!region)
        region = cara_platform_env(platform, "AWS_REGION");
    if (!region)
        region = setting(config, "AWS_DEFAULT_REGION", "region");
    config->region = copy(config, region, &failed);
    config->ca_bundle = copy(config, setting(config, "AWS_CA_BUNDLE", "ca_bundle"), &failed);
    if (failed) {
        rc = no_memory(err);
        goto fail;
    }
    if (config->region && !region_is_valid(config->region)) {
        rc = cara_fail(err, CARA_ERR_USAGE, -1,
                       "\"%.64s\" is no AWS Region; set AWS_REGION to one like us-east-1",
                       config->region);
        goto fail;
    }
    config->fips = flag(config, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    config->dualstack = flag(config, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    config->max_attempts = 3;
    const char *attempts = setting(config, "AWS_MAX_ATTEMPTS", "max_attempts");
    if (attempts) {
        char *end;
        long n = strtol(attempts, &end, 10);
        if (*end || n < 1 || n > 100) {
            rc = cara_fail(err, CARA_ERR_USAGE, -1,
                           "AWS_MAX_ATTEMPTS is \"%.32s\"; it must be a number from 1 to 100",
                           attempts);
            goto fail;
        }
        config->max_attempts = (int)n;
    }
    return CARA_OK;
fail:
    cara_aws_config_free(config);
    return rc;
}

void cara_aws_config_free(cara_aws_config *config) {
    cara_arena_free(&config->arena);
    config->config = config->credentials = (cara_ini){0};
}

/* From the SDKs' partitions.json. The first whose start fits; "aws" is for all others. */
static const struct partition {
    const char *region_start, *suffix, *dual_suffix;
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-gov-", "amazonaws.com", "api.aws"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"", "amazonaws.com", "api.aws"},
};

/* The variables come before the files, the service's before the one for all. */
static const char *custom_endpoint(const cara_aws_config *config, const cara_aws_service *service) {
    const char *ignore =
        setting(config, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls");
    if (ignore && strcasecmp(ignore, "true") == 0)
        return NULL;
    char name[64], section[512];
    snprintf(name, sizeof name, "AWS_ENDPOINT_URL_%s", service->variable);
    const char *url = cara_platform_env(&config->platform, name);
    if (!url)
        url = cara_platform_env(&config->platform, "AWS_ENDPOINT_URL");
    const char *services = cara_aws_profile_get(config, config->profile, "services");
    if (!url && services) {
        int n = snprintf(section, sizeof section, "services %s", services);
        if (n > 0 && (size_t)n < sizeof section)
            url = cara_ini_find(&config->config, section, service->section, "endpoint_url");
    }
    if (!url || !url[0])
        url = cara_aws_profile_get(config, config->profile, "endpoint_url");
    return url;
}

int cara_aws_endpoint(const cara_aws_config *config, const cara_aws_service *service,
                      const char *region, cara_buf *out, int *custom, cara_error *err) {
    const char *url = custom_endpoint(config, service);
    *custom = url != NULL;
    if (url) {
        cara_url parts;
        size_t n = strlen(url);
        if (cara_url_split(url, &parts) || parts.query.len)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "the endpoint for %s must be a URL like https://host:port, but it is "
                             "\"%.128s\"",
                             service->title, url);
        while (n && url[n - 1] == '/')
            n--;
        return cara_buf_add(out, url, n) ? no_memory(err) : CARA_OK;
    }
    if (!region)
        region = config->region;
    if (!region)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "no AWS Region is known; set AWS_REGION, or region in ~/.aws/config");
    if (!region_is_valid(region))
        return cara_fail(err, CARA_ERR_USAGE, -1, "\"%.64s\" is no AWS Region", region);
    const struct partition *partition = partitions;
    while (strncmp(region, partition->region_start, strlen(partition->region_start)) != 0)
        partition++;
    const char *fips = config->fips ? "-fips" : "";
    int rc;
    if (config->dualstack && service->s3) /* S3 had dual stack before the common names */
        rc = cara_buf_printf(out, "https://%s%s.dualstack.%s.%s", service->prefix, fips, region,
                             partition->suffix);
    else
        rc = cara_buf_printf(out, "https://%s%s.%s.%s", service->prefix, fips, region,
                             config->dualstack ? partition->dual_suffix : partition->suffix);
    return rc ? no_memory(err) : CARA_OK;
}

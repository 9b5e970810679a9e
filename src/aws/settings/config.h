/* Region, endpoints and profiles, from the variables and files that every AWS SDK reads
 * (AWS SDKs and Tools Reference Guide, "Configuration and authentication settings reference"). */
#ifndef AWS_CONFIG_H
#define AWS_CONFIG_H

#include "aws/settings/ini.h"
#include "aws/settings/platform.h"
#include "base/memory/buf.h"

typedef struct cara_aws_config {
    cara_arena arena;
    cara_platform platform;
    cara_ini config;      /* ~/.aws/config */
    cara_ini credentials; /* ~/.aws/credentials */
    const char *profile;
    int profile_named;     /* 1 where AWS_PROFILE or the caller chose it */
    int profile_given;     /* 1 where the caller did: keys in variables then do not count */
    const char *region;    /* NULL where none is set */
    const char *ca_bundle; /* NULL: the system's */
    int max_attempts;
    int fips, dualstack;
} cara_aws_config;

/* `region` and `profile`, where not NULL, win over variables and files. On success the caller frees
 * with cara_aws_config_free(); on failure there is nothing to free. `platform` is copied.
 * USAGE: a malformed file or value. MEMORY, IO. */
int cara_aws_config_load(cara_aws_config *config, const cara_platform *platform, const char *region,
                         const char *profile, cara_error *err);
void cara_aws_config_free(cara_aws_config *config);

/* A setting of a profile: the credentials file's, else the config file's, else NULL. */
const char *cara_aws_profile_get(const cara_aws_config *config, const char *profile,
                                 const char *key);
/* 1 where either file knows the profile. */
int cara_aws_profile_exists(const cara_aws_config *config, const char *profile);

typedef struct cara_aws_service {
    const char *title;    /* for sentences: "S3" */
    const char *signing;  /* the signing name: "s3" */
    const char *prefix;   /* of the host: "s3" */
    const char *variable; /* AWS_ENDPOINT_URL_<variable>: "S3" */
    const char *section;  /* in a [services x] section: "s3" */
    int s3;               /* 1: S3's own rules for paths, hosts and payload hashes */
} cara_aws_service;

extern const cara_aws_service cara_service_s3, cara_service_social, cara_service_sqs,
    cara_service_sns, cara_service_sts, cara_service_lambda, cara_service_cloudformation;

/* Appends "scheme://authority[/path]" without a slash at its end. *custom is 1 where a variable or
 * a file gave it; `region` (NULL: the config's) is then ignored. USAGE where there is no
 * region, or the URL is none. */
int cara_aws_endpoint(const cara_aws_config *config, const cara_aws_service *service,
                      const char *region, cara_buf *out, int *custom, cara_error *err);

#endif

/* A bucket that is there already, for the messages. */
#include "deploy/deploy.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

static int refuse(cara_error *err, const char *bucket, const char *why) {
    return cara_fail(err, CARA_ERR_USAGE, -1, "--store-bucket %.64s cannot be used: %s", bucket,
                     why);
}

/* That it is there, this account's, and may be listed. */
static int look(const cara_deploy *d, const char *bucket, cara_error *err) {
    const char *const args[] = {
        "s3api", "head-bucket", "--bucket", bucket, "--expected-bucket-owner", d->owner, NULL};
    cara_awscli_fault fault;
    cara_error failure = {.code = CARA_OK, .position = -1};
    int rc = cara_awscli_json(&d->cli, &cara_service_s3, args, NULL, &fault, &failure);
    if (rc == CARA_ERR_NOT_FOUND)
        return refuse(err, bucket, "there is no such bucket; leave the flag out, and one is made");
    if (rc == CARA_ERR_DENIED && strcmp(fault.code, "403") == 0)
        return refuse(err, bucket,
                      "it is another account's, or these credentials may not s3:ListBucket it");
    static const char *const elsewhere[] = {"301", "400", "PermanentRedirect",
                                            "AuthorizationHeaderMalformed"};
    for (size_t i = 0; rc && i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (strcmp(fault.code, elsewhere[i]) == 0)
            return refuse(err, bucket, "it is in another Region than the function will be");
    if (rc && err)
        *err = failure;
    return rc;
}

/* The events and the audio that WhatsApp's service copies need a bucket of this Region. */
static int check_region(const cara_deploy *d, const char *bucket, cara_error *err) {
    const char *const args[] = {"s3api", "get-bucket-location", "--bucket", bucket, NULL};
    json_t *answer;
    char why[200];
    int rc = cara_awscli_json(&d->cli, &cara_service_s3, args, &answer, NULL, err);
    const char *region = cara_json_text_or(answer, "LocationConstraint", "us-east-1");
    if (strcmp(region, "EU") == 0) /* as it was called once */
        region = "eu-west-1";
    if (!rc && strcmp(region, d->cli.region) != 0) {
        snprintf(why, sizeof why,
                 "it is in %.40s, and the function will be in %.40s: give --region %.40s, or "
                 "another bucket",
                 region, d->cli.region, region);
        rc = refuse(err, bucket, why);
    }
    json_decref(answer);
    return rc;
}

int cara_deploy_check_bucket(cara_deploy *d, const char *bucket, cara_error *err) {
    const char *ours = d->stack.exists ? cara_stack_output(&d->stack, "BucketName") : NULL;
    const char *bootstrap =
        d->bootstrap.exists ? cara_stack_output(&d->bootstrap, "BucketName") : NULL;
    const char *named = d->stack.exists ? cara_stack_parameter(&d->stack, "StoreBucket") : NULL;
    if (strcmp(bucket, d->good_bucket) == 0 || (named && strcmp(bucket, named) == 0))
        return CARA_OK;
    if (ours && strcmp(bucket, ours) == 0)
        return refuse(err, bucket, "it is the stack's own, so leave the flag out");
    if (bootstrap && strcmp(bucket, bootstrap) == 0)
        return refuse(err, bucket,
                      "it holds packages and models, whose old versions are deleted after 30 days");
    int rc = look(d, bucket, err);
    if (!rc)
        rc = check_region(d, bucket, err);
    if (!rc)
        snprintf(d->good_bucket, sizeof d->good_bucket, "%s", bucket);
    return rc;
}

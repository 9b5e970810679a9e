/* Region and credentials. */
#include "doctor/credentials.h"

#include "aws/client/client.h"
#include "aws/services/stack.h"
#include "doctor/calls.h"

static void check_region(cara_doctor *d) {
    if (!d->aws) {
        cara_checkup_add(d->checkup, "region", CARA_FINDING_FAILURE,
                         "the AWS settings cannot be used: %s", d->aws_error);
        cara_checkup_advise(d->checkup,
                            "correct AWS_* variables, ~/.aws/config or ~/.aws/credentials");
        return;
    }
    const char *region = cara_aws_settings(d->aws)->region;
    if (region) {
        cara_checkup_add(d->checkup, "region", CARA_FINDING_OK, "the AWS Region is %s", region);
        return;
    }
    cara_checkup_add(d->checkup, "region", CARA_FINDING_FAILURE, "no AWS Region is set");
    cara_checkup_advise(d->checkup,
                        "give --region, set AWS_REGION, or `aws configure set region us-east-1`");
    d->unreachable = 1;
}

void cara_doctor_credentials(cara_doctor *d) {
    check_region(d);
    cara_checkup_flush(d->checkup);
    if (!d->aws || d->unreachable)
        return;
    cara_error err = {.code = CARA_OK, .position = -1};
    const char *source = NULL;
    cara_doctor_limit_calls(d);
    if (cara_aws_check_credentials(d->aws, &source, &err)) {
        cara_checkup_add(d->checkup, "credentials", CARA_FINDING_FAILURE,
                         "there are no AWS credentials: %s", err.text);
        cara_checkup_advise(d->checkup, "run `aws configure`, or set AWS_PROFILE, or "
                                        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        d->unreachable = 1;
        return;
    }
    if (d->in_function) { /* STS may be out of reach, and nothing in the work needs it */
        cara_checkup_add(d->checkup, "credentials", CARA_FINDING_OK,
                         "AWS credentials come from: %s", source);
        return;
    }
    char arn[512];
    int rc = cara_sts_caller_identity(d->aws, arn, sizeof arn, &err);
    if (!rc) {
        cara_checkup_add(d->checkup, "credentials", CARA_FINDING_OK,
                         "AWS knows these credentials (from: %s) as %s", source, arn);
        return;
    }
    int answered = cara_aws_last_fault(d->aws)->status != 0;
    cara_checkup_add(d->checkup, "credentials", CARA_FINDING_FAILURE,
                     answered
                         ? "AWS refuses these credentials (from: %s): %s"
                         : "AWS does not answer, so the credentials (from: %s) cannot be tried: "
                           "%s",
                     source, err.text);
    cara_checkup_advise(d->checkup, "%s",
                        answered
                            ? "make new ones: `aws configure`, `aws sso login`, or in the console "
                              "under IAM"
                            : "check the network, proxies and AWS_ENDPOINT_URL");
    d->unreachable = 1;
}

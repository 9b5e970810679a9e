#include "doctor/calls.h"

#include "aws/client/client.h"
#include "base/clock.h"

#include <string.h>

#define CALLS_S 12.0 /* for the calls of one check */

double cara_doctor_time(const cara_doctor *doctor, double most) {
    if (doctor->deadline > 0) {
        double left = doctor->deadline - cara_clock_monotonic();
        most = left < most ? left : most;
    }
    return most > 0.1 ? most : 0.1;
}

void cara_doctor_limit_calls(cara_doctor *doctor) {
    cara_aws_set_deadline(doctor->aws, cara_clock_monotonic() + cara_doctor_time(doctor, CALLS_S));
}

void cara_doctor_call_failed(cara_doctor *d, const char *name, const char *what, int rc,
                             const cara_error *err, const char *needs) {
    const cara_aws_fault *fault = cara_aws_last_fault(d->aws);
    cara_checkup_add(d->checkup, name, CARA_FINDING_FAILURE, "%s: %s", what, err->text);
    if (rc == CARA_ERR_DENIED && fault->status == 403)
        cara_checkup_advise(d->checkup, "allow %s to %s", needs,
                            d->in_function ? "the function's role" : "these credentials");
    else if (rc == CARA_ERR_NETWORK && !fault->status)
        cara_checkup_advise(
            d->checkup, "%s",
            d->in_function ? "inside a VPC a function needs a NAT gateway or endpoints to reach "
                             "AWS"
                           : "check the network, proxies and AWS_ENDPOINT_URL");
}

void cara_doctor_read_failed(cara_doctor *d, const char *name, const char *what, int rc,
                             const cara_error *err, const char *needs) {
    const char *type = cara_aws_last_fault(d->aws)->type;
    cara_doctor_call_failed(d, name, what, rc, err, needs);
    if (rc == CARA_ERR_DENIED &&
        (strstr(type, "AccessDenied") || strstr(type, "AuthorizationError")))
        d->checkup->checks[d->checkup->n - 1].finding = CARA_FINDING_WARNING;
}

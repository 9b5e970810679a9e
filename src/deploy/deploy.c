#include "deploy/deploy.h"

#include "aws/client/json_call.h"
#include "aws/services/social.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find_caller(cara_deploy *d, cara_error *err) {
    const char *const args[] = {"sts", "get-caller-identity", NULL};
    json_t *answer;
    cara_awscli_fault fault;
    int rc = cara_awscli_json(&d->cli, &cara_service_sts, args, &answer, &fault, err);
    d->wrong_place = rc == CARA_ERR_NETWORK || (rc == CARA_ERR_DENIED && fault.code[0]);
    if (!rc) {
        snprintf(d->owner, sizeof d->owner, "%s", cara_json_text_or(answer, "Account", ""));
        cara_progress_report(&d->progress, "account %s in %s, as %s", d->owner, d->cli.region,
                             cara_json_text_or(answer, "Arn", ""));
    }
    json_decref(answer);
    return rc;
}

static int keep_account(void *ctx, const cara_social_account *account) {
    cara_deploy *d = ctx;
    if (d->n_accounts == CARA_DEPLOY_ACCOUNTS)
        return 0;
    cara_deploy_account *a = &d->accounts[d->n_accounts++];
    snprintf(a->id, sizeof a->id, "%s", account->id);
    snprintf(a->meta, sizeof a->meta, "%s", account->waba_id);
    snprintf(a->name, sizeof a->name, "%s", account->name);
    snprintf(a->destination, sizeof a->destination, "%s", account->destination);
    return 0;
}

int cara_deploy_open(cara_deploy *d, const cara_awscli_options *options,
                     const cara_progress *progress, const cara_deploy_request *request,
                     cara_error *err) {
    *d = (cara_deploy){.progress = *progress, .request = *request};
    cara_buf_init(&d->zones, CARA_MIB);
    int rc = cara_awscli_open(&d->cli, options, err);
    if (rc)
        return rc;
    if (strlen(request->stack) > 128 - strlen("-bootstrap"))
        return cara_fail(err, CARA_ERR_USAGE, -1, "the stack's name has at most 118 letters");
    snprintf(d->bootstrap_name, sizeof d->bootstrap_name, "%s-bootstrap", request->stack);
    rc = find_caller(d, err);
    const cara_aws_options aws = {.region = d->cli.region, .profile = d->cli.profile};
    if (!rc)
        rc = cara_aws_open(&aws, &d->aws, err);
    if (!rc)
        cara_aws_set_stop(d->aws, options->stop, options->cookie);
    if (!rc)
        rc = cara_stack_describe(&d->cli, d->bootstrap_name, &d->bootstrap, err);
    if (!rc)
        rc = cara_stack_describe(&d->cli, request->stack, &d->stack, err);
    if (!rc && !request->no_link) {
        rc = cara_social_list_accounts(d->aws, keep_account, d, err);
        if (rc && rc != CARA_ERR_CANCELLED)
            cara_error_prefix(err, "asking for the WhatsApp accounts in %s", d->cli.region);
        if (rc == CARA_ERR_NOT_FOUND) /* a service that has no such address, and no file */
            rc = err->code = CARA_ERR_NETWORK;
    }
    return rc;
}

void cara_deploy_close(cara_deploy *d) {
    cara_buf_free(&d->zones);
    if (d->cli.folder[0])
        cara_awscli_close(&d->cli);
    cara_aws_close(d->aws);
    cara_stack_free(&d->bootstrap);
    cara_stack_free(&d->stack);
}

const char *cara_deploy_value(const cara_deploy *d, cara_setting_id id) {
    const char *value = d->request.values[id];
    const char *deployed = d->stack.exists
                               ? cara_stack_parameter(&d->stack, cara_deploy_settings[id].parameter)
                               : NULL;
    if (value)
        return value;
    if (id == CARA_SET_ARCHITECTURE && d->package.kind)
        return d->package.architecture;
    if (id == CARA_SET_DELIVERY && d->request.model)
        return deployed && strcmp(deployed, "image") != 0 ? deployed : "s3";
    return deployed ? deployed : cara_deploy_settings[id].fallback;
}

/* A variant with a network that the stack creates. */
static int has_network(const cara_deploy *d) {
    const char *variant = cara_deploy_value(d, CARA_SET_VARIANT);
    return (strcmp(variant, "vpc") == 0 || strcmp(variant, "worker") == 0) &&
           !cara_deploy_value(d, CARA_SET_SUBNET)[0];
}

int cara_deploy_applies(const cara_deploy *d, cara_setting_id id) {
    if (id == CARA_SET_NETWORK || id == CARA_SET_ZONES)
        return has_network(d);
    if (id == CARA_SET_RETENTION || id == CARA_SET_VERSION_RETENTION)
        return !cara_deploy_value(d, CARA_SET_STORE_BUCKET)[0];
    return 1;
}

void cara_deploy_retention(const cara_deploy *d, char *dst, size_t size) {
    long days = strtol(cara_deploy_value(d, CARA_SET_RETENTION), NULL, 10);
    long versions = strtol(cara_deploy_value(d, CARA_SET_VERSION_RETENTION), NULL, 10);
    const char *bucket = cara_deploy_value(d, CARA_SET_STORE_BUCKET);
    if (bucket[0])
        snprintf(dst, size, "kept as bucket %s is set, which is not changed", bucket);
    else if (!days)
        snprintf(dst, size, "kept; what is deleted or replaced can be restored for %ld days",
                 versions);
    else
        snprintf(dst, size, "deleted after %ld days, restorable for %ld more, gone after %ld", days,
                 versions, days + versions);
}

const char *cara_deploy_package(const cara_deploy *d) {
    if (d->request.zip || d->request.image)
        return d->request.zip ? "zip" : "image";
    return d->stack.exists ? cara_stack_parameter(&d->stack, "PackageType") : NULL;
}

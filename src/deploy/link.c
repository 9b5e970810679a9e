/* The WhatsApp account's event destination. It has no resource type in CloudFormation, and the CLI
 * of 2.9 does not know the service, so that our own client sets it. */
#include "aws/services/social.h"
#include "deploy/deploy.h"

#include <stdio.h>
#include <string.h>

const cara_deploy_account *cara_deploy_find_account(const cara_deploy *d, cara_error *err) {
    const char *want = d->request.waba;
    if (d->n_accounts == 0) {
        (void)cara_fail(
            err, CARA_ERR_USAGE, -1,
            "no WhatsApp account is linked to AWS account %s in %s: link one in the "
            "console (AWS End User Messaging Social), take the --region where it is, or "
            "go on without by --no_link",
            d->owner, d->cli.region);
        return NULL;
    }
    if (!want && d->n_accounts == 1)
        return &d->accounts[0];
    char known[300] = "";
    for (size_t i = 0; i < d->n_accounts; i++) {
        const cara_deploy_account *a = &d->accounts[i];
        const char *slash = want ? strrchr(want, '/') : NULL; /* an ARN ends in the id's hex part */
        if (want && (strcmp(want, a->id) == 0 || strcmp(want, a->meta) == 0 ||
                     (slash && strncmp(a->id, "waba-", 5) == 0 && !strcmp(slash + 1, a->id + 5))))
            return a;
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s (%.30s)", n ? ", " : "", a->id, a->name);
    }
    if (want)
        (void)cara_fail(err, CARA_ERR_USAGE, -1,
                        "there is no WhatsApp account %.80s in %s; there are %s", want,
                        d->cli.region, known);
    else
        (void)cara_fail(err, CARA_ERR_USAGE, -1,
                        "there are several WhatsApp accounts, name one by --waba: %s", known);
    return NULL;
}

int cara_deploy_has_other_destination(const cara_deploy *d, const cara_deploy_account *account) {
    const char *topic = d->stack.exists ? cara_stack_output(&d->stack, "TopicArn") : NULL;
    return account->destination[0] && (!topic || strcmp(topic, account->destination) != 0);
}

int cara_deploy_refuse_other_destination(const cara_deploy_account *account, cara_error *err) {
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "events of %.60s go to %.150s now, and only one can have them: give "
                     "--take_over to have them sent here instead, or --no_link to leave that alone",
                     account->name, account->destination);
}

static int keep_phone(void *ctx, const cara_social_phone *phone) {
    cara_deploy *d = ctx;
    if (!d->phone[0])
        snprintf(d->phone, sizeof d->phone, "%s", phone->display);
    return 0;
}

int cara_deploy_link(cara_deploy *d, const char *topic_arn, cara_error *err) {
    const cara_deploy_account *a = cara_deploy_find_account(d, err);
    if (!a)
        return CARA_ERR_USAGE;
    const char *topic = topic_arn ? topic_arn : "the new topic";
    if (topic_arn && strcmp(a->destination, topic_arn) == 0) {
        cara_progress_report(&d->progress, "events of %s (%s) come here already", a->name, a->id);
    } else if (cara_deploy_has_other_destination(d, a) && !d->request.take_over) {
        return cara_deploy_refuse_other_destination(a, err);
    } else if (d->progress.dry) {
        cara_progress_report(&d->progress, "would send events of %s (%s) to %s", a->name, a->id,
                             topic);
    } else {
        int rc = cara_social_set_destination(d->aws, a->id, topic_arn, NULL, err);
        if (rc)
            return rc;
        cara_progress_report(&d->progress, "events of %s (%s) now go to %s", a->name, a->id, topic);
    }
    return cara_social_phones(d->aws, a->id, keep_phone, d, err);
}

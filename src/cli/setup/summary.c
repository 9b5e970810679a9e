#include "cli/setup/summary.h"

#include "cli/setup/shared.h"
#include "deploy/costs.h"

#include <string.h>

static const char *value_of(const cara_deploy *d, cara_setting_id id) {
    return cara_deploy_value(d, id);
}

static void describe_package(const cara_deploy *d, char *dst, size_t size) {
    const char *path = d->request.zip ? d->request.zip : d->request.image;
    char packed[32], unpacked[32];
    if (!d->package.kind) {
        snprintf(dst, size, "the %s that is there", cara_deploy_package(d));
        return;
    }
    cara_upload_amount(d->package.packed, packed, sizeof packed);
    cara_upload_amount(d->package.unpacked, unpacked, sizeof unpacked);
    snprintf(dst, size, "%.200s (%s, %s, %s, %s unpacked)", path, d->package.kind,
             d->package.architecture, packed, unpacked);
}

static void describe_model(const cara_deploy *d, char *dst, size_t size) {
    char amount[32];
    if (d->model.bytes) {
        cara_upload_amount(d->model.bytes, amount, sizeof amount);
        snprintf(dst, size, "%.200s (%s, %s, %s), by %s", d->request.model, d->model.name,
                 d->model.compute_type, amount, value_of(d, CARA_SET_DELIVERY));
    } else if (cara_deploy_is_toy(d)) {
        snprintf(dst, size, "only the demo model, which knows no human voice");
    } else {
        snprintf(dst, size, "%s",
                 strcmp(value_of(d, CARA_SET_DELIVERY), "image") == 0 ? "the one inside the image"
                                                                      : "the one that is there");
    }
}

static void report_costs(const cara_deploy *d) {
    const cara_costs costs = cara_costs_estimate(d);
    const cara_progress *p = &d->progress;
    char notes[80];
    if (costs.notes == costs.notes_most)
        snprintf(notes, sizeof notes, "%.2f $", costs.notes);
    else
        snprintf(notes, sizeof notes, "%.2f $ (tiny) to %.2f $ (large-v3)", costs.notes,
                 costs.notes_most);
    cara_progress_report(p, "  cost         about %.2f $ a month while nothing happens, and %s for",
                         costs.idle, notes);
    cara_progress_report(p,
                         "               1,000 notes of 20 s. An estimate, by prices of "
                         "%s of %s,",
                         CARA_PRICES_REGION, CARA_PRICES_DATE);
    cara_progress_report(p,
                         "               without WhatsApp's fees, and alarms beyond the free ones "
                         "(docs/deploy.md,");
    cara_progress_report(p, "               \"What it costs\")");
}

void cara_setup_summarise(const cara_setup *s, const cara_deploy *d) {
    const cara_progress *p = &d->progress;
    const char *variant = value_of(d, CARA_SET_VARIANT), *language = value_of(d, CARA_SET_LANGUAGE);
    const char *most = value_of(d, CARA_SET_CONCURRENCY), *email = value_of(d, CARA_SET_EMAIL);
    char text[400];
    cara_progress_report(p, "%s:", d->stack.exists ? "to be changed" : "to be made");
    cara_progress_report(p, "  stack        %s, in account %s, %s", d->request.stack, d->owner,
                         d->cli.region);
    if (strcmp(variant, "worker") == 0)
        snprintf(text, sizeof text, "worker, %.20s, %s to %s of them",
                 value_of(d, CARA_SET_WORKER_SIZE), value_of(d, CARA_SET_WORKER_MINIMUM), most);
    else
        snprintf(text, sizeof text, "%s, %s MB, %s%s at once", variant,
                 value_of(d, CARA_SET_MEMORY),
                 strcmp(most, "0") == 0 ? "any number of events" : most,
                 strcmp(most, "0") == 0 ? "" : " events at most");
    cara_progress_report(p, "  runs as      %s", text);
    describe_package(d, text, sizeof text);
    cara_progress_report(p, "  package      %s", text);
    describe_model(d, text, sizeof text);
    cara_progress_report(p, "  model        %s", text);
    cara_progress_report(p, "  language     %s", language[0] ? language : "detected in each note");
    cara_progress_report(p, "  time zone    %s", value_of(d, CARA_SET_TIMEZONE));
    cara_deploy_retention(d, text, sizeof text);
    cara_progress_report(p, "  messages     %s", text);
    cara_progress_report(p, "  alarms       %s", email[0] ? email : "without mails");
    if (s->tags)
        cara_progress_report(p, "  tags         %s", s->tags);
    report_costs(d);
}

void cara_setup_warn_of_toy(const cara_deploy *d) {
    if (cara_deploy_is_toy(d))
        cara_cli_remark(
            "WARNING: no model was given, and the package holds only the demo model, which knows "
            "some 420 words of fishing reports and no human voice: real voice notes become "
            "nonsense. Get a real one (\"Get a real model\" in the README), make a .cara of it by "
            "`caracola model convert medium.pt medium.cara --compute_type int8`, and give that by "
            "--model medium.cara");
}

void cara_setup_show_result(cara_deploy *d) {
    static const struct {
        const char *output, *label;
    } rows[] = {{"BucketName", "bucket"},
                {"TopicArn", "topic"},
                {"FunctionName", "function"},
                {"QueueUrl", "queue"},
                {"DeadLetterQueueUrl", "dead letters"},
                {"LogGroupName", "log"},
                {"DashboardUrl", "dashboard"}};
    const char *email = value_of(d, CARA_SET_EMAIL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *value = cara_stack_output(&d->stack, rows[i].output);
        if (value)
            printf("%-13s %s\n", rows[i].label, value);
    }
    if (d->phone[0])
        printf("%-13s %s\n\nSend a voice note to %s: its transcript comes into the bucket.\n",
               "number", d->phone, d->phone);
    else
        printf("\nNo WhatsApp number is linked yet: run setup again once there is one.\n");
    if (email[0] && !cara_deploy_mail_is_confirmed(d))
        printf("\nConfirm the mail that AWS sends to %s: before that, no alarm goes there.\n"
               "`caracola doctor --stack %s` says whether it was confirmed.\n",
               email, d->request.stack);
}

static int add_flag(void *ctx, const char *name, const char *value) {
    cara_buf *out = ctx;
    return cara_buf_printf(out, " --%s", name) || (value && cara_setup_add_word(out, value)) ? -1
                                                                                             : 0;
}

int cara_setup_command_line(const cara_setup *s, const cara_deploy *d, cara_buf *out) {
    return cara_buf_str(out, "caracola setup --yes") || cara_setup_each(s, d, add_flag, out) ? -1
                                                                                             : 0;
}

/* The store, and AWS as the function needs it: credentials, bucket, media, clock. */
#include "doctor/doctor.h"

#include "aws/client/client.h"
#include "aws/s3/s3.h"
#include "aws/services/social.h"
#include "doctor/calls.h"
#include "doctor/credentials.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE ".doctor"
#define NO_MEDIA "1" /* a media id that nothing has */

static const char probe_text[] =
    "caracola doctor writes this once, to see whether it may. It is never deleted.\n";

/* ---- the bucket ---- */

static int on_key(void *ctx, const char *key, int64_t size) {
    *(int *)ctx = 1;
    return 1;
}

static void check_bucket(cara_doctor *d, const char *bucket, const char *prefix) {
    char key[CARA_S3_KEY_MAX + 1], *bytes = NULL;
    cara_error err = {.code = CARA_OK, .position = -1};
    size_t n = 0;
    snprintf(key, sizeof key, "%s" PROBE, prefix);
    const cara_s3_put_options options = {.content_type = "text/plain", .if_absent = 1};
    cara_doctor_limit_calls(d);
    int rc =
        cara_s3_put(d->aws, bucket, key, probe_text, sizeof probe_text - 1, &options, NULL, &err);
    if (rc && rc != CARA_ERR_CONFLICT) { /* there already: so it may be written */
        cara_doctor_call_failed(d, "bucket", "the bucket cannot be written", rc, &err,
                                "s3:PutObject");
        if (strstr(err.text, "no such bucket"))
            cara_checkup_advise(d->checkup,
                                "correct %s, or AWS_REGION, or make the bucket: `caracola setup`",
                                CARA_DOCTOR_SETTING(d, "--store", "CARACOLA_STORE"));
        return;
    }
    cara_doctor_limit_calls(d);
    rc = cara_s3_get(d->aws, bucket, key, 4096, &bytes, &n, NULL, &err);
    free(bytes);
    if (rc) {
        cara_doctor_call_failed(d, "bucket", "the bucket can be written but not read", rc, &err,
                                "s3:GetObject");
        return;
    }
    int found = 0;
    cara_doctor_limit_calls(d);
    rc = cara_s3_list(d->aws, bucket, key, on_key, &found, &err);
    if (!found && rc) {
        cara_doctor_call_failed(d, "bucket", "the bucket can be written and read, but not listed",
                                rc, &err, "s3:ListBucket");
        /* Media is found without listing. */
        d->checkup->checks[d->checkup->n - 1].finding = CARA_FINDING_WARNING;
        return;
    }
    cara_checkup_add(d->checkup, "bucket", CARA_FINDING_OK,
                     "the bucket %s can be written, read and listed (%s)", bucket, key);
}

static void check_folder(cara_doctor *d) {
    struct stat st;
    if (stat(d->store, &st) != 0) {
        cara_checkup_add(d->checkup, "store", CARA_FINDING_OK,
                         "the folder %.300s will be made with the first record", d->store);
    } else if (!S_ISDIR(st.st_mode) || access(d->store, R_OK | W_OK | X_OK) != 0) {
        cara_checkup_add(d->checkup, "store", CARA_FINDING_FAILURE,
                         "records cannot be kept in %.300s: it is %s", d->store,
                         S_ISDIR(st.st_mode) ? "a folder that may not be written" : "no folder");
        cara_checkup_advise(d->checkup, "name another by %s, or change its owner",
                            CARA_DOCTOR_SETTING(d, "--store", "CARACOLA_STORE"));
    } else {
        cara_checkup_add(d->checkup, "store", CARA_FINDING_OK,
                         "records are kept in the folder %.300s", d->store);
    }
}

static void check_store(cara_doctor *d) {
    const char *store = d->store ? d->store : d->bucket_store[0] ? d->bucket_store : NULL;
    if (!store) {
        if (d->function[0])
            cara_checkup_add(d->checkup, "bucket", CARA_FINDING_SKIPPED,
                             "no store is named here; the function looks at its own");
        else
            cara_checkup_add(d->checkup, "bucket", CARA_FINDING_SKIPPED,
                             "no store is named; %s takes s3://bucket/prefix",
                             CARA_DOCTOR_SETTING(d, "--store", "CARACOLA_STORE"));
        return;
    }
    if (strncmp(store, "s3://", 5) != 0) {
        check_folder(d);
        return;
    }
    if (!d->aws || d->unreachable) {
        cara_checkup_add(d->checkup, "bucket", CARA_FINDING_SKIPPED,
                         "the bucket cannot be checked without AWS");
        return;
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_store *opened = NULL;
    if (cara_store_open_s3(store, d->aws, NULL, &opened, &err)) {
        cara_checkup_add(d->checkup, "bucket", CARA_FINDING_FAILURE, "%s", err.text);
        return;
    }
    const char *bucket, *prefix;
    cara_store_s3_place(opened, &bucket, &prefix);
    check_bucket(d, bucket, prefix);
    cara_store_close(opened);
}

/* ---- media, clock ---- */

/* Asks for media that is not there: the answer is "not found" where asking is allowed. */
static void check_media(cara_doctor *d) {
    if (!d->aws || d->unreachable)
        return;
    if (!d->phone[0]) {
        cara_checkup_add(
            d->checkup, "media", CARA_FINDING_SKIPPED,
            "the permission to fetch WhatsApp's media is not checked: no phone number is %s",
            d->in_function ? "named in the event" : "known; --phone takes one");
        return;
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_social_media media;
    cara_doctor_limit_calls(d);
    int rc = cara_social_get_media(d->aws, NO_MEDIA, d->phone, NULL, NULL, &media, &err);
    if (rc == CARA_OK || rc == CARA_ERR_NOT_FOUND) {
        cara_checkup_add(
            d->checkup, "media", CARA_FINDING_OK,
            "WhatsApp's media may be fetched (media that is not there is \"not found\", "
            "not \"denied\")");
        return;
    }
    const cara_aws_fault *fault = cara_aws_last_fault(d->aws);
    if (rc == CARA_ERR_DENIED && fault->status == 400) { /* asked, understood, refused for its id */
        cara_checkup_add(d->checkup, "media", CARA_FINDING_WARNING,
                         "whether WhatsApp's media may be fetched is not certain: %s", err.text);
        return;
    }
    cara_doctor_call_failed(d, "media", "WhatsApp's media may not be fetched", rc, &err,
                            "social-messaging:GetWhatsAppMessageMedia");
    if (strstr(fault->type, "ByMeta"))
        cara_checkup_advise(d->checkup,
                            "Meta refuses: link the WhatsApp account again in the console "
                            "of End User Messaging Social");
}

static void check_clock(cara_doctor *d) {
    int64_t ms;
    if (d->stack) /* this machine is not what is checked */
        return;
    if (!d->aws || cara_aws_clock_ahead(d->aws, &ms)) {
        if (d->aws)
            cara_checkup_add(d->checkup, "clock", CARA_FINDING_SKIPPED,
                             "no server has sent the time, so the clock is not compared");
        return;
    }
    long long off = ms < 0 ? -ms / 1000 : ms / 1000;
    if (off <= 30) {
        cara_checkup_add(d->checkup, "clock", CARA_FINDING_OK, "the clock is right to %lld s",
                         off < 2 ? 2 : off);
        return;
    }
    cara_checkup_add(d->checkup, "clock", off > 300 ? CARA_FINDING_FAILURE : CARA_FINDING_WARNING,
                     "this machine's clock is %lld s %s AWS's%s", off,
                     ms > 0 ? "behind" : "ahead of",
                     off > 300 ? ", so that AWS refuses what it signs" : "");
    cara_checkup_advise(d->checkup, "set it: `timedatectl set-ntp true`");
}

void cara_doctor_store(cara_doctor *doctor) {
    if (doctor->in_function)
        cara_doctor_credentials(doctor);
    static void (*const checks[])(cara_doctor *) = {check_store, check_media, check_clock};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (doctor->stop && doctor->stop(doctor->stop_cookie))
            return;
        checks[i](doctor);
        cara_checkup_flush(doctor->checkup);
    }
}

/* AWS End User Messaging Social, AWS's service for WhatsApp (API Reference, version 2024-01-01). */
#ifndef AWS_SOCIAL_H
#define AWS_SOCIAL_H

#include "aws/client/client.h"

typedef struct cara_social_media {
    char mime_type[128]; /* "audio/ogg"; "" where it was not said */
    int64_t file_size;   /* as answered; the documents disagree on its unit: never allocate by it */
} cara_social_media;

/* GetWhatsAppMessageMedia: has the media written to s3://bucket/<prefix><media_id>.<extension>, the
 * prefix joined without a separator; the answer comes when the copy is done. `bucket` NULL
 * requests the metadata only. `phone_number_id` is AWS's ("phone-number-id-..." or its ARN), not
 * Meta's. USAGE: ids that cannot be; NOT_FOUND: expired (7 days) or unknown; else as cara_aws_do().
 */
int cara_social_get_media(cara_aws *aws, const char *media_id, const char *phone_number_id,
                          const char *bucket, const char *prefix, cara_social_media *out,
                          cara_error *err);

/* SendWhatsAppMessage: `message` is Meta's JSON. Sent at most once: no attempt follows one that the
 * service may have taken, so a failure leaves open whether it was sent, unless
 * cara_aws_last_fault() shows a status of 4xx. `api_version` NULL is "v20.0". `message_id` receives
 * the id, cut to size. */
int cara_social_send(cara_aws *aws, const char *phone_number_id, const char *message, size_t n,
                     const char *api_version, char *message_id, size_t size, cara_error *err);

/* PutWhatsAppBusinessAccountEventDestinations: the one SNS topic (or Connect instance) that gets
 * the account's events; NULL removes it. `waba_id`: AWS's "waba-..." or its ARN. `role_arn` may
 * be NULL. */
int cara_social_set_destination(cara_aws *aws, const char *waba_id, const char *destination_arn,
                                const char *role_arn, cara_error *err);

/* ListLinkedWhatsAppBusinessAccounts; texts are borrowed for the call and "" where missing. */
typedef struct cara_social_account {
    const char *id; /* "waba-..." */
    const char *arn;
    const char *waba_id; /* Meta's */
    const char *name;
    const char *status;      /* registrationStatus */
    const char *destination; /* eventDestinationArn of the first destination */
} cara_social_account;

/* Over all pages; non-zero from `each` ends it and is returned. */
typedef int (*cara_social_each)(void *ctx, const cara_social_account *account);
int cara_social_list_accounts(cara_aws *aws, cara_social_each each, void *ctx, cara_error *err);

/* A phone number of a linked account; texts are borrowed for the call and "" where missing. */
typedef struct cara_social_phone {
    const char *id; /* "phone-number-id-..." */
    const char *arn;
    const char *meta_id; /* Meta's */
    const char *display; /* "+52 1 55 1234 5678" */
    const char *quality; /* "GREEN", "YELLOW", "RED", "UNKNOWN" */
} cara_social_phone;

/* GetLinkedWhatsAppBusinessAccount: its phone numbers; non-zero from `each` ends it and is
 * returned. USAGE: `waba_id` is none of AWS's. */
typedef int (*cara_social_each_phone)(void *ctx, const cara_social_phone *phone);
int cara_social_phones(cara_aws *aws, const char *waba_id, cara_social_each_phone each, void *ctx,
                       cara_error *err);

#endif

#include "aws/services/social.h"

#include "aws/client/json_call.h"
#include "crypto/encoding.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 2048000
#define MAX_PAGES 1000

static const cara_http_header type_header = {"Content-Type", "application/json"};

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a call to WhatsApp");
}

static int made_of(const char *text, const char *allowed, size_t most) {
    size_t n = strlen(text);
    return n > 0 && n <= most && strspn(text, allowed) == n;
}

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static int check_phone(const char *phone_number_id, cara_error *err) {
    if (made_of(phone_number_id, ALNUM ":/-", 115) && strstr(phone_number_id, "phone-number-id"))
        return CARA_OK;
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "\"%.115s\" is no phone number id of AWS's: it wants phone-number-id-... or "
                     "its ARN, not Meta's number",
                     phone_number_id);
}

int cara_social_get_media(cara_aws *aws, const char *media_id, const char *phone_number_id,
                          const char *bucket, const char *prefix, cara_social_media *out,
                          cara_error *err) {
    *out = (cara_social_media){.file_size = -1};
    if (!made_of(media_id, ALNUM, 100))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "\"%.100s\" is no WhatsApp media id: 1 to 100 letters and digits",
                         media_id);
    int rc = check_phone(phone_number_id, err);
    if (rc)
        return rc;
    json_t *request =
        json_pack("{s:s, s:s}", "mediaId", media_id, "originationPhoneNumberId", phone_number_id);
    json_t *where = bucket ? json_pack("{s:{s:s, s:s}}", "destinationS3File", "bucketName", bucket,
                                       "key", prefix)
                           : json_pack("{s:b}", "metadataOnly", 1);
    if (!request || !where || json_object_update(request, where)) {
        json_decref(request);
        json_decref(where);
        return no_memory(err);
    }
    json_decref(where);
    const cara_aws_call call = {.service = &cara_service_social,
                                .what = "WhatsApp GetWhatsAppMessageMedia",
                                .method = "POST",
                                .path = "/v1/whatsapp/media/get",
                                .headers = &type_header,
                                .n_headers = 1};
    json_t *answer;
    rc = cara_aws_json(aws, call, request, &answer, err);
    if (rc)
        return rc;
    snprintf(out->mime_type, sizeof out->mime_type, "%s",
             cara_json_text_or(answer, "mimeType", ""));
    const json_t *size = json_object_get(answer, "fileSize");
    if (json_is_integer(size))
        out->file_size = json_integer_value(size);
    json_decref(answer);
    return CARA_OK;
}

int cara_social_send(cara_aws *aws, const char *phone_number_id, const char *message, size_t n,
                     const char *api_version, char *message_id, size_t size, cara_error *err) {
    message_id[0] = 0;
    int rc = check_phone(phone_number_id, err);
    if (rc)
        return rc;
    if (n == 0 || n > MESSAGE_MAX)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "a WhatsApp message has 1 to %d bytes, and this one has %zu", MESSAGE_MAX,
                         n);
    char *base64 = malloc(CARA_BASE64_SIZE(n));
    if (!base64)
        return no_memory(err);
    cara_base64_encode(message, n, base64);
    json_t *request =
        json_pack("{s:s, s:s, s:s}", "originationPhoneNumberId", phone_number_id, "message", base64,
                  "metaApiVersion", api_version ? api_version : "v20.0");
    free(base64);
    if (!request)
        return no_memory(err);
    const cara_aws_call call = {.service = &cara_service_social,
                                .what = "WhatsApp SendWhatsAppMessage",
                                .method = "POST",
                                .path = "/v1/whatsapp/send",
                                .headers = &type_header,
                                .n_headers = 1,
                                .retry = CARA_RETRY_UNLESS_SENT};
    json_t *answer;
    rc = cara_aws_json(aws, call, request, &answer, err);
    if (rc)
        return rc;
    snprintf(message_id, size, "%s", cara_json_text_or(answer, "messageId", ""));
    json_decref(answer);
    return CARA_OK;
}

static int check_waba(const char *waba_id, cara_error *err) {
    if (made_of(waba_id, ALNUM ":/-", 115) && strstr(waba_id, "waba"))
        return CARA_OK;
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "\"%.115s\" is no WhatsApp account id of AWS's: it wants waba-... or its ARN",
                     waba_id);
}

int cara_social_set_destination(cara_aws *aws, const char *waba_id, const char *destination_arn,
                                const char *role_arn, cara_error *err) {
    int rc = check_waba(waba_id, err);
    if (rc)
        return rc;
    json_t *request = json_pack("{s:s, s:[]}", "id", waba_id, "eventDestinations");
    if (request && destination_arn) {
        json_t *one =
            json_pack("{s:s, s:s*}", "eventDestinationArn", destination_arn, "roleArn", role_arn);
        if (json_array_append_new(json_object_get(request, "eventDestinations"), one)) {
            json_decref(request);
            request = NULL;
        }
    }
    if (!request)
        return no_memory(err);
    const cara_aws_call call = {.service = &cara_service_social,
                                .what = "WhatsApp PutWhatsAppBusinessAccountEventDestinations",
                                .method = "PUT",
                                .path = "/v1/whatsapp/waba/eventdestinations",
                                .headers = &type_header,
                                .n_headers = 1};
    json_t *answer;
    rc = cara_aws_json(aws, call, request, &answer, err);
    json_decref(answer);
    return rc;
}

static int each_account(const json_t *answer, cara_social_each each, void *ctx) {
    const json_t *list = json_object_get(answer, "linkedAccounts");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *a = json_array_get(list, i);
        const json_t *destination = json_array_get(json_object_get(a, "eventDestinations"), 0);
        const cara_social_account account = {
            cara_json_text_or(a, "id", ""),
            cara_json_text_or(a, "arn", ""),
            cara_json_text_or(a, "wabaId", ""),
            cara_json_text_or(a, "wabaName", ""),
            cara_json_text_or(a, "registrationStatus", ""),
            cara_json_text_or(destination, "eventDestinationArn", ""),
        };
        int rc = each(ctx, &account);
        if (rc)
            return rc;
    }
    return 0;
}

int cara_social_list_accounts(cara_aws *aws, cara_social_each each, void *ctx, cara_error *err) {
    cara_buf query;
    cara_buf_init(&query, 4096);
    int rc = CARA_OK, more = 1;
    for (int pages = 0; !rc && more; pages++) {
        const cara_aws_call call = {.service = &cara_service_social,
                                    .what = "WhatsApp ListLinkedWhatsAppBusinessAccounts",
                                    .method = "GET",
                                    .path = "/v1/whatsapp/waba/list",
                                    .query = query.data};
        json_t *answer;
        rc = cara_aws_json(aws, call, NULL, &answer, err);
        if (rc)
            break;
        rc = each_account(answer, each, ctx);
        const char *token = cara_json_text_or(answer, "nextToken", "");
        more = token[0] != 0;
        cara_buf_clear(&query);
        if (!rc && more &&
            (cara_buf_str(&query, "nextToken=") ||
             cara_url_encode(&query, token, strlen(token), 0)))
            rc = no_memory(err);
        if (!rc && more && pages == MAX_PAGES)
            rc = cara_fail(err, CARA_ERR_NETWORK, -1, "the list of WhatsApp accounts has no end");
        json_decref(answer);
    }
    cara_buf_free(&query);
    return rc;
}

int cara_social_phones(cara_aws *aws, const char *waba_id, cara_social_each_phone each, void *ctx,
                       cara_error *err) {
    int rc = check_waba(waba_id, err);
    if (rc)
        return rc;
    cara_buf query;
    cara_buf_init(&query, 1024);
    json_t *answer = NULL;
    if (cara_buf_str(&query, "id=") || cara_url_encode(&query, waba_id, strlen(waba_id), 0)) {
        rc = no_memory(err);
    } else {
        const cara_aws_call call = {.service = &cara_service_social,
                                    .what = "WhatsApp GetLinkedWhatsAppBusinessAccount",
                                    .method = "GET",
                                    .path = "/v1/whatsapp/waba/details",
                                    .query = query.data};
        rc = cara_aws_json(aws, call, NULL, &answer, err);
    }
    const json_t *list = json_object_get(json_object_get(answer, "account"), "phoneNumbers");
    for (size_t i = 0; !rc && i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        const cara_social_phone phone = {cara_json_text_or(p, "phoneNumberId", ""),
                                         cara_json_text_or(p, "arn", ""),
                                         cara_json_text_or(p, "metaPhoneNumberId", ""),
                                         cara_json_text_or(p, "displayPhoneNumber", ""),
                                         cara_json_text_or(p, "qualityRating", "")};
        rc = each(ctx, &phone);
    }
    json_decref(answer);
    cara_buf_free(&query);
    return rc;
}

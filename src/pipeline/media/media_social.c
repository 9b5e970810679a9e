#include "pipeline/media/media.h"

#include "aws/s3/s3.h"
#include "aws/services/social.h"
#include "base/failure.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_LOOK_S 0.5 /* the copy should be there when AWS answers; it may take a moment */

typedef struct fetch_state {
    cara_aws *aws;
    const char *bucket;
    size_t prefix_len;               /* of `stem`: the store's prefix */
    char stem[CARA_S3_KEY_MAX + 1];  /* "<prefix>YYYY-MM-DD/<mediaId>." */
    char found[CARA_S3_KEY_MAX + 1]; /* the whole key, once listed */
    cara_media_file *out;
} fetch_state;

/* "audio/ogg; codecs=opus" gives "ogg", as AWS makes it of the type: "audio/mpeg" gives "mpeg". */
static int subtype_of(const char *mime_type, char out[CARA_MEDIA_EXT]) {
    const char *slash = mime_type ? strchr(mime_type, '/') : NULL;
    char subtype[CARA_MEDIA_EXT + 1];
    size_t n = slash ? strcspn(slash + 1, "; \t") : 0;
    if (n == 0 || n >= sizeof subtype)
        return -1;
    memcpy(subtype, slash + 1, n);
    subtype[n] = 0;
    return cara_media_ext_clean(subtype, out);
}

static int get(fetch_state *f, const char *key, cara_error *err) {
    int rc = cara_s3_get(f->aws, f->bucket, key, CARA_LIMIT_MEDIA_BYTES, &f->out->bytes, &f->out->n,
                         NULL, err);
    if (rc == CARA_ERR_LIMIT)
        return cara_fail(err, CARA_ERR_AUDIO_LIMIT, -1,
                         "the media is larger than the limit of %zu bytes", CARA_LIMIT_MEDIA_BYTES);
    if (rc)
        return rc;
    const char *name = key + f->prefix_len;
    const char *dot = strrchr(name, '.');
    f->out->ext[0] = 0;
    if (dot)
        (void)cara_media_ext_clean(dot + 1, f->out->ext);
    snprintf(f->out->stored, sizeof f->out->stored, "%s", name);
    return CARA_OK;
}

static int on_listed(void *ctx, const char *key, int64_t size) {
    fetch_state *f = ctx;
    /* Other keys cannot be keys of the store. */
    if (strlen(key) >= sizeof f->found || strlen(key + f->prefix_len) >= CARA_KEY_SIZE ||
        !cara_store_key_is_valid(key + f->prefix_len))
        return 0;
    snprintf(f->found, sizeof f->found, "%s", key);
    return 1;
}

/* By the subtype, then by any key that begins with the media id. NOT_FOUND where neither is there.
 */
static int find_object(fetch_state *f, const char *subtype, cara_error *err) {
    cara_error ignored = {0};
    int rc = CARA_ERR_NOT_FOUND;
    if (*subtype) {
        char key[CARA_S3_KEY_MAX + 1];
        snprintf(key, sizeof key, "%.1000s%.8s", f->stem, subtype);
        rc = get(f, key, err);
    }
    /* A missing key is "denied" to a role that may not list. */
    if (rc != CARA_ERR_NOT_FOUND && rc != CARA_ERR_DENIED)
        return rc;
    int was_denied = rc == CARA_ERR_DENIED;
    f->found[0] = 0;
    rc = cara_s3_list(f->aws, f->bucket, f->stem, on_listed, f, was_denied ? &ignored : err);
    if (f->found[0])
        return get(f, f->found, err);
    if (rc == CARA_ERR_DENIED && was_denied)
        return rc; /* GetObject's answer: the permission s3:GetObject may be missing */
    if (rc && was_denied && err)
        *err = ignored;
    return rc ? rc
              : cara_fail(err, CARA_ERR_NOT_FOUND, -1,
                          "AWS has copied the media, but it is not in the bucket");
}

static int social_fetch(void *ctx, const cara_media_request *request, cara_media_file *out,
                        cara_error *err) {
    const cara_media_social *source = ctx;
    fetch_state f = {.aws = source->aws, .out = out};
    const char *prefix;
    cara_store_s3_place(source->store, &f.bucket, &prefix);
    f.prefix_len = strlen(prefix);
    if (!request->phone_number_arn)
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1,
                         "the event does not name AWS's id of the phone number that was written "
                         "to, so its media cannot be asked for");
    char folder[CARA_S3_KEY_MAX + 1];
    snprintf(folder, sizeof folder, "%s%.11s", prefix, request->record_key);
    snprintf(f.stem, sizeof f.stem, "%.850s%.100s.", folder, request->media_id);
    cara_social_media media;
    int rc = cara_social_get_media(source->aws, request->media_id, request->phone_number_arn,
                                   f.bucket, folder, &media, err);
    char subtype[CARA_MEDIA_EXT] = "";
    if (rc == CARA_ERR_NOT_FOUND) {
        /* WhatsApp deletes media after some days. AWS may have copied it in an earlier attempt. */
        (void)subtype_of(request->mime_type, subtype);
        cara_error why = {.code = CARA_OK, .position = -1};
        int found = find_object(&f, subtype, &why);
        if (found == CARA_OK)
            return CARA_OK;
        cara_failure failure = cara_failure_of(CARA_STAGE_MEDIA, found);
        if (failure.outcome != CARA_OUTCOME_RETRY && !failure.final)
            return rc;
        if (err) /* it is there and too large; or it is not known yet whether it is there */
            *err = why;
        return found;
    }
    if (rc)
        return rc;
    if (subtype_of(media.mime_type, subtype))
        (void)subtype_of(request->mime_type, subtype);
    rc = find_object(&f, subtype, err);
    if (rc == CARA_ERR_NOT_FOUND) {
        const cara_platform *platform = &cara_aws_settings(source->aws)->platform;
        platform->sleep(platform->ctx, SECOND_LOOK_S);
        rc = find_object(&f, subtype, err);
        if (rc == CARA_ERR_NOT_FOUND) {
            /* The table has NOT_FOUND as WhatsApp's answer, which stays. Here S3 lacks what AWS
             * says it has copied: the store's failure, which may pass. */
            if (err)
                err->code = CARA_ERR_STORE;
            rc = CARA_ERR_STORE;
        }
    }
    return rc;
}

cara_media cara_media_from_social(cara_media_social *source) {
    return (cara_media){social_fetch, source};
}

/* Where the bytes of a media id come from: a folder, or AWS's social-messaging API. */
#ifndef PIPELINE_MEDIA_H
#define PIPELINE_MEDIA_H

#include "base/error.h"
#include "pipeline/record/key.h"
#include "store/store.h"

#include <stddef.h>

/* Everything is borrowed. */
typedef struct cara_media_request {
    const char *media_id;         /* valid: cara_media_id_is_valid() */
    const char *mime_type;        /* as the message has it, or NULL */
    const char *phone_number_arn; /* of the number that received the message, or NULL */
    const char *record_key; /* the store's key of the message: gives the day, for sources that write
                               into the store by themselves */
} cara_media_request;

typedef struct cara_media_file {
    char *bytes; /* malloc'd, the caller's */
    size_t n;
    char ext[CARA_MEDIA_EXT];   /* clean; "" where the file has none: then the mime type gives it */
    char stored[CARA_KEY_SIZE]; /* the store's key, where the source has put it there already; "" */
} cara_media_file;

/* Fills *out on success only. What each code means: base/failure.h, CARA_STAGE_MEDIA. */
typedef struct cara_media {
    int (*fetch)(void *ctx, const cara_media_request *request, cara_media_file *out,
                 cara_error *err);
    void *ctx;
} cara_media;

/* Files named `<mediaId>.<any extension>` (or just `<mediaId>`) in the folder `path`, borrowed as
 * long as the source is used. Of several the one that fits the mime type is taken, else the first
 * by name. NOT_FOUND, IO, AUDIO_LIMIT (larger than CARA_LIMIT_MEDIA_BYTES). */
cara_media cara_media_folder(const char *path);

/* GetWhatsAppMessageMedia copies the media into the bucket of `store`, from where it is read. The
 * extension that AWS gives is not documented for every type: the MIME subtype is tried, then any
 * object whose name begins with the media id. Both are borrowed and must be of the same client;
 * *source must stay where it is as long as the media is used. Codes beyond those above: STORE where
 * the copy did not appear. */
struct cara_aws;
typedef struct cara_media_social {
    struct cara_aws *aws;
    cara_store *store; /* opened by cara_store_open_s3() */
} cara_media_social;
cara_media cara_media_from_social(cara_media_social *source);

/* No source: every fetch is NOT_FOUND and says that --media was not given. */
cara_media cara_media_none(void);

#endif

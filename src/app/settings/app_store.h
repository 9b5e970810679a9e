/* Where records go and media come from, by their names. */
#ifndef APP_APP_STORE_H
#define APP_APP_STORE_H

#include "base/log.h"
#include "pipeline/media/media.h"
#include "store/store.h"

struct cara_aws;

/* A store by its name, with the AWS client behind it where it is in S3. */
typedef struct cara_app_store {
    cara_store *store;
    struct cara_aws *aws; /* NULL for a folder */
    int in_s3;
    cara_media_social social;
} cara_app_store;

/* `name`: "s3://bucket[/prefix]" or a folder. `log` may be NULL. On failure there is nothing to
 * close. */
int cara_app_store_open(cara_app_store *out, const char *name, const cara_log *log,
                        cara_error *err);
void cara_app_store_close(cara_app_store *store);

/* `source`: a folder; "aws"; NULL: AWS where the store is in S3, else none. `setting` is what
 * messages call it. USAGE; NOT_FOUND. *store must stay where it is as long as the media is used. */
int cara_app_media_open(cara_app_store *store, const char *source, const char *setting,
                        cara_media *out, cara_error *err);

#endif

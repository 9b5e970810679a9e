#include "app/settings/app_store.h"

#include "aws/client/client.h"

#include <string.h>
#include <sys/stat.h>

int cara_app_store_open(cara_app_store *out, const char *name, const cara_log *log,
                        cara_error *err) {
    *out = (cara_app_store){.in_s3 = strncmp(name, "s3://", 5) == 0};
    if (!out->in_s3)
        return cara_store_open_folder(name, &out->store, err);
    const cara_aws_options options = {.log = log};
    int rc = cara_aws_open(&options, &out->aws, err);
    if (!rc)
        rc = cara_store_open_s3(name, out->aws, NULL, &out->store, err);
    if (rc)
        cara_app_store_close(out);
    return rc;
}

void cara_app_store_close(cara_app_store *store) {
    cara_store_close(store->store);
    cara_aws_close(store->aws);
    *store = (cara_app_store){.store = NULL};
}

int cara_app_media_open(cara_app_store *store, const char *source, const char *setting,
                        cara_media *out, cara_error *err) {
    struct stat st;
    int aws = source && strcmp(source, "aws") == 0;
    if (!source && !store->in_s3) {
        *out = cara_media_none();
    } else if (!source || aws) {
        if (!store->in_s3)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "%s aws copies media into a bucket, so the store must be one "
                             "(s3://bucket/prefix)",
                             setting);
        store->social = (cara_media_social){store->aws, store->store};
        *out = cara_media_from_social(&store->social);
    } else if (stat(source, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1,
                         "%s takes aws or a folder that is there, got \"%.200s\"", setting, source);
    } else {
        *out = cara_media_folder(source);
    }
    return CARA_OK;
}

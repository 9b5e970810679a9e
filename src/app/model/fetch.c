#include "app/model/fetch.h"

#include "aws/s3/s3_memory.h"

int cara_model_fetch(const char *url, const char *setting, const cara_s3_fill *fill,
                     cara_s3_filled *out, cara_error *err) {
    char bucket[64], key[CARA_S3_KEY_MAX + 1];
    cara_s3_fill from = *fill;
    int rc = cara_s3_url_split(url, bucket, key, err);
    if (!rc)
        rc = cara_s3_digest_check(fill->sha256, setting, err);
    if (rc)
        return rc;
    from.from.bucket = bucket;
    from.from.key = key;
    return cara_s3_fill_file(&from, out, err);
}

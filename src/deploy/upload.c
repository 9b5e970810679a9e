#include "deploy/upload.h"

#include "base/files/file.h"
#include "crypto/digest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int cara_upload_open(cara_upload_file *file, const char *path, cara_error *err) {
    *file = (cara_upload_file){.path = path};
    cara_mapping mapping;
    int rc = cara_map_file(path, &mapping, err);
    if (rc)
        return rc;
    file->size = (int64_t)mapping.size;
    if (cara_sha256_hex(mapping.data, mapping.size, file->sha256))
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a SHA-256");
    cara_unmap(&mapping);
    return rc;
}

void cara_upload_amount(int64_t bytes, char *dst, size_t size) {
    if (bytes < 1000000)
        snprintf(dst, size, "%.0f kB", ceil((double)bytes / 1e3));
    else
        snprintf(dst, size, "%.1f MB", (double)bytes / 1e6);
}

static int object_exists(const cara_awscli *cli, const char *bucket, const char *key, int64_t size,
                         int *there, cara_error *err) {
    const char *const args[] = {"s3api", "head-object", "--bucket", bucket, "--key", key, NULL};
    json_t *answer;
    *there = 0;
    int rc = cara_awscli_json(cli, &cara_service_s3, args, &answer, NULL, err);
    if (!rc)
        *there = json_integer_value(json_object_get(answer, "ContentLength")) == size;
    json_decref(answer);
    return rc == CARA_ERR_NOT_FOUND ? CARA_OK : rc;
}

typedef struct upload_progress {
    const cara_progress *progress;
    const char *what;
} upload_progress;

/* The CLI says "Completed 1.0 MiB/30.0 MiB (2.1 MiB/s) with ..." over and over. */
static void show(void *cookie, const char *bytes, size_t n) {
    const upload_progress *s = cookie;
    char line[120];
    size_t m = 0;
    for (size_t i = 0; i < n && bytes[i] != '\r' && bytes[i] != '\n' && m + 1 < sizeof line; i++)
        line[m++] = bytes[i];
    line[m] = 0;
    line[strcspn(line, "(")] = 0;
    if (line[0])
        cara_progress_status(s->progress, "%s: %s", s->what, line);
}

int cara_upload_object(const cara_awscli *cli, const cara_progress *progress, const char *bucket,
                       const char *key, const cara_upload_file *file, cara_error *err) {
    int there = 0;
    char amount[32];
    cara_upload_amount(file->size, amount, sizeof amount);
    const char *base = strrchr(file->path, '/');
    base = base ? base + 1 : file->path;
    int rc = bucket ? object_exists(cli, bucket, key, file->size, &there, err) : CARA_OK;
    if (rc)
        return rc;
    if (there) {
        cara_progress_report(progress, "%s is in the bucket already", base);
        return CARA_OK;
    }
    if (progress->dry) {
        cara_progress_report(progress, "would upload %s (%s) to s3://%s/%s", file->path, amount,
                             bucket ? bucket : "the new bucket", key);
        return CARA_OK;
    }
    char target[1200];
    snprintf(target, sizeof target, "s3://%s/%s", bucket, key);
    const char *const args[] = {"s3", "cp", file->path, target, "--no-guess-mime-type", NULL};
    upload_progress s = {progress, base};
    cara_child_result result;
    cara_progress_status(progress, "%s: uploading", base);
    rc = cara_awscli_run(cli, &cara_service_s3, args, 64 << 20, show, &s, &result, NULL, err);
    cara_child_free(&result);
    cara_progress_status(progress, "%s", "");
    if (!rc)
        cara_progress_report(progress, "uploaded %s (%s) to %s", base, amount, target);
    return rc;
}

/* Removing an installation. */
#include "aws/services/social.h"
#include "base/limits.h"
#include "deploy/deploy.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

static int unlink_accounts(cara_deploy *d, cara_error *err) {
    const char *topic = d->stack.exists ? cara_stack_output(&d->stack, "TopicArn") : NULL;
    int rc = CARA_OK;
    for (size_t i = 0; !rc && topic && i < d->n_accounts; i++) {
        const cara_deploy_account *a = &d->accounts[i];
        if (strcmp(a->destination, topic) != 0)
            continue;
        if (!d->progress.dry)
            rc = cara_social_set_destination(d->aws, a->id, NULL, NULL, err);
        if (!rc)
            cara_progress_report(&d->progress, "events of %s (%s) %s nowhere", a->name, a->id,
                                 d->progress.dry ? "would go" : "now go");
    }
    return rc;
}

/* One page of versions and delete markers as DeleteObjects takes them; NULL on no memory. */
static json_t *objects_of(const json_t *answer) {
    static const char *const lists[] = {"Versions", "DeleteMarkers"};
    json_t *out = json_array();
    for (size_t k = 0; out && k < 2; k++) {
        const json_t *rows = json_object_get(answer, lists[k]);
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *row = json_array_get(rows, i);
            const char *version = cara_json_text_or(row, "VersionId", "");
            json_t *one = json_pack("{s:s, s:s*}", "Key", cara_json_text_or(row, "Key", ""),
                                    "VersionId", version[0] ? version : NULL);
            if (json_array_append_new(out, one)) {
                json_decref(out);
                return NULL;
            }
        }
    }
    return out;
}

static int delete_objects(const cara_awscli *cli, const char *bucket, json_t *objects,
                          cara_error *err) {
    char path[160], url[180];
    cara_buf text;
    cara_buf_init(&text, 4 * CARA_MIB);
    json_t *request = json_pack("{s:O, s:b}", "Objects", objects, "Quiet", 1);
    int rc = CARA_OK;
    if (cara_json_write(request, CARA_JSON_COMPACT, &text))
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a list of keys");
    json_decref(request);
    if (!rc)
        rc = cara_awscli_file(cli, "delete.json", text.data, text.len, path, sizeof path, err);
    cara_buf_free(&text);
    if (rc)
        return rc;
    snprintf(url, sizeof url, "file://%s", path);
    const char *const args[] = {"s3api", "delete-objects", "--bucket", bucket, "--delete", url,
                                NULL};
    json_t *answer;
    rc = cara_awscli_json(cli, &cara_service_s3, args, &answer, NULL, err);
    const json_t *first = json_array_get(json_object_get(answer, "Errors"), 0);
    if (!rc && first)
        rc =
            cara_fail(err, CARA_ERR_DENIED, -1, "S3 does not delete %.200s: %.200s",
                      cara_json_text_or(first, "Key", ""), cara_json_text_or(first, "Message", ""));
    json_decref(answer);
    return rc;
}

/* Old versions included; one that does not exist is a success. */
static int empty_and_delete(const cara_awscli *cli, const cara_progress *progress,
                            const char *bucket, cara_error *err) {
    if (progress->dry) {
        cara_progress_report(progress, "would delete bucket %s and all that is in it", bucket);
        return CARA_OK;
    }
    size_t n_deleted = 0;
    cara_awscli_fault fault;
    int rc = CARA_OK;
    for (size_t n = 1; !rc && n > 0;) {
        const char *const args[] = {
            "s3api", "list-object-versions", "--bucket", bucket, "--max-items", "1000", NULL};
        json_t *answer;
        rc = cara_awscli_json(cli, &cara_service_s3, args, &answer, &fault, err);
        if (rc && strcmp(fault.code, "NoSuchBucket") == 0)
            return CARA_OK;
        json_t *objects = rc ? NULL : objects_of(answer);
        json_decref(answer);
        if (!rc && !objects)
            rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a list of keys");
        n = json_array_size(objects);
        if (!rc && n > 0)
            rc = delete_objects(cli, bucket, objects, err);
        json_decref(objects);
        n_deleted += n;
        cara_progress_status(progress, "%s: %zu objects deleted", bucket, n_deleted);
    }
    const char *const args[] = {"s3api", "delete-bucket", "--bucket", bucket, NULL};
    if (!rc)
        rc = cara_awscli_json(cli, &cara_service_s3, args, NULL, NULL, err);
    cara_progress_status(progress, "%s", "");
    if (!rc)
        cara_progress_report(progress, "bucket %s: deleted, with %zu objects in it", bucket,
                             n_deleted);
    return rc;
}

/* Deletes or keeps the bucket that a stack made. Its name is taken before the stack goes. */
static int stack_and_bucket(cara_deploy *d, const cara_stack *stack, const char *name, int delete,
                            cara_error *err) {
    char bucket[80] = "";
    const char *output = stack->exists ? cara_stack_output(stack, "BucketName") : NULL;
    const char *own = stack->exists ? cara_stack_parameter(stack, "StoreBucket") : NULL;
    if (output)
        snprintf(bucket, sizeof bucket, "%s", output);
    int theirs = own && own[0];
    int rc = cara_stack_delete(&d->cli, &d->progress, name, err);
    if (rc || !bucket[0])
        return rc;
    if (delete &&!theirs)
        return empty_and_delete(&d->cli, &d->progress, bucket, err);
    cara_progress_report(&d->progress, "bucket %s: kept%s", bucket,
                         theirs ? ", as it was not made here" : "");
    return CARA_OK;
}

int cara_deploy_teardown(cara_deploy *d, int delete_buckets, cara_error *err) {
    if (!d->stack.id[0] && !d->bootstrap.id[0]) {
        cara_progress_report(&d->progress, "there is no stack %s in %s: nothing to remove",
                             d->request.stack, d->cli.region);
        return CARA_OK;
    }
    int rc = unlink_accounts(d, err);
    if (!rc && d->stack.id[0])
        rc = stack_and_bucket(d, &d->stack, d->request.stack, delete_buckets, err);
    if (!rc && d->bootstrap.id[0])
        rc = stack_and_bucket(d, &d->bootstrap, d->bootstrap_name, delete_buckets, err);
    return rc;
}

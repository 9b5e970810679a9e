/* Deploys what is requested. */
#include "deploy/deploy.h"
#include "deploy/templates.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

/* The results of the uploads, for the template. */
typedef struct uploads {
    char code_key[120];
    char image[500];
    char model_key[120];
    char model_sha256[65];
    char model_file[32]; /* on EFS; "": as it is */
    char template_url[400];
} uploads;

static const char *bucket_of(const cara_deploy *d) {
    return d->bootstrap.exists ? cara_stack_output(&d->bootstrap, "BucketName") : NULL;
}

static int bootstrap(cara_deploy *d, cara_error *err) {
    json_t *none = json_array();
    if (!none)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    const cara_stack_request request = {.name = d->bootstrap_name,
                                        .template_body = cara_template_bootstrap,
                                        .parameters = none,
                                        .tags = d->request.tags};
    int rc = cara_stack_deploy(&d->cli, &d->progress, &request, &d->bootstrap, NULL, err);
    json_decref(none);
    if (!rc && !d->progress.dry &&
        (!bucket_of(d) || !cara_stack_output(&d->bootstrap, "RepositoryUri")))
        rc = cara_fail(err, CARA_ERR_NETWORK, -1,
                       "stack %s has no outputs BucketName and RepositoryUri: was it made by "
                       "something else?",
                       d->bootstrap_name);
    return rc;
}

/* The last dot and what follows in the file's name, where that is short and plain. */
static const char *extension(const char *path) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    return dot && strlen(dot) <= 8 ? dot : "";
}

static int send(cara_deploy *d, const char *path, const char *folder, char *key, size_t size,
                char sha256[65], cara_error *err) {
    cara_upload_file file;
    cara_progress_status(&d->progress, "reading %s", path);
    int rc = cara_upload_open(&file, path, err);
    if (rc)
        return rc;
    snprintf(key, size, "%s/%s%s", folder, file.sha256, extension(path));
    if (sha256)
        memcpy(sha256, file.sha256, sizeof file.sha256);
    return cara_upload_object(&d->cli, &d->progress, bucket_of(d), key, &file, err);
}

static int send_template(cara_deploy *d, uploads *p, cara_error *err) {
    char path[160], key[120];
    int rc = cara_awscli_file(&d->cli, "caracola.yaml", cara_template_caracola,
                              strlen(cara_template_caracola), path, sizeof path, err);
    if (rc || d->progress.dry)
        return rc;
    rc = send(d, path, "templates", key, sizeof key, NULL, err);
    snprintf(p->template_url, sizeof p->template_url, "https://%s.s3.%s.amazonaws.com%s/%s",
             bucket_of(d), d->cli.region, strncmp(d->cli.region, "cn-", 3) == 0 ? ".cn" : "", key);
    return rc;
}

static int send_all(cara_deploy *d, uploads *p, cara_error *err) {
    int rc = CARA_OK;
    if (d->request.model)
        rc = send(d, d->request.model, "models", p->model_key, sizeof p->model_key, p->model_sha256,
                  err);
    /* A function that is warm may have the old file open, so that another model has another name.
     */
    if (!rc && d->request.model && !d->request.values[CARA_SET_MODEL_FILE] &&
        strcmp(cara_deploy_value(d, CARA_SET_DELIVERY), "efs") == 0)
        snprintf(p->model_file, sizeof p->model_file, "%.16s.cara", p->model_sha256);
    if (!rc && d->request.zip)
        rc = send(d, d->request.zip, "packages", p->code_key, sizeof p->code_key, NULL, err);
    if (!rc && d->request.image) {
        cara_upload_file file;
        const char *uri =
            d->bootstrap.exists ? cara_stack_output(&d->bootstrap, "RepositoryUri") : NULL;
        rc = cara_upload_open(&file, d->request.image, err);
        if (!rc)
            rc = cara_upload_image(&d->cli, &d->progress, d->request.skopeo, uri, &file, p->image,
                                   sizeof p->image, err);
    }
    if (!rc)
        rc = send_template(d, p, err);
    return rc;
}

/* `value` NULL keeps what is deployed, and leaves it to the template where nothing is. */
static int add(const cara_deploy *d, json_t *list, const char *key, const char *value) {
    if (!value && d->stack.exists)
        value = cara_stack_parameter(&d->stack, key);
    if (!value)
        return 0;
    return json_array_append_new(
        list, json_pack("{s:s, s:s}", "ParameterKey", key, "ParameterValue", value));
}

static json_t *parameters(const cara_deploy *d, const uploads *p) {
    json_t *list = json_array();
    const char *bucket = bucket_of(d) ? bucket_of(d) : "(the new bucket)";
    int bad = !list;
    for (int id = 0; !bad && id < CARA_N_SETTINGS; id++)
        bad = id != CARA_SET_MODEL_FILE &&
              add(d, list, cara_deploy_settings[id].parameter,
                  id == CARA_SET_DELIVERY || (id == CARA_SET_ARCHITECTURE && d->package.kind)
                      ? cara_deploy_value(d, id)
                      : d->request.values[id]);
    int inside = strcmp(cara_deploy_value(d, CARA_SET_DELIVERY), "image") == 0;
    /* Each: what it is where a zip, an image, or neither was given; and so for the model. */
    const char *code_bucket = NULL, *code_key = NULL, *image = NULL;
    const char *model_bucket = NULL, *model_key = NULL, *model_sha256 = NULL;
    if (d->request.zip) {
        code_bucket = bucket;
        code_key = p->code_key;
        image = "";
    } else if (d->request.image) {
        code_bucket = code_key = "";
        image = p->image[0] ? p->image : "(the new image)";
    }
    if (inside) {
        model_bucket = model_key = model_sha256 = "";
    } else if (d->request.model) {
        model_bucket = bucket;
        model_key = p->model_key;
        model_sha256 = p->model_sha256;
    }
    const struct {
        const char *key, *value;
    } rows[] = {
        {"PackageType", cara_deploy_package(d)},
        {"CodeBucket", code_bucket},
        {"CodeKey", code_key},
        {"ImageUri", image},
        {"ModelBucket", model_bucket},
        {"ModelKey", model_key},
        {"ModelSha256", model_sha256},
        {"ModelFile", p->model_file[0] ? p->model_file : d->request.values[CARA_SET_MODEL_FILE]},
    };
    for (size_t i = 0; !bad && i < sizeof rows / sizeof rows[0]; i++)
        bad = add(d, list, rows[i].key, rows[i].value);
    if (!bad)
        return list;
    json_decref(list);
    return NULL;
}

int cara_deploy_run(cara_deploy *d, cara_error *err) {
    uploads p = {.code_key = ""};
    int rc = bootstrap(d, err);
    if (!rc)
        rc = send_all(d, &p, err);
    if (rc)
        return rc;
    json_t *list = parameters(d, &p);
    if (!list)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the parameters");
    const cara_stack_request request = {.name = d->request.stack,
                                        .template_url = p.template_url,
                                        .parameters = list,
                                        .tags = d->request.tags};
    rc = cara_stack_deploy(&d->cli, &d->progress, &request, &d->stack, NULL, err);
    json_decref(list);
    const char *topic = d->stack.exists ? cara_stack_output(&d->stack, "TopicArn") : NULL;
    if (!rc && !topic && !d->progress.dry)
        rc = cara_fail(err, CARA_ERR_NETWORK, -1, "stack %s has no output TopicArn",
                       d->request.stack);
    if (!rc && !d->progress.dry && strcmp(cara_deploy_value(d, CARA_SET_DELIVERY), "efs") == 0 &&
        !cara_deploy_value(d, CARA_SET_ACCESS_POINT)[0])
        rc = cara_deploy_fill(d, err);
    if (!rc && !d->request.no_link)
        rc = cara_deploy_link(d, topic, err);
    return rc;
}

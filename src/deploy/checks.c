/* Each answer, before anything is changed. */
#include "base/files/file.h"
#include "deploy/deploy.h"
#include "deploy/templates.h"
#include "model/model.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Lambda refuses a reservation that leaves less than this (its guide, "Configuring reserved
 * concurrency for a function"). */
#define LEFT_UNRESERVED 100

static int is(const cara_deploy *d, cara_setting_id id, const char *value) {
    return strcmp(cara_deploy_value(d, id), value) == 0;
}

/* ---- the package ---- */

static int check_variant(const cara_deploy *d, cara_error *err) {
    const char *package = cara_deploy_package(d);
    if (is(d, CARA_SET_VARIANT, "worker") && package && strcmp(package, "image") != 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "a worker runs from an image: give --image FILE instead of --zip");
    return CARA_OK;
}

/* That --zip names a zip and --image an image, of the right architecture. */
static int check_kind(const cara_deploy *d, const char *path, cara_error *err) {
    const char *want = d->request.zip ? "zip" : "image", *kind = d->package.kind;
    const char *architecture = d->request.values[CARA_SET_ARCHITECTURE];
    if (strcmp(kind, want) != 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "--%s takes %s, and %.200s is %s: give it by --%s", want,
                         d->request.zip ? "a zip" : "an image", path,
                         d->request.zip ? "an image" : "a zip", kind);
    if (architecture && strcmp(architecture, d->package.architecture) != 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "%.200s is built for %s, and --architecture says %s: leave the flag out, "
                         "or give another package",
                         path, d->package.architecture, architecture);
    return CARA_OK;
}

int cara_deploy_is_zip(const char *path) {
    cara_mapping file;
    cara_error unsaid;
    if (cara_map_file(path, &file, &unsaid))
        return 0;
    const char *kind = cara_package_kind(cara_slice_of(file.data, file.size));
    cara_unmap(&file);
    return kind && strcmp(kind, "zip") == 0;
}

int cara_deploy_check_package(cara_deploy *d, cara_error *err) {
    const char *path = d->request.zip ? d->request.zip : d->request.image;
    d->package = (cara_package){.kind = NULL};
    cara_buf_clear(&d->zones);
    if (d->request.zip && d->request.image)
        return cara_fail(err, CARA_ERR_USAGE, -1, "a package is --zip or --image, not both");
    if (!cara_deploy_package(d))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "nothing is deployed yet, so a package must be named: --zip FILE or "
                         "--image FILE; `make package` builds both into build/package");
    if (path) {
        cara_mapping file;
        int rc = cara_map_file(path, &file, err);
        if (rc)
            return rc;
        rc = cara_package_read(cara_slice_of(file.data, file.size), path, &d->package, err);
        cara_unmap(&file);
        if (!rc)
            rc = check_kind(d, path, err);
        if (rc) {
            d->package.kind = NULL;
            return rc;
        }
    }
    return check_variant(d, err);
}

/* ---- the model ---- */

static int no_model(const cara_deploy *d, const char *delivery, cara_error *err) {
    const char *key = d->stack.exists ? cara_stack_parameter(&d->stack, "ModelKey") : NULL;
    if (strcmp(delivery, "image") == 0 || (key && key[0]) ||
        cara_deploy_value(d, CARA_SET_ACCESS_POINT)[0])
        return CARA_OK;
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "--delivery %s needs a model: give --model FILE, a .cara", delivery);
}

int cara_deploy_check_model(cara_deploy *d, cara_error *err) {
    const char *path = d->request.model, *delivery = cara_deploy_value(d, CARA_SET_DELIVERY);
    d->model = (cara_deploy_model){.bytes = 0};
    if (!path)
        return no_model(d, delivery, err);
    if (strcmp(delivery, "image") == 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "--delivery image uses the model inside the package, so --model has no "
                         "place there: leave one of them out");
    cara_model *model;
    cara_error why = {.code = CARA_OK, .position = -1};
    int rc = cara_model_open(path, NULL, &model, &why);
    int other = !rc && model->format != CARA_MODEL_FORMAT_CARA;
    if (rc == CARA_ERR_MODEL_FORMAT || rc == CARA_ERR_VOCAB || other)
        rc =
            cara_fail(err, CARA_ERR_MODEL_FORMAT, -1,
                      "%.200s is no .cara, which is what a function can open at once%s%.250s: make "
                      "one by `caracola model convert %.100s OUT.cara`",
                      path, other ? "" : "; ", other ? "" : why.text, path);
    else if (rc && err)
        *err = why;
    if (!rc) {
        d->model.bytes = (int64_t)model->file.size;
        d->model.dims = model->dims;
        snprintf(d->model.name, sizeof d->model.name, "%s", model->name);
        snprintf(d->model.compute_type, sizeof d->model.compute_type, "%s",
                 cara_model_compute_type(model));
    }
    cara_model_close(model);
    return rc;
}

int cara_deploy_is_toy(const cara_deploy *d) {
    const char *package = cara_deploy_package(d);
    if (d->model.bytes)
        return strcmp(d->model.name, "demo") == 0;
    if (d->request.model || !is(d, CARA_SET_DELIVERY, "image"))
        return 0;
    return d->package.kind ? !d->package.has_model : package && strcmp(package, "zip") == 0;
}

/* ---- settings ---- */

/* The zone in a list of one name a line whose last part is the same, or which differs in case. */
static void find_near(const char *zones, const char *zone, char *dst, size_t size) {
    const char *slash = strrchr(zone, '/'), *last = slash ? slash + 1 : zone;
    dst[0] = 0;
    for (const char *p = zones; *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] != 0)) {
        char name[80];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p, "\n"), p);
        const char *own = strrchr(name, '/');
        if (strcasecmp(name, zone) == 0 || strcasecmp(own ? own + 1 : name, last) == 0) {
            snprintf(dst, size, "; did you mean %s?", name);
            return;
        }
    }
}

static int has_line(const char *lines, const char *line) {
    size_t n = strlen(line);
    for (const char *p = lines; *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] != 0))
        if (strncmp(p, line, n) == 0 && p[n] == '\n')
            return 1;
    return 0;
}

/* The zones of the package that will run. One that is deployed already was built here, or by the
 * same recipe: then it is the list of this build. */
static int find_zones(cara_deploy *d, const char **zones, cara_error *err) {
    const char *path = d->request.zip ? d->request.zip : d->request.image;
    *zones = cara_zone_names;
    if (!path)
        return CARA_OK;
    if (!d->zones.len) {
        cara_mapping file;
        int known, rc = cara_map_file(path, &file, err);
        if (rc)
            return rc;
        rc = cara_package_zones(cara_slice_of(file.data, file.size), path, &d->zones, &known, err);
        cara_unmap(&file);
        if (!rc && !known)
            rc = cara_buf_str(&d->zones, cara_zone_names) ? CARA_ERR_MEMORY : CARA_OK;
        if (rc)
            return rc;
    }
    *zones = d->zones.data ? d->zones.data : "";
    return CARA_OK;
}

static int check_zone(cara_deploy *d, const char *zone, cara_error *err) {
    const char *zones, *path = d->request.zip ? d->request.zip : d->request.image;
    if (strcmp(zone, "UTC") == 0) /* which needs no file */
        return CARA_OK;
    int rc = find_zones(d, &zones, err);
    if (rc || has_line(zones, zone))
        return rc;
    char near[100], ours[100];
    find_near(zones, zone, near, sizeof near);
    find_near(cara_zone_names, zone, ours, sizeof ours);
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "--timezone takes a time zone that the function will have, such as "
                     "America/Mazatlan, and %.150s has no \"%.64s\"%s",
                     path ? path : "the package", zone, near[0] ? near : ours);
}

static int check_memory(const cara_deploy *d, long mb, cara_error *err) {
    if (!d->model.bytes || is(d, CARA_SET_VARIANT, "worker"))
        return CARA_OK;
    double need = (double)d->model.bytes / 1e6 + cara_dims_working_mb(&d->model.dims);
    if (need <= (double)mb)
        return CARA_OK;
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "--memory %ld is too little for the model %s, which takes some %.0f MB: give "
                     "more, or a smaller model",
                     mb, d->model.name, need);
}

static int read_limits(cara_deploy *d, cara_error *err) {
    const char *const args[] = {"lambda", "get-account-settings", NULL};
    json_t *answer;
    cara_awscli_fault fault;
    if (d->limits_known)
        return CARA_OK;
    int rc = cara_awscli_json(&d->cli, &cara_service_lambda, args, &answer, &fault, err);
    const json_t *limit = json_object_get(answer, "AccountLimit");
    d->limit = (long)json_integer_value(json_object_get(limit, "ConcurrentExecutions"));
    d->unreserved =
        (long)json_integer_value(json_object_get(limit, "UnreservedConcurrentExecutions"));
    d->limits_known = !rc && d->limit > 0;
    json_decref(answer);
    if (rc == CARA_ERR_DENIED && strstr(fault.code, "AccessDenied")) {
        cara_progress_report(&d->progress,
                             "the account's limit of functions at once is not checked: these "
                             "credentials may not lambda:GetAccountSettings");
        return CARA_OK;
    }
    return rc;
}

static int check_concurrency(cara_deploy *d, long n, cara_error *err) {
    int worker = is(d, CARA_SET_VARIANT, "worker");
    if ((is(d, CARA_SET_VARIANT, "queued") && n == 1) || (worker && n == 0))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "--concurrency %ld does not go with --variant %s: take 2 or more", n,
                         cara_deploy_value(d, CARA_SET_VARIANT));
    if (worker || n == 0)
        return CARA_OK;
    int rc = read_limits(d, err);
    if (rc || !d->limits_known)
        return rc;
    /* What the stack has reserved already counts as free. */
    const char *now = d->stack.exists ? cara_stack_parameter(&d->stack, "Concurrency") : NULL;
    const char *variant = d->stack.exists ? cara_stack_parameter(&d->stack, "Variant") : NULL;
    long ours = now && variant && strcmp(variant, "worker") != 0 ? strtol(now, NULL, 10) : 0;
    long most = d->unreserved + ours - LEFT_UNRESERVED;
    if (n <= most)
        return CARA_OK;
    if (most < 1)
        return cara_fail(
            err, CARA_ERR_USAGE, -1,
            "--concurrency %ld cannot be reserved: this account may run %ld functions "
            "at once in %s, and AWS keeps %d of them free: take --concurrency 0, which "
            "sets no limit, or ask AWS for more (Service Quotas, Lambda)",
            n, d->limit, d->cli.region, LEFT_UNRESERVED);
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "--concurrency takes at most %ld here: this account may run %ld functions at "
                     "once in %s, %ld are not reserved, and AWS keeps %d of them free; got %ld",
                     most, d->limit, d->cli.region, d->unreserved + ours, LEFT_UNRESERVED, n);
}

static int check_delivery(const cara_deploy *d, cara_error *err) {
    if (is(d, CARA_SET_DELIVERY, "efs") && !is(d, CARA_SET_VARIANT, "vpc"))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "--delivery efs needs --variant vpc: a file system is reached only from "
                         "its network");
    return CARA_OK;
}

static int check_network(const cara_deploy *d, cara_error *err) {
    if (cara_deploy_applies(d, CARA_SET_NETWORK) ||
        (is(d, CARA_SET_NETWORK, "internet") && is(d, CARA_SET_ZONES, "1")))
        return CARA_OK;
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "--network %s with --zones %s is for a network that setup creates, with "
                     "--variant vpc or worker and without --subnet; for another one give --network "
                     "internet --zones 1",
                     cara_deploy_value(d, CARA_SET_NETWORK), cara_deploy_value(d, CARA_SET_ZONES));
}

/* What exists already: the three go together, and each has AWS's form. */
static int check_existing(const cara_deploy *d, cara_setting_id id, cara_error *err) {
    static const cara_setting_id all[] = {CARA_SET_ACCESS_POINT, CARA_SET_SUBNET,
                                          CARA_SET_SECURITY_GROUP};
    const char *value = cara_deploy_value(d, id);
    const char *begins = id == CARA_SET_SUBNET           ? "subnet-"
                         : id == CARA_SET_SECURITY_GROUP ? "sg-"
                                                         : "arn:aws";
    int given = 0;
    for (size_t i = 0; i < 3; i++)
        given += cara_deploy_value(d, all[i])[0] != 0;
    if (value[0] && (strncmp(value, begins, strlen(begins)) != 0 ||
                     (id == CARA_SET_ACCESS_POINT && !strstr(value, ":access-point/fsap-"))))
        return cara_fail(
            err, CARA_ERR_USAGE, -1, "--%s takes what begins with %s, got \"%.100s\"",
            cara_deploy_settings[id].flag,
            id == CARA_SET_ACCESS_POINT ? "arn:aws and has :access-point/fsap-" : begins, value);
    if (id != all[2]) /* each form first */
        return CARA_OK;
    if (given != 0 && given != 3)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "--access-point, --subnet and --security-group go together: give all "
                         "three, or none");
    if (given && !is(d, CARA_SET_DELIVERY, "efs"))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "--access-point is for --delivery efs, with --variant vpc");
    return CARA_OK;
}

static int check_model_file(const char *name, cara_error *err) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t n = strlen(name), at = 0;
    while (at < n && (strchr(letters, name[at]) || (at && strchr("._-", name[at]))))
        at++;
    if (n && n <= 200 && at == n)
        return CARA_OK;
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "--model-file takes a file's name without folders, of letters, digits and "
                     "._-, got \"%.100s\"",
                     name);
}

int cara_deploy_check_setting(cara_deploy *d, cara_setting_id id, cara_error *err) {
    const cara_setting *setting = &cara_deploy_settings[id];
    const char *value = cara_deploy_value(d, id);
    char takes[200];
    if (!cara_setting_fits(setting, value)) {
        cara_setting_takes(setting, takes, sizeof takes);
        return cara_fail(err, CARA_ERR_USAGE, -1, "--%s takes %s, got \"%.100s\"", setting->flag,
                         takes, value);
    }
    int is_new = !d->stack.exists || d->request.values[id];
    switch (id) {
    case CARA_SET_VARIANT:
        return d->request.zip || d->request.image ? check_variant(d, err) : CARA_OK;
    case CARA_SET_DELIVERY:
        return check_delivery(d, err);
    case CARA_SET_ZONES: /* behind the network, in the table */
        return check_network(d, err);
    case CARA_SET_TIMEZONE: /* also where another package comes */
        return is_new || d->package.kind ? check_zone(d, value, err) : CARA_OK;
    case CARA_SET_MEMORY:
        return check_memory(d, strtol(value, NULL, 10), err);
    case CARA_SET_CONCURRENCY:
        return is_new || d->request.values[CARA_SET_VARIANT]
                   ? check_concurrency(d, strtol(value, NULL, 10), err)
                   : CARA_OK;
    case CARA_SET_STORE_BUCKET:
        return is_new && value[0] ? cara_deploy_check_bucket(d, value, err) : CARA_OK;
    case CARA_SET_ACCESS_POINT:
    case CARA_SET_SUBNET:
    case CARA_SET_SECURITY_GROUP:
        return check_existing(d, id, err);
    case CARA_SET_MODEL_FILE:
        return check_model_file(value, err);
    default:
        return CARA_OK;
    }
}

int cara_deploy_check(cara_deploy *d, cara_error *err) {
    int rc = cara_deploy_check_package(d, err);
    if (!rc) /* before the model, which depends on it */
        rc = check_delivery(d, err);
    if (!rc)
        rc = cara_deploy_check_model(d, err);
    for (int id = 0; !rc && id < CARA_N_SETTINGS; id++)
        rc = cara_deploy_check_setting(d, (cara_setting_id)id, err);
    if (rc || d->request.no_link)
        return rc;
    const cara_deploy_account *account = cara_deploy_find_account(d, err);
    if (!account)
        return CARA_ERR_USAGE;
    return cara_deploy_has_other_destination(d, account) && !d->request.take_over
               ? cara_deploy_refuse_other_destination(account, err)
               : CARA_OK;
}

/* Images to ECR by skopeo. The registry's password goes from the AWS CLI's output into a file that
 * only we can read, and from there to skopeo: it is never on a command line. */
#include "base/limits.h"
#include "deploy/upload.h"
#include "net/url.h"
#include "json/json.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The digest of a tag in the registry; "" where it has none. */
static int find_digest(const cara_awscli *cli, const char *name, const char *tag, char digest[80],
                       cara_error *err) {
    char ids[120];
    snprintf(ids, sizeof ids, "imageTag=%s", tag);
    const char *const args[] = {
        "ecr", "describe-images", "--repository-name", name, "--image-ids", ids, NULL};
    json_t *answer;
    cara_awscli_fault fault;
    digest[0] = 0;
    int rc = cara_awscli_json(cli, &cara_service_ecr, args, &answer, &fault, err);
    if (!rc)
        snprintf(digest, 80, "%s",
                 cara_json_text_or(json_array_get(json_object_get(answer, "imageDetails"), 0),
                                   "imageDigest", ""));
    json_decref(answer);
    return rc && strcmp(fault.code, "ImageNotFoundException") == 0 ? CARA_OK : rc;
}

typedef struct registry {
    char host[300]; /* host[:port] */
    int plain;      /* 1: http, which only this machine may speak */
    char auth_file[160];
} registry;

static int is_loopback(const cara_url *url) {
    return cara_slice_eq_str(url->host, "127.0.0.1") || cara_slice_eq_str(url->host, "[::1]") ||
           cara_slice_eq_str(url->host, "localhost");
}

/* Asks ECR for a password of twelve hours and puts it into the private folder. */
static int log_in(const cara_awscli *cli, registry *out, cara_error *err) {
    const char *const args[] = {"ecr", "get-authorization-token", NULL};
    json_t *answer = NULL;
    cara_child_result result;
    static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_NETWORK, CARA_MIB);
    int rc =
        cara_awscli_run(cli, &cara_service_ecr, args, CARA_MIB, NULL, NULL, &result, NULL, err);
    if (!rc) /* without a password in it, it is refused below */
        (void)cara_json_read(result.out.data, result.out.len, &rules, &answer, NULL);
    cara_child_free(&result); /* wipes the password */
    const json_t *data = json_array_get(json_object_get(answer, "authorizationData"), 0);
    const char *token = cara_json_text_or(data, "authorizationToken", "");
    const char *endpoint = cara_json_text_or(data, "proxyEndpoint", "");
    cara_url url;
    if (!rc && (!token[0] || cara_url_split(endpoint, &url)))
        rc = cara_fail(err, CARA_ERR_NETWORK, -1, "ECR gave no password for the registry");
    else if (!rc && !url.secure && !is_loopback(&url))
        rc = cara_fail(err, CARA_ERR_DENIED, -1, "ECR names a registry without TLS, %.200s",
                       endpoint);
    cara_buf text;
    cara_buf_init(&text, CARA_MIB);
    if (!rc) {
        out->plain = !url.secure;
        snprintf(out->host, sizeof out->host, "%.*s", (int)url.authority.len,
                 (const char *)url.authority.ptr);
        json_t *auths = json_pack("{s:{s:{s:s}}}", "auths", out->host, "auth", token);
        if (cara_json_write(auths, CARA_JSON_COMPACT, &text) || cara_buf_char(&text, '\n'))
            rc = cara_fail(err, CARA_ERR_MEMORY, -1, "the registry's password cannot be kept");
        json_decref(auths);
    }
    if (!rc)
        rc = cara_awscli_file(cli, "auth.json", text.data, text.len, out->auth_file,
                              sizeof out->auth_file, err);
    if (text.data)
        OPENSSL_cleanse(text.data, text.cap);
    cara_buf_free(&text);
    json_decref(answer);
    return rc;
}

static int push(const cara_awscli *cli, const char *skopeo, const registry *to, const char *name,
                const char *tag, const cara_upload_file *file, cara_error *err) {
    char program[1024], source[1200], target[700];
    int rc = cara_child_find(skopeo ? skopeo : "skopeo", program, sizeof program, err);
    if (rc)
        return cara_fail(
            err, CARA_ERR_NOT_FOUND, -1,
            "images are pushed by skopeo, which is not there: install Debian's package "
            "skopeo, or name one by --skopeo PATH");
    snprintf(source, sizeof source, "oci-archive:%s", file->path);
    snprintf(target, sizeof target, "docker://%s/%s:%s", to->host, name, tag);
    const char *const argv[] = {"skopeo",
                                "copy",
                                "--authfile",
                                to->auth_file,
                                to->plain ? "--dest-tls-verify=false" : "--dest-tls-verify",
                                source,
                                target,
                                NULL};
    const cara_child_spec spec = {.program = program,
                                  .argv = argv,
                                  .max_output = CARA_MIB,
                                  .timeout_s = 3600,
                                  .stop = cli->options.stop,
                                  .stop_cookie = cli->options.cookie};
    cara_child_result result;
    rc = cara_child_run(&spec, &result, err);
    if (!rc && result.status != 0) {
        char *end = result.err + strcspn(result.err, "\n");
        *end = 0;
        rc = cara_fail(err, CARA_ERR_NETWORK, -1, "skopeo did not push %.150s: %.300s", file->path,
                       result.err[0] ? result.err : "it says nothing");
    }
    cara_child_free(&result);
    return rc;
}

int cara_upload_image(const cara_awscli *cli, const cara_progress *progress, const char *skopeo,
                      const char *uri, const cara_upload_file *file, char *image, size_t size,
                      cara_error *err) {
    char amount[32], tag[80], digest[80] = "";
    const char *slash = uri ? strchr(uri, '/') : NULL;
    const char *name = slash ? slash + 1 : "";
    snprintf(tag, sizeof tag, "sha256-%s", file->sha256);
    image[0] = 0;
    cara_upload_amount(file->size, amount, sizeof amount);
    if (uri && !name[0])
        return cara_fail(err, CARA_ERR_NETWORK, -1, "%.200s is no ECR repository", uri);
    int rc = uri ? find_digest(cli, name, tag, digest, err) : CARA_OK;
    if (rc)
        return rc;
    if (digest[0]) {
        cara_progress_report(progress, "the image is in the registry already");
    } else if (progress->dry) {
        cara_progress_report(progress, "would push %s (%s) to %s", file->path, amount,
                             uri ? uri : "the new repository");
        return CARA_OK;
    } else {
        registry to = {.plain = 0};
        cara_progress_status(progress, "pushing %s", file->path);
        rc = log_in(cli, &to, err);
        if (!rc)
            rc = push(cli, skopeo, &to, name, tag, file, err);
        if (to.auth_file[0])
            unlink(to.auth_file);
        if (!rc)
            rc = find_digest(cli, name, tag, digest, err);
        if (!rc && !digest[0])
            rc = cara_fail(err, CARA_ERR_NETWORK, -1,
                           "the image was pushed, but ECR does not have it");
        cara_progress_status(progress, "%s", "");
        if (!rc)
            cara_progress_report(progress, "pushed %s (%s) to %s", file->path, amount, uri);
    }
    if (!rc)
        snprintf(image, size, "%s@%s", uri, digest);
    return rc;
}

#include "deploy/commands/awscli.h"

#include "base/files/file.h"
#include "base/limits.h"
#include "json/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const cara_aws_service cara_service_ecr = {"ECR", "ecr", "api.ecr", "ECR", "ecr", 0};

#define ANSWER_LIMIT (8 * CARA_MIB)
#define CALL_S 1000              /* Lambda may work for 900 s */
#define NO_LIMIT_S (24.0 * 3600) /* an upload takes as long as it takes */

int cara_awscli_open(cara_awscli *cli, const cara_awscli_options *options, cara_error *err) {
    *cli = (cara_awscli){.options = *options, .profile = options->profile};
    int rc = cara_child_find(options->program ? options->program : "aws", cli->program,
                             sizeof cli->program, err);
    if (rc == CARA_ERR_NOT_FOUND)
        return cara_fail(err, rc, -1,
                         "there is no AWS CLI at %.200s: install Debian's package awscli, or name "
                         "one by --aws PATH",
                         options->program ? options->program : "\"aws\" in PATH");
    if (rc)
        return rc;
    const cara_platform platform = cara_platform_real();
    rc = cara_aws_config_load(&cli->config, &platform, options->region, options->profile, err);
    if (rc)
        return rc;
    cli->region = cli->config.region;
    if (!cli->region)
        rc = cara_fail(err, CARA_ERR_USAGE, -1,
                       "no Region is known: give --region, such as us-east-1, or set AWS_REGION");
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(cli->folder, sizeof cli->folder, "%s/caracola-XXXXXX",
                     tmp && strlen(tmp) < 40 && *tmp ? tmp : "/tmp");
    if (!rc && (n < 0 || !mkdtemp(cli->folder)))
        rc = cara_fail_errno(err, "a folder in %s", cli->folder);
    if (rc)
        cara_aws_config_free(&cli->config);
    return rc;
}

void cara_awscli_close(cara_awscli *cli) {
    DIR *folder = opendir(cli->folder);
    for (const struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    rmdir(cli->folder);
    cara_aws_config_free(&cli->config);
}

int cara_awscli_file(const cara_awscli *cli, const char *name, const void *bytes, size_t n,
                     char *dst, size_t size, cara_error *err) {
    int wrote = snprintf(dst, size, "%s/%s", cli->folder, name);
    if (wrote < 0 || (size_t)wrote >= size)
        return cara_fail(err, CARA_ERR_INTERNAL, -1, "%s: the path is too long", name);
    int fd = open(dst, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return cara_fail_errno(err, "%s", dst);
    int rc = CARA_OK;
    for (size_t at = 0; !rc && at < n;) {
        ssize_t put = write(fd, (const char *)bytes + at, n - at);
        if (put < 0)
            rc = cara_fail_errno(err, "%s", dst);
        else
            at += (size_t)put;
    }
    if (close(fd) != 0 && !rc)
        rc = cara_fail_errno(err, "%s", dst);
    return rc;
}

static void one_line(char *dst, size_t size, const char *text, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < n && at + 1 < size; i++)
        dst[at++] = (unsigned char)text[i] < 0x20 ? ' ' : text[i];
    while (at && dst[at - 1] == ' ')
        at--;
    dst[at] = 0;
}

int cara_awscli_fault_read(const char *text, cara_awscli_fault *fault) {
    *fault = (cara_awscli_fault){.code = ""};
    static const char head[] = "An error occurred (", middle[] = " operation";
    const char *code = strstr(text, head);
    if (!code)
        return 0;
    code += sizeof head - 1;
    const char *shut = strchr(code, ')');
    const char *call = shut ? strstr(shut, middle) : NULL;
    const char *colon = call ? strstr(call, ": ") : NULL; /* " (reached max retries: 2)" may come */
    while (call && strncmp(call + sizeof middle - 1, " (reached", 9) == 0 && colon &&
           colon < strchr(call, ')'))
        colon = strstr(colon + 1, ": ");
    if (!shut || !colon)
        return 0;
    one_line(fault->code, sizeof fault->code, code, (size_t)(shut - code));
    one_line(fault->message, sizeof fault->message, colon + 2, strlen(colon + 2));
    return 1;
}

static int contains_any(const char *text, const char *const *words) {
    for (; *words; words++)
        if (strstr(text, *words))
            return 1;
    return 0;
}

/* The error for a failure of the CLI. */
static int classify_failure(const cara_awscli *cli, const char *what, const cara_child_result *r,
                            cara_awscli_fault *fault, cara_error *err) {
    static const char *const busy[] = {
        "Throttl",         "TooManyRequests", "RequestLimitExceeded", "SlowDown",
        "InternalFailure", "InternalError",   "ServiceUnavailable",   NULL};
    static const char *const stale[] = {"ExpiredToken", "RequestExpired", NULL};
    static const char *const unknown[] = {"InvalidClientTokenId",
                                          "UnrecognizedClient",
                                          "InvalidAccessKeyId",
                                          "SignatureDoesNotMatch",
                                          "IncompleteSignature",
                                          "AuthFailure",
                                          NULL};
    static const char *const missing[] = {"Unable to locate credentials", "NoCredentials",
                                          "Partial credentials", NULL};
    static const char *const away[] = {"Could not connect to the endpoint",
                                       "Connection was closed",
                                       "Connect timeout",
                                       "Read timeout",
                                       "EndpointConnectionError",
                                       NULL};
    static const char *const absent[] = {"404", "NoSuch", "NotFound", NULL};
    if (cara_awscli_fault_read(r->err, fault)) {
        int code = contains_any(fault->code, busy)     ? CARA_ERR_NETWORK
                   : contains_any(fault->code, absent) ? CARA_ERR_NOT_FOUND
                                                       : CARA_ERR_DENIED;
        if (contains_any(fault->code, stale))
            return cara_fail(err, CARA_ERR_DENIED, -1,
                             "the AWS credentials have expired (%s): sign in again", fault->code);
        if (contains_any(fault->code, unknown))
            return cara_fail(err, CARA_ERR_DENIED, -1,
                             "AWS does not accept these credentials in %s (%s: %.200s): check the "
                             "keys, the profile and the Region",
                             cli->region, fault->code, fault->message);
        if (strstr(fault->code, "AccessDenied") || strstr(fault->code, "Unauthorized"))
            return cara_fail(err, CARA_ERR_DENIED, -1,
                             "these credentials may not %s (%s: %.250s): use some that "
                             "may set up stacks, roles and functions",
                             what, fault->code, fault->message);
        return cara_fail(err, (cara_code)code, -1, "%s: %s: %.350s", what, fault->code,
                         fault->message);
    }
    if (contains_any(r->err, missing))
        return cara_fail(err, CARA_ERR_DENIED, -1,
                         "there are no AWS credentials: run `aws configure`, name a --profile, or "
                         "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    char text[360];
    size_t n = strlen(r->err), skip = n > sizeof text ? n - sizeof text : 0;
    while (r->err[skip] == '\n')
        skip++;
    one_line(text, sizeof text, r->err + skip, n - skip);
    if (strstr(text, "config profile"))
        return cara_fail(err, CARA_ERR_USAGE, -1, "%.350s", text);
    if (contains_any(r->err, away))
        return cara_fail(err, CARA_ERR_NETWORK, -1,
                         "%s: no answer from AWS in %s (%.250s): check the Region and the network",
                         what, cli->region, text);
    return cara_fail(err, CARA_ERR_NETWORK, -1, "%s: aws ended with status %d: %.350s", what,
                     r->status, text);
}

int cara_awscli_run(const cara_awscli *cli, const cara_aws_service *service,
                    const char *const *args, size_t max_output,
                    void (*seen)(void *cookie, const char *bytes, size_t n), void *cookie,
                    cara_child_result *result, cara_awscli_fault *fault, cara_error *err) {
    cara_awscli_fault unasked;
    if (!fault)
        fault = &unasked;
    *fault = (cara_awscli_fault){.code = ""};
    *result = (cara_child_result){.status = 127};
    const char *argv[CARA_AWSCLI_ARGS + 12] = {"aws"};
    size_t n = 1;
    for (size_t i = 0; args[i]; i++)
        if (i < CARA_AWSCLI_ARGS)
            argv[n++] = args[i];
    char what[80];
    snprintf(what, sizeof what, "%.20s %.50s", args[0], args[1]);
    argv[n++] = "--region";
    argv[n++] = cli->region;
    if (cli->profile) {
        argv[n++] = "--profile";
        argv[n++] = cli->profile;
    }
    cara_buf endpoint;
    cara_buf_init(&endpoint, 4096);
    int custom = 0;
    int rc = cara_aws_endpoint(&cli->config, service, cli->region, &endpoint, &custom, err);
    if (!rc && custom) {
        argv[n++] = "--endpoint-url";
        argv[n++] = endpoint.data;
    }
    argv[n] = NULL;
    /* No pager, no questions, and the SDKs' standard retries in the CLI's first version too. */
    static const char *const extra[] = {"AWS_PAGER=", "AWS_CLI_AUTO_PROMPT=off",
                                        "AWS_DEFAULT_OUTPUT=json", "AWS_RETRY_MODE=standard", NULL};
    const cara_child_spec spec = {.program = cli->program,
                                  .argv = argv,
                                  .extra = extra,
                                  .max_output = max_output,
                                  .timeout_s = seen ? NO_LIMIT_S : CALL_S,
                                  .stop = cli->options.stop,
                                  .stop_cookie = cli->options.cookie,
                                  .seen = seen,
                                  .seen_cookie = cookie};
    if (!rc)
        rc = cara_child_run(&spec, result, err);
    if (!rc && result->status != 0)
        rc = classify_failure(cli, what, result, fault, err);
    cara_buf_free(&endpoint);
    return rc;
}

int cara_awscli_json(const cara_awscli *cli, const cara_aws_service *service,
                     const char *const *args, json_t **answer, cara_awscli_fault *fault,
                     cara_error *err) {
    cara_child_result result;
    int rc = cara_awscli_run(cli, service, args, ANSWER_LIMIT, NULL, NULL, &result, fault, err);
    if (answer)
        *answer = NULL;
    if (!rc && answer) {
        static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_NETWORK, ANSWER_LIMIT);
        if (result.out.len)
            rc = cara_json_read(result.out.data, result.out.len, &rules, answer, NULL);
        else if (!(*answer = json_object()))
            rc = CARA_ERR_MEMORY;
        if (rc)
            cara_fail(err, (cara_code)rc, -1,
                      rc == CARA_ERR_MEMORY ? "no memory for what aws %s %s printed"
                                            : "aws %s %s printed something that is not JSON",
                      args[0], args[1]);
    }
    cara_child_free(&result);
    return rc;
}

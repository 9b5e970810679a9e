#include "aws/services/stack.h"

#include "aws/client/query_call.h"

#include <stdio.h>
#include <string.h>

typedef struct stack_reader {
    char *status;
    size_t size;
    cara_stack_each each;
    void *ctx;
    char key[256], value[2048];
} stack_reader;

static void on_start(void *ctx, const char *path) {
    stack_reader *r = ctx;
    if (cara_xml_path_ends(path, "Outputs/member"))
        r->key[0] = r->value[0] = 0;
}

static int on_output(void *ctx, const char *path, const char *text, size_t n) {
    stack_reader *r = ctx;
    if (cara_xml_path_ends(path, "Stacks/member/StackStatus"))
        snprintf(r->status, r->size, "%s", text);
    else if (cara_xml_path_ends(path, "Outputs/member/OutputKey"))
        snprintf(r->key, sizeof r->key, "%s", text);
    else if (cara_xml_path_ends(path, "Outputs/member/OutputValue"))
        snprintf(r->value, sizeof r->value, "%s", text);
    else if (cara_xml_path_ends(path, "Outputs/member"))
        return r->each(r->ctx, r->key, r->value);
    return 0;
}

int cara_stack_read(const char *xml, size_t n, char *status, size_t size, cara_stack_each each,
                    void *ctx, cara_error *err) {
    status[0] = 0;
    stack_reader reader = {.status = status, .size = size, .each = each, .ctx = ctx};
    const cara_xml_handler handler = {.start = on_start, .end = on_output, .ctx = &reader};
    return cara_xml_parse(xml, n, &handler, err);
}

int cara_stack_outputs(cara_aws *aws, const char *name, char *status, size_t size,
                       cara_stack_each each, void *ctx, cara_error *err) {
    status[0] = 0;
    stack_reader reader = {.status = status, .size = size, .each = each, .ctx = ctx};
    const cara_xml_handler handler = {.start = on_start, .end = on_output, .ctx = &reader};
    const cara_query_pair pair = {"StackName", name};
    const cara_aws_query_call call = {.service = &cara_service_cloudformation,
                                      .what = "CloudFormation DescribeStacks",
                                      .action = "DescribeStacks",
                                      .version = "2010-05-15",
                                      .pairs = &pair,
                                      .n_pairs = 1,
                                      .handler = &handler};
    cara_error trouble = {.code = CARA_OK, .position = -1};
    int rc = cara_aws_query(aws, &call, &trouble);
    /* A stack that is not there is a 400 like any other. */
    const cara_aws_fault *fault = cara_aws_last_fault(aws);
    if (rc == CARA_ERR_DENIED && fault->status == 400 && strstr(fault->message, "does not exist"))
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1, "there is no stack %.128s", name);
    if (rc && err)
        *err = trouble;
    if (!rc && !status[0])
        rc = cara_fail(err, CARA_ERR_NETWORK, -1, "CloudFormation answered without a stack");
    return rc;
}

typedef struct identity {
    char *arn;
    size_t size;
} identity;

static int on_identity(void *ctx, const char *path, const char *text, size_t n) {
    identity *who = ctx;
    if (cara_xml_path_ends(path, "GetCallerIdentityResult/Arn"))
        snprintf(who->arn, who->size, "%s", text);
    return 0;
}

int cara_aws_whoami(cara_aws *aws, char *arn, size_t size, cara_error *err) {
    arn[0] = 0;
    identity who = {arn, size};
    const cara_xml_handler handler = {.end = on_identity, .ctx = &who};
    const cara_aws_query_call call = {.service = &cara_service_sts,
                                      .what = "STS GetCallerIdentity",
                                      .action = "GetCallerIdentity",
                                      .version = "2011-06-15",
                                      .handler = &handler};
    int rc = cara_aws_query(aws, &call, err);
    if (!rc && !arn[0])
        rc = cara_fail(err, CARA_ERR_NETWORK, -1, "STS answered without an ARN");
    return rc;
}

#include "aws/services/stack.h"

#include "aws/client/json_call.h"
#include "aws/client/query_call.h"

#include <stdio.h>
#include <string.h>

/* ---- a stack from JSON ---- */

static int ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

int cara_stack_is_busy(const char *status) {
    return ends_with(status, "_IN_PROGRESS") && strcmp(status, "REVIEW_IN_PROGRESS") != 0;
}

void cara_stack_free(cara_stack *stack) {
    json_decref(stack->json);
    *stack = (cara_stack){.exists = 0};
}

int cara_stack_read_json(const json_t *answer, const char *name, cara_stack *out, cara_error *err) {
    json_t *stack = json_array_get(json_object_get(answer, "Stacks"), 0);
    *out = (cara_stack){.json = json_incref(stack)};
    snprintf(out->id, sizeof out->id, "%s", cara_json_text_or(stack, "StackId", ""));
    snprintf(out->status, sizeof out->status, "%s", cara_json_text_or(stack, "StackStatus", ""));
    snprintf(out->reason, sizeof out->reason, "%s",
             cara_json_text_or(stack, "StackStatusReason", ""));
    if (!out->id[0] || !out->status[0])
        return cara_fail(err, CARA_ERR_NETWORK, -1,
                         "CloudFormation returned no status for stack %.128s", name);
    out->exists = strcmp(out->status, "REVIEW_IN_PROGRESS") != 0 &&
                  strcmp(out->status, "DELETE_COMPLETE") != 0;
    return CARA_OK;
}

static const char *find(const cara_stack *stack, const char *list, const char *name,
                        const char *value, const char *key) {
    const json_t *rows = json_object_get(stack->json, list);
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (strcmp(cara_json_text_or(json_array_get(rows, i), name, ""), key) == 0)
            return cara_json_text_or(json_array_get(rows, i), value, "");
    return NULL;
}

const char *cara_stack_parameter(const cara_stack *stack, const char *key) {
    return find(stack, "Parameters", "ParameterKey", "ParameterValue", key);
}

const char *cara_stack_output(const cara_stack *stack, const char *key) {
    return find(stack, "Outputs", "OutputKey", "OutputValue", key);
}

/* ---- the same from XML ---- */

/* The query protocol's XML has the members that the JSON has: an element with elements inside is an
 * object, one with elements named "member" is a list, all others are texts. */
enum { MAX_DEPTH = 24 };

typedef struct tree {
    json_t *levels[MAX_DEPTH]; /* what each open element holds so far; NULL: nothing */
    size_t depth;              /* open elements; levels[0] is the document */
    int too_deep;
} tree;

static void on_start(void *ctx, const char *path) {
    tree *t = ctx;
    t->too_deep |= t->depth + 1 >= MAX_DEPTH;
    if (!t->too_deep)
        t->levels[++t->depth] = NULL;
}

static int on_end(void *ctx, const char *path, const char *text, size_t n) {
    tree *t = ctx;
    if (t->too_deep)
        return CARA_ERR_NETWORK;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int in_list = strcmp(name, "member") == 0;
    json_t *value = t->levels[t->depth];
    t->levels[t->depth--] = NULL;
    json_t **parent = &t->levels[t->depth];
    if (!value)
        value = json_stringn(text, n);
    if (!*parent)
        *parent = in_list ? json_array() : json_object();
    if (!value || !*parent) {
        json_decref(value);
        return CARA_ERR_MEMORY;
    }
    if (in_list != json_is_array(*parent)) {
        json_decref(value);
        return CARA_ERR_NETWORK;
    }
    int failed =
        in_list ? json_array_append_new(*parent, value) : json_object_set_new(*parent, name, value);
    return failed ? CARA_ERR_MEMORY : CARA_OK;
}

static int read_tree(tree *t, const char *name, cara_stack *out, cara_error *err) {
    const json_t *response = json_object_get(t->levels[0], "DescribeStacksResponse");
    return cara_stack_read_json(json_object_get(response, "DescribeStacksResult"), name, out, err);
}

/* The error for the code that a handler stopped with. */
static int refuse(int rc, cara_error *err) {
    return cara_fail(err, rc, -1,
                     rc == CARA_ERR_MEMORY
                         ? "no memory for a stack"
                         : "CloudFormation's answer is no description of a stack");
}

static void free_tree(tree *t) {
    for (size_t i = 0; i < MAX_DEPTH; i++)
        json_decref(t->levels[i]);
}

int cara_stack_read_xml(const char *xml, size_t n, const char *name, cara_stack *out,
                        cara_error *err) {
    *out = (cara_stack){.exists = 0};
    tree t = {.depth = 0};
    const cara_xml_handler handler = {.start = on_start, .end = on_end, .ctx = &t};
    cara_error failure = {.code = CARA_OK, .position = -1};
    int rc = cara_xml_parse(xml, n, &handler, &failure);
    if (!rc)
        rc = read_tree(&t, name, out, err);
    else if (!failure.code)
        rc = refuse(rc, err);
    else if (err)
        *err = failure;
    free_tree(&t);
    return rc;
}

int cara_stack_get(cara_aws *aws, const char *name, cara_stack *out, cara_error *err) {
    *out = (cara_stack){.exists = 0};
    tree t = {.depth = 0};
    const cara_xml_handler handler = {.start = on_start, .end = on_end, .ctx = &t};
    const cara_query_pair pair = {"StackName", name};
    const cara_aws_query_call call = {.service = &cara_service_cloudformation,
                                      .what = "CloudFormation DescribeStacks",
                                      .action = "DescribeStacks",
                                      .version = "2010-05-15",
                                      .pairs = &pair,
                                      .n_pairs = 1,
                                      .handler = &handler};
    cara_error failure = {.code = CARA_OK, .position = -1};
    int rc = cara_aws_query(aws, &call, &failure);
    /* A stack that is not there is a 400 like any other. */
    const cara_aws_fault *fault = cara_aws_last_fault(aws);
    if (!rc)
        rc = read_tree(&t, name, out, err);
    else if (rc == CARA_ERR_DENIED && fault->status == 400 &&
             strstr(fault->message, "does not exist"))
        rc = cara_fail(err, CARA_ERR_NOT_FOUND, -1, "there is no stack %.128s", name);
    else if (!failure.code)
        rc = refuse(rc, err);
    else if (err)
        *err = failure;
    free_tree(&t);
    return rc;
}

/* ---- the caller's identity ---- */

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

int cara_sts_caller_identity(cara_aws *aws, char *arn, size_t size, cara_error *err) {
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

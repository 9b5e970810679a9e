/* AWS CloudFormation: the state, parameters and outputs of a stack; and AWS STS's
 * GetCallerIdentity. */
#ifndef AWS_STACK_H
#define AWS_STACK_H

#include "aws/client/client.h"

#include <jansson.h>

typedef struct cara_stack {
    int exists;      /* 0: no such stack, or only one in review */
    char id[300];    /* its ARN */
    char status[64]; /* "CREATE_COMPLETE"; "" where there is none */
    char reason[400];
    json_t *json; /* as DescribeStacks has it in JSON: Parameters, Outputs; owned */
} cara_stack;

/* Reads the answer of DescribeStacks, in JSON as the AWS CLI prints it ("Stacks": [..]) and in XML
 * as the service sends it (exposed for tests and fuzzing). `name` is for messages. Free *out in any
 * case. NETWORK: there is no stack in it, or one without a status; MEMORY. */
int cara_stack_read_json(const json_t *answer, const char *name, cara_stack *out, cara_error *err);
int cara_stack_read_xml(const char *xml, size_t n, const char *name, cara_stack *out,
                        cara_error *err);
void cara_stack_free(cara_stack *stack);

/* DescribeStacks over HTTP. NOT_FOUND where there is no such stack; else as cara_aws_query() and
 * above. Free *out in any case. */
int cara_stack_get(cara_aws *aws, const char *name, cara_stack *out, cara_error *err);

/* Borrowed; NULL where there is none of that name. */
const char *cara_stack_parameter(const cara_stack *stack, const char *key);
const char *cara_stack_output(const cara_stack *stack, const char *key);

/* 1 where an operation is going on in this state. */
int cara_stack_is_busy(const char *status);

/* GetCallerIdentity: the ARN of the caller's identity, cut to size. No permission is needed. */
int cara_sts_caller_identity(cara_aws *aws, char *arn, size_t size, cara_error *err);

#endif

/* CloudFormation stacks: looked at, changed by change sets, and deleted. */
#ifndef DEPLOY_STACK_H
#define DEPLOY_STACK_H

#include "deploy/talk.h"

typedef struct cara_stack {
    int exists;      /* 0: no such stack, or only one in review */
    char id[300];    /* its ARN */
    char status[64]; /* "CREATE_COMPLETE"; "" where there is none */
    char reason[400];
    json_t *json; /* as DescribeStacks has it; owned */
} cara_stack;

/* A stack that is not there is a success with exists = 0. Free it in any case. As
 * cara_awscli_json(). */
int cara_stack_describe(const cara_awscli *cli, const char *name, cara_stack *out, cara_error *err);
void cara_stack_free(cara_stack *stack);

/* Borrowed; NULL where there is none of that name. */
const char *cara_stack_parameter(const cara_stack *stack, const char *key);
const char *cara_stack_output(const cara_stack *stack, const char *key);

typedef struct cara_stack_wish {
    const char *name;
    const char *template_url;  /* in S3, or NULL: */
    const char *template_body; /* a text of at most 51,200 bytes */
    json_t *parameters;        /* array of {ParameterKey, ParameterValue}, borrowed; or NULL */
} cara_stack_wish;

/* Makes the stack what is wished: waits for an operation that is going on, removes what a failed
 * creation left, and creates or updates by a change set. *changed (may be NULL) tells whether
 * anything had to be. `stack` is as cara_stack_describe() left it, and becomes the new one; free it
 * in any case. In a dry run it only says what would be done.
 * DENIED: refused or failed, with the resources' reasons; CANCELLED: AWS goes on by itself. */
int cara_stack_deploy(const cara_awscli *cli, const cara_talk *talk, const cara_stack_wish *wish,
                      cara_stack *stack, int *changed, cara_error *err);

/* Deletes it and waits for the end; one that is not there is a success. */
int cara_stack_delete(const cara_awscli *cli, const cara_talk *talk, const char *name,
                      cara_error *err);

/* 1 where an operation is going on in this state. Exposed for tests. */
int cara_stack_is_busy(const char *status);

#endif

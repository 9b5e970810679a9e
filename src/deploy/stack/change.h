/* CloudFormation stacks by the AWS CLI: described, changed by change sets, and deleted. */
#ifndef DEPLOY_STACK_CHANGE_H
#define DEPLOY_STACK_CHANGE_H

#include "aws/services/stack.h"
#include "deploy/commands/progress.h"

/* A stack that is not there is a success with exists = 0. Free it in any case. As
 * cara_awscli_json(). */
int cara_stack_describe(const cara_awscli *cli, const char *name, cara_stack *out, cara_error *err);
typedef struct cara_stack_request {
    const char *name;
    const char *template_url;  /* in S3, or NULL: */
    const char *template_body; /* a text of at most 51,200 bytes */
    json_t *parameters;        /* array of {ParameterKey, ParameterValue}, borrowed; or NULL */
    json_t *tags;              /* array of {Key, Value}, borrowed; NULL: they stay as they are */
} cara_stack_request;

/* Makes the stack what is requested: waits for an operation that is going on, removes what a failed
 * creation left, and creates or updates by a change set. *changed (may be NULL) says whether
 * anything had to be changed. `stack` is as cara_stack_describe() left it, and becomes the new one;
 * free it in any case. In a dry run it only says what would be done. DENIED: refused or failed,
 * with the resources' reasons; CANCELLED: AWS goes on by itself. */
int cara_stack_deploy(const cara_awscli *cli, const cara_progress *progress,
                      const cara_stack_request *request, cara_stack *stack, int *changed,
                      cara_error *err);

/* Deletes it and waits for the end; one that is not there is a success. */
int cara_stack_delete(const cara_awscli *cli, const cara_progress *progress, const char *name,
                      cara_error *err);

#endif

/* AWS CloudFormation, as far as finding what a stack has made needs it, and AWS STS's "who am I".
 */
#ifndef AWS_STACK_H
#define AWS_STACK_H

#include "aws/client/client.h"

/* DescribeStacks: calls `each` for every output of the stack; texts are borrowed for the call, and
 * non-zero from it ends the walk and is returned. `status` receives "CREATE_COMPLETE" or the like,
 * cut to size. NOT_FOUND where there is no such stack. */
typedef int (*cara_stack_each)(void *ctx, const char *key, const char *value);
int cara_stack_outputs(cara_aws *aws, const char *name, char *status, size_t size,
                       cara_stack_each each, void *ctx, cara_error *err);

/* The answer to it (exposed for tests and fuzzing). */
int cara_stack_read(const char *xml, size_t n, char *status, size_t size, cara_stack_each each,
                    void *ctx, cara_error *err);

/* GetCallerIdentity: the ARN of whose credentials these are, cut to size. No permission is needed.
 */
int cara_aws_whoami(cara_aws *aws, char *arn, size_t size, cara_error *err);

#endif

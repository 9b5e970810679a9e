/* What SNS and CloudFormation answer to the checks of an account. */
#include "aws/services/sns.h"
#include "aws/services/sqs.h"
#include "aws/services/stack.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int each_subscription(void *ctx, const cara_sns_subscription *s) {
    *(size_t *)ctx += strlen(s->protocol) + strlen(s->endpoint);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *text = (const char *)data;
    size_t total = 0;
    char token[2048], url[512];
    cara_error err = {0};
    if (cara_sns_read_page(text, n, each_subscription, &total, token, &err) && !err.text[0])
        abort();
    if (strnlen(token, sizeof token) == sizeof token)
        abort();
    cara_stack stack;
    if (cara_stack_read_xml(text, n, "s", &stack, &err) && !err.text[0])
        abort();
    const char *output = cara_stack_output(&stack, "BucketName");
    total += output ? strlen(output) : 0;
    if (strnlen(stack.status, sizeof stack.status) == sizeof stack.status)
        abort();
    cara_stack_free(&stack);
    char *arn = malloc(n + 1);
    if (!arn)
        return 0;
    memcpy(arn, data, n);
    arn[n] = 0;
    (void)cara_sqs_url_of(arn, url, sizeof url);
    free(arn);
    return 0;
}

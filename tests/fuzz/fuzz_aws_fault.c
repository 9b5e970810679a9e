/* What the AWS CLI writes to standard error: any text, which must come out as one line. */
#include "deploy/commands/awscli.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char *text = malloc(n + 1);
    if (!text)
        return 0;
    memcpy(text, data, n);
    text[n] = 0;
    cara_awscli_fault fault;
    if (cara_awscli_fault_read(text, &fault) != (fault.code[0] || fault.message[0]) &&
        !strstr(text, "An error occurred ("))
        abort();
    if (strpbrk(fault.code, "\r\n") || strpbrk(fault.message, "\r\n"))
        abort();
    free(text);
    return 0;
}

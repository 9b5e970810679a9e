/* A page of S3's list, and an error's XML, as any server could send it. */
#include "aws/exchange/fault.h"
#include "aws/s3/s3.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int each(void *ctx, const char *key, int64_t size) {
    size_t *total = ctx;
    *total += strlen(key);
    return size < -1 ? -99 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    size_t total = 0;
    cara_buf token;
    cara_buf_init(&token, 4096);
    cara_error err = {0};
    int rc = cara_s3_list_page((const char *)data, n, each, &total, &token, &err);
    if (rc == -99 || (rc && !err.text[0]))
        abort();
    cara_buf_free(&token);
    cara_http_response response = {.status = 400};
    cara_buf_init(&response.body, n);
    if (cara_buf_add(&response.body, data, n) == 0) {
        cara_aws_fault fault;
        char text[64];
        cara_aws_fault_read(&response, &fault);
        cara_aws_fault_text(&fault, text, sizeof text);
    }
    cara_http_response_free(&response);
    return 0;
}

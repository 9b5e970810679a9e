/* The lines of an answer's head, and the values in it that decide something: error type, dates,
 * waiting times, digests. Behind an empty line comes the body. */
#include "aws/exchange/fault.h"
#include "aws/s3/checksum.h"
#include "aws/signing/dates.h"
#include "aws/signing/sigv4.h"
#include "net/url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    cara_http_response response = {.status = 403};
    cara_buf_init(&response.head, 65536);
    cara_buf_init(&response.body, 65536);
    size_t at = 0;
    while (at < n) {
        const uint8_t *end = memchr(data + at, '\n', n - at);
        size_t len = end ? (size_t)(end - data) - at + 1 : n - at;
        if (len == 1) {
            (void)cara_buf_add(&response.body, data + at + 1, n - at - 1);
            break;
        }
        (void)cara_http_head_add(&response.head, (const char *)data + at, len);
        at += len;
    }
    cara_aws_fault fault;
    cara_aws_fault_read(&response, &fault);
    (void)cara_aws_fault_is_clock(&fault);
    double wait = cara_retry_after(&response, 1760490613000);
    if (wait < 0 && wait > -0.5)
        abort();
    (void)cara_checksum_verify(&response, NULL, NULL);
    const char *date = cara_http_header_of(&response, "date");
    int64_t ms;
    char text[17];
    if (date && (cara_time_http(date, &ms) == 0 || cara_time_iso8601(date, &ms) == 0) && ms >= 0 &&
        ms <= CARA_TIME_MAX_MS && cara_sigv4_date(ms, text))
        abort();
    const char *location = cara_http_header_of(&response, "location");
    cara_url url;
    if (location)
        (void)cara_url_split(location, &url);
    cara_http_response_free(&response);
    return 0;
}

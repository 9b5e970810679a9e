/* The digests that S3 keeps beside an object and sends along (x-amz-checksum-*). */
#ifndef AWS_CHECKSUM_H
#define AWS_CHECKSUM_H

#include "net/http.h"

/* Compares the answer's body with each x-amz-checksum-{crc32,crc32c,crc64nvme,sha1,sha256} header.
 * A composite one ("...-3", of the parts of a multipart upload) says nothing about the whole and is
 * passed over. *checked (may be NULL) counts those compared. CARA_OK, NETWORK for a difference,
 * INTERNAL. */
int cara_checksum_verify(const cara_http_response *response, int *checked, cara_error *err);

/* SHA-256 of bytes that come piece by piece. Each is 0, or -1 where libcrypto has no memory; end
 * frees in any case, and may follow a begin that failed. */
typedef struct cara_sha256_run {
    void *md;
} cara_sha256_run;

int cara_sha256_begin(cara_sha256_run *run);
int cara_sha256_add(cara_sha256_run *run, const void *bytes, size_t n);
int cara_sha256_end(cara_sha256_run *run, char hex[65]);

/* Base64 with padding of n <= 64 bytes, NUL-terminated. */
void cara_base64_short(const unsigned char *bytes, unsigned n, char out[92]);

#endif

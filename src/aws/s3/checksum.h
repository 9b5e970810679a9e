/* The checksums that S3 keeps with an object and sends with it (x-amz-checksum-*). */
#ifndef AWS_CHECKSUM_H
#define AWS_CHECKSUM_H

#include "net/http.h"

/* Compares the answer's body with each x-amz-checksum-{crc32,crc32c,crc64nvme,sha1,sha256} header.
 * A composite one ("...-3", of the parts of a multipart upload) says nothing about the whole and is
 * passed over. *checked (may be NULL) counts those compared. CARA_OK, NETWORK for a difference,
 * INTERNAL. */
int cara_checksum_verify(const cara_http_response *response, int *checked, cara_error *err);

#endif

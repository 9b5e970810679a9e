#include "aws/s3/checksum.h"

#include "crypto/encoding.h"

#include <openssl/evp.h>
#include <string.h>

/* Any reflected CRC of 32 or 64 bits with all ones before and after, bit by bit over a nibble table
 * that fits on the stack: transcripts and voice notes are small. */
static uint64_t crc(const unsigned char *p, size_t n, uint64_t polynomial, uint64_t ones) {
    uint64_t table[16];
    for (uint64_t i = 0; i < 16; i++) {
        uint64_t c = i;
        for (int bit = 0; bit < 4; bit++)
            c = c & 1 ? c >> 1 ^ polynomial : c >> 1;
        table[i] = c;
    }
    uint64_t c = ones;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        c = c >> 4 ^ table[c & 15];
        c = c >> 4 ^ table[c & 15];
    }
    return c ^ ones;
}

static unsigned big_endian(uint64_t value, unsigned bytes, unsigned char *out) {
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> 8 * (bytes - 1 - i));
    return bytes;
}

/* Bytes of the digest, or 0 where libcrypto refuses. */
static unsigned digest(int kind, const void *p, size_t n, unsigned char out[64]) {
    unsigned len = 0;
    switch (kind) {
    case 0:
        return big_endian(crc(p, n, 0xEDB88320u, 0xFFFFFFFFu), 4, out);
    case 1:
        return big_endian(crc(p, n, 0x82F63B78u, 0xFFFFFFFFu), 4, out);
    case 2:
        return big_endian(crc(p, n, UINT64_C(0x9A6C9329AC4BC9B5), UINT64_MAX), 8, out);
    default:
        return EVP_Digest(p, n, out, &len, kind == 3 ? EVP_sha1() : EVP_sha256(), NULL) == 1 ? len
                                                                                             : 0;
    }
}

int cara_checksum_verify(const cara_http_response *response, int *checked, cara_error *err) {
    static const char *const names[] = {"x-amz-checksum-crc32", "x-amz-checksum-crc32c",
                                        "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1",
                                        "x-amz-checksum-sha256"};
    if (checked)
        *checked = 0;
    for (int kind = 0; kind < 5; kind++) {
        const char *want = cara_http_header_of(response, names[kind]);
        if (!want || strchr(want, '-'))
            continue;
        unsigned char bytes[64];
        char text[CARA_BASE64_SIZE(sizeof bytes)];
        unsigned n =
            digest(kind, response->body.data ? response->body.data : "", response->body.len, bytes);
        if (!n)
            return cara_fail(err, CARA_ERR_MEMORY, -1, "libcrypto has no memory for %s",
                             names[kind]);
        cara_base64_encode(bytes, n, text);
        if (strcmp(text, want) != 0)
            return cara_fail(err, CARA_ERR_NETWORK, -1,
                             "%zu bytes arrived whose %s is %s, not %.100s: they were damaged",
                             response->body.len, names[kind] + 6, text, want);
        if (checked)
            ++*checked;
    }
    return CARA_OK;
}

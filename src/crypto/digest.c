#include "crypto/digest.h"

#include "crypto/encoding.h"

#include <openssl/evp.h>
#include <string.h>

int cara_sha256(const void *bytes, size_t n, uint8_t out[32]) {
    unsigned size = 0;
    return EVP_Digest(n ? bytes : "", n, out, &size, EVP_sha256(), NULL) == 1 && size == 32 ? 0
                                                                                            : -1;
}

int cara_sha256_hex(const void *bytes, size_t n, char out[65]) {
    uint8_t digest[32];
    if (cara_sha256(bytes, n, digest))
        return -1;
    cara_hex_encode(digest, 32, out);
    return 0;
}

int cara_sha256_begin(cara_sha256_run *run) {
    run->md = EVP_MD_CTX_new();
    if (run->md && EVP_DigestInit_ex(run->md, EVP_sha256(), NULL) == 1)
        return 0;
    EVP_MD_CTX_free(run->md);
    run->md = NULL;
    return -1;
}

int cara_sha256_add(cara_sha256_run *run, const void *bytes, size_t n) {
    return EVP_DigestUpdate(run->md, bytes, n) == 1 ? 0 : -1;
}

int cara_sha256_end(cara_sha256_run *run, char hex[65]) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int rc = run->md && EVP_DigestFinal_ex(run->md, bytes, &n) == 1 && n == 32 ? 0 : -1;
    EVP_MD_CTX_free(run->md);
    run->md = NULL;
    cara_hex_encode(bytes, rc ? 0 : n, hex);
    return rc;
}

int cara_sha256_read(const char *text, uint8_t out[32]) {
    uint8_t decoded[33];
    size_t n = strnlen(text, 65);
    if (n == 64)
        return cara_hex_decode(text, out, 32);
    if (n > 44 || cara_base64_decode(text, n, decoded) != 32)
        return -1;
    memcpy(out, decoded, 32);
    return 0;
}

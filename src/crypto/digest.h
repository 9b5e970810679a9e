/* SHA-256 of bytes at once or piece by piece, and as text. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* 0, or -1 where libcrypto has no memory. */
int cara_sha256(const void *bytes, size_t n, uint8_t out[32]);

/* The same as 64 lower-case hex digits and a NUL. */
int cara_sha256_hex(const void *bytes, size_t n, char out[65]);

/* SHA-256 of bytes that come piece by piece. Each is 0, or -1 where libcrypto has no memory; end
 * frees in any case, and may follow a begin that failed. */
typedef struct cara_sha256_run {
    void *md;
} cara_sha256_run;

int cara_sha256_begin(cara_sha256_run *run);
int cara_sha256_add(cara_sha256_run *run, const void *bytes, size_t n);
int cara_sha256_end(cara_sha256_run *run, char hex[65]);

/* Reads a SHA-256 written as base64 of either alphabet, padded or not, or as 64 hex digits.
 * 0, or -1 where it is neither. */
int cara_sha256_read(const char *text, uint8_t out[32]);

#endif

/* SHA-256 and the two base64 alphabets, for names and for checking media. */
#ifndef PIPELINE_DIGEST_H
#define PIPELINE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* 0, or -1 where libcrypto has no memory. */
int cara_sha256(const void *bytes, size_t n, uint8_t out[32]);

/* base64url (RFC 4648 section 5) without padding, as many characters as fit whole into `chars`;
 * NUL-terminated: `out` holds chars + 1. */
void cara_base64url(const uint8_t *bytes, size_t n, char *out, size_t chars);

/* Reads a digest as WhatsApp writes it: base64 of either alphabet, padded or not, or 64 hex digits.
 * 0, or -1 where it is neither. */
int cara_sha256_read(const char *text, uint8_t out[32]);

#endif

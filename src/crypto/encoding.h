/* Bytes as text and back: base64 (RFC 4648 sections 4 and 5) and hex, by libcrypto. */
#ifndef CRYPTO_ENCODING_H
#define CRYPTO_ENCODING_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the base64 of n bytes with its NUL. */
#define CARA_BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)

/* Base64 with padding, or base64url without; NUL-terminated. `out` holds CARA_BASE64_SIZE(n). */
void cara_base64_encode(const void *bytes, size_t n, char *out);
void cara_base64url_encode(const void *bytes, size_t n, char *out);

/* Decodes text[0..n), base64 or base64url, padded or not. `out` holds 3 bytes for each 4 characters
 * begun. The number of bytes, or -1 where it is neither, has white space or is longer than 64 MiB.
 */
int64_t cara_base64_decode(const char *text, size_t n, uint8_t *out);

/* 2 n lower-case hex digits and a NUL. */
void cara_hex_encode(const void *bytes, size_t n, char *out);

/* Decodes 2 n hex digits of either case to out[0..n). 0, or -1 where `text` is not just those. */
int cara_hex_decode(const char *text, uint8_t *out, size_t n);

#endif

#include "crypto/encoding.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define PIECE (48 << 20)      /* bytes that libcrypto, which counts in int, gets at once */
#define TEXT_LIMIT (64 << 20) /* characters to decode */

void cara_base64_encode(const void *bytes, size_t n, char *out) {
    const unsigned char *p = bytes;
    *out = 0;
    while (n) {
        int piece = n < PIECE ? (int)n : PIECE; /* a multiple of 3: only the last one is padded */
        out += EVP_EncodeBlock((unsigned char *)out, p, piece);
        p += piece;
        n -= (size_t)piece;
    }
}

void cara_base64url_encode(const void *bytes, size_t n, char *out) {
    cara_base64_encode(bytes, n, out);
    for (; *out && *out != '='; out++)
        *out = *out == '+' ? '-' : *out == '/' ? '_' : *out;
    *out = 0;
}

static int is_base64(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '-' || c == '_';
}

/* Decodes four characters at a time: padding and the second alphabet are corrected in a copy. */
int64_t cara_base64_decode(const char *text, size_t n, uint8_t *out) {
    if (n > TEXT_LIMIT)
        return -1;
    if (n % 4 == 0 && n && text[n - 1] == '=')
        n -= text[n - 2] == '=' ? 2 : 1;
    if (n % 4 == 1)
        return -1;
    int64_t length = 0;
    for (size_t i = 0; i < n; i += 4) {
        unsigned char four[4] = {'A', 'A', 'A', 'A'}, three[3];
        size_t have = n - i < 4 ? n - i : 4;
        for (size_t j = 0; j < have; j++) {
            char c = text[i + j];
            if (!is_base64(c))
                return -1;
            four[j] = (unsigned char)(c == '-' ? '+' : c == '_' ? '/' : c);
        }
        if (EVP_DecodeBlock(three, four, 4) != 3)
            return -1;
        memcpy(out + length, three, have - 1);
        length += (int64_t)have - 1;
    }
    return length;
}

void cara_hex_encode(const void *bytes, size_t n, char *out) {
    *out = 0;
    if (n)
        OPENSSL_buf2hexstr_ex(out, 2 * n + 1, NULL, bytes, n, '\0'); /* '\0': no separator */
    for (; *out; out++)
        *out |= 0x20; /* digits have that bit, and upper-case letters become lower-case ones */
}

int cara_hex_decode(const char *text, uint8_t *out, size_t n) {
    size_t length;
    if (strspn(text, "0123456789abcdefABCDEF") != 2 * n || text[2 * n])
        return -1;
    return OPENSSL_hexstr2buf_ex(out, n, &length, text, '\0') == 1 && length == n ? 0 : -1;
}

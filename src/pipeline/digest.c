#include "pipeline/digest.h"

#include <openssl/evp.h>
#include <string.h>

int cara_sha256(const void *bytes, size_t n, uint8_t out[32]) {
    unsigned size = 0;
    return EVP_Digest(n ? bytes : "", n, out, &size, EVP_sha256(), NULL) == 1 && size == 32 ? 0
                                                                                            : -1;
}

void cara_base64url(const uint8_t *bytes, size_t n, char *out, size_t chars) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t at = 0;
    for (size_t bit = 0; bit < 8 * n && at < chars; bit += 6) {
        unsigned two = (unsigned)bytes[bit / 8] << 8;
        if (bit / 8 + 1 < n)
            two |= bytes[bit / 8 + 1];
        out[at++] = alphabet[(two >> (10 - bit % 8)) & 63];
    }
    out[at] = 0;
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int cara_sha256_read(const char *text, uint8_t out[32]) {
    size_t n = strnlen(text, 65);
    if (n == 64) {
        for (size_t i = 0; i < 32; i++) {
            int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
            if (high < 0 || low < 0)
                return -1;
            out[i] = (uint8_t)(high << 4 | low);
        }
        return 0;
    }
    if (n == 44 && text[43] == '=')
        n = 43;
    if (n != 43)
        return -1;
    unsigned bits = 0, held = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return -1;
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[at++] = (uint8_t)(bits >> held);
        }
    }
    return at == 32 ? 0 : -1;
}

/* Ogg pages with their checksums corrected, so that damage reaches the packets and the decoder. */
#include "fuzz_audio.h"

#include <string.h>

static void correct(uint8_t *page, size_t size) {
    uint32_t crc = 0;
    memset(page + 22, 0, 4);
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint32_t)page[i] << 24;
        for (int k = 0; k < 8; k++)
            crc = crc << 1 ^ (crc & 0x80000000U ? 0x04c11db7U : 0);
    }
    for (int k = 0; k < 4; k++)
        page[22 + k] = (uint8_t)(crc >> 8 * k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 28)
        return 0;
    uint8_t *copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    for (size_t at = 0; size - at >= 27;) {
        uint8_t *page = copy + at;
        size_t n = 27 + (size_t)page[26];
        if (memcmp(page, "OggS", 4) != 0) {
            at++;
            continue;
        }
        for (size_t i = 0; i < page[26] && 27 + i < size - at; i++)
            n += page[27 + i];
        if (n > size - at)
            break;
        correct(page, n);
        at += n;
    }
    fuzz_audio(copy, size);
    free(copy);
    return 0;
}

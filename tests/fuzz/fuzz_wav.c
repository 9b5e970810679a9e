/* Any bytes behind a RIFF header, through the WAV reader and the resampler. */
#include "fuzz_audio.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size >= 12 && !memcmp(data + 8, "WAVE", 4))
        fuzz_audio(data, size);
    return 0;
}

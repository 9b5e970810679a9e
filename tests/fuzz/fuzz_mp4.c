/* Any bytes as an MP4 file, as far as its index is looked at before libav reads it. */
#include "audio/mp4.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static cara_mp4 mp4;
    cara_error err;
    if (cara_mp4_check(cara_slice_of(data, size), (cara_stop){NULL, NULL}, &mp4, &err))
        return 0;
    for (size_t i = 0; i < mp4.n_hidden; i++)
        if (mp4.hidden[i] > size - 4 || memcmp(data + mp4.hidden[i], "trak", 4) != 0 ||
            (i && mp4.hidden[i] <= mp4.hidden[i - 1]))
            abort();
    return 0;
}

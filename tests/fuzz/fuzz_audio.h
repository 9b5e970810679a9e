/* What the two audio targets share: open, read all, rewind, read again, compare. */
#ifndef FUZZ_AUDIO_H
#define FUZZ_AUDIO_H

#include <caracola/audio.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_audio(const uint8_t *data, size_t size) {
    static const cara_audio_options limits = {
        .struct_size = sizeof limits, .max_bytes = 1 << 20, .max_seconds = 5};
    cara_audio *audio;
    cara_error err;
    if (cara_audio_open_memory(data, size, &limits, &audio, &err))
        return;
    cara_pcm_source source = cara_audio_source(audio);
    static float block[4096];
    int64_t n[2] = {0};
    double sum[2] = {0};
    for (int turn = 0; turn < 2; turn++) {
        int64_t got;
        while ((got = source.read(source.ctx, block, turn ? 1000 : 4096, &err)) > 0) {
            for (int64_t i = 0; i < got; i++) {
                if (!(block[i] >= -1 && block[i] < 1))
                    abort();
                sum[turn] += block[i]; /* exact: multiples of 2^-15 */
            }
            n[turn] += got;
        }
        if (!turn && source.rewind(source.ctx, &err))
            abort();
    }
    cara_gaps gaps = cara_audio_gaps(audio);
    if (n[0] != n[1] || sum[0] != sum[1])
        abort();
    /* Where the limit ended the reading, the last gap may go on behind it. */
    if (gaps.count < 0 || !(gaps.seconds >= 0) || (!gaps.count && gaps.seconds > 0) ||
        gaps.seconds > 66 + (double)n[0] / CARA_SAMPLE_RATE)
        abort();
    cara_audio_close(audio);
}

#endif

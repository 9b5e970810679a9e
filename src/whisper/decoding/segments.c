#include "whisper/decoding/segments.h"

#include "whisper/mel/mel.h"

#define FRAME_SECONDS(frames) ((double)((frames)*CARA_HOP_LENGTH) / CARA_SAMPLE_RATE)

int cara_cut_segments(const cara_cut_window *window, const cara_decoding *decoding,
                      cara_arena *arena, cara_cut *out, cara_error *err) {
    const int32_t begin = window->timestamp_begin, *tokens = decoding->tokens;
    const size_t n = decoding->n_tokens;
    const double time_offset = FRAME_SECONDS(window->seek);
    const double time_precision = FRAME_SECONDS(window->input_stride);
    *out = (cara_cut){.advance = window->segment_size};
    cara_cut_segment *segments = cara_arena_alloc(arena, n + 1, sizeof *segments);
    if (!segments)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the segments of a window");
    out->segments = segments;

    /* A single timestamp at the end: no speech follows it in this window. */
    int single_ending = n >= 2 && tokens[n - 2] < begin && tokens[n - 1] >= begin;
    out->single_timestamp_ending = single_ending;
    size_t last_slice = 0;
    for (size_t i = 1; i <= n; i++) {
        int pair = i < n && tokens[i - 1] >= begin && tokens[i] >= begin;
        int tail = i == n && single_ending && last_slice > 0;
        if (!pair && !tail)
            continue;
        /* Without timestamp rules a slice may begin with text, for which the reference would
         * compute a time far below 0: it then begins with the window. */
        int64_t from = tokens[last_slice] - begin;
        segments[out->n_segments++] = (cara_cut_segment){
            .start = time_offset + (double)(from < 0 ? 0 : from) * time_precision,
            .end = time_offset + (double)(tokens[i - 1] - begin) * time_precision,
            .tokens = tokens + last_slice,
            .n_tokens = i - last_slice,
        };
        last_slice = i;
    }
    if (last_slice == 0) {
        /* No pair: one segment, to the last timestamp or to the end of the audio. */
        double duration = FRAME_SECONDS(window->segment_size);
        size_t last = n;
        while (last > 0 && tokens[last - 1] < begin)
            last--;
        if (last > 0 && tokens[last - 1] > begin)
            duration = (double)(tokens[last - 1] - begin) * time_precision;
        segments[out->n_segments++] = (cara_cut_segment){
            .start = time_offset, .end = time_offset + duration, .tokens = tokens, .n_tokens = n};
    } else if (!single_ending) {
        /* The unfinished segment is left out; the next window begins at the last timestamp. */
        out->advance = (tokens[last_slice - 1] - begin) * window->input_stride;
        if (out->advance <= 0)
            out->advance = window->segment_size; /* <|0.00|><|0.00|>: else it would never end */
    }
    return CARA_OK;
}

#include "whisper/words/hallucination.h"

#include "whisper/mel/mel.h"

#include <math.h>
#include <string.h>

#define SECONDS(frames) ((double)((frames)*CARA_HOP_LENGTH) / CARA_SAMPLE_RATE)
#define FRAMES(seconds) ((int64_t)rint((seconds)*CARA_FRAMES_PER_SECOND))

/* word_anomaly_score(): words that are improbable, very short or very long. */
static double anomaly_score(const cara_word *word) {
    double duration = word->end - word->start, score = 0;
    if (word->probability < 0.15)
        score += 1;
    if (duration < 0.133)
        score += (0.133 - duration) * 15;
    if (duration > 2)
        score += duration - 2;
    return score;
}

/* is_segment_anomaly(), by the first eight words that are not punctuation alone. */
static int is_anomaly(const cara_cut_segment *segment) {
    static const char punctuation[] = "\"'“¿([{-\"'.。,，!！?？:：”)]}、";
    if (!segment || !segment->n_words)
        return 0;
    double score = 0;
    size_t n = 0;
    for (size_t i = 0; i < segment->n_words && n < 8; i++) {
        if (strstr(punctuation, segment->words[i].word))
            continue;
        score += anomaly_score(&segment->words[i]);
        n++;
    }
    return score >= 3 || score + 0.01 >= (double)n;
}

/* next_words_segment(): the first one from `i` on that has words. */
static const cara_cut_segment *with_words(const cara_cut *cut, size_t i) {
    for (; i < cut->n_segments; i++)
        if (cut->segments[i].n_words)
            return &cut->segments[i];
    return NULL;
}

/* Removes the first segment that may be invented, with silence or such segments around it, and all
 * behind it. Returns the seek to go on from, or -1 where there is none. */
static int64_t remove_invented(const cara_word_window *w, double threshold, int64_t content_frames,
                               cara_cut *cut) {
    double time_offset = SECONDS(w->seek), window_end = SECONDS(w->seek + CARA_N_FRAMES);
    double last_end = w->last_speech_timestamp;
    for (size_t i = 0; i < cut->n_segments; i++) {
        const cara_cut_segment *segment = &cut->segments[i], *next = with_words(cut, i + 1);
        if (!segment->n_words)
            continue;
        if (is_anomaly(segment)) {
            double next_start =
                next ? next->words[0].start : time_offset + SECONDS(w->segment_size);
            int silence_before = segment->start - last_end > threshold ||
                                 segment->start < threshold || segment->start - time_offset < 2;
            int silence_after = next_start - segment->end > threshold || is_anomaly(next) ||
                                window_end - segment->end < 2;
            if (silence_before && silence_after) {
                double from = segment->start > time_offset + 1 ? segment->start : time_offset + 1;
                cut->n_segments = i;
                return SECONDS(content_frames) - segment->end < threshold ? content_frames
                                                                          : FRAMES(from);
            }
        }
        last_end = segment->end;
    }
    return -1;
}

int cara_advance_by_words(const cara_word_window *w, double threshold, int64_t content_frames,
                          cara_cut *cut) {
    double time_offset = SECONDS(w->seek), end = cara_words_end(cut);
    int64_t seek = w->seek + cut->advance;
    int skip = 0;
    if (!cut->single_timestamp_ending && end > time_offset) {
        seek = FRAMES(end);
        if (!isnan(threshold) && SECONDS(w->seek + CARA_N_FRAMES) - end <= threshold)
            seek = w->seek + w->segment_size;
    }
    if (!isnan(threshold)) {
        const cara_cut_segment *first = with_words(cut, 0);
        double gap = first ? first->start - time_offset : 0;
        skip = is_anomaly(first) && gap > threshold;
        int64_t found =
            skip ? w->seek + FRAMES(gap) : remove_invented(w, threshold, content_frames, cut);
        seek = found >= 0 ? found : seek;
    }
    cut->advance = seek > w->seek ? seek - w->seek : 1; /* a window never begins twice */
    return skip;
}

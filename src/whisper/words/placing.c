#include "whisper/words/placing.h"

#include "base/utf8.h"
#include "whisper/mel/mel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Python: word in marks, which is true of "" and of several marks in their order. */
static int is_in(const char *word, const char *marks) {
    return strstr(marks, word) != NULL;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of all durations but 0, at most 0.7 s; *any is 0 where there is none. NAN where there
 * is no memory. */
static double median_duration(const cara_word_timing *words, size_t n, cara_arena *arena,
                              int *any) {
    double *durations = cara_arena_alloc(arena, n + 1, sizeof *durations);
    size_t count = 0;
    if (!durations)
        return NAN;
    for (size_t i = 0; i < n; i++)
        if (words[i].end != words[i].start)
            durations[count++] = words[i].end - words[i].start;
    qsort(durations, count, sizeof *durations, compare_doubles);
    *any = count > 0;
    if (!count)
        return 0;
    double median = (durations[(count - 1) / 2] + durations[count / 2]) / 2;
    return median < 0.7 ? median : 0.7;
}

/* Words at the end and the beginning of sentences are not longer than `longest` seconds. */
static void cut_at_sentence_ends(cara_word_timing *words, size_t n, double longest) {
    static const char marks[] = ".。!！?？";
    for (size_t i = 1; i < n; i++) {
        if (!(words[i].end - words[i].start > longest))
            continue;
        if (is_in(words[i].word, marks))
            words[i].end = words[i].start + longest;
        else if (is_in(words[i - 1].word, marks))
            words[i].start = words[i].end - longest;
    }
}

/* `to` becomes the word of both, `from` a word of nothing. -1 where there is no memory. */
static int merge(cara_word_timing *to, cara_word_timing *from, const char *first,
                 const char *second, cara_arena *arena) {
    to->word = cara_arena_printf(arena, "%s%s", first, second);
    to->n_tokens += from->n_tokens;
    from->word = "";
    from->n_tokens = 0;
    return to->word ? 0 : -1;
}

/* merge_punctuations() */
static int merge_punctuations(cara_word_timing *words, size_t n, const char *prepended,
                              const char *appended, cara_arena *arena) {
    for (size_t i = n < 2 ? 0 : n - 1, j = i; i-- > 0;) {
        const char *word = words[i].word;
        cara_slice stripped = cara_utf8_strip(word, strlen(word));
        char *mark = cara_arena_strndup(arena, (const char *)stripped.ptr, stripped.len);
        if (!mark)
            return -1;
        if (word[0] != ' ' || !is_in(mark, prepended))
            j = i;
        else if (merge(&words[j], &words[i], word, words[j].word, arena))
            return -1;
    }
    for (size_t i = 0, j = 1; j < n; j++) {
        const char *word = words[i].word;
        size_t length = strlen(word);
        if ((length && word[length - 1] == ' ') || !is_in(words[j].word, appended))
            i = j;
        else if (merge(&words[i], &words[j], word, words[j].word, arena))
            return -1;
    }
    return 0;
}

/* To hundredths. The values are near whole ones, so halves do not come up. */
static double hundredths(double seconds) {
    return rint(seconds * 100) / 100;
}

static double at_least(double x, double least) {
    return x > least ? x : least;
}

/* The first and second word after a pause are not longer than twice the median; a segment begins
 * and ends with its words, but where these are far outside. */
static void fit_segment(cara_cut_segment *segment, cara_word *words, size_t n, double median,
                        double last_speech_timestamp) {
    double longest = 2 * median;
    cara_word *first = words, *second = n > 1 ? words + 1 : NULL, *last = words + n - 1;
    if (first->end - last_speech_timestamp > median * 4 &&
        (first->end - first->start > longest ||
         (second && second->end - first->start > longest * 2))) {
        if (second && second->end - second->start > longest)
            first->end = second->start = at_least(second->end - longest, second->end / 2);
        first->start = at_least(first->end - longest, 0);
    }
    if (segment->start < first->end && segment->start - 0.5 > first->start) {
        double start = first->end - median;
        first->start = at_least(start < segment->start ? start : segment->start, 0);
    } else {
        segment->start = first->start;
    }
    if (segment->end > last->start && segment->end + 0.5 < last->end)
        last->end = at_least(segment->end, last->start + median);
    else
        segment->end = last->end;
}

int cara_place_words(cara_word_timing *timings, size_t n, const size_t *n_texts,
                     const char *prepended, const char *appended, int64_t seek,
                     double last_speech_timestamp, cara_cut *cut, cara_arena *arena) {
    int any = 0;
    double median = median_duration(timings, n, arena, &any);
    cara_word *words = cara_arena_alloc(arena, n + 1, sizeof *words);
    if (isnan(median) || !words)
        return -1;
    if (any)
        cut_at_sentence_ends(timings, n, 2 * median);
    if (merge_punctuations(timings, n, prepended, appended, arena))
        return -1;

    double time_offset = (double)(seek * CARA_HOP_LENGTH) / CARA_SAMPLE_RATE;
    for (size_t i = 0, at = 0; i < cut->n_segments; i++) {
        cara_cut_segment *segment = &cut->segments[i];
        size_t saved = 0;
        segment->words = words;
        for (; at < n && saved < n_texts[i]; at++) {
            saved += timings[at].n_tokens;
            if (*timings[at].word)
                words[segment->n_words++] =
                    (cara_word){.word = timings[at].word,
                                .start = hundredths(time_offset + timings[at].start),
                                .end = hundredths(time_offset + timings[at].end),
                                .probability = timings[at].probability};
        }
        if (!segment->n_words)
            continue;
        fit_segment(segment, words, segment->n_words, median, last_speech_timestamp);
        last_speech_timestamp = segment->end;
        words += segment->n_words;
    }
    return 0;
}

double cara_words_end(const cara_cut *cut) {
    for (size_t i = cut->n_segments; i-- > 0;)
        if (cut->segments[i].n_words)
            return cut->segments[i].words[cut->segments[i].n_words - 1].end;
    return cut->n_segments ? cut->segments[cut->n_segments - 1].end : -1;
}

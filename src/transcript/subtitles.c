#include "transcript/subtitles.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "transcript/timestamp.h"

#include <stdint.h>
#include <string.h>

#define NO_LIMIT 1000 /* of the reference, for a width and a number of words */

#define LONG_PAUSE 3.0 /* seconds between the starts of two words */

/* "-->" separates the times, so a text must not hold it. */
static void add_text(const char *text, size_t n, cara_buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (n - i >= 3 && !memcmp(text + i, "-->", 3)) {
            cara_buf_str(out, "->");
            i += 2;
        } else {
            cara_buf_char(out, text[i]);
        }
    }
}

static void add_times(cara_transcript_format format, size_t number, double start, double end,
                      cara_buf *out) {
    int is_srt = format == CARA_TRANSCRIPT_SRT;
    char marker = is_srt ? ',' : '.';
    if (is_srt)
        cara_buf_printf(out, "%zu\n", number);
    cara_transcript_timestamp(start, is_srt, marker, out);
    cara_buf_str(out, " --> ");
    cara_transcript_timestamp(end, is_srt, marker, out);
    cara_buf_char(out, '\n');
}

void cara_subtitle_cue(cara_transcript_format format, size_t number, double start, double end,
                       const char *text, size_t n, cara_buf *out) {
    add_times(format, number, start, end, out);
    add_text(text, n, out);
    cara_buf_str(out, "\n\n");
}

/* A word of a cue: as it is, or stripped at the beginning of a line. */
typedef struct cue_word {
    const cara_word *word;
    cara_slice text;
    int after_line_break;
} cue_word;

typedef struct subtitles {
    cara_transcript_format format;
    const cara_transcript_options *options;
    cara_buf *out;
    cara_buf cue;   /* cue_word */
    size_t n_cues;  /* written */
    size_t n_lines; /* of the cue */
    size_t width;   /* characters of its last line */
} subtitles;

static const cue_word *words_of(const subtitles *s, size_t *n) {
    *n = s->cue.len / sizeof(cue_word);
    return (const cue_word *)(const void *)s->cue.data;
}

/* The cue's text; word `underlined` stands between <u> and </u>. */
static void write_cue(subtitles *s, double start, double end, size_t underlined) {
    size_t n;
    const cue_word *words = words_of(s, &n);
    add_times(s->format, ++s->n_cues, start, end, s->out);
    for (size_t i = 0; i < n; i++) {
        const char *text = (const char *)words[i].text.ptr;
        size_t length = words[i].text.len, space = 0;
        if (words[i].after_line_break)
            cara_buf_char(s->out, '\n');
        if (i == underlined) {
            cara_slice rest = cara_utf8_strip(text, length);
            space = rest.len ? (size_t)(rest.ptr - words[i].text.ptr) : length;
            cara_buf_add(s->out, text, space);
            cara_buf_str(s->out, "<u>");
        }
        add_text(text + space, length - space, s->out);
        if (i == underlined)
            cara_buf_str(s->out, "</u>");
    }
    cara_buf_str(s->out, "\n\n");
}

/* Writes the cue and empties it. */
static void end_cue(subtitles *s) {
    size_t n;
    const cue_word *words = words_of(s, &n);
    if (n && !s->options->highlight_words)
        write_cue(s, words[0].word->start, words[n - 1].word->end, SIZE_MAX);
    double last = n ? words[0].word->start : 0;
    for (size_t i = 0; s->options->highlight_words && i < n; i++) {
        const cara_word *word = words[i].word;
        if (cara_milliseconds(last) != cara_milliseconds(word->start))
            write_cue(s, last, word->start, SIZE_MAX);
        write_cue(s, word->start, word->end, i);
        last = word->end;
    }
    cara_buf_clear(&s->cue);
    s->n_lines = 1;
}

/* Puts a word into the cue, on its line or on the next one, or begins another cue with it. `first`
 * says that it begins a segment, or as many words as max_words_per_line. */
static void add_word(subtitles *s, const cara_word *word, int first, double pause) {
    const cara_transcript_options *o = s->options;
    size_t n = strlen(word->word), most = o->max_line_width ? o->max_line_width : NO_LIMIT;
    int keep_segments = !o->max_line_count || !o->max_line_width;
    int long_pause = !keep_segments && pause > LONG_PAUSE;
    int segment_break = first && s->cue.len && keep_segments;
    cue_word added = {.word = word, .text = cara_slice_of(word->word, n)};
    if (s->width && s->width + cara_utf8_count(word->word, n) <= most && !long_pause &&
        !segment_break) {
        s->width += cara_utf8_count(word->word, n);
    } else {
        added.text = cara_utf8_strip(word->word, n);
        int full = o->max_line_count && (long_pause || s->n_lines >= o->max_line_count);
        if ((s->cue.len && full) || segment_break) {
            end_cue(s);
        } else if (s->width) {
            s->n_lines++;
            added.after_line_break = 1;
        }
        s->width = cara_utf8_count(added.text.ptr, added.text.len);
    }
    if (cara_buf_add(&s->cue, &added, sizeof added))
        s->out->failed = 1;
}

void cara_subtitles_of_words(const cara_result *result, cara_transcript_format format,
                             const cara_transcript_options *options, cara_buf *out) {
    subtitles s = {.format = format, .options = options, .out = out, .n_lines = 1};
    size_t most = options->max_words_per_line ? options->max_words_per_line : NO_LIMIT;
    const cara_word *last = NULL;
    cara_buf_init(&s.cue, CARA_LIMIT_RESULT_BYTES);
    for (size_t i = 0; i < result->n_segments; i++)
        for (size_t k = 0; k < result->segments[i].n_words; k++) {
            const cara_word *word = &result->segments[i].words[k];
            add_word(&s, word, k % most == 0, last ? word->start - last->start : 0);
            last = word;
        }
    end_cue(&s);
    cara_buf_free(&s.cue);
}

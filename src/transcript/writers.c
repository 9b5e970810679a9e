/* WriteTXT, WriteVTT, WriteSRT and WriteTSV of whisper/utils.py, and the choice of a writer. */
#include "base/limits.h"
#include "base/sized.h"
#include "base/utf8.h"
#include "transcript/csv.h"
#include "transcript/result_json.h"
#include "transcript/subtitles.h"
#include "transcript/timestamp.h"
#include "transcript/transcript.h"
#include "json/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* About so much is given to the caller's function at once. */
#define PIECE_BYTES (64 * CARA_KIB)

static const char *const names[CARA_TRANSCRIPT_FORMATS] = {
    [CARA_TRANSCRIPT_TXT] = "txt", [CARA_TRANSCRIPT_VTT] = "vtt",   [CARA_TRANSCRIPT_SRT] = "srt",
    [CARA_TRANSCRIPT_TSV] = "tsv", [CARA_TRANSCRIPT_JSON] = "json", [CARA_TRANSCRIPT_CSV] = "csv",
};

const char *cara_transcript_format_name(cara_transcript_format format) {
    return (int)format >= 0 && format < CARA_TRANSCRIPT_FORMATS ? names[format] : "";
}

int cara_transcript_format_find(const char *name) {
    for (int i = 0; name && i < CARA_TRANSCRIPT_FORMATS; i++)
        if (!strcmp(name, names[i]))
            return i;
    return -1;
}

static cara_slice stripped(const cara_segment *segment) {
    const char *text = segment->text ? segment->text : "";
    return cara_utf8_strip(text, strlen(text));
}

static void write_txt(const cara_segment *segment, cara_buf *out) {
    cara_slice text = stripped(segment);
    cara_buf_add(out, text.ptr, text.len);
    cara_buf_char(out, '\n');
}

static void write_tsv(const cara_segment *segment, cara_buf *out) {
    cara_buf_printf(out, "%" PRId64 "\t%" PRId64 "\t", cara_milliseconds(segment->start),
                    cara_milliseconds(segment->end));
    cara_slice text = stripped(segment);
    for (size_t i = 0; i < text.len; i++)
        cara_buf_char(out, text.ptr[i] == '\t' ? ' ' : (char)text.ptr[i]);
    cara_buf_char(out, '\n');
}

/* openai/whisper writes subtitles from word times where the first segment has a "words" field, and
 * transcribe() gives an empty one to each segment that it clears: then there are no subtitles. */
static int all_cleared(const cara_result *result) {
    for (size_t i = 0; i < result->n_segments; i++)
        if (!result->segments[i].cleared)
            return 0;
    return 1;
}

static int write_json(const cara_result *result, cara_buf *out, cara_error *err) {
    json_t *object = cara_transcript_json(result);
    if (!object)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the transcript as JSON");
    (void)cara_json_write(object, CARA_JSON_PYTHON, out); /* the caller looks at out->failed */
    json_decref(object);
    return CARA_OK;
}

/* ---- the whole ---- */

/* Where a transcript goes, piece by piece. */
typedef struct sink {
    cara_write_fn write;
    void *cookie;
    cara_buf piece;
} sink;

/* Gives the piece to the caller's function, and empties it. */
static int flush(sink *to, cara_error *err) {
    if (to->piece.failed)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the text of the transcript");
    if (!to->piece.len)
        return CARA_OK;
    cara_error why = {.code = CARA_OK, .position = -1};
    int rc = to->write(to->cookie, to->piece.data, to->piece.len, &why);
    cara_buf_clear(&to->piece);
    if (rc == CARA_OK)
        return CARA_OK;
    if (rc > 0 || rc < CARA_ERR_INTERNAL)
        return cara_fail(err, CARA_ERR_INTERNAL, -1,
                         "the function that takes the transcript returned %d, which is no error "
                         "code",
                         rc);
    if (why.code == CARA_OK)
        return cara_fail(err, (cara_code)rc, -1,
                         "the function that takes the transcript failed with \"%s\"",
                         cara_code_name((cara_code)rc));
    if (err)
        *err = why;
    return rc;
}

void cara_transcript_options_default(cara_transcript_options *options, size_t size) {
    const cara_transcript_options defaults = {.header = 1};
    cara_sized_default(options, size, &defaults, sizeof defaults);
}

/* Checks what both functions are given, and fills the options [of this version] and the sink. */
static int begin(const char *function, cara_transcript_format format,
                 const cara_transcript_options *from, cara_write_fn write, void *cookie,
                 cara_transcript_options *options, sink *to, cara_error *err) {
    if (!write)
        return cara_fail_null(err, function, "write");
    if ((int)format < 0 || format >= CARA_TRANSCRIPT_FORMATS)
        return cara_fail(err, CARA_ERR_USAGE, -1, "There is no transcript format number %d",
                         (int)format);
    cara_transcript_options_default(options, sizeof *options);
    *to = (sink){.write = write, .cookie = cookie};
    cara_buf_init(&to->piece, CARA_LIMIT_RESULT_BYTES);
    return cara_sized_read(options, sizeof *options, from, "cara_transcript_options", err);
}

static void add_header(cara_transcript_format format, const cara_transcript_options *options,
                       cara_buf *out) {
    if (format == CARA_TRANSCRIPT_VTT)
        cara_buf_str(out, "WEBVTT\n\n");
    if (format == CARA_TRANSCRIPT_TSV)
        cara_buf_str(out, "start\tend\ttext\n");
    if (format == CARA_TRANSCRIPT_CSV)
        cara_csv_header(options, out);
}

int cara_transcript_write_header(cara_transcript_format format,
                                 const cara_transcript_options *options, cara_write_fn write,
                                 void *cookie, cara_error *err) {
    cara_transcript_options o;
    sink to;
    int rc = begin(__func__, format, options, write, cookie, &o, &to, err);
    if (rc != CARA_OK)
        return rc;
    add_header(format, &o, &to.piece);
    rc = flush(&to, err);
    cara_buf_free(&to.piece);
    return rc;
}

/* Appends segment `i`. */
static void add_segment(const cara_result *result, size_t i, cara_transcript_format format,
                        const cara_transcript_options *options, cara_buf *out) {
    const cara_segment *segment = &result->segments[i];
    cara_slice text = stripped(segment);
    switch (format) {
    case CARA_TRANSCRIPT_TXT:
        write_txt(segment, out);
        break;
    case CARA_TRANSCRIPT_VTT:
    case CARA_TRANSCRIPT_SRT:
        cara_subtitle_cue(format, i + 1, segment->start, segment->end, (const char *)text.ptr,
                          text.len, out);
        break;
    case CARA_TRANSCRIPT_TSV:
        write_tsv(segment, out);
        break;
    case CARA_TRANSCRIPT_CSV:
        if (text.len)
            cara_csv_row(options, cara_milliseconds(segment->start),
                         cara_milliseconds(segment->end), (const char *)text.ptr, text.len, out);
        break;
    case CARA_TRANSCRIPT_JSON: /* written as a whole */
        break;
    }
}

/* Cues from the times of words. */
static int write_words(const cara_result *result, cara_transcript_format format,
                       const cara_transcript_options *options, cara_buf *out, cara_error *err) {
    for (size_t i = 0; i < result->n_segments; i++)
        for (size_t k = 0; k < result->segments[i].n_words; k++) {
            const cara_word *word = &result->segments[i].words[k];
            if (!cara_is_time(word->start) || !cara_is_time(word->end))
                return cara_fail(err, CARA_ERR_USAGE, -1,
                                 "A word of segment %" PRId32
                                 " lasts from %g s to %g s, which %s cannot express",
                                 result->segments[i].id, word->start, word->end, names[format]);
        }
    cara_subtitles_of_words(result, format, options, out);
    return CARA_OK;
}

/* A table names each of its files, those without words too. */
static int add_silence(const cara_result *result, const cara_transcript_options *options,
                       cara_buf *out, cara_error *err) {
    for (size_t i = 0; i < result->n_segments; i++)
        if (stripped(&result->segments[i]).len)
            return CARA_OK;
    if (!cara_is_time(result->duration_s))
        return cara_fail(err, CARA_ERR_USAGE, -1, "The audio lasts %g s, which csv cannot express",
                         result->duration_s);
    cara_csv_row(options, 0, cara_milliseconds(result->duration_s), "", 0, out);
    return CARA_OK;
}

int cara_transcript_write(const cara_result *result, cara_transcript_format format,
                          const cara_transcript_options *options, cara_write_fn write, void *cookie,
                          cara_error *err) {
    cara_transcript_options o;
    sink to;
    if (!result)
        return cara_fail_null(err, __func__, "result");
    int rc = begin(__func__, format, options, write, cookie, &o, &to, err);
    if (rc != CARA_OK)
        return rc;
    if (o.header)
        add_header(format, &o, &to.piece);
    if (format == CARA_TRANSCRIPT_JSON)
        rc = write_json(result, &to.piece, err);
    if (format == CARA_TRANSCRIPT_CSV)
        rc = add_silence(result, &o, &to.piece, err);
    int subtitles = format == CARA_TRANSCRIPT_VTT || format == CARA_TRANSCRIPT_SRT;
    int by_words = subtitles && result->n_segments && result->segments[0].words;
    if (by_words)
        rc = write_words(result, format, &o, &to.piece, err);
    size_t n = format == CARA_TRANSCRIPT_JSON || by_words || (subtitles && all_cleared(result))
                   ? 0
                   : result->n_segments;
    for (size_t i = 0; i < n && rc == CARA_OK; i++) {
        const cara_segment *segment = &result->segments[i];
        if (format != CARA_TRANSCRIPT_TXT &&
            (!cara_is_time(segment->start) || !cara_is_time(segment->end)))
            rc = cara_fail(err, CARA_ERR_USAGE, -1,
                           "Segment %" PRId32 " lasts from %g s to %g s, which %s cannot express",
                           segment->id, segment->start, segment->end, names[format]);
        else
            add_segment(result, i, format, &o, &to.piece);
        if (rc == CARA_OK && (to.piece.failed || to.piece.len >= PIECE_BYTES))
            rc = flush(&to, err);
    }
    if (rc == CARA_OK)
        rc = flush(&to, err);
    cara_buf_free(&to.piece);
    return rc;
}

int cara_transcript_to_buf(void *buf, const char *bytes, size_t n, cara_error *err) {
    cara_buf *out = buf;
    if (cara_buf_add(out, bytes, n) == 0)
        return CARA_OK;
    return cara_fail(err, CARA_ERR_MEMORY, -1,
                     "The transcript does not fit the %zu bytes that are allowed for it",
                     out->limit);
}

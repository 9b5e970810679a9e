/* A result as text: the files of openai/whisper's writers, and tables in CSV. */
#ifndef CARACOLA_WRITERS_H
#define CARACOLA_WRITERS_H

#include <caracola/error.h>
#include <caracola/result.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All but CSV are byte for byte what whisper/utils.py writes, in UTF-8; JSON of a result that was
 * cut short has "cut_short": true as its last member, which openai/whisper has not.
 *
 * CSV is a table as in RFC 4180: UTF-8 without a byte order mark, lines that end with CR LF, a row
 * of column names, and quotes where a field needs them, as Python's csv.writer. Its columns are
 *   file    the name that the options give; without one the column is not there
 *   start   whole milliseconds, as in TSV: they mean the same in every locale
 *   end     the same
 *   text    of the segment, white space cut from both ends
 * Segments without text have no row. A result without any text has one, from 0 to the end of the
 * audio, so that every file of a table is in it. */
typedef enum cara_transcript_format {
    CARA_TRANSCRIPT_TXT = 0,
    CARA_TRANSCRIPT_VTT = 1,
    CARA_TRANSCRIPT_SRT = 2,
    CARA_TRANSCRIPT_TSV = 3,
    CARA_TRANSCRIPT_JSON = 4,
    CARA_TRANSCRIPT_CSV = 5
} cara_transcript_format;

#define CARA_TRANSCRIPT_FORMATS 6 /* in this version, from 0 */

/* "txt", "vtt", ...: also the extension of such a file. "" for what is no format; static. */
CARA_API const char *cara_transcript_format_name(cara_transcript_format format);

/* The cara_transcript_format of that name, or -1 where there is none, or `name` is NULL. */
CARA_API int cara_transcript_format_find(const char *name);

/* cara_transcript_options_default() must fill it first. Pointers are borrowed for the call. */
typedef struct cara_transcript_options {
    size_t struct_size; /* set by cara_transcript_options_default() */
    /* CSV: what the column `file` holds; NULL: there is no such column. Ill-formed UTF-8 is
     * replaced by U+FFFD. */
    const char *file;
    /* 0 leaves out what cara_transcript_write_header() writes, for the second and later results of
     * one table; default 1. */
    int header;
    /* CSV: a spreadsheet takes a field that begins with = + - or @ for a formula, and a formula can
     * send the sheet's data elsewhere, or hide the text of a speaker with "-" before it. So such a
     * field gets an apostrophe before it, as OWASP advises. 1 leaves it out, for tables that only
     * programs read; default 0. */
    int allow_formulas;
    /* This and the next three are for VTT and SRT of a result with word times, as SubtitlesWriter
     * of whisper/utils.py has them; 0, the default: without. Where neither max_line_width nor
     * max_line_count is given, a cue is a segment. */
    int highlight_words;       /* 1: a cue for each word, which is underlined in it */
    size_t max_line_width;     /* characters of a line, except of a longer word */
    size_t max_line_count;     /* lines of a cue; without max_line_width it has no effect */
    size_t max_words_per_line; /* words of a cue, where a cue is a segment or less */
} cara_transcript_options;

/* Fills the caller's struct of `size` bytes (sizeof *options) with the defaults. It cannot fail. */
CARA_API void cara_transcript_options_default(cara_transcript_options *options, size_t size);

/* Takes the next `n` bytes of a transcript; they are borrowed for the call, and `n` is not 0.
 * Returns CARA_OK, or a negative cara_code with *err filled if there is a sentence to give. */
typedef int (*cara_write_fn)(void *cookie, const char *bytes, size_t n, cara_error *err);

/* Writes a result in that format by one or more calls of `write`, which is given `cookie`. `result`
 * is one of cara_transcribe(). `options` may be NULL: the defaults. All are borrowed for the call.
 * After a failure, what was written is not whole.
 * Returns CARA_OK or
 *   CARA_ERR_USAGE          no such format; a time of a segment that the format cannot express;
 *                           struct_size was not set, or is that of a newer header
 *   CARA_ERR_MEMORY         no memory
 *   what `write` returns */
CARA_API CARA_MUST_USE int cara_transcript_write(const cara_result *result,
                                                 cara_transcript_format format,
                                                 const cara_transcript_options *options,
                                                 cara_write_fn write, void *cookie,
                                                 cara_error *err);

/* Writes only what stands before a format's first segment: the column names of CSV and TSV, and the
 * first lines of VTT; nothing in other formats. `options` as above, but for `header`, which is not
 * looked at. Returns what cara_transcript_write() returns. */
CARA_API CARA_MUST_USE int cara_transcript_write_header(cara_transcript_format format,
                                                        const cara_transcript_options *options,
                                                        cara_write_fn write, void *cookie,
                                                        cara_error *err);

#ifdef __cplusplus
}
#endif
#endif

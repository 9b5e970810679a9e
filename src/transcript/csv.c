#include "transcript/csv.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The characters with which a formula may begin (OWASP, "CSV injection"). Some spreadsheets take
 * the full-width forms too; tabs and line ends are skipped by others. */
static int is_formula(const char *text, size_t n) {
    static const char *const starts[] = {"=",
                                         "+",
                                         "-",
                                         "@",
                                         "\t",
                                         "\r",
                                         "\n",
                                         "\xEF\xBC\x9D",
                                         "\xEF\xBC\x8B",
                                         "\xEF\xBC\x8D",
                                         "\xEF\xBC\xA0"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (n >= strlen(starts[i]) && !memcmp(text, starts[i], strlen(starts[i])))
            return 1;
    return 0;
}

static int needs_quotes(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (text[i] == ',' || text[i] == '"' || text[i] == '\r' || text[i] == '\n')
            return 1;
    return 0;
}

static void field(const char *text, size_t n, int allow_formulas, cara_buf *out) {
    const char *quote = needs_quotes(text, n) ? "\"" : "";
    cara_buf_str(out, quote);
    if (!allow_formulas && is_formula(text, n))
        cara_buf_char(out, '\'');
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"')
            cara_buf_char(out, '"');
        cara_buf_char(out, text[i]);
    }
    cara_buf_str(out, quote);
}

static void file_field(const cara_transcript_options *options, cara_buf *out) {
    const char *file = options->file;
    size_t n = strlen(file);
    char *fixed = NULL;
    if (!cara_utf8_valid(file, n)) {
        fixed = malloc(3 * n + 1);
        if (!fixed) {
            out->failed = 1;
            return;
        }
        n = cara_utf8_replace(file, n, fixed);
    }
    field(fixed ? fixed : file, n, options->allow_formulas, out);
    free(fixed);
}

void cara_csv_header(const cara_transcript_options *options, cara_buf *out) {
    cara_buf_str(out, options->file ? "file,start,end,text\r\n" : "start,end,text\r\n");
}

void cara_csv_row(const cara_transcript_options *options, int64_t start, int64_t end,
                  const char *text, size_t n, cara_buf *out) {
    if (options->file) {
        file_field(options, out);
        cara_buf_char(out, ',');
    }
    cara_buf_printf(out, "%" PRId64 ",%" PRId64 ",", start, end);
    field(text, n, options->allow_formulas, out);
    cara_buf_str(out, "\r\n");
}

#include "cli/transcribe/output.h"

#include "base/files/file.h"
#include "base/limits.h"
#include "base/memory/buf.h"
#include "transcript/result_json.h"
#include "transcript/timestamp.h"
#include "transcript/transcript.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *cara_output_shown_name(const char *name) {
    return strcmp(name, "-") == 0 ? "standard input" : name;
}

/* os.path.splitext(os.path.basename(name))[0], as openai's writers name their files. */
static const char *stem(const char *name, size_t *n) {
    if (strcmp(name, "-") == 0)
        name = "stdin";
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *start = base + strspn(base, "."); /* leading dots are no extension */
    const char *dot = strrchr(start, '.');
    *n = dot ? (size_t)(dot - base) : strlen(base);
    return base;
}

static int same_stem(const char *a, const char *b) {
    size_t n = 0, m = 0;
    const char *x = stem(a, &n), *y = stem(b, &m);
    return n == m && memcmp(x, y, n) == 0;
}

/* malloc'd "<output_dir>/<stem>.<extension>", or NULL. */
static char *file_path(const cara_transcribe_flags *flags, const char *name,
                       cara_transcript_format format) {
    size_t n = 0;
    const char *base = stem(name, &n);
    cara_buf path;
    cara_buf_init(&path, 64 * CARA_KIB);
    if (cara_buf_printf(&path, "%s/%.*s.%s", flags->output_dir, (int)n, base,
                        cara_transcript_format_name(format)) != 0)
        cara_buf_free(&path);
    return path.data;
}

static int wants(const cara_transcribe_flags *flags, cara_transcript_format format) {
    if (flags->output_format == CARA_OUTPUT_ALL)
        return format != CARA_TRANSCRIPT_CSV; /* openai's formats */
    return flags->output_format == (int)format;
}

static int is_same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* mkdir -p */
static int make_dirs(const char *path, cara_error *err) {
    char *copy = strdup(path);
    if (!copy)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    int rc = CARA_OK;
    for (char *p = copy + 1; rc == CARA_OK && *copy && *p; p++)
        if (*p == '/') {
            *p = '\0';
            rc = cara_make_dir(copy, err);
            *p = '/';
        }
    if (rc == CARA_OK)
        rc = cara_make_dir(copy, err);
    free(copy);
    return rc;
}

static int would_replace_audio(const cara_transcribe_flags *flags, const char *output, int n,
                               char **names) {
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], "-") != 0 && is_same_file(output, names[i])) {
            cara_cli_fail(CARA_EXIT_USAGE,
                          "the transcript would be written over the audio %s; give another "
                          "--output_dir than \"%s\"",
                          names[i], flags->output_dir);
            return 1;
        }
    return 0;
}

int cara_output_check(const cara_transcribe_flags *flags, int n, char **names) {
    int inputs = 0;
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], "-") == 0 && ++inputs > 1)
            return (int)cara_cli_fail(CARA_EXIT_USAGE, "standard input can be read only once");
    if (!flags->write_files)
        return CARA_EXIT_OK;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (same_stem(names[i], names[j])) {
                size_t m = 0;
                const char *base = stem(names[i], &m);
                return (int)cara_cli_fail(
                    CARA_EXIT_USAGE,
                    "%s and %s would both be written as %.*s in \"%s\"; give each its own run and "
                    "--output_dir",
                    names[j], names[i], (int)m, base, flags->output_dir);
            }
    cara_error err;
    if (make_dirs(flags->output_dir, &err) != CARA_OK)
        return (int)cara_cli_fail_error(&err);
    for (int i = 0; i < n; i++)
        for (int f = 0; f < CARA_TRANSCRIPT_FORMATS; f++) {
            if (!wants(flags, (cara_transcript_format)f))
                continue;
            char *path = file_path(flags, names[i], (cara_transcript_format)f);
            if (!path)
                return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory");
            int bad = would_replace_audio(flags, path, n, names);
            free(path);
            if (bad)
                return CARA_EXIT_USAGE;
        }
    return CARA_EXIT_OK;
}

void cara_output_segment(const cara_segment *segment) {
    cara_buf line;
    cara_buf_init(&line, CARA_MIB);
    cara_buf_char(&line, '[');
    cara_transcript_timestamp(segment->start, 0, '.', &line);
    cara_buf_str(&line, " --> ");
    cara_transcript_timestamp(segment->end, 0, '.', &line);
    cara_buf_printf(&line, "] %s\n", segment->text);
    if (!line.failed) {
        fwrite(line.data, 1, line.len, stdout);
        fflush(stdout); /* as it is transcribed; a failure stays in ferror() */
    }
    cara_buf_free(&line);
}

static json_t *string(const char *text) {
    return cara_json_string(text, strlen(text));
}

/* openai's object with "file", "audio_gaps" (and "draft") before its members, on one line. */
static int write_json_line(const cara_transcribe_flags *flags, const char *name,
                           const cara_result *result, cara_error *err) {
    json_t *line = json_object(), *transcript = cara_transcript_json(result);
    int failed = json_object_set_new(line, "file", string(name));
    failed |= json_object_set_new(line, "audio_gaps", cara_gaps_json(&result->audio_gaps));
    if (flags->draft_model)
        failed |=
            json_object_set_new(line, "draft",
                                json_pack("{s:I, s:I}", "guessed", (json_int_t)result->drafted,
                                          "right", (json_int_t)result->drafted_right));
    failed |= json_object_update(line, transcript);
    json_decref(transcript);
    if (failed) {
        json_decref(line);
        line = NULL;
    }
    if (cara_cli_print_json(line, CARA_JSON_PYTHON))
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the JSON of %s", name);
    return CARA_OK;
}

void cara_output_json_error(const char *name, const cara_error *err) {
    json_t *line = json_pack("{s:o, s:s, s:o}", "file", string(name), "error",
                             cara_code_name(err->code), "message", string(err->text));
    (void)cara_cli_print_json(line, CARA_JSON_PYTHON); /* a failure stays in ferror() */
}

static int write_files(const cara_transcribe_flags *flags, const char *name,
                       const cara_result *result, cara_error *err) {
    int rc = CARA_OK;
    for (int f = 0; rc == CARA_OK && f < CARA_TRANSCRIPT_FORMATS; f++) {
        if (!wants(flags, (cara_transcript_format)f))
            continue;
        cara_buf text;
        cara_buf_init(&text, CARA_LIMIT_RESULT_BYTES);
        char *path = file_path(flags, name, (cara_transcript_format)f);
        if (!path)
            rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
        if (rc == CARA_OK)
            rc = cara_transcript_write(result, (cara_transcript_format)f, NULL,
                                       cara_transcript_to_buf, &text, err);
        if (rc == CARA_OK)
            rc = cara_write_file_atomic(path, text.data ? text.data : "", text.len, err);
        cara_buf_free(&text);
        free(path);
    }
    return rc;
}

/* The txt file's lines, less the empty ones of segments that transcribe() cleared. */
static int write_text(const cara_result *result, cara_error *err) {
    cara_buf text;
    cara_buf_init(&text, CARA_LIMIT_RESULT_BYTES);
    int rc = cara_transcript_write(result, CARA_TRANSCRIPT_TXT, NULL, cara_transcript_to_buf, &text,
                                   err);
    for (size_t at = 0; rc == CARA_OK && at < text.len;) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        size_t n = end ? (size_t)(end - (text.data + at)) + 1 : text.len - at;
        if (n > 1 || !end)
            fwrite(text.data + at, 1, n, stdout);
        at += n;
    }
    cara_buf_free(&text);
    return rc;
}

int cara_output_result(const cara_transcribe_flags *flags, const char *name,
                       const cara_result *result, cara_error *err) {
    int rc = CARA_OK;
    if (flags->json)
        rc = write_json_line(flags, name, result, err);
    if (rc == CARA_OK && flags->write_files)
        return write_files(flags, name, result, err);
    if (rc != CARA_OK || flags->json || flags->verbose)
        return rc;
    return write_text(result, err);
}

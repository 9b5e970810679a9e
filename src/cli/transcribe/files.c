#include "cli/transcribe/files.h"

#include "base/files/file.h"
#include "base/limits.h"
#include "base/memory/buf.h"
#include "transcript/transcript.h"
#include "json/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MODE_FILE 0666 /* less umask, as other programs' files */
#define MODE_DIR 0777
#define MAX_PATH (64 * CARA_KIB)
#define MAX_VALUES 4000000 /* in NAME.json: a day of speech has a fifth of that */

static int is_wanted(unsigned formats, int format) {
    return (formats >> format & 1) != 0;
}

/* malloc'd "<output_dir>/<output>.<extension>", or NULL. */
static char *file_path(const cara_transcribe_flags *flags, const cara_input *input, int format) {
    cara_buf path;
    cara_buf_init(&path, MAX_PATH);
    if (cara_buf_printf(&path, "%s/%s.%s", flags->output_dir, input->output,
                        cara_transcript_format_name((cara_transcript_format)format)) != 0)
        cara_buf_free(&path);
    return path.data;
}

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the names of output files");
}

/* ---- before any work ---- */

typedef struct file_id {
    dev_t device;
    ino_t number;
    const cara_input *input;
} file_id;

/* The inputs once by what they are on disk and once by what they are called in output. */
typedef struct sorted {
    file_id *ids; /* [n_ids]: those that are there */
    size_t n_ids;
    const cara_input **outputs; /* [inputs->n] */
} sorted;

static int by_id(const void *a, const void *b) {
    const file_id *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int by_output(const void *a, const void *b) {
    const cara_input *x = *(const cara_input *const *)a, *y = *(const cara_input *const *)b;
    int order = strcmp(x->output, y->output);
    return order ? order : x < y ? -1 : x > y; /* equal ones in their own order */
}

static int sort_inputs(const cara_inputs *inputs, sorted *s, cara_error *err) {
    s->ids = calloc(inputs->n, sizeof *s->ids);
    s->outputs = calloc(inputs->n, sizeof *s->outputs);
    if (!s->ids || !s->outputs)
        return no_memory(err);
    for (size_t i = 0; i < inputs->n; i++) {
        struct stat st;
        s->outputs[i] = &inputs->at[i];
        if (strcmp(inputs->at[i].path, "-") != 0 && stat(inputs->at[i].path, &st) == 0)
            s->ids[s->n_ids++] = (file_id){st.st_dev, st.st_ino, &inputs->at[i]};
    }
    qsort(s->ids, s->n_ids, sizeof *s->ids, by_id);
    qsort(s->outputs, inputs->n, sizeof *s->outputs, by_output);
    return CARA_OK;
}

static int check_collisions(const cara_transcribe_flags *flags, const cara_inputs *inputs,
                            const sorted *s, cara_error *err) {
    for (size_t i = 1; i < inputs->n; i++)
        if (strcmp(s->outputs[i - 1]->output, s->outputs[i]->output) == 0)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "%s and %s would both be written as %s in \"%s\"; give each its own "
                             "run and --output_dir",
                             s->outputs[i - 1]->path, s->outputs[i]->path, s->outputs[i]->output,
                             flags->output_dir);
    return CARA_OK;
}

/* Whether the file can be written, as far as its name shows. */
static int check_file(const cara_transcribe_flags *flags, const char *path, const sorted *s,
                      cara_error *err) {
    struct stat st;
    if (lstat(path, &st) != 0) {
        if (errno == ENOENT)
            return CARA_OK;
        if (errno == ENAMETOOLONG)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "%s is too long a name for this file system; rename the audio, or "
                             "give an --output_format with a shorter extension",
                             path);
        return cara_fail_errno(err, "cannot write %s", path);
    }
    if (S_ISDIR(st.st_mode))
        return cara_fail(err, CARA_ERR_IO, -1, "cannot write %s: it is a folder", path);
    file_id id = {0};
    if (stat(path, &st) == 0)
        id = (file_id){st.st_dev, st.st_ino, NULL};
    const file_id *found = s->n_ids ? bsearch(&id, s->ids, s->n_ids, sizeof *s->ids, by_id) : NULL;
    if (found)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "the transcript would be written over the audio %s; give another "
                         "--output_dir than \"%s\"",
                         found->input->path, flags->output_dir);
    return CARA_OK;
}

/* Makes the folder of an output file, and tries it where it is another one than the last. */
static int check_folder(char *path, char **last, cara_error *err) {
    char *slash = strrchr(path, '/');
    *slash = '\0'; /* there is one: file_path() */
    int rc = CARA_OK;
    if (!*last || strcmp(path, *last) != 0) {
        rc = cara_make_dirs(path, MODE_DIR, err);
        if (!rc)
            rc = cara_try_folder(path, err);
        free(*last);
        *last = strdup(path);
        if (!rc && !*last)
            rc = no_memory(err);
    }
    *slash = '/';
    return rc;
}

static int check_input(const cara_transcribe_flags *flags, const cara_input *input, const sorted *s,
                       char **last, cara_error *err) {
    int rc = CARA_OK;
    for (int f = 0; !rc && f < CARA_TRANSCRIPT_FORMATS; f++) {
        if (!is_wanted(flags->formats, f) || f == CARA_TRANSCRIPT_CSV)
            continue;
        char *path = file_path(flags, input, f);
        rc = path ? check_folder(path, last, err) : no_memory(err);
        if (!rc)
            rc = check_file(flags, path, s, err);
        free(path);
    }
    return rc;
}

static int check_inputs(const cara_transcribe_flags *flags, const cara_inputs *inputs,
                        cara_error *err) {
    sorted s = {0};
    char *last = NULL;
    int per_input = flags->formats != 1U << CARA_TRANSCRIPT_CSV;
    int rc = per_input && inputs->n ? sort_inputs(inputs, &s, err) : CARA_OK;
    if (!rc && per_input)
        rc = check_collisions(flags, inputs, &s, err);
    if (!rc)
        rc = cara_make_dirs(flags->output_dir, MODE_DIR, err);
    for (size_t i = 0; !rc && per_input && i < inputs->n; i++)
        rc = check_input(flags, s.outputs[i], &s, &last, err);
    free(last);
    free(s.outputs);
    free(s.ids);
    return rc;
}

int cara_files_check(const cara_transcribe_flags *flags, const cara_inputs *inputs) {
    cara_error err = {.code = CARA_OK, .position = -1};
    int rc = check_inputs(flags, inputs, &err);
    /* The table may be there already: opening it would not show that nothing can be added. */
    if (!rc && is_wanted(flags->formats, CARA_TRANSCRIPT_CSV))
        rc = cara_try_folder(flags->output_dir, &err);
    return rc ? (int)cara_cli_fail_error(&err) : CARA_EXIT_OK;
}

/* ---- what earlier runs wrote ---- */

typedef enum state { ABSENT, WHOLE, CUT, UNREADABLE } state;

/* What NAME.json says; *end: where its last segment ends, in seconds. */
static state json_state(const char *path, double *end) {
    static const cara_json_rules rules = {CARA_ERR_IO, CARA_LIMIT_RESULT_BYTES, MAX_VALUES,
                                          CARA_LIMIT_JSON_DEPTH, 1};
    *end = 0;
    struct stat st;
    if (lstat(path, &st) != 0)
        return ABSENT;
    char *text = NULL;
    size_t n = 0;
    json_t *json = NULL;
    state is = UNREADABLE;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
        cara_read_file(path, CARA_LIMIT_RESULT_BYTES, &text, &n, NULL) == CARA_OK &&
        cara_json_read(text, n, &rules, &json, NULL) == CARA_OK && json_is_object(json)) {
        const json_t *segments = json_object_get(json, "segments");
        const json_t *last = json_array_get(segments, json_array_size(segments) - 1);
        *end = json_number_value(json_object_get(last, "end"));
        is = json_is_true(json_object_get(json, "cut_short")) ? CUT : WHOLE;
    }
    json_decref(json);
    free(text);
    return is;
}

static int exists(const char *path) {
    struct stat st;
    return path && lstat(path, &st) == 0;
}

/* The formats of an input that are there already. */
static unsigned existing(const cara_transcribe_flags *flags, const cara_input *input) {
    unsigned formats = 0;
    for (int f = 0; f < CARA_TRANSCRIPT_FORMATS; f++) {
        char *path = file_path(flags, input, f);
        if (f != CARA_TRANSCRIPT_CSV && exists(path))
            formats |= 1U << f;
        free(path);
    }
    return formats;
}

static state earlier(const cara_transcribe_flags *flags, const cara_input *input, double *end) {
    *end = 0;
    char *path = file_path(flags, input, CARA_TRANSCRIPT_JSON);
    state is = path ? json_state(path, end) : UNREADABLE;
    free(path);
    return is;
}

int cara_files_are_whole(const cara_transcribe_flags *flags, const cara_input *input) {
    unsigned wanted = flags->formats & ~(1U << CARA_TRANSCRIPT_CSV);
    double end;
    if (!wanted)
        return 1;
    if ((existing(flags, input) & wanted) != wanted)
        return 0;
    state is = earlier(flags, input, &end);
    /* One that is no transcript of ours says nothing about the other files. */
    return is == WHOLE || is == ABSENT ||
           (is == UNREADABLE && !is_wanted(wanted, CARA_TRANSCRIPT_JSON));
}

/* ---- writing ---- */

static int write_file(const cara_transcribe_flags *flags, const cara_input *input, int format,
                      const cara_result *result, cara_error *err) {
    cara_buf text;
    cara_buf_init(&text, CARA_LIMIT_RESULT_BYTES);
    char *path = file_path(flags, input, format), *last = NULL;
    int rc = path ? CARA_OK : no_memory(err);
    if (!rc && !is_wanted(flags->formats, format)) /* not looked at before the work */
        rc = check_folder(path, &last, err);
    if (!rc)
        rc = cara_transcript_write(result, (cara_transcript_format)format, &flags->subtitles,
                                   cara_transcript_to_buf, &text, err);
    if (!rc)
        rc = cara_write_file_atomic(path, text.data ? text.data : "", text.len, MODE_FILE, 1, err);
    cara_buf_free(&text);
    free(last);
    free(path);
    return rc;
}

/* Of a cut transcript NAME.json comes first, of a whole one last: as long as a file may be cut,
 * NAME.json says so, whenever the process is killed. */
static int write_files(const cara_transcribe_flags *flags, const cara_input *input,
                       unsigned formats, const cara_result *result, cara_error *err) {
    int rc = CARA_OK;
    unsigned json = 1U << CARA_TRANSCRIPT_JSON;
    if (result->cut_short)
        rc = write_file(flags, input, CARA_TRANSCRIPT_JSON, result, err);
    for (int f = 0; !rc && f < CARA_TRANSCRIPT_FORMATS; f++)
        if (is_wanted(formats & ~json, f))
            rc = write_file(flags, input, f, result, err);
    if (!rc && !result->cut_short && (formats & json))
        rc = write_file(flags, input, CARA_TRANSCRIPT_JSON, result, err);
    return rc;
}

int cara_files_write(const cara_transcribe_flags *flags, const cara_input *input,
                     const cara_result *result, cara_written *how, cara_error *err) {
    unsigned wanted = flags->formats & ~(1U << CARA_TRANSCRIPT_CSV);
    unsigned there = existing(flags, input);
    double end, own = result->n_segments ? result->segments[result->n_segments - 1].end : 0;
    state is = earlier(flags, input, &end);
    *how = CARA_WRITTEN;
    if (!result->cut_short) /* all files of a cut transcript are replaced with it */
        return write_files(flags, input, is == CUT ? wanted | there : wanted, result, err);
    if (there && !(is == CUT && end < own)) {
        *how = CARA_WRITTEN_EARLIER;
        return CARA_OK;
    }
    if (!result->n_segments) {
        *how = CARA_WRITTEN_NOTHING;
        return CARA_OK;
    }
    return write_files(flags, input, wanted, result, err);
}

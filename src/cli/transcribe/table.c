#define _DEFAULT_SOURCE /* flock */
#include "cli/transcribe/table.h"

#include "base/files/file.h"
#include "base/limits.h"
#include "base/memory/buf.h"
#include "base/utf8.h"
#include "transcript/transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "transcripts.csv"
#define MAX_TRIES 16
#define COLUMNS 4

typedef struct row {
    size_t from, to; /* in the table's bytes */
    char *file;      /* its first field, without quotes */
} row;

struct cara_table {
    char *path;
    int fd;
    size_t end;      /* where the next row goes */
    char *old;       /* the table when it was opened */
    size_t n_header; /* of its bytes: the row of column names */
    row *rows;       /* [n_rows]: of old, in its order */
    size_t n_rows, cap;
    row **by_file; /* [n_rows], sorted */
    char *suspect; /* the file whose rows may not be all there, or NULL */
    char **added;  /* [n_added]: first fields of the rows that were added */
    size_t n_added, cap_added;
    int replaced; /* some of these had rows before */
};

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the table " NAME);
}

/* ---- reading ---- */

/* One row as RFC 4180 has it, with LF alone as its end too. Returns its length with the end; 0
 * where the text stops before it. *columns counts its fields; *file is the first one, malloc'd. */
static size_t read_row(const char *text, size_t n, int *columns, char **file) {
    char *first = malloc(n + 1);
    size_t length = 0, at = 0;
    int quoted = 0;
    *columns = 1;
    *file = NULL;
    for (; first && at < n; at++) {
        char c = text[at];
        if (c == '"') {
            /* Two quotes within quotes are one. */
            int doubled = !quoted && at > 0 && text[at - 1] == '"';
            quoted = !quoted;
            if (!doubled)
                continue;
        }
        if (!quoted && c == '\n')
            break;
        if (!quoted && c == ',')
            ++*columns;
        else if (*columns == 1 && (quoted || c != '\r'))
            first[length++] = c;
    }
    if (!first || at == n) {
        free(first);
        return 0;
    }
    first[length] = '\0';
    *file = first;
    return at + 1;
}

/* The array with room for one element more than `n`, or NULL: then it is as it was. */
static void *grow(void *array, size_t *cap, size_t n, size_t size) {
    if (n < *cap)
        return array;
    size_t more = *cap ? 2 * *cap : 64;
    void *grown = realloc(array, more * size);
    if (grown)
        *cap = more;
    return grown;
}

static int by_file(const void *a, const void *b) {
    return strcmp((*(row *const *)a)->file, (*(row *const *)b)->file);
}

static int foreign(const cara_table *t, cara_error *err) {
    return cara_fail(
        err, CARA_ERR_USAGE, -1,
        "%s is there, but is no table with the columns file, start, end and text; move "
        "it away, or give another --output_dir",
        t->path);
}

static int header(cara_buf *out, cara_error *err) {
    cara_transcript_options options;
    cara_transcript_options_default(&options, sizeof options);
    options.file = "";
    return cara_transcript_write_header(CARA_TRANSCRIPT_CSV, &options, cara_transcript_to_buf, out,
                                        err);
}

/* Length of the header that the table begins with, as we or a spreadsheet wrote it; 0: none. */
static size_t find_header(const char *text, size_t n) {
    static const char *const headers[] = {"file,start,end,text\r\n", "file,start,end,text\n"};
    size_t mark = n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        size_t m = strlen(headers[i]);
        if (n - mark >= m && memcmp(text + mark, headers[i], m) == 0)
            return mark + m;
    }
    return 0;
}

/* Finds the rows of t->old [n]. *whole: how many of the bytes are whole rows. */
static int read_rows(cara_table *t, size_t n, size_t *whole, cara_error *err) {
    size_t at = t->n_header;
    while (at < n) {
        int columns;
        char *file;
        size_t length = read_row(t->old + at, n - at, &columns, &file);
        if (!length)
            break;
        row *rows = grow(t->rows, &t->cap, t->n_rows, sizeof *t->rows);
        if (rows)
            t->rows = rows;
        if (!rows || columns != COLUMNS) {
            free(file);
            return rows ? foreign(t, err) : no_memory(err);
        }
        t->rows[t->n_rows++] = (row){at, at + length, file};
        at += length;
    }
    *whole = at;
    return CARA_OK;
}

static int index_rows(cara_table *t, cara_error *err) {
    t->by_file = calloc(t->n_rows + 1, sizeof *t->by_file);
    if (!t->by_file)
        return no_memory(err);
    for (size_t i = 0; i < t->n_rows; i++)
        t->by_file[i] = &t->rows[i];
    qsort(t->by_file, t->n_rows, sizeof *t->by_file, by_file);
    return CARA_OK;
}

/* The rows of each file are written at once. If the disk lost a part of the last ones, those that
 * are left stay, but do not count as all. */
static int cut_off(cara_table *t, size_t whole, cara_error *err) {
    if (ftruncate(t->fd, (off_t)whole) != 0)
        return cara_fail_errno(err, "cannot write %s", t->path);
    t->suspect = t->n_rows ? strdup(t->rows[t->n_rows - 1].file) : NULL;
    return t->n_rows && !t->suspect ? no_memory(err) : CARA_OK;
}

static int append(cara_table *t, const char *bytes, size_t n, cara_error *err) {
    size_t at = t->end;
    while (n) {
        ssize_t put = pwrite(t->fd, bytes, n, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            int rc = cara_fail_errno(err, "cannot write %s", t->path);
            if (ftruncate(t->fd, (off_t)t->end) != 0)
                return rc; /* what was cut is found when the table is read again */
            return rc;
        }
        bytes += put;
        at += (size_t)put;
        n -= (size_t)put;
    }
    if (fsync(t->fd) != 0)
        return cara_fail_errno(err, "cannot write %s", t->path);
    t->end = at;
    return CARA_OK;
}

static int read_table(cara_table *t, int *cut, cara_error *err) {
    size_t n = 0, whole = 0;
    int rc = cara_read_file(t->path, CARA_LIMIT_RESULT_BYTES, &t->old, &n, err);
    if (rc)
        return rc;
    if (n == 0) {
        cara_buf text;
        cara_buf_init(&text, CARA_KIB);
        rc = header(&text, err);
        if (!rc)
            rc = append(t, text.data, text.len, err);
        cara_buf_free(&text);
        return rc ? rc : index_rows(t, err);
    }
    t->n_header = find_header(t->old, n);
    if (!t->n_header)
        return foreign(t, err);
    rc = read_rows(t, n, &whole, err);
    if (!rc && whole < n) {
        rc = cut_off(t, whole, err);
        if (cut)
            *cut = 1;
    }
    t->end = whole;
    return rc ? rc : index_rows(t, err);
}

/* Opens and locks the file that has the name: another process may have replaced it in between. */
static int open_locked(cara_table *t, cara_error *err) {
    for (int try = 0; try < MAX_TRIES; try++) {
        struct stat ours, named;
        t->fd = open(t->path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
        if (t->fd < 0 || fstat(t->fd, &ours) != 0)
            return cara_fail_errno(err, "cannot write %s", t->path);
        if (!S_ISREG(ours.st_mode))
            return cara_fail(err, CARA_ERR_IO, -1, "cannot write %s: it is no regular file",
                             t->path);
        if (flock(t->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            break;
        if (stat(t->path, &named) == 0 && named.st_dev == ours.st_dev &&
            named.st_ino == ours.st_ino)
            return CARA_OK;
        close(t->fd);
        t->fd = -1;
    }
    return cara_fail(err, CARA_ERR_CONFLICT, -1, "another process is writing %s", t->path);
}

static void release(cara_table *t) {
    if (t->fd >= 0)
        close(t->fd);
    for (size_t i = 0; i < t->n_rows; i++)
        free(t->rows[i].file);
    for (size_t i = 0; i < t->n_added; i++)
        free(t->added[i]);
    free(t->added);
    free(t->rows);
    free(t->by_file);
    free(t->suspect);
    free(t->old);
    free(t->path);
    free(t);
}

int cara_table_open(const char *folder, cara_table **out, int *cut, cara_error *err) {
    *out = NULL;
    if (cut)
        *cut = 0;
    cara_table *t = calloc(1, sizeof *t);
    size_t size = strlen(folder) + sizeof "/" NAME;
    if (!t)
        return no_memory(err);
    t->fd = -1;
    t->path = malloc(size);
    int rc = t->path ? CARA_OK : no_memory(err);
    if (!rc) {
        snprintf(t->path, size, "%s/" NAME, folder);
        rc = open_locked(t, err);
    }
    if (!rc)
        rc = read_table(t, cut, err);
    if (rc)
        release(t);
    else
        *out = t;
    return rc;
}

/* ---- files ---- */

static const row *find(const cara_table *t, const char *field) {
    row wanted = {.file = (char *)(uintptr_t)field}, *key = &wanted;
    row **found = bsearch(&key, t->by_file, t->n_rows, sizeof *t->by_file, by_file);
    return found ? *found : NULL;
}

/* A name as the table has it: "\xNN" for each byte that is no UTF-8. One U+FFFD for all of them
 * would give names of an older encoding the same rows. malloc'd, or NULL. */
static char *name_in_table(const char *file) {
    size_t n = strlen(file), skip;
    cara_buf name;
    cara_buf_init(&name, 4 * n + 1);
    cara_buf_add(&name, "", 0);
    for (size_t at = 0; at < n; at += skip) {
        uint32_t c;
        if (cara_utf8_decode((const uint8_t *)file + at, n - at, &c, &skip))
            cara_buf_add(&name, file + at, skip);
        else
            for (size_t i = 0; i < skip; i++)
                cara_buf_printf(&name, "\\x%02X", (unsigned char)file[at + i]);
    }
    if (name.failed)
        cara_buf_free(&name);
    return name.data;
}

/* The rows of a result without the header, and the first field that they have. */
static int write_rows(const char *file, const cara_result *result, cara_buf *out, char **field,
                      cara_error *err) {
    cara_transcript_options options;
    int columns;
    char *name = name_in_table(file);
    cara_transcript_options_default(&options, sizeof options);
    options.file = name;
    options.header = 0;
    int rc = name ? CARA_OK : no_memory(err);
    if (!rc)
        rc = cara_transcript_write(result, CARA_TRANSCRIPT_CSV, &options, cara_transcript_to_buf,
                                   out, err);
    if (!rc && !read_row(out->data, out->len, &columns, field))
        rc = no_memory(err);
    free(name);
    return rc;
}

int cara_table_has(const cara_table *table, const char *file) {
    const cara_result nothing = {.text = ""};
    cara_buf rows;
    char *field = NULL;
    cara_buf_init(&rows, CARA_MIB);
    int has = write_rows(file, &nothing, &rows, &field, NULL) == CARA_OK &&
              find(table, field) != NULL && !(table->suspect && strcmp(table->suspect, field) == 0);
    free(field);
    cara_buf_free(&rows);
    return has;
}

static int was_added(const cara_table *t, const char *field) {
    for (size_t i = 0; i < t->n_added; i++)
        if (strcmp(t->added[i], field) == 0)
            return 1;
    return 0;
}

int cara_table_add(cara_table *t, const char *file, const cara_result *result, cara_error *err) {
    cara_buf rows;
    char *field = NULL;
    cara_buf_init(&rows, CARA_LIMIT_RESULT_BYTES);
    int rc = write_rows(file, result, &rows, &field, err);
    if (!rc && !was_added(t, field)) { /* a file given twice has its rows once */
        char **added = grow(t->added, &t->cap_added, t->n_added, sizeof *t->added);
        if (added)
            t->added = added;
        rc = added ? append(t, rows.data, rows.len, err) : no_memory(err);
        if (!rc) {
            t->replaced |= find(t, field) != NULL;
            t->added[t->n_added++] = field;
            field = NULL;
        }
    }
    free(field);
    cara_buf_free(&rows);
    return rc;
}

/* Writes the table anew, less the rows that were replaced. */
static int remove_replaced(const cara_table *t, cara_error *err) {
    char *all = NULL;
    size_t n = 0, end_of_old = t->n_rows ? t->rows[t->n_rows - 1].to : t->n_header;
    cara_buf text;
    cara_buf_init(&text, 2 * CARA_LIMIT_RESULT_BYTES);
    int rc = cara_read_file(t->path, 2 * CARA_LIMIT_RESULT_BYTES, &all, &n, err);
    if (!rc) {
        cara_buf_add(&text, t->old, t->n_header);
        int stays = 0;
        for (size_t i = 0; i < t->n_rows; i++) {
            const row *r = &t->rows[i];
            if (i == 0 || strcmp(r->file, r[-1].file) != 0) /* mostly many rows are of one file */
                stays = !was_added(t, r->file);
            if (stays)
                cara_buf_add(&text, t->old + r->from, r->to - r->from);
        }
        if (n > end_of_old)
            cara_buf_add(&text, all + end_of_old, n - end_of_old);
        rc = text.failed ? no_memory(err)
                         : cara_write_file_atomic(t->path, text.data, text.len, 0666, 1, err);
    }
    cara_buf_free(&text);
    free(all);
    return rc;
}

int cara_table_close(cara_table *table, cara_error *err) {
    if (!table)
        return CARA_OK;
    int rc = table->replaced ? remove_replaced(table, err) : CARA_OK;
    release(table);
    return rc;
}

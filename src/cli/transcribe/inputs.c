#include "cli/transcribe/inputs.h"

#include "audio/sniff.h"
#include "base/files/file.h"
#include "base/limits.h"
#include "base/memory/buf.h"

#include <caracola/audio.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_INPUTS ((size_t)1000000)
#define MAX_PATH (64 * CARA_KIB)

const char *cara_input_name(const cara_input *input) {
    return strcmp(input->path, "-") == 0 ? "standard input" : input->path;
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

static int no_memory(void) {
    return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the list of files");
}

/* "folder/name", or "name" where the folder is "". malloc'd, or NULL. */
static char *join(const char *folder, const char *name, size_t n) {
    cara_buf path;
    cara_buf_init(&path, MAX_PATH);
    size_t m = strlen(folder);
    const char *slash = m && folder[m - 1] != '/' ? "/" : "";
    if (cara_buf_printf(&path, "%s%s%.*s", folder, slash, (int)n, name) != 0)
        cara_buf_free(&path);
    return path.data;
}

/* `below`: the folder of its output files below --output_dir, or "". */
static int add(cara_inputs *inputs, const char *path, const char *below) {
    if (inputs->n == MAX_INPUTS)
        return (int)cara_cli_fail(CARA_EXIT_USAGE, "more than %zu files; give fewer at once",
                                  MAX_INPUTS);
    if (inputs->n == inputs->cap) {
        size_t cap = inputs->cap ? 2 * inputs->cap : 16;
        cara_input *grown = realloc(inputs->at, cap * sizeof *grown);
        if (!grown)
            return no_memory();
        inputs->at = grown;
        inputs->cap = cap;
    }
    size_t n = 0;
    const char *base = stem(path, &n);
    cara_input *input = &inputs->at[inputs->n];
    *input = (cara_input){.path = strdup(path), .output = join(below, base, n)};
    inputs->n++;
    return input->path && input->output ? CARA_EXIT_OK : no_memory();
}

/* ---- what is audio in a folder ---- */

/* Names that say that a file is meant as audio. One that holds something else is not passed over:
 * a damaged voice note must be reported. */
static int has_audio_name(const char *path) {
    static const char *const extensions[] = {
        "3ga", "3gp",  "aac",  "ac3", "aif", "aiff", "amr", "ape", "au",   "awb",
        "caf", "flac", "m4a",  "m4b", "mka", "mkv",  "mov", "mp3", "mp4",  "oga",
        "ogg", "opus", "mpga", "tta", "voc", "w64",  "wav", "wma", "webm", "wv"};
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    if (!dot)
        return 0;
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        if (strcasecmp(dot + 1, extensions[i]) == 0)
            return 1;
    return cara_audio_is_input_format(dot + 1);
}

/* By its bytes, as always, or by its name. What cannot be looked at counts as audio, so that the
 * reason is reported. */
static int is_audio(const char *path) {
    cara_mapping file;
    if (has_audio_name(path) || cara_map_file(path, &file, NULL) != CARA_OK)
        return 1;
    int audio = cara_sniff(cara_slice_of(file.data, file.size)).kind != CARA_SNIFF_NONE;
    cara_unmap(&file);
    return audio;
}

/* ---- folders ---- */

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* The sorted names in a folder, without hidden ones: [*n], the caller's. 0, or -1 with errno. */
static int read_names(const char *path, char ***names, size_t *n) {
    *names = NULL;
    *n = 0;
    DIR *list = opendir(path);
    if (!list)
        return -1;
    size_t cap = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(list)); errno = 0) {
        if (entry->d_name[0] == '.')
            continue;
        if (*n == cap) {
            cap = cap ? 2 * cap : 64;
            errno = E2BIG;
            char **grown = cap <= MAX_INPUTS * 2 ? realloc(*names, cap * sizeof *grown) : NULL;
            if (!grown)
                break;
            *names = grown;
        }
        if (!((*names)[*n] = strdup(entry->d_name)))
            break;
        ++*n;
    }
    int saved = errno;
    closedir(list);
    if (saved) {
        free_names(*names, *n);
        *names = NULL;
        *n = 0;
        errno = saved;
        return -1;
    }
    if (*n)
        qsort(*names, *n, sizeof **names, by_name);
    return 0;
}

/* Says that a folder or what is in it cannot be read, from errno. */
static void unread(cara_inputs *inputs, const char *path) {
    cara_error err;
    cara_fail_errno(&err, "cannot read %s", path);
    cara_cli_remark("%s", err.text);
    inputs->n_unread++;
}

static int collect_folder(cara_inputs *inputs, const char *path, const char *below);

/* Links to files are followed, those to folders are not: they could lead in a circle. Pipes and
 * devices are passed over. */
static int collect_entry(cara_inputs *inputs, const char *folder, const char *below,
                         const char *name) {
    int status = CARA_EXIT_OK;
    char *path = join(folder, name, strlen(name)), *deeper = NULL;
    struct stat st;
    if (!path) {
        status = no_memory();
    } else if (lstat(path, &st) != 0) {
        unread(inputs, path);
    } else if (S_ISDIR(st.st_mode)) {
        deeper = join(below, name, strlen(name));
        status = deeper ? collect_folder(inputs, path, deeper) : no_memory();
    } else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        ;
    } else if (is_audio(path)) {
        status = add(inputs, path, below);
    } else {
        inputs->n_other++;
        if (!inputs->other) {
            inputs->other = path;
            path = NULL;
        }
    }
    free(deeper);
    free(path);
    return status;
}

static int collect_folder(cara_inputs *inputs, const char *path, const char *below) {
    char **names;
    size_t n;
    if (read_names(path, &names, &n) != 0) {
        unread(inputs, path);
        return CARA_EXIT_OK; /* the others are not stopped */
    }
    int status = CARA_EXIT_OK;
    for (size_t i = 0; i < n && status == CARA_EXIT_OK; i++)
        status = collect_entry(inputs, path, below, names[i]);
    free_names(names, n);
    return status;
}

int cara_inputs_collect(const cara_transcribe_flags *flags, int n, char **operands,
                        cara_inputs *inputs) {
    *inputs = (cara_inputs){0};
    int status = CARA_EXIT_OK, from_stdin = 0;
    for (int i = 0; i < n && status == CARA_EXIT_OK; i++) {
        struct stat st;
        int is_stdin = strcmp(operands[i], "-") == 0;
        if (is_stdin && from_stdin++)
            status = (int)cara_cli_fail(CARA_EXIT_USAGE, "standard input can be read only once");
        else if (flags->recursive && !is_stdin && stat(operands[i], &st) == 0 &&
                 S_ISDIR(st.st_mode)) {
            inputs->named = 1;
            status = collect_folder(inputs, operands[i], "");
        } else
            status = add(inputs, operands[i], "");
    }
    inputs->named |= inputs->n > 1;
    return status;
}

void cara_input_free(cara_input *input) {
    free(input->path);
    free(input->output);
}

void cara_inputs_free(cara_inputs *inputs) {
    for (size_t i = 0; i < inputs->n; i++)
        cara_input_free(&inputs->at[i]);
    free(inputs->at);
    free(inputs->other);
    *inputs = (cara_inputs){0};
}

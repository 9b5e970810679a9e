/* Finds a model's vocabulary. */
#include "base/limits.h"
#include "model/model.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CANDIDATES 32

#define WHERE_TO_GET                                                                               \
    "it lies in openai/whisper's repository, folder whisper/assets; or name another by vocab_path"

static int use_file(cara_model *model, const char *path, cara_tokenizer **out, cara_error *err) {
    char *text;
    size_t n;
    *out = NULL;
    int rc = cara_read_file(path, CARA_LIMIT_VOCAB_BYTES, &text, &n, err);
    if (rc)
        return rc;
    rc = cara_tokenizer_new(text, n, model->dims.n_vocab, out, err);
    free(text);
    if (rc)
        cara_error_prefix(err, "%s", path);
    return rc;
}

static int set_tokenizer(cara_model *model, const char *path, cara_tokenizer *tokenizer,
                         cara_error *err) {
    model->tokenizer = tokenizer;
    model->vocab_path = cara_arena_strdup(&model->arena, path);
    return model->vocab_path ? CARA_OK : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
}

static int ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* Takes the only file of the folder that is named *.tiktoken and fits. */
static int search(cara_model *model, const char *folder, const char *preferred, cara_error *err) {
    cara_tokenizer *found = NULL;
    const char *found_path = NULL;
    int n_seen = 0, rc = CARA_OK;
    cara_error why = {0};
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir)) && n_seen < MAX_CANDIDATES;) {
        if (!ends_with(entry->d_name, ".tiktoken"))
            continue;
        const char *path = cara_arena_printf(&model->arena, "%s/%s", folder, entry->d_name);
        if (!path) {
            rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
            break;
        }
        n_seen++;
        cara_tokenizer *tokenizer;
        if (use_file(model, path, &tokenizer, &why))
            continue;
        if (found) {
            cara_tokenizer_free(tokenizer);
            rc = cara_fail(err, CARA_ERR_VOCAB, -1,
                           "the vocabularies %s and %s both fit the model: call the right one %s; "
                           "or name it by vocab_path",
                           found_path, path, preferred);
            break;
        }
        found = tokenizer;
        found_path = path;
    }
    if (dir)
        closedir(dir);
    if (!rc && found)
        return set_tokenizer(model, found_path, found, err);
    cara_tokenizer_free(found);
    if (!rc && n_seen == 1)
        return cara_fail(err, why.code, why.position, "%s", why.text);
    if (!rc)
        rc = cara_fail(err, CARA_ERR_VOCAB, -1,
                       "the model has no vocabulary and none that fits is beside it: put %s into "
                       "%s; " WHERE_TO_GET,
                       preferred, folder);
    return rc;
}

int cara_model_find_vocab(cara_model *model, const char *model_path, const char *vocab_path,
                          cara_error *err) {
    cara_tokenizer *tokenizer;
    int rc;
    if (vocab_path) {
        rc = use_file(model, vocab_path, &tokenizer, err);
        if (rc == CARA_ERR_NOT_FOUND)
            return cara_fail(err, CARA_ERR_VOCAB, -1,
                             "the vocabulary %s does not exist; %s lies in openai/whisper's "
                             "repository, folder whisper/assets",
                             vocab_path,
                             cara_dims_are_multilingual(&model->dims) ? "multilingual.tiktoken"
                                                                      : "gpt2.tiktoken");
        return rc ? rc : set_tokenizer(model, vocab_path, tokenizer, err);
    }
    if (model->vocab.len) {
        rc = cara_tokenizer_new(model->vocab.ptr, model->vocab.len, model->dims.n_vocab,
                                &model->tokenizer, err);
        if (rc)
            cara_error_prefix(err, "%s", model_path);
        return rc;
    }
    const char *slash = strrchr(model_path, '/');
    const char *folder = "/";
    if (!slash)
        folder = ".";
    else if (slash != model_path)
        folder = cara_arena_strndup(&model->arena, model_path, (size_t)(slash - model_path));
    const char *preferred =
        cara_dims_are_multilingual(&model->dims) ? "multilingual.tiktoken" : "gpt2.tiktoken";
    const char *path = folder ? cara_arena_printf(&model->arena, "%s/%s", folder, preferred) : NULL;
    if (!path)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory");
    if (access(path, F_OK) == 0) {
        rc = use_file(model, path, &tokenizer, err);
        return rc ? rc : set_tokenizer(model, path, tokenizer, err);
    }
    return search(model, folder, preferred, err);
}

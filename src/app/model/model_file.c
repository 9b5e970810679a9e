#include "app/model/model_file.h"

#include <stdlib.h>

void cara_model_file_init(cara_model_file *file, const char *named) {
    *file = (cara_model_file){.missing = {.code = CARA_OK, .position = -1}};
    (void)cara_model_choose_file(named, &file->choice, &file->missing);
}

void cara_model_file_close(cara_model_file *file) {
    free(file->choice.path);
    file->choice.path = NULL;
}

static int file_open(void *ctx, cara_stop_fn stop, void *cookie, cara_model **out,
                     cara_error *err) {
    const cara_model_file *file = ctx;
    *out = NULL;
    if (!file->choice.path) {
        if (err)
            *err = file->missing;
        return (int)file->missing.code;
    }
    if (file->choice.is_demo && file->on_demo)
        file->on_demo(file->cookie);
    return cara_model_open(file->choice.path, file->vocab_path, out, err);
}

/* Opening checks the file; nothing of it arrives later. */
static int file_verify(void *ctx, cara_error *err) {
    return CARA_OK;
}

static void file_close(void *ctx) {
}

cara_model_source cara_model_file_source(cara_model_file *file) {
    return (cara_model_source){file_open, file_verify, file_close, file};
}

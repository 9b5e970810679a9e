/* A model in a file that is opened only for the first audio. */
#ifndef APP_MODEL_FILE_H
#define APP_MODEL_FILE_H

#include "app/model/path.h"
#include "pipeline/transcriber/engine.h"

typedef struct cara_model_file {
    cara_model_choice choice; /* path NULL: none can be used, and `missing` says why */
    cara_error missing;
    const char *vocab_path;        /* borrowed; or NULL */
    void (*on_demo)(void *cookie); /* called before the demo model is opened; may be NULL */
    void *cookie;
} cara_model_file;

/* Chooses as cara_model_choose_file(); where that fails, it is open() that says so, since an event
 * without audio needs no model. The optional members are set after it. *file must stay where it is
 * as long as the source is used; close it in any case. */
void cara_model_file_init(cara_model_file *file, const char *named);
void cara_model_file_close(cara_model_file *file);
cara_model_source cara_model_file_source(cara_model_file *file);

#endif

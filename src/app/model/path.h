/* Which model to use: by its name, or where none was named. */
#ifndef APP_MODEL_PATH_H
#define APP_MODEL_PATH_H

#include "base/error.h"

typedef struct cara_model_choice {
    char *path;  /* a file, or s3://bucket/key; malloc'd */
    int is_demo; /* 1: the demo model, since none was named; users should be informed */
} cara_model_choice;

/* `named` if given, else $CARACOLA_MODEL, else the demo model. out->path is the caller's on success
 * and NULL on failure. NOT_FOUND where the demo model is missing. */
int cara_model_choose(const char *named, cara_model_choice *out, cara_error *err);
/* The same for callers that need a file: USAGE for s3://bucket/key. */
int cara_model_choose_file(const char *named, cara_model_choice *out, cara_error *err);

/* 1 where that names an object of S3 rather than a file. */
int cara_model_is_s3(const char *model);

#endif

/* A model in a few words, for logs. */
#ifndef APP_DESCRIBE_H
#define APP_DESCRIBE_H

#include <caracola/model.h>
#include <stddef.h>

/* "medium, 776.1 MB, int8", cut to size. */
void cara_model_describe(const cara_model *model, char *dst, size_t size);

/* The same for the file at `path`, of which only the head is read: as cara_model_open(), but the
 * vocabulary is not looked at. *is_demo: it is the demo model. */
int cara_model_describe_file(const char *path, char *dst, size_t size, int *is_demo,
                             cara_error *err);

#endif

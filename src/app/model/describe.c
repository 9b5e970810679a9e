#include "app/model/describe.h"

#include "model/model.h"

#include <stdio.h>
#include <string.h>

void cara_model_describe(const cara_model *model, char *dst, size_t size) {
    snprintf(dst, size, "%s, %.1f MB, %s", model->name, (double)model->file.size / 1e6,
             cara_model_compute_type(model));
}

int cara_model_describe_file(const char *path, char *dst, size_t size, int *is_demo,
                             cara_error *err) {
    cara_mapping file;
    cara_model *model = NULL;
    int rc = cara_map_file(path, &file, err);
    if (rc)
        return rc;
    rc = cara_model_open_bytes(cara_slice_of(file.data, file.size), path, &model, err);
    if (!rc) {
        cara_model_describe(model, dst, size);
        *is_demo = strcmp(model->name, "demo") == 0;
    }
    cara_model_close(model);
    cara_unmap(&file);
    return rc;
}

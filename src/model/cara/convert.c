/* The public function that writes a model. */
#include "base/limits.h"
#include "base/sized.h"
#include "model/model.h"

#include <string.h>

void cara_convert_options_default(cara_convert_options *options, size_t size) {
    const cara_convert_options defaults = {.struct_size = sizeof defaults};
    cara_sized_default(options, size, &defaults, sizeof defaults);
}

static int find_storage(const char *type, cara_storage *storage, cara_error *err) {
    static const struct {
        const char *name;
        cara_storage storage;
    } known[] = {
        {"default", CARA_STORAGE_AS_IS},   {"int8", CARA_STORAGE_INT8},
        {"float16", CARA_STORAGE_FLOAT16}, {"bfloat16", CARA_STORAGE_BFLOAT16},
        {"float32", CARA_STORAGE_FLOAT32},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!type || !strcmp(type, known[i].name)) {
            *storage = known[i].storage;
            return CARA_OK;
        }
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "compute_type is '%.60s'; expected default, int8, float16, bfloat16 or "
                     "float32",
                     type);
}

int cara_model_convert(const cara_model *model, const char *path,
                       const cara_convert_options *options, cara_error *err) {
    cara_convert_options o;
    if (!model)
        return cara_fail_null(err, __func__, "model");
    if (!path)
        return cara_fail_null(err, __func__, "path");
    cara_convert_options_default(&o, sizeof o);
    int rc = cara_sized_read(&o, sizeof o, options, "cara_convert_options", err);
    if (rc)
        return rc;
    cara_write_options write = {.name = o.name,
                                .replace = o.replace,
                                .threads = o.threads,
                                .progress = o.progress,
                                .cookie = o.cookie};
    rc = find_storage(o.compute_type, &write.storage, err);
    if (rc)
        return rc;
    if (o.threads < 0 || o.threads > CARA_LIMIT_THREADS)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "threads is %d; it takes 1 to %d, or 0 for all that this process may use",
                         o.threads, CARA_LIMIT_THREADS);
    return cara_model_write(model, &write, path, err);
}

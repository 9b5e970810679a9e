/* A bench from its model to its limits. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int cara_bench_make_model(const cara_bench_run *run, const char *shape, cara_storage storage,
                          uint64_t seed, char *path, size_t size, cara_error *err) {
    const char *folder = getenv("TMPDIR");
    snprintf(path, size, "%s/caracola-bench-%ld.cara", folder && *folder ? folder : "/tmp",
             (long)getpid());
    cara_write_options options = {.storage = storage, .threads = run->threads};
    if (shape)
        return cara_model_write_random(shape, seed, &options, path, err);
    cara_model *model;
    int rc = cara_model_open(run->path, NULL, &model, err);
    if (!rc)
        rc = cara_model_write(model, &options, path, err);
    cara_model_close(model);
    return rc;
}

static const char *type_of(const cara_model *model) {
    switch (model->weights.encoder[0].mlp_0.weight.dtype) {
    case CARA_F32:
        return "float32";
    case CARA_F16:
        return "float16";
    case CARA_BF16:
        return "bfloat16";
    case CARA_I8:
        return "int8";
    }
    return "unknown";
}

int cara_bench_measure(const cara_bench_run *run, cara_bench_result *out, cara_error *err) {
    cara_model *model = NULL;
    *out = (cara_bench_result){.type = NULL};
    int rc = cara_bench_measure_windows(run, &model, &out->times, err);
    if (rc)
        return rc;
    cara_bench_count(model, &out->cost);
    out->type = type_of(model);
    snprintf(out->name, sizeof out->name, "%s", cara_model_name(model));
    cara_model_close(model); /* or its pages would stay */
    rc = cara_bench_measure_start(run, &out->times, err);
    if (!rc)
        rc = cara_bench_measure_ceilings(cara_cpu_level_name(run->level), run->pool, 0.005,
                                         &out->ceilings, err);
    if (rc)
        return rc;
    out->floor_encode = cara_bench_floor_encode(&out->cost, &out->ceilings);
    out->floor_decode = cara_bench_floor_decode(&out->cost, &out->ceilings);
    return CARA_OK;
}

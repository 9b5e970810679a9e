/* How far int8 takes the encoder from float, layer by layer, over the bench's own sound. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

int cara_bench_measure_layers(const cara_bench_run *run, cara_bench_layers *out, cara_error *err) {
    cara_model *model;
    *out = (cara_bench_layers){.layers = NULL};
    int rc = cara_model_open(run->path, NULL, &model, err);
    if (rc)
        return rc;
    const cara_dims *dims = cara_model_dims(model);
    snprintf(out->name, sizeof out->name, "%s", cara_model_name(model));
    out->n_layer = (size_t)dims->n_audio_layer;
    cara_compute compute = {
        .model = model, .kernels = cara_kernels_for(run->level), .pool = run->pool};
    cara_error failure = {.code = CARA_OK, .position = -1};
    float *mel = cara_bench_mel(dims->n_mels, run->pool, NULL, &failure);
    out->layers = calloc(out->n_layer + 1, sizeof *out->layers);
    if (!mel)
        rc = (int)failure.code;
    else if (!out->layers)
        rc = cara_fail(&failure, CARA_ERR_MEMORY, -1, "no memory for the layers");
    else
        rc = cara_accuracy_measure(&compute, mel, out->layers, &failure);
    if (rc) {
        free(out->layers);
        out->layers = NULL;
        if (err)
            *err = failure;
    }
    free(mel);
    cara_model_close(model);
    return rc;
}

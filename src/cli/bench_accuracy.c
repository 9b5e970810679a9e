/* `caracola bench --accuracy`: how far int8 takes the encoder from float, layer by layer. */
#include "cli/bench.h"
#include "whisper/accuracy.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct report {
    const cara_bench_run *run;
    const char *model;
    size_t n_layer;
    const cara_layer_accuracy *layers; /* [n_layer + 1], the last one is what comes out */
} report;

/* A share of what the states are, and what int8 costs beside rounding; 0 / 0 is as good as 1. */
static double share(double part, double whole) {
    return whole > 0 ? part / whole : part > 0 ? 1e9 : 0;
}

static double ratio(const cara_layer_accuracy *a) {
    return a->int8 == a->rounding ? 1 : share(a->int8, a->rounding);
}

static json_t *object_of(const cara_layer_accuracy *a) {
    json_t *o = json_object();
    json_object_set_new(o, "states_rms", json_real(a->states));
    json_object_set_new(o, "int8_error", json_real(share(a->int8, a->states)));
    json_object_set_new(o, "rounding_error", json_real(share(a->rounding, a->states)));
    json_object_set_new(o, "ratio", json_real(ratio(a)));
    return o;
}

static int print_json(const report *r, cara_error *err) {
    json_t *o = json_object(), *layers = json_array();
    json_object_set_new(o, "model", json_string(r->model));
    json_object_set_new(o, "cpu_level", json_string(cara_cpu_level_name(r->run->level)));
    for (size_t i = 0; i < r->n_layer; i++) {
        json_t *layer = object_of(&r->layers[i]);
        json_object_set_new(layer, "layer", json_integer((json_int_t)i));
        json_array_append_new(layers, layer);
    }
    json_object_set_new(o, "layers", layers);
    json_object_set_new(o, "encoder", object_of(&r->layers[r->n_layer]));
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(o);
    if (!text)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the JSON");
    puts(text);
    free(text);
    return CARA_OK;
}

static void print_table(const report *r) {
    printf("%s, CPU level %s: the encoder's distance from float, as a share of its states\n\n"
           "layer      int8  rounding  ratio\n",
           r->model, cara_cpu_level_name(r->run->level));
    for (size_t i = 0; i <= r->n_layer; i++) {
        const cara_layer_accuracy *a = &r->layers[i];
        char name[24] = "output";
        if (i < r->n_layer)
            snprintf(name, sizeof name, "%zu", i);
        printf("%-6s %8.5f  %8.5f  %5.3f\n", name, share(a->int8, a->states),
               share(a->rounding, a->states), ratio(a));
    }
    printf("\nRounding: weights by output channel, inputs by row, to the nearest of 255 steps.\n");
}

int cara_bench_accuracy(const cara_bench_run *run, int json, cara_error *err) {
    cara_model *model;
    int rc = cara_model_open(run->path, NULL, &model, err);
    if (rc)
        return rc;
    const cara_dims *dims = cara_model_dims(model);
    report r = {run, cara_model_name(model), (size_t)dims->n_audio_layer, NULL};
    cara_compute compute = {
        .model = model, .kernels = cara_kernels_for(run->level), .pool = run->pool};
    cara_error failure = {.code = CARA_OK, .position = -1};
    float *mel = cara_bench_mel(dims->n_mels, run->pool, NULL, &failure);
    cara_layer_accuracy *layers = calloc(r.n_layer + 1, sizeof *layers);
    if (!mel)
        rc = (int)failure.code;
    else if (!layers)
        rc = cara_fail(&failure, CARA_ERR_MEMORY, -1, "no memory for the layers");
    else
        rc = cara_accuracy_measure(&compute, mel, layers, &failure);
    r.layers = layers;
    if (!rc && json)
        rc = print_json(&r, &failure);
    else if (!rc)
        print_table(&r);
    if (rc && err)
        *err = failure;
    free(layers);
    free(mel);
    cara_model_close(model);
    return rc;
}

/* `caracola bench --accuracy`: how far int8 takes the encoder from float, layer by layer. */
#include "cli/bench/accuracy.h"
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

/* A share of what the states are, and what int8 costs beside rounding; 0 / 0 is as good as 1. */
static double share(double part, double whole) {
    return whole > 0 ? part / whole : part > 0 ? 1e9 : 0;
}

static double ratio(const cara_layer_accuracy *a) {
    return a->int8 == a->rounding ? 1 : share(a->int8, a->rounding);
}

/* To six significant digits: more would be noise. */
static json_t *six_digits(double value) {
    char text[40];
    snprintf(text, sizeof text, "%.6g", value);
    return json_real(strtod(text, NULL));
}

static json_t *object_of(const cara_layer_accuracy *a) {
    json_t *o = json_object();
    json_object_set_new(o, "states_rms", six_digits(a->states));
    json_object_set_new(o, "int8_error", six_digits(share(a->int8, a->states)));
    json_object_set_new(o, "rounding_error", six_digits(share(a->rounding, a->states)));
    json_object_set_new(o, "ratio", six_digits(ratio(a)));
    return o;
}

static int print_json(const cara_bench_run *run, const cara_bench_layers *r, cara_error *err) {
    json_t *o = json_object(), *layers = json_array();
    json_object_set_new(o, "model", json_string(r->name));
    json_object_set_new(o, "cpu_level", json_string(cara_cpu_level_name(run->level)));
    for (size_t i = 0; i < r->n_layer; i++) {
        json_t *layer = object_of(&r->layers[i]);
        json_object_set_new(layer, "layer", json_integer((json_int_t)i));
        json_array_append_new(layers, layer);
    }
    json_object_set_new(o, "layers", layers);
    json_object_set_new(o, "encoder", object_of(&r->layers[r->n_layer]));
    if (cara_cli_print_json(o, CARA_JSON_COMPACT))
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the JSON");
    return CARA_OK;
}

static void print_table(const cara_bench_run *run, const cara_bench_layers *r) {
    printf("%s, CPU level %s: the encoder's distance from float, as a share of its states\n\n"
           "layer      int8  rounding  ratio\n",
           r->name, cara_cpu_level_name(run->level));
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

int cara_cli_bench_accuracy(const cara_bench_run *run, int json, cara_error *err) {
    cara_bench_layers layers;
    int rc = cara_bench_measure_layers(run, &layers, err);
    if (rc)
        return rc;
    if (json)
        rc = print_json(run, &layers, err);
    else
        print_table(run, &layers);
    free(layers.layers);
    return rc;
}

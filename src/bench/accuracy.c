#include "bench/accuracy.h"

#include "model/layers.h"
#include "whisper/network/encoder.h"
#include "whisper/network/quantise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 127 /* on either side of zero */

/* What the probes of the three runs share. */
typedef struct probe_state {
    const cara_compute *compute;
    size_t n;     /* number of values in a layer's states */
    float *exact; /* [n_layer + 1, n], what the float encoder made */
    double *into; /* of a later run: [n_layer + 1] root mean squares of the distance; or NULL */
} probe_state;

static double root_mean_square(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (b ? (double)b[i] : 0);
        sum += d * d;
    }
    return sqrt(sum / (double)n);
}

static void on_layer(void *ctx, size_t layer, const float *x) {
    probe_state *w = ctx;
    float *exact = w->exact + layer * w->n;
    if (w->into)
        w->into[layer] = root_mean_square(x, exact, w->n);
    else
        memcpy(exact, x, w->n * sizeof *exact);
}

/* ---- rounding, as simply as can be ---- */

static void round_row(float *x, size_t n) {
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(x[i]));
    if (most == 0)
        return;
    for (size_t i = 0; i < n; i++)
        x[i] = rintf(x[i] * STEPS / most) * most / STEPS;
}

typedef struct rows {
    float *x;
    size_t k;
} rows;

static void round_task(void *ctx, size_t task, int thread) {
    const rows *r = ctx;
    (void)thread;
    round_row(r->x + task * r->k, r->k);
}

static void round_rows(void *ctx, float *a, size_t m, size_t k) {
    const probe_state *w = ctx;
    cara_pool_run(w->compute->pool, round_task, &(rows){a, k}, m);
}

/* The tensor in f32, rounded; its type becomes f32. -1 where there is no memory. */
static int round_tensor(const probe_state *w, cara_tensor *t, cara_arena *arena) {
    cara_weight_type type;
    size_t count = (size_t)cara_tensor_count(t), channels = (size_t)t->shape[0];
    float *x = cara_arena_alloc(arena, count, sizeof *x);
    if (!x || cara_weight_type_of(t, &type) != 0)
        return -1;
    w->compute->kernels->widen(type, t->data, x, count);
    round_rows((void *)(uintptr_t)w, x, channels, count / channels);
    t->data = x;
    t->dtype = CARA_F32;
    return 0;
}

/* The encoder's part of the weights with what int8 is for rounded; layers [n_layer] is room. */
static int round_weights(const probe_state *w, cara_weights *weights, cara_encoder_layer *layers,
                         cara_arena *arena) {
    size_t n = (size_t)cara_model_dims(w->compute->model)->n_audio_layer;
    int bad = round_tensor(w, &weights->conv2.weight, arena);
    if (n)
        memcpy(layers, weights->encoder, n * sizeof *layers);
    weights->encoder = layers;
    for (size_t i = 0; i < n && !bad; i++) {
        for (size_t j = 0; j < cara_encoder_members.n && !bad; j++) {
            const cara_layer_member *m = &cara_encoder_members.members[j];
            if (m->kind == CARA_MEMBER_LINEAR)
                bad = round_tensor(w, &cara_member_linear(&layers[i], m)->weight, arena);
        }
    }
    return bad;
}

/* ---- the three runs ---- */

/* One encoder over the mel; `states` [n] is what comes out. */
static int run(probe_state *w, const cara_weights *weights, int rounded, const float *mel,
               float *states, cara_error *err) {
    size_t last = (size_t)cara_model_dims(w->compute->model)->n_audio_layer;
    cara_compute compute = *w->compute;
    cara_encoder_probe probe = {rounded ? round_rows : NULL, on_layer, w};
    cara_encoder *encoder;
    compute.weights = weights;
    int rc = cara_encoder_new(&compute, &encoder, err);
    if (rc)
        return rc;
    cara_encoder_set_probe(encoder, &probe);
    rc = cara_encoder_run(encoder, mel, states, err);
    cara_encoder_free(encoder);
    if (!rc)
        on_layer(w, last, states);
    return rc;
}

int cara_accuracy_measure(const cara_compute *compute, const float *mel,
                          cara_layer_accuracy *layers, cara_error *err) {
    const cara_dims *dims = cara_model_dims(compute->model);
    size_t n_layer = (size_t)dims->n_audio_layer;
    probe_state w = {.compute = compute,
                     .n = (size_t)dims->n_audio_ctx * (size_t)dims->n_audio_state};
    if (cara_weights_have_i8(compute->model))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "the model's weights are int8 already; what that cost can only be "
                         "measured from a model with float weights");
    cara_quantised *quantised = NULL;
    cara_weights weights = *cara_model_weights(compute->model);
    cara_arena arena;
    cara_arena_init(&arena, SIZE_MAX / 2);
    cara_encoder_layer *rounded = calloc(n_layer + 1, sizeof *rounded);
    double *distance = calloc(n_layer + 1, sizeof *distance);
    float *states = malloc(w.n * sizeof *states);
    w.exact = malloc((n_layer + 1) * w.n * sizeof *w.exact);
    int rc = rounded && distance && states && w.exact
                 ? CARA_OK
                 : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the states of all layers");
    if (!rc)
        rc = run(&w, NULL, 0, mel, states, err);
    for (size_t i = 0; i <= n_layer && !rc; i++)
        layers[i].states = root_mean_square(w.exact + i * w.n, NULL, w.n);
    w.into = distance;
    if (!rc)
        rc = cara_quantise(compute, &quantised, err);
    if (!rc)
        rc = run(&w, cara_quantised_weights(quantised), 0, mel, states, err);
    cara_quantised_free(quantised);
    for (size_t i = 0; i <= n_layer && !rc; i++)
        layers[i].int8 = distance[i];
    if (!rc && round_weights(&w, &weights, rounded, &arena) != 0)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the rounded weights");
    if (!rc)
        rc = run(&w, &weights, 1, mel, states, err);
    for (size_t i = 0; i <= n_layer && !rc; i++)
        layers[i].rounding = distance[i];
    cara_arena_free(&arena);
    free(w.exact);
    free(states);
    free(distance);
    free(rounded);
    return rc;
}

/* A small model with random states of an encoder, for tests of the decoder. */
#ifndef TESTS_WHISPER_NETWORK_FIXTURE_H
#define TESTS_WHISPER_NETWORK_FIXTURE_H

#include "model/model.h"
#include "whisper/network/decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fixture {
    cara_model *model;
    cara_compute compute;
    const cara_dims *dims;
    float *states; /* [n_audio_ctx, n_audio_state], random */
    size_t n_vocab;
    int polls_left; /* poll_it() stops when it reaches 0; negative: never */
} fixture;

static int poll_it(void *cookie) {
    fixture *f = cookie;
    return f->polls_left >= 0 && f->polls_left-- == 0;
}

static int setup(void **state) {
    static fixture f;
    char path[4096];
    cara_error err;
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/data/golden/shapes/micro-en.pt", root ? root : ".");
    if (cara_model_open_without_vocab(path, &f.model, &err) != CARA_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    f.dims = cara_model_dims(f.model);
    f.n_vocab = (size_t)f.dims->n_vocab;
    f.compute = (cara_compute){.model = f.model,
                               .kernels = cara_kernels_for(cara_cpu_detect()),
                               .pool = cara_pool_new(2),
                               .poll = poll_it,
                               .cookie = &f};
    f.polls_left = -1;
    size_t n = (size_t)f.dims->n_audio_ctx * (size_t)f.dims->n_audio_state;
    f.states = malloc(n * sizeof *f.states);
    uint32_t seed = 1;
    for (size_t i = 0; f.states && i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        f.states[i] = (float)(seed >> 8) / 8388608.0f - 1;
    }
    *state = &f;
    return f.states && f.compute.pool ? 0 : -1;
}

static int teardown(void **state) {
    fixture *f = *state;
    free(f->states);
    cara_pool_free(f->compute.pool);
    cara_model_close(f->model);
    return 0;
}

static cara_decoder *decoder_with_audio(fixture *f, int slots) {
    cara_decoder *d;
    cara_error err;
    assert_int_equal(cara_decoder_new(&f->compute, 1, slots, &d, &err), CARA_OK);
    assert_int_equal(cara_decoder_reserve(d, 0, slots, &err), CARA_OK);
    assert_int_equal(cara_decoder_set_audio(d, 0, f->states, &err), CARA_OK);
    return d;
}

#endif

#include "whisper/backend/cpu.h"

#include "whisper/network/encoder.h"
#include "whisper/network/quantise.h"

#include <stdlib.h>

typedef struct cpu {
    cara_backend backend;
    cara_compute compute;
    cara_backend_stop stop;
    cara_quantised *quantised; /* or NULL */
    cara_encoder *encoder;
    cara_decoder *decoder;
    float *states; /* [n_audio_ctx, n_audio_state] of the window that was encoded last */
} cpu;

static int poll(void *cookie) {
    const cpu *c = cookie;
    return c->stop.fn ? c->stop.fn(c->stop.cookie) : 0;
}

static void cpu_set_stop(cara_backend *b, cara_backend_stop stop) {
    ((cpu *)b)->stop = stop;
}

static int cpu_encode_window(cara_backend *b, int audio, const float *mel, size_t audio_ctx,
                             cara_error *err) {
    cpu *c = (cpu *)b;
    cara_encoder_set_ctx(c->encoder, audio_ctx);
    cara_decoder_set_audio_ctx(c->decoder, audio, audio_ctx);
    int rc = cara_encoder_run(c->encoder, mel, c->states, err);
    return rc ? rc : cara_decoder_set_audio(c->decoder, audio, c->states, err);
}

static int cpu_reserve_slots(cara_backend *b, int first, int n, cara_error *err) {
    return cara_decoder_reserve(((cpu *)b)->decoder, first, n, err);
}

static void cpu_start(cara_backend *b, int slot, int audio) {
    cara_decoder_start(((cpu *)b)->decoder, slot, audio);
}

static void cpu_finish(cara_backend *b, int slot) {
    (void)b, (void)slot; /* no other thread waits for this one */
}

static void cpu_truncate(cara_backend *b, int slot, size_t length) {
    cara_decoder_truncate(((cpu *)b)->decoder, slot, length);
}

static void cpu_fork(cara_backend *b, int from, int first, int n) {
    cara_decoder_fork(((cpu *)b)->decoder, from, first, n);
}

static void cpu_reorder(cara_backend *b, int first, const int *source, int n) {
    cara_decoder_reorder(((cpu *)b)->decoder, first, source, n);
}

static int cpu_forward(cara_backend *b, const cara_run *runs, size_t n_runs, const size_t *wanted,
                       size_t n_wanted, float *logits, cara_error *err) {
    return cara_decoder_forward(((cpu *)b)->decoder, runs, n_runs, wanted, n_wanted, logits, err);
}

static int cpu_align(cara_backend *b, const cara_run *run, const size_t *wanted, size_t n_wanted,
                     float *logits, const cara_alignment *alignment, cara_error *err) {
    return cara_decoder_align(((cpu *)b)->decoder, run, wanted, n_wanted, logits, alignment, err);
}

static void cpu_free(cara_backend *b) {
    cpu *c = (cpu *)b;
    cara_decoder_free(c->decoder);
    cara_encoder_free(c->encoder);
    cara_quantised_free(c->quantised);
    free(c->states);
    free(c);
}

static const cara_backend_ops ops = {
    .set_stop = cpu_set_stop,
    .encode_window = cpu_encode_window,
    .reserve_slots = cpu_reserve_slots,
    .start = cpu_start,
    .finish = cpu_finish,
    .truncate = cpu_truncate,
    .fork = cpu_fork,
    .reorder = cpu_reorder,
    .forward = cpu_forward,
    .align = cpu_align,
    .free = cpu_free,
};

int cara_cpu_backend_new(const cara_model *model, const cara_cpu_options *options,
                         cara_backend **out, cara_error *err) {
    const cara_dims *dims = cara_model_dims(model);
    *out = NULL;
    cpu *c = calloc(1, sizeof *c);
    if (!c)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for a backend");
    c->backend.ops = &ops;
    c->compute = (cara_compute){.model = model,
                                .kernels = options->kernels,
                                .pool = options->pool,
                                .poll = poll,
                                .cookie = c};
    int rc = CARA_OK;
    size_t n_states = (size_t)dims->n_audio_ctx * (size_t)dims->n_audio_state;
    c->states = aligned_alloc(64, (n_states * sizeof *c->states + 63) / 64 * 64);
    if (!c->states)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the encoder's states");
    if (!rc && options->quantise && !(rc = cara_quantise(&c->compute, &c->quantised, err)))
        c->compute.weights = cara_quantised_weights(c->quantised);
    if (!rc)
        rc = cara_encoder_new(&c->compute, &c->encoder, err);
    if (!rc)
        rc = cara_decoder_new(&c->compute, options->n_audios, options->n_slots, &c->decoder, err);
    if (rc) {
        cpu_free(&c->backend);
        return rc;
    }
    *out = &c->backend;
    return CARA_OK;
}

double cara_cpu_backend_step_bytes(const cara_backend *backend) {
    const cara_compute *compute = &((const cpu *)backend)->compute;
    const cara_dims *d = cara_model_dims(compute->model);
    const cara_weights *w = cara_compute_weights(compute);
    double s = d->n_text_state, layers = d->n_text_layer;
    int i8 = w->token_embedding.dtype == CARA_I8, f32 = w->token_embedding.dtype == CARA_F32;
    return (14 * layers * s * s + d->n_vocab * s) * (i8 ? 1 : f32 ? 4 : 2);
}

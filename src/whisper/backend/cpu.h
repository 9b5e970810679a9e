/* The backend that computes on this machine's CPU. */
#ifndef WHISPER_CPU_H
#define WHISPER_CPU_H

#include "base/threads.h"
#include "kernels/kernels.h"
#include "model/weights.h"
#include "whisper/backend/backend.h"

typedef struct cara_cpu_options {
    const cara_kernels *kernels;
    cara_pool *pool; /* borrowed */
    int quantise;    /* quantise float weights to int8, in memory that the backend owns */
    int n_audios;
    int n_slots; /* their memory is taken by reserve_slots() */
} cara_cpu_options;

/* The model and the pool are borrowed. On failure *out is NULL. Errors: MEMORY, MODEL_SHAPE, and
 * those of cara_model_await() where it quantises. */
int cara_cpu_backend_new(const cara_model *model, const cara_cpu_options *options,
                         cara_backend **out, cara_error *err);

/* About how many bytes of weights a step of the decoder reads, for a backend of
 * cara_cpu_backend_new(). */
double cara_cpu_backend_step_bytes(const cara_backend *backend);

#endif

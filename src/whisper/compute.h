/* What every numeric function of this room is handed: the model, the kernels and the threads. */
#ifndef WHISPER_COMPUTE_H
#define WHISPER_COMPUTE_H

#include "base/threads.h"
#include "kernels/kernels.h"
#include "model/weights.h"

typedef struct cara_compute {
    const cara_model *model;
    const cara_kernels *kernels;
    cara_pool *pool; /* NULL: this thread alone */
    /* Polled per layer and per token; non-zero stops with CARA_ERR_CANCELLED. May be NULL. */
    int (*poll)(void *cookie);
    void *cookie;
} cara_compute;

#endif

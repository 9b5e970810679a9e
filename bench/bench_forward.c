/* How long the forward pass takes: random f16 weights of a true shape, made in memory.
 *
 *     build/bench/bench_forward [SHAPE [THREADS [LEVEL [RUNS [int8]]]]]     SHAPE: tiny base small
 * medium
 *
 * Prints the medians of RUNS: milliseconds a window for the encoder (with the cross-attention keys
 * and values, which are part of it) and a token for the decoder, after a prompt of 4 tokens. "CPU"
 * is the processor time of all threads for the encoder, which says more where the machine is
 * shared. */
#include "base/clock.h"
#include "kernels/kernels.h"
#include "model/model.h"
#include "whisper/decoder.h"
#include "whisper/encoder.h"
#include "whisper/mel.h"
#include "whisper/quantise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKENS 32
#define MAX_RUNS 64

static const struct {
    const char *name;
    int state, head, layer;
} shapes[] = {
    {"tiny", 384, 6, 4}, {"base", 512, 8, 6}, {"small", 768, 12, 12}, {"medium", 1024, 16, 24}};

static uint64_t seed = 1;

static uint32_t any(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

/* f16 of magnitude 1/sqrt(fan_in), give or take a factor of two. */
static void fill(cara_slot *slot, cara_arena *arena) {
    size_t n = 1;
    for (int i = 0; i < slot->n_dims; i++)
        n *= (size_t)slot->shape[i];
    uint16_t *data = cara_arena_alloc(arena, n, sizeof *data);
    if (!data) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    size_t fan_in = n / (size_t)slot->shape[0];
    int exponent = 14 - (int)(log2((double)fan_in) / 2);
    int is_norm = strstr(slot->name, "ln") != NULL,
        is_weight = strstr(slot->name, "weight") != NULL;
    for (size_t i = 0; i < n; i++) {
        uint32_t r = any();
        data[i] = (uint16_t)((r & 0x8000u) | (uint32_t)exponent << 10 | (r & 0x3ffu));
        if (slot->n_dims == 1)
            data[i] = is_norm && is_weight ? 0x3c00 : 0;
    }
    *slot->to = (cara_tensor){.data = data, .dtype = CARA_F16, .n_dims = slot->n_dims};
    memcpy(slot->to->shape, slot->shape, sizeof slot->shape);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, ascending);
    return x[n / 2];
}

static void must(int code, const cara_error *err) {
    if (code) {
        fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

int main(int argc, char **argv) {
    const char *shape = argc > 1 ? argv[1] : "base";
    int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : cara_threads_available();
    int runs = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 3;
    size_t at = 0;
    while (at < sizeof shapes / sizeof *shapes && strcmp(shapes[at].name, shape) != 0)
        at++;
    if (at == sizeof shapes / sizeof *shapes || threads < 1 || runs < 1 || runs > MAX_RUNS) {
        fprintf(stderr, "usage: bench_forward [tiny|base|small|medium [THREADS [LEVEL [RUNS]]]]\n");
        return 2;
    }
    cara_error err;
    cara_cpu_level level;
    must(cara_cpu_pick(argc > 3 ? argv[3] : NULL, &level, &err), &err);

    cara_model *model = calloc(1, sizeof *model);
    if (!model)
        return 1;
    cara_arena_init(&model->arena, SIZE_MAX / 2);
    model->dims = (cara_dims){80,    1500, shapes[at].state, shapes[at].head, shapes[at].layer,
                              51865, 448,  shapes[at].state, shapes[at].head, shapes[at].layer};
    must(cara_slots_make(model, &err), &err);
    for (size_t i = 0; i < model->n_slots; i++)
        fill(&model->slots[i], &model->arena);

    cara_compute compute = {
        .model = model, .kernels = cara_kernels_for(level), .pool = cara_pool_new(threads)};
    cara_quantised *quantised = NULL;
    if (argc > 5) {
        double start = cara_clock_monotonic();
        must(cara_quantise(&compute, &quantised, &err), &err);
        compute.weights = cara_quantised_weights(quantised);
        printf("quantised in %.0f ms\n", 1e3 * (cara_clock_monotonic() - start));
    }
    cara_encoder *encoder;
    cara_decoder *decoder;
    must(cara_encoder_new(&compute, &encoder, &err), &err);
    must(cara_decoder_new(&compute, 1, 5, &decoder, &err), &err);
    float *mel = malloc(sizeof(float) * 80 * CARA_N_FRAMES);
    float *states = malloc(sizeof(float) * 1500 * (size_t)shapes[at].state);
    float *logits = malloc(sizeof(float) * 5 * 51865);
    if (!mel || !states || !logits)
        return 1;
    for (size_t i = 0; i < 80 * CARA_N_FRAMES; i++)
        mel[i] = (float)(any() % 2000) / 1000 - 1;

    double encode[MAX_RUNS], cross[MAX_RUNS], prompt[MAX_RUNS], one[MAX_RUNS], five[MAX_RUNS];
    double cpu[MAX_RUNS], cpu_one[MAX_RUNS];
    for (int r = 0; r < runs; r++) {
        static const int32_t start[4] = {50258, 50259, 50359, 50363};
        int32_t tokens[5] = {11, 12, 13, 14, 15};
        static const size_t wanted[5] = {0, 1, 2, 3, 4};
        cara_run candidates[5];
        size_t last = 3;
        for (int i = 0; i < 5; i++)
            candidates[i] = (cara_run){i, tokens + i, 1};
        double t0 = cara_clock_monotonic();
        clock_t c0 = clock();
        must(cara_encoder_run(encoder, mel, states, &err), &err);
        double t1 = cara_clock_monotonic();
        must(cara_decoder_set_audio(decoder, 0, states, &err), &err);
        double t2 = cara_clock_monotonic();
        cpu[r] = (double)(clock() - c0) / CLOCKS_PER_SEC;
        must(cara_decoder_forward(decoder, &(cara_run){0, start, 4}, 1, &last, 1, logits, &err),
             &err);
        double t3 = cara_clock_monotonic();
        clock_t c3 = clock();
        for (int i = 0; i < TOKENS; i++)
            must(cara_decoder_forward(decoder, candidates, 1, wanted, 1, logits, &err), &err);
        double t4 = cara_clock_monotonic();
        cpu_one[r] = (double)(clock() - c3) / CLOCKS_PER_SEC / TOKENS;
        cara_decoder_fork(decoder, 0, 0, 5);
        double t5 = cara_clock_monotonic();
        for (int i = 0; i < TOKENS; i++)
            must(cara_decoder_forward(decoder, candidates, 5, wanted, 5, logits, &err), &err);
        double t6 = cara_clock_monotonic();
        encode[r] = t2 - t0;
        cross[r] = t2 - t1;
        prompt[r] = t3 - t2;
        one[r] = (t4 - t3) / TOKENS;
        five[r] = (t6 - t5) / TOKENS;
    }
    printf("%s %s %d threads: encode %.1f ms (CPU %.1f; of it cross keys and values %.1f), prompt "
           "of 4 %.1f "
           "ms, decode %.2f ms a token (CPU %.2f), %.2f ms for five candidates\n",
           shape, cara_cpu_level_name(level), threads, 1e3 * median(encode, runs),
           1e3 * median(cpu, runs), 1e3 * median(cross, runs), 1e3 * median(prompt, runs),
           1e3 * median(one, runs), 1e3 * median(cpu_one, runs), 1e3 * median(five, runs));
    free(mel);
    free(states);
    free(logits);
    cara_encoder_free(encoder);
    cara_decoder_free(decoder);
    cara_quantised_free(quantised);
    cara_pool_free(compute.pool);
    cara_arena_free(&model->arena);
    free(model);
    return 0;
}

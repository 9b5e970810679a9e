/* `caracola bench`: what is measured, and what it is measured against. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/threads.h"
#include "bench/accuracy.h"
#include "kernels/kernels.h"
#include "model/model.h"

/* The median of x [n], which it sorts. */
double cara_bench_median(double *x, int n);

/* ---- ceilings: what this machine can do, measured on the spot with all threads ---- */

typedef enum cara_bench_kind { CARA_PEAK_INT8, CARA_PEAK_F32, CARA_PEAK_BF16 } cara_bench_kind;

typedef struct cara_bench_peak {
    const char *level; /* the first CPU level that may use it */
    const char *name;  /* "vpdpbusd zmm" */
    cara_bench_kind kind;
    double
        gops; /* 10^9 operations a second, a multiply-add counting two; 0 where it is not there */
} cara_bench_peak;

#define CARA_BENCH_MAX_PEAKS 16

typedef struct cara_bench_ceilings {
    cara_bench_peak peaks[CARA_BENCH_MAX_PEAKS];
    size_t n_peaks;
    /* The best that the level in use may use; NULL where it has none. */
    const cara_bench_peak *int8, *f32, *bf16;
    /* 16-bit integers, where attention beside int8 weights takes them, else NULL. No loop of their
     * own: AVX2's for int8 begins two multiplications for as many pairs as two vpmaddwd have. */
    const cara_bench_peak *int16;
    double read_gbs; /* 10^9 bytes a second, read from memory */
} cara_bench_ceilings;

/* About `seconds` for each loop, best of forty: a limit is what was reached once, and some of the
 * short loops run undisturbed by other programs. MEMORY. `level` is the name of the one in use. */
int cara_bench_measure_ceilings(const char *level, cara_pool *pool, double seconds,
                                cara_bench_ceilings *out, cara_error *err);

/* ---- costs: what a model takes, counted from its dims and types ---- */

typedef struct cara_bench_cost {
    double linear_gop;    /* 10^9 operations a window: convolutions, linear layers, and the
                           * cross-attention keys and values */
    double attention_gop; /* the encoder's, of which nothing is weights */
    double token_mb;      /* 10^6 bytes a token: weights of a step, and the cross-attention cache
                           * in f16 */
    double memory_mb;     /* 10^6 bytes that must be there: weights and that cache */
    int weights_are_int8, weights_are_bf16;
} cara_bench_cost;

void cara_bench_count(const cara_model *model, cara_bench_cost *out);

/* Milliseconds, from costs and ceilings. */
double cara_bench_floor_encode(const cara_bench_cost *cost, const cara_bench_ceilings *ceilings);
double cara_bench_floor_decode(const cara_bench_cost *cost, const cara_bench_ceilings *ceilings);
/* The ceiling that the linear layers, or attention, are divided by. */
const cara_bench_peak *cara_bench_linear_peak(const cara_bench_cost *cost,
                                              const cara_bench_ceilings *ceilings);
const cara_bench_peak *cara_bench_attention_peak(const cara_bench_cost *cost,
                                                 const cara_bench_ceilings *ceilings);

/* ---- measurements ---- */

typedef struct cara_bench_times { /* medians, milliseconds */
    double open, encode, prompt, token, beam5, mel, audio;
    /* From the start of a process to the first token of a 30 s note, with the model in the page
     * cache and not; and reading its file once. NaN where the file cannot be dropped from it. */
    double first_token, cold_first_token, read_file;
    double peak_rss_mb; /* 10^6 bytes; NaN where the system does not say */
} cara_bench_times;

typedef struct cara_bench_run {
    const char *path; /* of the model */
    cara_cpu_level level;
    cara_pool *pool;
    int threads, runs;
    int (*interrupted)(void);
} cara_bench_run;

/* windows.c. All but the peak must be of a quiet process: run it before the ceilings take memory.
 * *model is the caller's on success. */
int cara_bench_measure_windows(const cara_bench_run *run, cara_model **model, cara_bench_times *out,
                               cara_error *err);

/* sound.c. The mel [n_mels, CARA_N_FRAMES] of 30 s of sound, malloc'd, and the times of making it
 * in *out, which may be NULL. NULL on failure. */
float *cara_bench_mel(int n_mels, cara_pool *pool, cara_bench_times *out, cara_error *err);

/* note.c. 30 s of a WhatsApp-like note as Ogg/Opus; malloc'd, *n bytes. NULL on no memory. */
unsigned char *cara_bench_note(size_t *n);

/* start.c. Fills in first_token, cold_first_token and read_file, by processes of their own. Drops
 * the model's file from the page cache. */
int cara_bench_measure_start(const cara_bench_run *run, cara_bench_times *out, cara_error *err);

/* What such a process does: prints the monotonic clock at the first token. */
int cara_bench_first_token(const char *path, int threads, cara_error *err);

/* ---- all of it ---- */

typedef struct cara_bench_result {
    const char *type; /* how the model's weights are stored; static */
    char name[CARA_NAME_MAX + 1];
    cara_bench_times times;
    cara_bench_cost cost;
    cara_bench_ceilings ceilings;
    double floor_encode, floor_decode; /* milliseconds */
} cara_bench_result;

/* Writes the model to measure to a file in $TMPDIR (/tmp), its name in path [size]: of random
 * weights where `shape` is given, else run->path's in another storage. The caller removes it, also
 * on failure. */
int cara_bench_make_model(const cara_bench_run *run, const char *shape, cara_storage storage,
                          uint64_t seed, char *path, size_t size, cara_error *err);

/* Times, costs and ceilings of the model in the file. CANCELLED, and what opening it can fail
 * with. */
int cara_bench_measure(const cara_bench_run *run, cara_bench_result *out, cara_error *err);

/* ---- layers.c: what int8 costs ---- */

typedef struct cara_bench_layers {
    char name[CARA_NAME_MAX + 1]; /* of the model */
    size_t n_layer;
    cara_layer_accuracy *layers; /* [n_layer + 1], the last one is what comes out; malloc'd */
} cara_bench_layers;

/* Measures the encoder of the float model in the file. On success out->layers is the caller's.
 * USAGE where its weights are int8, and what opening it can fail with. */
int cara_bench_measure_layers(const cara_bench_run *run, cara_bench_layers *out, cara_error *err);

#endif

/* Our ceilings and our int8 products beside oneDNN's, in one process, in turns.
 *
 *     build/bench/dnnl_rate LEVEL [THREADS [RUNS]]     LEVEL: avx2 avxvnni avx512vnni amx
 *
 * M=1500 K=1024 N=4096, unsigned by signed bytes to s32 (ours: to f32, scaled), weights packed
 * beforehand, activations quantised beforehand; the same in f32, and in bf16 where the level has
 * it. Medians and bests. */
#include "base/clock.h"
#include "bench/bench.h"
#include "kernels/i8.h"
#include "model/i8_pack.h"

#include <dnnl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define M 1500
#define K 1024
#define N 4096
#define MAX_RUNS 64

static void must(dnnl_status_t status, const char *what) {
    if (status != dnnl_success) {
        fprintf(stderr, "oneDNN: %s: status %d\n", what, (int)status);
        exit(1);
    }
}

/* One matrix product, ready to run again and again. */
typedef struct product {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[3];
    dnnl_stream_t stream;
} product;

static dnnl_memory_t memory(const dnnl_memory_desc_t *md, dnnl_engine_t engine) {
    dnnl_memory_t m;
    void *p;
    must(dnnl_memory_create(&m, md, engine, DNNL_MEMORY_ALLOCATE), "memory");
    must(dnnl_memory_get_data_handle(m, &p), "handle");
    memset(p, 1, dnnl_memory_desc_get_size(md));
    return m;
}

/* 0, or -1 where this machine or level has no such product. */
static int make(product *p, dnnl_engine_t engine, dnnl_data_type_t a, dnnl_data_type_t b,
                dnnl_data_type_t c) {
    dnnl_memory_desc_t src, weights, dst;
    const dnnl_dims_t d_src = {M, K}, d_weights = {K, N}, d_dst = {M, N};
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd;
    must(dnnl_memory_desc_init_by_tag(&src, 2, d_src, a, dnnl_ab), "source");
    must(dnnl_memory_desc_init_by_tag(&weights, 2, d_weights, b, dnnl_format_tag_any), "weights");
    must(dnnl_memory_desc_init_by_tag(&dst, 2, d_dst, c, dnnl_ab), "destination");
    must(dnnl_matmul_desc_init(&desc, &src, &weights, NULL, &dst), "product");
    if (dnnl_primitive_desc_create(&pd, &desc, NULL, engine, NULL) != dnnl_success)
        return -1;
    const char *name = NULL;
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    if (name && strstr(name, "ref")) { /* its own reference code is no rate to compare with */
        dnnl_primitive_desc_destroy(pd);
        return -1;
    }
    printf("  oneDNN runs %s\n", name ? name : "?");
    must(dnnl_primitive_create(&p->primitive, pd), "primitive");
    p->args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, memory(&src, engine)};
    p->args[1] = (dnnl_exec_arg_t){
        DNNL_ARG_WEIGHTS,
        memory(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), engine)};
    p->args[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, memory(&dst, engine)};
    must(dnnl_stream_create(&p->stream, engine, dnnl_stream_default_flags), "stream");
    dnnl_primitive_desc_destroy(pd);
    return 0;
}

/* 10^9 operations a second. */
static double run_theirs(product *p) {
    double start = cara_clock_monotonic();
    must(dnnl_primitive_execute(p->primitive, p->stream, 3, p->args), "run");
    must(dnnl_stream_wait(p->stream), "wait");
    return 2e-9 * M * N * K / (cara_clock_monotonic() - start);
}

typedef struct ours {
    const cara_i8_ops *ops;
    cara_i8_product product;
    size_t tiles, panels, panels_a_task;
} ours;

static void task(void *ctx, size_t i, int thread) {
    const ours *o = ctx;
    (void)thread;
    size_t p0 = i * o->panels_a_task, p1 = p0 + o->panels_a_task;
    o->ops->product(&o->product, 0, o->tiles, p0, p1 < o->panels ? p1 : o->panels);
}

static double run_ours(ours *o, cara_pool *pool) {
    double start = cara_clock_monotonic();
    cara_pool_run(pool, task, o, (o->panels + o->panels_a_task - 1) / o->panels_a_task);
    return 2e-9 * M * N * K / (cara_clock_monotonic() - start);
}

static void *room(size_t n) {
    void *p = aligned_alloc(64, (n + 127) / 64 * 64);
    if (!p)
        exit(1);
    return memset(p, 0, (n + 127) / 64 * 64);
}

static void make_ours(ours *o, const cara_i8_ops *ops, int threads) {
    int8_t *packed = room(cara_i8_packed_size(N, K));
    float *scale = room(4 * cara_i8_channels(N)), *x = room(sizeof *x * M * K);
    int32_t *sum = room(4 * cara_i8_channels(N));
    for (size_t i = 0; i < (size_t)M * K; i++)
        x[i] = sinf((float)i);
    for (size_t i = 0; i < N; i++)
        cara_i8_pack_row(x + i % M * K, K, i, packed, scale, sum);
    void *q = room(ops->activation_size(M, K));
    o->ops = ops;
    o->tiles = (M + ops->row_tile - 1) / ops->row_tile;
    o->panels = cara_i8_panels(N);
    o->panels_a_task = o->panels / (4 * (size_t)threads);
    ops->quantise(x, K, M, K, 0, o->tiles, q);
    o->product = (cara_i8_product){.weights = {packed, scale, sum, N, K},
                                   .x = q,
                                   .rows = M,
                                   .y = room(sizeof(float) * M * N),
                                   .ldy = N};
    free(x);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void show(const char *what, double *rates, int n, const cara_bench_peak *peak) {
    qsort(rates, (size_t)n, sizeof *rates, ascending);
    printf("  %-22s median %8.1f best %8.1f GOPS, best is %5.1f %% of %.1f (%s)\n", what,
           rates[n / 2], rates[n - 1], peak ? 100 * rates[n - 1] / peak->gops : 0,
           peak ? peak->gops : 0, peak ? peak->name : "no loop");
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        dnnl_cpu_isa_t isa;
        const cara_i8_ops *ops;
    } levels[] = {{"avx2", dnnl_cpu_isa_avx2, &cara_i8_avx2},
                  {"avxvnni", dnnl_cpu_isa_avx2_vnni, &cara_i8_avxvnni},
                  {"avx512vnni", dnnl_cpu_isa_avx512_core_bf16, &cara_i8_avx512vnni},
                  {"amx", dnnl_cpu_isa_avx512_core_amx, NULL}};
    const char *name = argc > 1 ? argv[1] : "avx2";
    int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : cara_threads_available();
    int runs = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 21;
    size_t at = 0;
    while (at < 4 && strcmp(levels[at].name, name) != 0)
        at++;
    if (at == 4 || threads < 1 || runs < 1 || runs > MAX_RUNS) {
        fprintf(stderr, "usage: dnnl_rate avx2|avxvnni|avx512vnni|amx [THREADS [RUNS]]\n");
        return 2;
    }
    char text[16];
    snprintf(text, sizeof text, "%d", threads);
    setenv("OMP_NUM_THREADS", text, 1);
    must(dnnl_set_max_cpu_isa(levels[at].isa), "level");
    printf("%s, %d threads, M=%d K=%d N=%d\n", name, threads, M, K, N);
    dnnl_engine_t engine;
    must(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
    cara_pool *pool = cara_pool_new(threads);
    static const struct {
        const char *name;
        dnnl_data_type_t a, b, c;
        cara_bench_kind kind;
    } kinds[] = {{"u8 x s8", dnnl_u8, dnnl_s8, dnnl_s32, CARA_PEAK_INT8},
                 {"f32", dnnl_f32, dnnl_f32, dnnl_f32, CARA_PEAK_F32},
                 {"bf16", dnnl_bf16, dnnl_bf16, dnnl_f32, CARA_PEAK_BF16}};
    for (size_t i = 0; i < 3; i++) {
        product theirs;
        double them[MAX_RUNS], us[MAX_RUNS];
        int have = make(&theirs, engine, kinds[i].a, kinds[i].b, kinds[i].c) == 0;
        int mine = i == 0 && levels[at].ops;
        ours o;
        if (mine)
            make_ours(&o, levels[at].ops, threads);
        /* Ceilings before and after: the higher counts. */
        cara_bench_ceilings first, ceilings;
        if (cara_bench_measure_ceilings(name, pool, 0.005, &first, NULL))
            return 1;
        for (int r = -1; r < runs; r++) {
            double t = have ? run_theirs(&theirs) : 0, u = mine ? run_ours(&o, pool) : 0;
            if (r >= 0) {
                them[r] = t;
                us[r] = u;
            }
        }
        if (cara_bench_measure_ceilings(name, pool, 0.005, &ceilings, NULL))
            return 1;
        const cara_bench_peak *a[] = {first.int8, first.f32, first.bf16};
        const cara_bench_peak *b[] = {ceilings.int8, ceilings.f32, ceilings.bf16};
        const cara_bench_peak *peak = a[i] && b[i] && a[i]->gops > b[i]->gops ? a[i] : b[i];
        char what[40];
        snprintf(what, sizeof what, "oneDNN %s", kinds[i].name);
        if (have)
            show(what, them, runs, peak);
        snprintf(what, sizeof what, "caracola %s", kinds[i].name);
        if (mine)
            show(what, us, runs, peak);
    }
    cara_pool_free(pool);
    return 0;
}

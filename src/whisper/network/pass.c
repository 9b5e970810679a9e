#include "whisper/network/pass.h"

#include <stdlib.h>

int cara_pass_init(cara_pass *pass, const cara_compute *compute, const cara_text_shape *shape,
                   size_t rows_max, size_t runs_max, size_t i8_rows, int is_i8, cara_arena *arena) {
    size_t s = shape->n_head * shape->d;
    *pass = (cara_pass){.compute = compute,
                        .shape = *shape,
                        .n_state = s,
                        .rows_max = rows_max,
                        .memory_size = rows_max * s * 9 * sizeof(float)};
    pass->runs = cara_arena_alloc(arena, runs_max, sizeof *pass->runs);
    pass->memory = cara_alloc_untouched(rows_max * s, 9 * sizeof(float));
    if (!pass->runs || !pass->memory)
        return -1;
    float *at = (float *)(void *)pass->memory;
    float **const to[] = {&pass->x, &pass->norm, &pass->q, &pass->k, &pass->v};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++, at += rows_max * s)
        *to[i] = at;
    pass->wide = at;
    if (!is_i8 && cara_scratch_init(&pass->scratch, compute, 0, 0, arena) != 0)
        return -1;
    if (i8_rows) /* few passes have so many rows: memory is used only then */
        pass->scratch.quantised =
            cara_alloc_untouched(cara_quantised_size(compute, i8_rows, 4 * s), 1);
    return pass->scratch.quantised || !i8_rows ? 0 : -1;
}

void cara_pass_free(cara_pass *pass) {
    free(pass->memory);
    free(pass->scratch.quantised);
}

void cara_pass_begin(cara_pass *pass) {
    pass->n_runs = pass->rows = pass->many = 0;
}

/* 1 where b comes later in a pass than a: longer runs first, those of an audio together. */
static int is_later(const cara_pass_run *a, const cara_pass_run *b) {
    int few = cara_pass_run_is_few(b);
    return cara_pass_run_is_few(a) != few ? few : a->audio < b->audio;
}

int cara_pass_add(cara_pass *pass, cara_pass_run run) {
    if (run.n > pass->rows_max - pass->rows)
        return 0;
    size_t to = pass->n_runs++;
    for (; to && is_later(&run, &pass->runs[to - 1]); to--) {
        pass->runs[to] = pass->runs[to - 1];
        pass->runs[to].first += run.n;
    }
    run.first = to ? pass->runs[to - 1].first + pass->runs[to - 1].n : 0;
    pass->runs[to] = run;
    pass->rows += run.n;
    pass->many += cara_pass_run_is_few(&run) ? 0 : run.n;
    return 1;
}

size_t cara_pass_row(const cara_pass *pass, size_t index, size_t token) {
    size_t i = 0;
    while (pass->runs[i].index != index)
        i++;
    return pass->runs[i].first + token;
}

static cara_product moved(cara_product p, size_t rows) {
    p.a += rows * p.lda;
    p.c += rows * p.ldc;
    if (p.residual)
        p.residual += rows * p.ldc;
    return p;
}

void cara_pass_products(const cara_pass *pass, const cara_product *products, size_t n) {
    int all_i8 = 1;
    for (size_t i = 0; i < n; i++)
        all_i8 &= cara_dense_is_i8(products[i].dense);
    if (all_i8 || pass->many == pass->rows) {
        cara_products_run(pass->compute, &pass->scratch, pass->rows, products, n);
        return;
    }
    if (pass->many)
        cara_products_run(pass->compute, &pass->scratch, pass->many, products, n);
    cara_product rest[CARA_PRODUCTS_MAX];
    for (size_t i = 0; i < n; i++)
        rest[i] = moved(products[i], pass->many);
    cara_products_run_few(pass->compute, &pass->scratch, pass->rows - pass->many, rest, n);
}

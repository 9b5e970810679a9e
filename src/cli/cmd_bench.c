/* caracola bench: how fast this machine runs a model, beside how fast it could. */
#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/model_make.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct bench {
    const char *shape, *path; /* one of them is given; `path` then is of the model measured */
    const char *type;         /* how its weights are stored */
    char name[CARA_NAME_MAX + 1];
    int threads, runs;
    cara_cpu_level level;
    cara_bench_times times;
    cara_bench_cost cost;
    cara_bench_ceilings ceilings;
    double floor_encode, floor_decode;
} bench;

/* ---- the model: made, or converted, into a file that goes with us ---- */

static int make_model(const bench *b, cara_storage storage, uint64_t seed, char *path, size_t room,
                      cara_error *err) {
    const char *folder = getenv("TMPDIR");
    snprintf(path, room, "%s/caracola-bench-%ld.cara", folder && *folder ? folder : "/tmp",
             (long)getpid());
    cara_write_options options = {.storage = storage, .threads = b->threads};
    if (b->shape)
        return cara_model_write_random(b->shape, seed, &options, path, err);
    cara_model *model;
    int rc = cara_model_open(b->path, NULL, &model, err);
    if (!rc)
        rc = cara_model_write_as(model, &options, path, err);
    cara_model_close(model);
    return rc;
}

/* ---- what is said ---- */

/* How much of the limit was reached, in percent. */
static double percent(double floor, double took) {
    return took > 0 ? 100 * floor / took : 0;
}

static double round3(double x) {
    return isfinite(x) ? round(x * 1000) / 1000 : 0;
}

static void put(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, isfinite(value) ? json_real(round3(value)) : json_null());
}

/* A cold start beside the larger of a warm one and reading the file; 1 is the best there is. */
static double cold_ratio(const cara_bench_times *t) {
    return t->cold_first_token / fmax(t->first_token, t->read_file);
}

static int print_json(const bench *b) {
    const cara_bench_times *t = &b->times;
    const cara_bench_peak *linear = cara_bench_linear_peak(&b->cost, &b->ceilings);
    const cara_bench_peak *attention = cara_bench_attention_peak(&b->cost, &b->ceilings);
    json_t *o = json_object(), *peaks = json_object();
    json_object_set_new(o, "model", json_string(b->name));
    json_object_set_new(o, "compute_type", json_string(b->type));
    json_object_set_new(o, "cpu_level", json_string(cara_cpu_level_name(b->level)));
    json_object_set_new(o, "threads", json_integer(b->threads));
    json_object_set_new(o, "runs", json_integer(b->runs));
    put(o, "encode_ms", t->encode);
    put(o, "prompt_ms", t->prompt);
    put(o, "decode_ms_per_token", t->token);
    put(o, "beam5_step_ms", t->beam5);
    put(o, "mel_ms", t->mel);
    put(o, "audio_decode_ms", t->audio);
    put(o, "open_ms", t->open);
    put(o, "first_token_ms", t->first_token);
    put(o, "cold_first_token_ms", t->cold_first_token);
    put(o, "read_file_ms", t->read_file);
    put(o, "cold_start_ratio", cold_ratio(t));
    put(o, "peak_rss_mb", t->peak_rss_mb);
    put(o, "floor_encode_ms", b->floor_encode);
    put(o, "floor_decode_ms_per_token", b->floor_decode);
    put(o, "encode_percent_of_limit", percent(b->floor_encode, t->encode));
    put(o, "prompt_percent_of_limit", percent(b->floor_decode, t->prompt));
    put(o, "decode_percent_of_limit", percent(b->floor_decode, t->token));
    put(o, "beam5_percent_of_limit", percent(b->floor_decode, t->beam5));
    put(o, "memory_percent_of_limit", percent(b->cost.memory_mb, t->peak_rss_mb));
    put(o, "linear_gop", b->cost.linear_gop);
    put(o, "linear_gops", linear->gops);
    json_object_set_new(o, "linear_instruction", json_string(linear->name));
    put(o, "attention_gop", b->cost.attention_gop);
    put(o, "attention_gops", attention->gops);
    json_object_set_new(o, "attention_instruction", json_string(attention->name));
    put(o, "token_mb", b->cost.token_mb);
    put(o, "read_gbs", b->ceilings.read_gbs);
    put(o, "least_memory_mb", b->cost.memory_mb);
    for (size_t i = 0; i < b->ceilings.n_peaks; i++)
        if (b->ceilings.peaks[i].gops > 0)
            put(peaks, b->ceilings.peaks[i].name, b->ceilings.peaks[i].gops);
    json_object_set_new(o, "peak_gops", peaks);
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(o);
    if (!text)
        return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the JSON");
    puts(text);
    free(text);
    return CARA_EXIT_OK;
}

static void row(const char *what, double took, double limit, const char *unit) {
    if (limit > 0)
        printf("%-26s %9.2f %s   limit %9.2f %s   %5.1f %% of the limit reached\n", what, took,
               unit, limit, unit, percent(limit, took));
    else
        printf("%-26s %9.2f %s\n", what, took, unit);
}

static void print_table(const bench *b) {
    const cara_bench_times *t = &b->times;
    const cara_bench_ceilings *c = &b->ceilings;
    const cara_bench_peak *linear = cara_bench_linear_peak(&b->cost, c);
    const cara_bench_peak *attention = cara_bench_attention_peak(&b->cost, c);
    printf("%s, %s, %d thread%s, CPU level %s, medians of %d\n\n", b->name, b->type, b->threads,
           b->threads == 1 ? "" : "s", cara_cpu_level_name(b->level), b->runs);
    row("encode a 30 s window", t->encode, b->floor_encode, "ms");
    row("prompt of 4 tokens", t->prompt, b->floor_decode, "ms");
    row("decode, a token", t->token, b->floor_decode, "ms");
    row("decode, a step of 5 beams", t->beam5, b->floor_decode, "ms");
    row("mel of 30 s", t->mel, 0, "ms");
    row("audio decode of 30 s", t->audio, 0, "ms");
    row("open", t->open, 0, "ms");
    row("start to first token", t->first_token, 0, "ms");
    if (isfinite(t->cold_first_token))
        printf("%-26s %9.2f ms   %.2f times the larger of that and reading the file, %.0f ms\n",
               "  from a cold cache", t->cold_first_token, cold_ratio(t), t->read_file);
    if (isfinite(t->peak_rss_mb))
        row("peak memory", t->peak_rss_mb, b->cost.memory_mb, "MB");
    printf("\nLimits, measured now with %d thread%s:\n", b->threads, b->threads == 1 ? "" : "s");
    for (size_t i = 0; i < c->n_peaks; i++) {
        const cara_bench_peak *p = &c->peaks[i];
        static const char *const kinds[] = {"int8", "f32", "bf16"};
        if (p->gops > 0)
            printf("  %-5s %-36s %9.1f GOPS%s\n", kinds[p->kind], p->name, p->gops,
                   p == linear && p == attention ? "  <- linear layers, attention"
                   : p == linear                 ? "  <- linear layers"
                   : p == attention              ? "  <- attention"
                                                 : "");
    }
    printf("  memory %-35s %9.2f GB/s\n", "read", c->read_gbs);
    printf("A window: %.1f GOP in linear layers / %.1f + %.1f in attention / %.1f = %.1f ms.\n",
           b->cost.linear_gop, linear->gops, b->cost.attention_gop, attention->gops,
           b->floor_encode);
    printf("A token: %.1f MB of weights and cross-attention cache (f16) / %.2f GB/s = %.2f ms.\n",
           b->cost.token_mb, c->read_gbs, b->floor_decode);
}

/* ---- the command ---- */

static const char *type_of(const cara_model *model) {
    switch (model->weights.encoder[0].mlp_0.weight.dtype) {
    case CARA_F32:
        return "float32";
    case CARA_F16:
        return "float16";
    case CARA_BF16:
        return "bfloat16";
    case CARA_I8:
        return "int8";
    }
    return "unknown";
}

static int fail(const cara_error *err, const bench *b) {
    if (err->code == CARA_ERR_CANCELLED)
        return (int)cara_cli_fail(CARA_EXIT_INTERRUPTED, "interrupted");
    cara_cli_note("%s", err->text);
    if (!b->shape && (err->code == CARA_ERR_IO || err->code == CARA_ERR_NOT_FOUND))
        return CARA_EXIT_MODEL;
    return (int)cara_cli_exit_for(err->code);
}

static cara_bench_run run_of(const bench *b, cara_pool *pool) {
    return (cara_bench_run){.path = b->path,
                            .level = b->level,
                            .pool = pool,
                            .threads = b->threads,
                            .runs = b->runs,
                            .interrupted = cara_cli_interrupted};
}

static int show_accuracy(const bench *b, cara_pool *pool, int json, cara_error *err) {
    cara_bench_run run = run_of(b, pool);
    return cara_bench_accuracy(&run, json, err);
}

static int measure(bench *b, cara_pool *pool, cara_error *err) {
    cara_bench_run run = run_of(b, pool);
    cara_model *model = NULL;
    int rc = cara_bench_measure(&run, &model, &b->times, err);
    if (rc)
        return rc;
    cara_bench_count(model, &b->cost);
    b->type = type_of(model);
    snprintf(b->name, sizeof b->name, "%s", cara_model_name(model));
    cara_model_close(model); /* or its pages would stay */
    rc = cara_bench_measure_start(&run, &b->times, err);
    if (rc)
        return rc;
    rc = cara_bench_measure_ceilings(cara_cpu_level_name(b->level), pool, 0.005, &b->ceilings, err);
    if (rc)
        return rc;
    b->floor_encode = cara_bench_floor_encode(&b->cost, &b->ceilings);
    b->floor_decode = cara_bench_floor_decode(&b->cost, &b->ceilings);
    return CARA_OK;
}

int cara_cmd_bench(int argc, char **argv) {
    static const cara_cli_option flags[] = {
        {"random", 0, "SHAPE", "measure a model of random weights: tiny ... large-v3-turbo"},
        {"model", 0, "FILE",
         "measure this model; without either, the one that transcribe\nwould use"},
        {"compute_type", 0, "TYPE",
         "int8, float16, bfloat16 or float32; by default int8 for random\nmodels, and others as "
         "they are"},
        {"threads", 0, "N", "how many; without it, as many as this process may run on"},
        {"runs", 0, "N", "windows to measure, of which medians are shown; default 5"},
        {"seed", 0, "N", "of the random weights; default 1"},
        {"accuracy", 0, NULL,
         "instead, show how far int8 takes each layer of the encoder from float\nand how far "
         "rounding alone would; a random model is float32 then"},
        {"json", 0, NULL, "print one JSON object"},
        {"first_token", 0, NULL,
         "instead, hear one token and print the monotonic clock: what bench\nstarts to time the "
         "start of a process"},
        {NULL, 0, NULL, NULL}};
    static const cara_cli_command command = {
        "bench", NULL, "measure a model on this machine, and what the machine could do",
        "Encoding includes the cross-attention keys and values. Limits are computed from loops of\n"
        "nothing but multiplications, and of nothing but reads, that are run here and now; the\n"
        "operations and bytes they are divided into are shown. $CARACOLA_CPU picks a CPU level.\n"
        "A random or converted model is written to $TMPDIR (/tmp) and removed at the end.\n",
        flags};
    bench b = {.threads = cara_threads_available(), .runs = 5};
    cara_storage storage = CARA_STORAGE_AS_IS;
    int64_t seed = 1, runs = 5;
    int json = 0, accuracy = 0, first_token = 0;
    cara_cli_args args;
    cara_cli_args_init(&args, &command, argc, argv);
    for (int flag; (flag = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (flag == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (flag == CARA_CLI_BAD || (flag == 2 && cara_cli_storage(&args, &storage)) ||
            (flag == 3 && cara_cli_threads(&args, &b.threads)) ||
            (flag == 4 && cara_cli_int(&args, 1, 1000, NULL, &runs)) ||
            (flag == 5 && cara_cli_int(&args, 0, INT64_MAX, NULL, &seed)))
            return CARA_EXIT_USAGE;
        if (flag == 0)
            b.shape = args.value;
        if (flag == 1)
            b.path = args.value;
        accuracy |= flag == 6;
        json |= flag == 7;
        first_token |= flag == 8;
    }
    b.runs = (int)runs;
    if (args.argc > args.operands)
        return (int)cara_cli_fail(CARA_EXIT_USAGE, "bench takes no files but --model, got \"%s\"",
                                  args.argv[args.operands]);
    if (first_token && (!b.path || accuracy || storage))
        return (int)cara_cli_fail(CARA_EXIT_USAGE,
                                  "--first_token takes --model, and that as it is");
    if (b.shape && b.path)
        return (int)cara_cli_fail(CARA_EXIT_USAGE, "bench takes --random or --model, not both");
    cara_error err = {.code = CARA_OK, .position = -1};
    if (cara_cpu_pick(getenv("CARACOLA_CPU"), &b.level, &err))
        return (int)cara_cli_fail_error(&err);
    char *found = NULL, made[512] = "";
    cara_pool *pool = NULL;
    int status = CARA_EXIT_OK, rc = CARA_OK;
    cara_cli_catch_signals();
    if (b.shape && !storage)
        storage = accuracy ? CARA_STORAGE_FLOAT32 : CARA_STORAGE_INT8;
    if (!b.shape)
        rc = cara_cli_model_file(b.path, json, &found, &err);
    if (!b.shape)
        b.path = found;
    if (!rc && storage) {
        rc = make_model(&b, storage, (uint64_t)seed, made, sizeof made, &err);
        b.path = made;
    }
    if (!rc && first_token) {
        rc = cara_bench_first_token(b.path, b.threads, &err);
        free(found);
        return rc ? fail(&err, &b) : CARA_EXIT_OK;
    }
    if (!rc && !(pool = cara_pool_new(b.threads)))
        rc = cara_fail(&err, CARA_ERR_MEMORY, -1, "no memory for %d threads", b.threads);
    if (!rc)
        rc = accuracy ? show_accuracy(&b, pool, json, &err) : measure(&b, pool, &err);
    if (*made)
        unlink(made);
    if (rc)
        status = fail(&err, &b);
    else if (accuracy)
        ;
    else if (json)
        status = print_json(&b);
    else
        print_table(&b);
    if (status == CARA_EXIT_OK)
        status = (int)cara_cli_flush_stdout();
    cara_pool_free(pool);
    free(found);
    return status;
}

/* caracola bench: how fast this machine runs a model, beside how fast it could. */
#include "cli/bench/accuracy.h"
#include "cli/cli.h"
#include "cli/model/make.h"
#include "cli/named.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct bench {
    const char *shape; /* of random weights, or NULL */
    cara_bench_run run;
    cara_bench_result result;
} bench;

/* ---- what is printed ---- */

/* How much of the limit was reached, in percent. */
static double percent(double floor, double took) {
    return took > 0 ? 100 * floor / took : 0;
}

static void put(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, cara_json_real(round(value * 1000) / 1000));
}

/* A cold start beside the larger of a warm one and reading the file; 1 is the best there is. */
static double cold_ratio(const cara_bench_times *t) {
    return t->cold_first_token / fmax(t->first_token, t->read_file);
}

static int print_json(const bench *b) {
    const cara_bench_result *r = &b->result;
    const cara_bench_times *t = &r->times;
    const cara_bench_peak *linear = cara_bench_linear_peak(&r->cost, &r->ceilings);
    const cara_bench_peak *attention = cara_bench_attention_peak(&r->cost, &r->ceilings);
    json_t *o = json_object(), *peaks = json_object();
    json_object_set_new(o, "model", json_string(r->name));
    json_object_set_new(o, "compute_type", json_string(r->type));
    json_object_set_new(o, "cpu_level", json_string(cara_cpu_level_name(b->run.level)));
    json_object_set_new(o, "threads", json_integer(b->run.threads));
    json_object_set_new(o, "runs", json_integer(b->run.runs));
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
    put(o, "floor_encode_ms", r->floor_encode);
    put(o, "floor_decode_ms_per_token", r->floor_decode);
    put(o, "encode_percent_of_limit", percent(r->floor_encode, t->encode));
    put(o, "prompt_percent_of_limit", percent(r->floor_decode, t->prompt));
    put(o, "decode_percent_of_limit", percent(r->floor_decode, t->token));
    put(o, "beam5_percent_of_limit", percent(r->floor_decode, t->beam5));
    put(o, "memory_percent_of_limit", percent(r->cost.memory_mb, t->peak_rss_mb));
    put(o, "linear_gop", r->cost.linear_gop);
    put(o, "linear_gops", linear->gops);
    json_object_set_new(o, "linear_instruction", json_string(linear->name));
    put(o, "attention_gop", r->cost.attention_gop);
    put(o, "attention_gops", attention->gops);
    json_object_set_new(o, "attention_instruction", json_string(attention->name));
    put(o, "token_mb", r->cost.token_mb);
    put(o, "read_gbs", r->ceilings.read_gbs);
    put(o, "least_memory_mb", r->cost.memory_mb);
    for (size_t i = 0; i < r->ceilings.n_peaks; i++)
        if (r->ceilings.peaks[i].gops > 0)
            put(peaks, r->ceilings.peaks[i].name, r->ceilings.peaks[i].gops);
    json_object_set_new(o, "peak_gops", peaks);
    if (cara_cli_print_json(o, CARA_JSON_COMPACT))
        return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for the JSON");
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
    const cara_bench_result *r = &b->result;
    const cara_bench_times *t = &r->times;
    const cara_bench_ceilings *c = &r->ceilings;
    const cara_bench_peak *linear = cara_bench_linear_peak(&r->cost, c);
    const cara_bench_peak *attention = cara_bench_attention_peak(&r->cost, c);
    printf("%s, %s, %d thread%s, CPU level %s, medians of %d\n\n", r->name, r->type, b->run.threads,
           b->run.threads == 1 ? "" : "s", cara_cpu_level_name(b->run.level), b->run.runs);
    row("encode a 30 s window", t->encode, r->floor_encode, "ms");
    row("prompt of 4 tokens", t->prompt, r->floor_decode, "ms");
    row("decode, a token", t->token, r->floor_decode, "ms");
    row("decode, a step of 5 beams", t->beam5, r->floor_decode, "ms");
    row("mel of 30 s", t->mel, 0, "ms");
    row("audio decode of 30 s", t->audio, 0, "ms");
    row("open", t->open, 0, "ms");
    row("start to first token", t->first_token, 0, "ms");
    if (isfinite(t->cold_first_token))
        printf("%-26s %9.2f ms   %.2f times the larger of that and reading the file, %.0f ms\n",
               "  from a cold cache", t->cold_first_token, cold_ratio(t), t->read_file);
    if (isfinite(t->peak_rss_mb))
        row("peak memory", t->peak_rss_mb, r->cost.memory_mb, "MB");
    printf("\nLimits, measured now with %d thread%s:\n", b->run.threads,
           b->run.threads == 1 ? "" : "s");
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
           r->cost.linear_gop, linear->gops, r->cost.attention_gop, attention->gops,
           r->floor_encode);
    printf("A token: %.1f MB of weights and cross-attention cache (f16) / %.2f GB/s = %.2f ms.\n",
           r->cost.token_mb, c->read_gbs, r->floor_decode);
}

/* ---- the command ---- */

static int fail(cara_error *err, const bench *b) {
    if (err->code == CARA_ERR_CANCELLED)
        return (int)cara_cli_fail(CARA_EXIT_INTERRUPTED, "interrupted");
    cara_cli_name(err);
    cara_cli_remark("%s", err->text);
    if (!b->shape && (err->code == CARA_ERR_IO || err->code == CARA_ERR_NOT_FOUND))
        return CARA_EXIT_MODEL;
    return (int)cara_cli_exit_for(err->code);
}

static const cara_cli_option options[] = {
    {"random", 0, "SHAPE", "measure a model of random weights: tiny ... large-v3-turbo"},
    {"model", 0, "MODEL", "measure this model; without either, the one that transcribe\nwould use"},
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
     "instead, decode one token and print the monotonic clock: what bench\nstarts to time the "
     "start of a process"},
    {NULL, 0, NULL, NULL}};

static int run(int argc, char **argv) {
    bench b = {.run = {.threads = cara_threads_available(),
                       .runs = 5,
                       .interrupted = cara_cli_interrupted}};
    cara_storage storage = CARA_STORAGE_AS_IS;
    int64_t seed = 1, runs = 5;
    int json = 0, accuracy = 0, first_token = 0;
    cara_cli_args args;
    cara_cli_args_init(&args, &cara_command_bench, argc, argv);
    for (int flag; (flag = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (flag == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (flag == CARA_CLI_BAD || (flag == 2 && cara_cli_storage(&args, &storage)) ||
            (flag == 3 && cara_cli_threads(&args, &b.run.threads)) ||
            (flag == 4 && cara_cli_int(&args, 1, 1000, NULL, &runs)) ||
            (flag == 5 && cara_cli_int(&args, 0, INT64_MAX, NULL, &seed)))
            return CARA_EXIT_USAGE;
        if (flag == 0)
            b.shape = args.value;
        if (flag == 1)
            b.run.path = args.value;
        accuracy |= flag == 6;
        json |= flag == 7;
        first_token |= flag == 8;
    }
    b.run.runs = (int)runs;
    if (args.argc > args.operands)
        return (int)cara_cli_fail(CARA_EXIT_USAGE, "bench takes no files but --model, got \"%s\"",
                                  args.argv[args.operands]);
    if (first_token && (!b.run.path || accuracy || storage))
        return (int)cara_cli_fail(CARA_EXIT_USAGE,
                                  "--first_token takes --model, and that as it is");
    if (b.shape && b.run.path)
        return (int)cara_cli_fail(CARA_EXIT_USAGE, "bench takes --random or --model, not both");
    cara_error err = {.code = CARA_OK, .position = -1};
    if (cara_cpu_pick(getenv("CARACOLA_CPU"), &b.run.level, &err))
        return (int)cara_cli_fail_error(&err);
    char *found = NULL, made[512] = "";
    int status = CARA_EXIT_OK, rc = CARA_OK;
    cara_cli_catch_signals();
    if (b.shape && !storage)
        storage = accuracy ? CARA_STORAGE_FLOAT32 : CARA_STORAGE_INT8;
    if (!b.shape)
        rc = cara_cli_model_file(b.run.path, json, &found, &err);
    if (!b.shape)
        b.run.path = found;
    if (!rc && storage) {
        rc = cara_bench_make_model(&b.run, b.shape, storage, (uint64_t)seed, made, sizeof made,
                                   &err);
        b.run.path = made;
    }
    if (!rc && first_token) {
        rc = cara_bench_first_token(b.run.path, b.run.threads, &err);
        free(found);
        return rc ? fail(&err, &b) : CARA_EXIT_OK;
    }
    if (!rc && !(b.run.pool = cara_pool_new(b.run.threads)))
        rc = cara_fail(&err, CARA_ERR_MEMORY, -1, "no memory for %d threads", b.run.threads);
    if (!rc)
        rc = accuracy ? cara_cli_bench_accuracy(&b.run, json, &err)
                      : cara_bench_measure(&b.run, &b.result, &err);
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
    cara_pool_free(b.run.pool);
    free(found);
    return status;
}

static const cara_cli_value values[] = {
    {"TYPE", CARA_CLI_CHOICE, "int8 float16 bfloat16 float32", NULL},
    {NULL, CARA_CLI_TEXT, NULL, NULL},
};

static const cara_cli_status statuses[] = {
    {CARA_EXIT_OK, "it was measured"},
    {CARA_EXIT_USAGE,
     "a flag or value that does not exist or fit, or a CPU level that the machine\n"
     "lacks"},
    {CARA_EXIT_MODEL, "the model could not be used"},
    {CARA_EXIT_FILES, "a model or standard output could not be written"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted"},
    {0, NULL},
};

const cara_cli_command cara_command_bench = {
    .name = "bench",
    .summary = "measure a model on this machine, and what the machine could do",
    .run = run,
    .details =
        "Encoding includes the cross-attention keys and values. Limits are computed from loops of\n"
        "nothing but multiplications, and of nothing but reads, that are run here and now; the\n"
        "operations and bytes they are divided into are shown. $CARACOLA_CPU picks a CPU level.\n"
        "A random or converted model is written to $TMPDIR (/tmp) and removed at the end.",
    .options = options,
    .values = values,
    .statuses = statuses,
};

/* caracola model info | convert | random | fetch (which have files of their own). */
#include "cli/cli.h"
#include "cli/model/make.h"
#include "cli/named.h"
#include "cli/progress.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

static int model_status(const cara_error *err) {
    if (err->code == CARA_ERR_IO || err->code == CARA_ERR_NOT_FOUND)
        return CARA_EXIT_MODEL;
    return (int)cara_cli_exit_for(err->code);
}

static int fail(cara_error *err) {
    cara_cli_name(err);
    cara_cli_remark("%s", err->text);
    return model_status(err);
}

static int on_progress(void *cookie, int64_t done, int64_t total) {
    cara_cli_progress_part((double)done, (double)total);
    return cara_cli_interrupted();
}

/* ---- info ---- */

typedef struct weights_summary {
    int64_t parameters;
    int64_t bytes;
    char types[40]; /* "f16", or "f32, f16 and i8" */
} weights_summary;

static weights_summary summarise(const cara_model *model) {
    weights_summary s = {0};
    int seen[4] = {0};
    for (size_t i = 0; i < model->n_entries; i++) {
        const cara_tensor *t = model->entries[i].to;
        s.parameters += cara_tensor_count(t);
        s.bytes += (int64_t)cara_tensor_bytes(t);
        seen[t->dtype] = 1;
    }
    int last = 3;
    while (last > 0 && !seen[last])
        last--;
    for (int i = 0; i <= last; i++)
        if (seen[i])
            snprintf(s.types + strlen(s.types), sizeof s.types - strlen(s.types), "%s%s",
                     !*s.types   ? ""
                     : i == last ? " and "
                                 : ", ",
                     cara_dtype_name((cara_dtype)i));
    return s;
}

static json_t *shape_json(const cara_tensor_entry *entry) {
    json_t *shape = json_array();
    for (int i = 0; i < entry->n_dims; i++)
        json_array_append_new(shape, json_integer(entry->shape[i]));
    return shape;
}

static json_t *dims_json(const cara_dims *d) {
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "n_mels", (int)d->n_mels,
                     "n_audio_ctx", (int)d->n_audio_ctx, "n_audio_state", (int)d->n_audio_state,
                     "n_audio_head", (int)d->n_audio_head, "n_audio_layer", (int)d->n_audio_layer,
                     "n_vocab", (int)d->n_vocab, "n_text_ctx", (int)d->n_text_ctx, "n_text_state",
                     (int)d->n_text_state, "n_text_head", (int)d->n_text_head, "n_text_layer",
                     (int)d->n_text_layer);
}

static json_t *vocabulary_json(const cara_model *model, const cara_error *no_vocab) {
    if (model->tokenizer)
        return json_pack("{s:s}", "source", model->vocab_path ? model->vocab_path : "inside");
    return json_pack("{s:n,s:s}", "source", "error", no_vocab->text);
}

static json_t *tensors_json(const cara_model *model) {
    json_t *list = json_array();
    for (size_t i = 0; i < model->n_entries; i++) {
        const cara_tensor_entry *entry = &model->entries[i];
        json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "name", entry->name, "type",
                                              cara_dtype_name(entry->to->dtype), "shape",
                                              shape_json(entry)));
    }
    return list;
}

static int print_json(const cara_model *model, const char *path, const cara_error *no_vocab,
                      int tensors, int checked) {
    weights_summary s = summarise(model);
    json_t *heads = json_array();
    for (size_t i = 0; i < model->n_heads; i++)
        json_array_append_new(
            heads, json_pack("[ii]", (int)model->heads[i].layer, (int)model->heads[i].head));
    json_t *root =
        json_pack("{s:s,s:s,s:s,s:b,s:i,s:o,s:I,s:s,s:I,s:I,s:o,s:o}", "file", path, "format",
                  model->format == CARA_MODEL_FORMAT_CARA ? "cara" : "pt", "name", model->name,
                  "multilingual", cara_model_is_multilingual(model), "languages",
                  model->dims.n_vocab >= 51865 ? (int)model->dims.n_vocab - 51766 : 0, "dims",
                  dims_json(&model->dims), "parameters", (json_int_t)s.parameters, "type", s.types,
                  "weight_bytes", (json_int_t)s.bytes, "file_bytes", (json_int_t)model->file.size,
                  "vocabulary", vocabulary_json(model, no_vocab), "alignment_heads", heads);
    if (root && checked)
        json_object_set_new(root, "checked", json_true());
    if (root && tensors)
        json_object_set_new(root, "tensors", tensors_json(model));
    if (cara_cli_print_json(root, CARA_JSON_SPREAD) &&
        !ferror(stdout)) /* a path that is no UTF-8, or no memory */
        return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "%s cannot be shown as JSON", path);
    return CARA_EXIT_OK;
}

static void print_text(const cara_model *model, const char *path, const cara_error *no_vocab,
                       int tensors, int checked) {
    const cara_dims *d = &model->dims;
    weights_summary s = summarise(model);
    printf("file             %s (%s, %.1f MB)\n", path,
           model->format == CARA_MODEL_FORMAT_CARA ? ".cara" : "OpenAI .pt",
           (double)model->file.size / 1e6);
    printf("name             %s\n", model->name);
    if (cara_model_is_multilingual(model))
        printf("languages        %d\n", (int)d->n_vocab - 51766);
    else
        printf("languages        English only\n");
    printf("weights          %.1f million in %zu tensors, %s, %.1f MB\n",
           (double)s.parameters / 1e6, model->n_entries, s.types, (double)s.bytes / 1e6);
    printf("mel bins         %d\n", (int)d->n_mels);
    printf("encoder          %d layers, width %d, %d head%s, %d positions\n", (int)d->n_audio_layer,
           (int)d->n_audio_state, (int)d->n_audio_head, d->n_audio_head == 1 ? "" : "s",
           (int)d->n_audio_ctx);
    printf("decoder          %d layers, width %d, %d head%s, %d positions, %d tokens\n",
           (int)d->n_text_layer, (int)d->n_text_state, (int)d->n_text_head,
           d->n_text_head == 1 ? "" : "s", (int)d->n_text_ctx, (int)d->n_vocab);
    if (!model->tokenizer)
        printf("vocabulary       none: %s\n", no_vocab->text);
    else
        printf("vocabulary       %s\n", model->vocab_path ? model->vocab_path : "inside");
    printf("alignment heads ");
    for (size_t i = 0; i < model->n_heads; i++)
        printf(" %d.%d", (int)model->heads[i].layer, (int)model->heads[i].head);
    printf("\n");
    if (checked)
        printf("check sums       all right\n");
    for (size_t i = 0; tensors && i < model->n_entries; i++) {
        const cara_tensor_entry *entry = &model->entries[i];
        printf("%-5s%-46s", cara_dtype_name(entry->to->dtype), entry->name);
        for (int j = 0; j < entry->n_dims; j++)
            printf("%s%lld", j ? " x " : "", (long long)entry->shape[j]);
        printf("\n");
    }
}

/* Reads all weights; says what is wrong. */
static int check_sums(const cara_model *model, const char *path) {
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_cli_progress_start("checking", 1);
    cara_cli_catch_signals();
    int rc = cara_model_check(model, on_progress, NULL, &err);
    cara_cli_progress_stop();
    if (!rc)
        return CARA_EXIT_OK;
    cara_cli_remark("%s: %s", path, err.text);
    return rc == CARA_ERR_CANCELLED ? CARA_EXIT_INTERRUPTED : model_status(&err);
}

static const cara_cli_option info_options[] = {
    {"json", 0, NULL, "print one JSON object"},
    {"tensors", 0, NULL, "list the tensors too"},
    {"check", 0, NULL, "read all weights and compare them with the file's check sums"},
    {"vocab", 0, "VOCAB", "the vocabulary (tiktoken) of a model that has none inside"},
    {NULL, 0, NULL, NULL}};

static const cara_cli_status info_statuses[] = {
    {CARA_EXIT_OK, "the file was read"},
    {CARA_EXIT_USAGE, "a flag or value that does not exist or fit; nothing was done"},
    {CARA_EXIT_MODEL, "the model or its vocabulary could not be used"},
    {CARA_EXIT_FILES, "standard output could not be written"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted"},
    {0, NULL},
};

static int info(int argc, char **argv);

static const cara_cli_command info_command = {
    .name = "model info",
    .summary = "say what a model file is",
    .run = info,
    .operands = "[MODEL]",
    .details =
        "Without MODEL it is the model that transcribe would use: $CARACOLA_MODEL, else the\n"
        "demo model.",
    .options = info_options,
    .statuses = info_statuses,
};

static int info(int argc, char **argv) {
    int json = 0, tensors = 0, check = 0;
    const char *vocab = NULL;
    cara_cli_args args;
    cara_cli_args_init(&args, &info_command, argc, argv);
    for (int flag; (flag = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (flag == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (flag == CARA_CLI_BAD)
            return CARA_EXIT_USAGE;
        json |= flag == 0;
        tensors |= flag == 1;
        check |= flag == 2;
        if (flag == 3)
            vocab = args.value;
    }
    if (args.argc - args.operands > 1)
        return (int)cara_cli_fail(CARA_EXIT_USAGE, "model info takes one file, got %d",
                                  args.argc - args.operands);
    const char *named = args.argc > args.operands ? args.argv[args.operands] : NULL;
    cara_error err = {.code = CARA_OK, .position = -1}, no_vocab = err;
    char *path = NULL;
    cara_model *model = NULL;
    int status = CARA_EXIT_OK;
    int rc = cara_cli_model_file(named, json, &path, &err);
    if (!rc)
        rc = cara_model_open_without_vocab(path, &model, &err);
    if (!rc) {
        /* A model that lacks its vocabulary is still worth looking at, unless one was named. */
        int without = cara_model_find_vocab(model, path, vocab, &no_vocab);
        if (without && (vocab || model->vocab.len)) {
            err = no_vocab;
            rc = without;
        }
    }
    if (rc)
        status = fail(&err);
    else if (check)
        status = check_sums(model, path);
    if (status == CARA_EXIT_OK) {
        if (json)
            status = print_json(model, path, &no_vocab, tensors, check);
        else
            print_text(model, path, &no_vocab, tensors, check);
    }
    if (status == CARA_EXIT_OK)
        status = (int)cara_cli_flush_stdout();
    cara_model_close(model);
    free(path);
    return status;
}

/* ---- convert ---- */

static const cara_cli_option convert_options[] = {
    {"vocab", 0, "VOCAB", "the vocabulary (tiktoken); without it, the one inside or beside IN"},
    {"compute_type", 0, "TYPE",
     "store the weights as int8, float16, bfloat16 or float32;\nwithout it, as they are"},
    {"threads", 0, "N", "how many; without it, as many as this process may run on"},
    {"name", 0, "NAME", "what the model is to be called; without it, the name it has"},
    {"force", 0, NULL, "write over OUT if it is there"},
    {"quiet", 'q', NULL, "say nothing but errors"},
    {NULL, 0, NULL, NULL}};

static const cara_cli_value convert_values[] = {
    {"IN", CARA_CLI_FILE, NULL, ".cara .pt"},
    {"OUT", CARA_CLI_FILE, NULL, ".cara"},
    {"TYPE", CARA_CLI_CHOICE, "int8 float16 bfloat16 float32", NULL},
    {NULL, CARA_CLI_TEXT, NULL, NULL},
};

static const cara_cli_status convert_statuses[] = {
    {CARA_EXIT_OK, "OUT was written"},
    {CARA_EXIT_USAGE, "a flag or value that does not exist or fit; nothing was done"},
    {CARA_EXIT_MODEL, "the model or its vocabulary could not be used"},
    {CARA_EXIT_FILES, "OUT is there already, or could not be written"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted; OUT was not written"},
    {0, NULL},
};

static int convert(int argc, char **argv);

static const cara_cli_command convert_command = {
    .name = "model convert",
    .summary = "write a model as a .cara file, which opens at once",
    .run = convert,
    .operands = "IN OUT",
    .details =
        "IN is OpenAI's .pt, or a .cara. OUT appears once it is whole. int8 keeps a scale for "
        "each\n"
        "output channel; layer norms, biases and positions keep their type. A .pt needs its\n"
        "vocabulary: multilingual.tiktoken, or gpt2.tiktoken for English-only models, from\n"
        "openai/whisper's repository, folder whisper/assets.",
    .options = convert_options,
    .values = convert_values,
    .statuses = convert_statuses,
};

static int convert(int argc, char **argv) {
    const char *vocab = NULL;
    int force = 0, quiet = 0;
    cara_storage storage = CARA_STORAGE_AS_IS;
    cara_convert_options options_out;
    cara_convert_options_default(&options_out, sizeof options_out);
    cara_cli_args args;
    cara_cli_args_init(&args, &convert_command, argc, argv);
    for (int flag; (flag = cara_cli_args_next(&args)) != CARA_CLI_END;) {
        if (flag == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (flag == CARA_CLI_BAD)
            return CARA_EXIT_USAGE;
        if (flag == 0)
            vocab = args.value;
        if ((flag == 1 && cara_cli_storage(&args, &storage)) ||
            (flag == 2 && cara_cli_threads(&args, &options_out.threads)))
            return CARA_EXIT_USAGE;
        if (flag == 3)
            options_out.name = args.value;
        force |= flag == 4;
        quiet |= flag == 5;
    }
    if (args.argc - args.operands != 2)
        return (int)cara_cli_fail(CARA_EXIT_USAGE,
                                  "model convert takes two files, the model and the .cara to "
                                  "write; got %d",
                                  args.argc - args.operands);
    const char *in = args.argv[args.operands], *out = args.argv[args.operands + 1];
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_model *model = NULL;
    if (cara_model_open(in, vocab, &model, &err))
        return fail(&err);
    cara_cli_progress_start("converting", !quiet);
    cara_cli_catch_signals();
    if (storage != CARA_STORAGE_AS_IS)
        options_out.compute_type = cara_cli_storage_name(storage);
    options_out.replace = force;
    options_out.progress = on_progress;
    int rc = cara_model_convert(model, out, &options_out, &err);
    cara_cli_progress_stop();
    int status = CARA_EXIT_OK;
    if (rc)
        status = (int)cara_cli_model_not_written(out, &err);
    else if (!quiet)
        cara_cli_remark(
            "wrote %s: %s, %s", out, options_out.name ? options_out.name : cara_model_name(model),
            options_out.compute_type ? options_out.compute_type : summarise(model).types);
    cara_model_close(model);
    return status;
}

static const cara_cli_command *const commands[] = {
    &info_command, &convert_command, &cara_command_model_random, &cara_command_model_fetch, NULL};

const cara_cli_command cara_command_model = {
    .name = "model",
    .summary = "look at a model, convert, fetch or make one",
    .commands = commands,
};

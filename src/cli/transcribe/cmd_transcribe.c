/* caracola transcribe: audio files to text. */
#include "cli/cli.h"
#include "cli/named.h"
#include "cli/progress.h"
#include "cli/transcribe/advice.h"
#include "cli/transcribe/files.h"
#include "cli/transcribe/flags.h"
#include "cli/transcribe/inputs.h"
#include "cli/transcribe/run.h"
#include "cli/transcribe/table.h"
#include "transcript/transcript.h"

#include <caracola/caracola.h>
#include <stdlib.h>
#include <string.h>

/* Files transcribed at once where the flags do not say: more gain little and take memory
 * (docs/SPEED.md). */
#define CARA_DEFAULT_BATCH 4

static int model_status(const cara_error *err) {
    if (err->code == CARA_ERR_IO || err->code == CARA_ERR_NOT_FOUND)
        return CARA_EXIT_MODEL;
    return (int)cara_cli_exit_for(err->code);
}

static int open_failed(char *path, cara_error *err) {
    cara_cli_name(err);
    /* openai's names download a model there; here a model is a file. */
    if (err->code == CARA_ERR_NOT_FOUND && path && !strpbrk(path, "/."))
        cara_cli_remark("%s; a model is a file here: see \"Get a real model\" in the README",
                        err->text);
    else
        cara_cli_remark("%s", err->text);
    free(path);
    return model_status(err);
}

static int open_model(const cara_transcribe_flags *flags, cara_model **model) {
    cara_error err = {.code = CARA_OK, .position = -1};
    char *path = NULL;
    if (cara_cli_model_file(flags->model, flags->quiet, &path, &err) != CARA_OK ||
        cara_model_open(path, flags->vocab, model, &err) != CARA_OK)
        return open_failed(path, &err);
    free(path);
    return CARA_EXIT_OK;
}

static int open_draft(const cara_transcribe_flags *flags, cara_model **draft) {
    cara_error err = {.code = CARA_OK, .position = -1};
    if (!flags->draft_model ||
        cara_model_open(flags->draft_model, flags->vocab, draft, &err) == CARA_OK)
        return CARA_EXIT_OK;
    return open_failed(strdup(flags->draft_model), &err);
}

/* How many files to transcribe at once: one where there is a draft model. */
static int how_many(const cara_transcribe_flags *flags, size_t n) {
    int most = flags->batch_size ? flags->batch_size : flags->draft_model ? 1 : CARA_DEFAULT_BATCH;
    return (size_t)most < n ? most : (int)n;
}

/* Removes from the inputs those whose transcripts are there already. */
static void skip_existing(const cara_transcribe_flags *flags, const cara_table *table,
                          cara_inputs *inputs) {
    size_t n = 0;
    for (size_t i = 0; i < inputs->n; i++) {
        cara_input *input = &inputs->at[i];
        if (cara_files_are_whole(flags, input) &&
            (!table || cara_table_has(table, cara_input_name(input)))) {
            cara_input_free(input);
            continue;
        }
        inputs->at[n++] = *input;
    }
    if (n < inputs->n && !flags->quiet)
        cara_cli_remark("%zu of %zu files are skipped: their transcripts are in \"%s\"",
                        inputs->n - n, inputs->n, flags->output_dir);
    inputs->n_skipped = inputs->n - n;
    inputs->n = n;
}

/* Transcribes what is to be transcribed, with a model that is open. */
static int transcribe(const cara_transcribe_flags *flags, const cara_model *model,
                      const cara_model *draft, const cara_inputs *inputs, cara_table *table) {
    cara_session *sessions[CARA_MAX_SESSIONS] = {NULL};
    cara_options options = flags->options;
    if (!cara_model_is_multilingual(model)) {
        if (flags->options.language && strcmp(flags->options.language, "en") != 0 && !flags->quiet)
            cara_cli_remark("this model knows English only; --language %s is taken as en",
                            flags->options.language);
        options.language = "en";
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_session_options session_options = {.struct_size = sizeof session_options,
                                            .threads = flags->threads,
                                            .compute_type = flags->compute_type,
                                            .draft_model = draft,
                                            .draft_tokens = flags->draft_tokens};
    int at_once = how_many(flags, inputs->n), status;
    if (cara_sessions_new(model, &session_options, at_once, sessions, &err) != CARA_OK) {
        status = (int)cara_cli_fail_error(&err);
    } else {
        cara_cli_catch_signals();
        status = cara_transcribe_files(flags, &options, sessions, at_once, inputs, table);
    }
    for (int i = 0; i < at_once; i++)
        cara_session_free(sessions[i]);
    return status;
}

static int open_and_transcribe(const cara_transcribe_flags *flags, const cara_inputs *inputs,
                               cara_table *table) {
    cara_model *model = NULL, *draft = NULL;
    cara_cli_progress_start("opening the model", !flags->quiet);
    int status = open_model(flags, &model);
    if (status == CARA_EXIT_OK)
        status = open_draft(flags, &draft);
    if (status == CARA_EXIT_OK)
        status = transcribe(flags, model, draft, inputs, table);
    cara_cli_progress_stop();
    cara_model_close(draft);
    cara_model_close(model);
    return status;
}

static int open_table(const cara_transcribe_flags *flags, cara_table **table) {
    cara_error err;
    int cut;
    if (!(flags->formats & 1U << CARA_TRANSCRIPT_CSV))
        return CARA_EXIT_OK;
    if (cara_table_open(flags->output_dir, table, &cut, &err) != CARA_OK)
        return (int)cara_cli_fail_error(&err);
    if (cut)
        cara_cli_remark("the last row of the table in \"%s\" was not whole, and was removed",
                        flags->output_dir);
    return CARA_EXIT_OK;
}

/* What the folders held beside audio, and the status where a part of them could not be read. */
static int report_folders(const cara_transcribe_flags *flags, const cara_inputs *inputs,
                          int status) {
    if (inputs->n_other && !flags->quiet)
        cara_cli_remark("%zu %s skipped, no audio: %s%s", inputs->n_other,
                        inputs->n_other == 1 ? "file was" : "files were", inputs->other,
                        inputs->n_other == 1 ? "" : " and others");
    if (!inputs->n && !inputs->n_skipped && !inputs->n_other && !inputs->n_unread && !flags->quiet)
        cara_cli_remark("there is no audio in the folder");
    if (!inputs->n_unread || status != CARA_EXIT_OK)
        return status;
    return inputs->n || inputs->n_skipped ? CARA_EXIT_SOME : CARA_EXIT_AUDIO;
}

static int run(int argc, char **argv) {
    cara_transcribe_flags flags;
    cara_inputs inputs = {0};
    cara_table *table = NULL;
    cara_error err = {.code = CARA_OK, .position = -1};
    int status = CARA_EXIT_OK;
    if (cara_transcribe_flags_parse(&cara_command_transcribe, argc, argv, &flags, &status) != 0)
        return status;
    status = cara_inputs_collect(&flags, argc - flags.first_file, argv + flags.first_file, &inputs);
    if (status == CARA_EXIT_OK && flags.formats)
        status = cara_files_check(&flags, &inputs);
    if (status == CARA_EXIT_OK)
        status = open_table(&flags, &table);
    if (status == CARA_EXIT_OK && flags.skip_existing)
        skip_existing(&flags, table, &inputs);
    if (status == CARA_EXIT_OK) {
        if (inputs.n)
            status = open_and_transcribe(&flags, &inputs, table);
        status = report_folders(&flags, &inputs, status);
    }
    if (cara_table_close(table, &err) != CARA_OK) {
        cara_cli_remark("%s", err.text);
        status = status == CARA_EXIT_INTERRUPTED ? status : CARA_EXIT_FILES;
    }
    cara_inputs_free(&inputs);
    return status;
}

static const cara_cli_status statuses[] = {
    {CARA_EXIT_OK, "every file was transcribed"},
    {CARA_EXIT_SOME, "some files failed, the others were transcribed"},
    {CARA_EXIT_USAGE, "a flag or value that does not exist or fit; nothing was done"},
    {CARA_EXIT_AUDIO, "audio could not be read"},
    {CARA_EXIT_MODEL, "the model or its vocabulary could not be used"},
    {CARA_EXIT_FILES, "a transcript, its folder or standard output could not be written"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted; what was transcribed until then is kept"},
    {0, NULL},
};

const cara_cli_command cara_command_transcribe = {
    .name = "transcribe",
    .summary = "turn speech into text",
    .run = run,
    .operands = "FILE...",
    .details =
        "FILE is audio of any usual format, recognised by its bytes; - is standard input. With\n"
        "--recursive it may be a folder.\n"
        "Text goes to standard output; of several files, each line begins with the name of its\n"
        "own. With --output_format or --output_dir, files named after the audio are written\n"
        "instead, as openai's command does. BOOL is True or False.\n"
        "One bad file does not stop the others. Where every file failed, the exit status is that\n"
        "of the first failure.\n",
    .options = cara_transcribe_options,
    .values = cara_transcribe_values,
    .advice = cara_transcribe_advice,
    .statuses = statuses,
};

/* caracola transcribe: audio files to text. */
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/transcribe/advice.h"
#include "cli/transcribe/flags.h"
#include "cli/transcribe/output.h"
#include "cli/transcribe/run.h"

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

static int open_failed(char *path, const cara_error *err) {
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
static int how_many(const cara_transcribe_flags *flags, int n) {
    int most = flags->batch_size ? flags->batch_size : flags->draft_model ? 1 : CARA_DEFAULT_BATCH;
    return most < n ? most : n;
}

static int run(int argc, char **argv) {
    cara_transcribe_flags flags;
    int status = CARA_EXIT_OK;
    if (cara_transcribe_flags_parse(&cara_command_transcribe, argc, argv, &flags, &status) != 0)
        return status;
    int n = argc - flags.first_file;
    char **names = argv + flags.first_file;
    status = cara_output_check(&flags, n, names);
    if (status != CARA_EXIT_OK)
        return status;

    cara_model *model = NULL, *draft = NULL;
    cara_options options = flags.options;
    cara_session *sessions[CARA_MAX_SESSIONS] = {NULL};
    cara_cli_progress_start("opening the model", !flags.quiet);
    status = open_model(&flags, &model);
    if (status == CARA_EXIT_OK)
        status = open_draft(&flags, &draft);
    if (status != CARA_EXIT_OK) {
        cara_cli_progress_stop();
        cara_model_close(model);
        return status;
    }
    if (!cara_model_is_multilingual(model)) {
        if (flags.options.language && strcmp(flags.options.language, "en") != 0 && !flags.quiet)
            cara_cli_remark("this model knows English only; --language %s is taken as en",
                            flags.options.language);
        options.language = "en";
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_session_options session_options = {.struct_size = sizeof session_options,
                                            .threads = flags.threads,
                                            .compute_type = flags.compute_type,
                                            .draft_model = draft,
                                            .draft_tokens = flags.draft_tokens};
    int at_once = how_many(&flags, n);
    if (cara_sessions_new(model, &session_options, at_once, sessions, &err) != CARA_OK) {
        status = (int)cara_cli_fail_error(&err);
    } else {
        cara_cli_catch_signals();
        status = cara_transcribe_files(&flags, &options, sessions, at_once, n, names);
    }
    cara_cli_progress_stop();
    for (int i = 0; i < at_once; i++)
        cara_session_free(sessions[i]);
    cara_model_close(draft);
    cara_model_close(model);
    return status;
}

static const cara_cli_status statuses[] = {
    {CARA_EXIT_OK, "every file was transcribed"},
    {CARA_EXIT_SOME, "some files failed, the others were transcribed"},
    {CARA_EXIT_USAGE, "a flag or value that does not exist or fit; nothing was done"},
    {CARA_EXIT_AUDIO, "audio could not be read"},
    {CARA_EXIT_MODEL, "the model or its vocabulary could not be used"},
    {CARA_EXIT_FILES, "a transcript or standard output could not be written"},
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
        "FILE is audio of any usual format, recognised by its bytes; - is standard input.\n"
        "Text goes to standard output. With --output_format or --output_dir, files named after\n"
        "the audio are written instead, as openai's command does. BOOL is True or False.\n"
        "One bad file does not stop the others. Where every file failed, the exit status is that\n"
        "of the first failure.\n",
    .options = cara_transcribe_options,
    .values = cara_transcribe_values,
    .advice = cara_transcribe_advice,
    .statuses = statuses,
};

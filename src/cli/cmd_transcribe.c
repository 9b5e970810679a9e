/* caracola transcribe: audio files to text. */
#include "base/file.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/transcribe_flags.h"
#include "cli/transcribe_output.h"
#include "tokenizer/language.h"

#include <caracola/caracola.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct run {
    const cara_transcribe_flags *flags;
    cara_session *session;
    cara_options options;
    cara_cli_progress progress;
} run;

static int on_progress(void *cookie, int64_t done, int64_t total) {
    run *r = cookie;
    cara_cli_progress_update(&r->progress, done, total);
    return cara_cli_interrupted();
}

static void on_segment(void *cookie, const cara_segment *segment) {
    run *r = cookie;
    if (!r->flags->verbose || segment->cleared)
        return;
    cara_cli_progress_clear(&r->progress);
    cara_output_segment(segment);
}

/* Audio that cannot be opened is an audio failure, whatever the system's reason was. */
static int audio_status(const cara_error *err) {
    if (err->code == CARA_ERR_IO || err->code == CARA_ERR_NOT_FOUND)
        return CARA_EXIT_AUDIO;
    return (int)cara_cli_exit_for(err->code);
}

static int model_status(const cara_error *err) {
    if (err->code == CARA_ERR_IO || err->code == CARA_ERR_NOT_FOUND)
        return CARA_EXIT_MODEL;
    return (int)cara_cli_exit_for(err->code);
}

static int open_audio(const run *r, const char *name, char **bytes, cara_audio **audio,
                      cara_error *err) {
    cara_audio_limits limits = {.max_seconds = r->flags->max_seconds};
    *bytes = NULL;
    if (strcmp(name, "-") != 0)
        return cara_audio_open_file(name, &limits, audio, err);
    size_t n = 0;
    int rc = cara_read_fd(STDIN_FILENO, "standard input", CARA_LIMIT_AUDIO_BYTES, bytes, &n, err);
    if (rc != CARA_OK)
        return rc == CARA_ERR_MEMORY ? cara_fail(err, CARA_ERR_AUDIO_LIMIT, -1,
                                                 "standard input is larger than the limit of "
                                                 "%zu MiB",
                                                 CARA_LIMIT_AUDIO_BYTES / CARA_MIB)
                                     : rc;
    return cara_audio_open_memory(*bytes, n, &limits, audio, err);
}

/* One file from audio to output. Says what went wrong; returns the file's exit status. */
static int transcribe_file(run *r, const char *name) {
    const cara_transcribe_flags *flags = r->flags;
    const char *shown = cara_output_shown_name(name);
    cara_error err = {.code = CARA_OK, .position = -1};
    char *bytes = NULL;
    cara_audio *audio = NULL;
    cara_result *result = NULL;
    int status = CARA_EXIT_OK;

    if (open_audio(r, name, &bytes, &audio, &err) != CARA_OK) {
        status = audio_status(&err);
        goto fail;
    }
    const char *slash = strrchr(shown, '/');
    cara_cli_progress_start(&r->progress, slash ? slash + 1 : shown, !flags->quiet);
    int rc = cara_transcribe(r->session, cara_audio_source(audio), &r->options, &result, &err);
    cara_cli_progress_clear(&r->progress);
    if (rc != CARA_OK) {
        status = audio_status(&err);
        goto fail;
    }
    if (cara_audio_truncated(audio) && !flags->quiet)
        cara_cli_note("%s ends before its container says; the %.1f s that are there were heard",
                      shown, result->duration_s);
    if (flags->verbose && !flags->quiet && !flags->language_named && result->language) {
        int at = cara_language_find(result->language);
        cara_cli_note("%s: detected language: %s", shown,
                      at >= 0 ? cara_language_name(at) : result->language);
    }
    if (flags->verbose && !flags->quiet && flags->draft_model)
        cara_cli_note("%s: %zu of the draft's %zu guesses were right", shown, result->drafted_right,
                      result->drafted);
    if (cara_output_result(flags, name, result, &err) != CARA_OK) {
        status = (int)cara_cli_exit_for(err.code);
        goto fail;
    }
    if (result->cut_short)
        status = (int)cara_cli_fail(CARA_EXIT_INTERRUPTED,
                                    "interrupted; what was heard of %s until then is kept", shown);
    goto end;
fail:
    if (strstr(err.text, shown))
        cara_cli_note("%s", err.text);
    else
        cara_cli_note("%s: %s", shown, err.text);
    if (flags->json)
        cara_output_json_error(name, &err);
end:
    cara_result_free(result);
    cara_audio_close(audio);
    free(bytes);
    return status;
}

static int open_failed(char *path, const cara_error *err) {
    /* openai's names download a model there; here a model is a file. */
    if (err->code == CARA_ERR_NOT_FOUND && path && !strpbrk(path, "/."))
        cara_cli_note("%s; a model is a file here: see \"Get a real model\" in the README",
                      err->text);
    else
        cara_cli_note("%s", err->text);
    free(path);
    return model_status(err);
}

static int open_model(const cara_transcribe_flags *flags, cara_model **model) {
    cara_error err = {.code = CARA_OK, .position = -1};
    char *path = NULL;
    if (cara_cli_model_path(flags->model, flags->quiet, &path, &err) != CARA_OK ||
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

static int transcribe_all(run *r, int n, char **names) {
    int failed = 0, first_failure = CARA_EXIT_OK;
    for (int i = 0; i < n; i++) {
        if (n > 1 && !r->flags->quiet && !r->flags->json)
            cara_cli_note("%s (%d of %d)", cara_output_shown_name(names[i]), i + 1, n);
        int status = transcribe_file(r, names[i]);
        cara_exit flushed = cara_cli_flush_stdout();
        if (flushed != CARA_EXIT_OK)
            return flushed; /* nobody would see the rest */
        if (status == CARA_EXIT_INTERRUPTED || cara_cli_interrupted())
            return CARA_EXIT_INTERRUPTED;
        if (status != CARA_EXIT_OK && failed++ == 0)
            first_failure = status;
    }
    if (failed > 0 && failed < n)
        return CARA_EXIT_SOME;
    return first_failure;
}

int cara_cmd_transcribe(int argc, char **argv) {
    cara_transcribe_flags flags;
    int status = CARA_EXIT_OK;
    if (cara_transcribe_flags_parse(argc, argv, &flags, &status) != 0)
        return status;
    int n = argc - flags.first_file;
    char **names = argv + flags.first_file;
    status = cara_output_check(&flags, n, names);
    if (status != CARA_EXIT_OK)
        return status;

    cara_model *model = NULL, *draft = NULL;
    run r = {.flags = &flags, .options = flags.options};
    r.options.progress = on_progress;
    r.options.on_segment = on_segment;
    r.options.cookie = &r;
    status = open_model(&flags, &model);
    if (status == CARA_EXIT_OK)
        status = open_draft(&flags, &draft);
    if (status != CARA_EXIT_OK) {
        cara_model_close(model);
        return status;
    }
    if (!cara_model_is_multilingual(model)) {
        if (flags.options.language && strcmp(flags.options.language, "en") != 0 && !flags.quiet)
            cara_cli_note("this model knows English only; --language %s is taken as en",
                          flags.options.language);
        r.options.language = "en";
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_session_options session_options = {.threads = flags.threads,
                                            .compute_type = flags.compute_type,
                                            .draft_model = draft,
                                            .draft_tokens = flags.draft_tokens};
    if (cara_session_new(model, &session_options, &r.session, &err) != CARA_OK) {
        status = (int)cara_cli_fail_error(&err);
    } else {
        cara_cli_catch_signals();
        status = transcribe_all(&r, n, names);
    }
    cara_session_free(r.session);
    cara_model_close(draft);
    cara_model_close(model);
    return status;
}

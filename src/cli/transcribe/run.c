#include "cli/transcribe/run.h"

#include "base/threads.h"
#include "cli/named.h"
#include "cli/transcribe/files.h"
#include "cli/transcribe/output.h"
#include "cli/transcribe/whole.h"
#include "tokenizer/language.h"
#include "transcript/transcript.h"

#include <caracola/caracola.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The result of one file. */
typedef struct file_result {
    cara_result *result; /* NULL: err says why */
    cara_error err;
    int truncated;
    int done;
} file_result;

typedef struct run {
    const cara_transcribe_flags *flags;
    const cara_options *options;
    const cara_inputs *inputs;
    cara_table *table; /* or NULL */
    int n;
    int at_once; /* sessions that transcribe at once */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    file_result *outcomes; /* [n] */
    int next;              /* the next file to transcribe */
    int reporting;         /* the file that is reported next */
    int stop;
    cara_whole whole; /* how much of all is done */
} run;

/* One session, in a thread of its own where there are several. */
typedef struct worker {
    run *run;
    cara_session *session;
    pthread_t thread;
    int file;
} worker;

/* Audio that cannot be opened is an audio failure, whatever the system's reason was. */
static int audio_status(const cara_error *err) {
    if (err->code == CARA_ERR_IO || err->code == CARA_ERR_NOT_FOUND)
        return CARA_EXIT_AUDIO;
    return (int)cara_cli_exit_for(err->code);
}

/* ---- transcribing ---- */

/* What stands before the lines of a file's text; NULL: nothing. */
static const char *label_of(const run *r, int file) {
    return r->inputs->named ? cara_input_name(&r->inputs->at[file]) : NULL;
}

static int stop(void *cookie) {
    run *r = cookie;
    pthread_mutex_lock(&r->lock);
    int stopped = r->stop;
    pthread_mutex_unlock(&r->lock);
    return stopped || cara_cli_interrupted();
}

/* Gives the line of progress what is done; with r->lock held. */
static void show_progress(const run *r) {
    if (r->reporting < 0)
        return;
    const char *shown = cara_input_name(&r->inputs->at[r->reporting]), *slash = strrchr(shown, '/');
    cara_cli_progress now = {.item = r->reporting + 1, .items = r->n};
    snprintf(now.label, sizeof now.label, "%s", slash ? slash + 1 : shown);
    cara_whole_show(&r->whole, &now);
    cara_cli_progress_set(&now);
}

static int on_progress(void *cookie, int64_t done, int64_t total) {
    const worker *w = cookie;
    run *r = w->run;
    pthread_mutex_lock(&r->lock);
    cara_whole_update(&r->whole, w->file, done, total);
    show_progress(r);
    pthread_mutex_unlock(&r->lock);
    return stop(r);
}

/* Segments are shown as they come where one file is transcribed at a time. */
static void on_segment(void *cookie, const cara_segment *segment) {
    const worker *w = cookie;
    if (!w->run->flags->verbose || segment->cleared || w->run->at_once > 1)
        return;
    cara_cli_progress_hold(); /* standard output may be the same terminal */
    cara_output_segment(label_of(w->run, w->file), segment);
    cara_cli_progress_release();
}

static int open_audio(run *r, const cara_input *input, cara_audio **audio, cara_error *err) {
    struct stat st;
    cara_audio_options options;
    cara_audio_options_default(&options, sizeof options);
    options.max_seconds = r->flags->max_seconds;
    options.track = r->flags->audio_track;
    options.input_format = r->flags->input_format;
    options.stop = stop;
    options.stop_cookie = r;
    if (strcmp(input->path, "-") == 0)
        return cara_audio_open_fd(STDIN_FILENO, cara_input_name(input), &options, audio, err);
    if (stat(input->path, &st) == 0 && S_ISDIR(st.st_mode))
        return cara_fail(err, CARA_ERR_IO, -1,
                         "%s is a folder; --recursive transcribes the audio in it", input->path);
    if (strstr(input->path, "://") && access(input->path, F_OK) != 0)
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1,
                         "%s is an address, not a file; fetch it first, or: curl -L ADDRESS | "
                         "caracola transcribe -",
                         input->path);
    return cara_audio_open_file(input->path, &options, audio, err);
}

static void transcribe(worker *w, int file) {
    run *r = w->run;
    file_result *h = &r->outcomes[file];
    cara_audio *audio = NULL;
    cara_options options = *r->options;
    options.progress = on_progress;
    options.on_segment = on_segment;
    options.cookie = w;
    w->file = file;
    h->err = (cara_error){.code = CARA_OK, .position = -1};
    if (open_audio(r, &r->inputs->at[file], &audio, &h->err) == CARA_OK &&
        cara_transcribe(w->session, cara_audio_source(audio), &options, &h->result, &h->err) ==
            CARA_OK)
        h->truncated = cara_audio_truncated(audio);
    cara_audio_close(audio);
    pthread_mutex_lock(&r->lock);
    cara_whole_end(&r->whole, file);
    h->done = 1;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* ---- reporting ---- */

static void begin(run *r, int file) {
    const char *shown = cara_input_name(&r->inputs->at[file]);
    if (r->n > 1 && !r->flags->quiet && !r->flags->json)
        cara_cli_remark("%s (%d of %d)", shown, file + 1, r->n);
    pthread_mutex_lock(&r->lock);
    r->reporting = file;
    show_progress(r);
    pthread_mutex_unlock(&r->lock);
}

/* Parts of the audio that were not there. Their length may not be known. */
static void remark_gaps(const char *shown, const cara_gaps *gaps) {
    char length[32] = "parts";
    if (gaps->seconds > 0)
        snprintf(length, sizeof length, "%.1f s", gaps->seconds);
    cara_cli_remark("%s is damaged: %s of its sound are lost, in %lld place%s; the text there is "
                    "missing, or wrong",
                    shown, length, (long long)gaps->count, gaps->count == 1 ? "" : "s");
}

/* Writes the result where the flags say. */
static int put(const run *r, int file, const cara_result *result, cara_written *how,
               cara_error *err) {
    const cara_transcribe_flags *flags = r->flags;
    const cara_input *input = &r->inputs->at[file];
    int rc = CARA_OK;
    *how = CARA_WRITTEN;
    if (flags->json)
        rc = cara_output_json(flags, input, result, err);
    if (!rc && (flags->formats & ~(1U << CARA_TRANSCRIPT_CSV)))
        rc = cara_files_write(flags, input, result, how, err);
    if (!rc && r->table && !result->cut_short)
        rc = cara_table_add(r->table, cara_input_name(input), result, err);
    if (!rc && !flags->formats && !flags->json && !flags->verbose)
        rc = cara_output_text(label_of(r, file), result, err);
    return rc;
}

/* What became of a transcript that was cut short. */
static int report_cut(const run *r, const char *shown, const cara_result *result,
                      cara_written how) {
    const char *before = "what was transcribed of ", *after = " until then is kept";
    if (how == CARA_WRITTEN_EARLIER) {
        before = "the files that an earlier run wrote of ";
        after = " stay as they were";
    } else if (!result->n_segments) {
        before = "nothing of ";
        after = " was transcribed until then";
    } else if (r->flags->formats == 1U << CARA_TRANSCRIPT_CSV && !r->flags->json) {
        after = " is not kept, as the table takes whole transcripts only";
    }
    return (int)cara_cli_fail(CARA_EXIT_INTERRUPTED, "interrupted; %s%s%s", before, shown, after);
}

/* Segments that were not shown as they came, and a line for a file without any. */
static void show_segments(const run *r, int file, const cara_result *result) {
    const char *label = label_of(r, file);
    int any = 0;
    for (size_t i = 0; i < result->n_segments; i++) {
        any |= !result->segments[i].cleared;
        if (r->at_once > 1 && !result->segments[i].cleared)
            cara_output_segment(label, &result->segments[i]);
    }
    if (!any && label)
        cara_output_silence(label);
}

/* Reports the file's result and frees it; returns its exit status. */
static int report(run *r, int file) {
    const cara_transcribe_flags *flags = r->flags;
    const char *shown = cara_input_name(&r->inputs->at[file]);
    file_result *h = &r->outcomes[file];
    const cara_result *result = h->result;
    int status = CARA_EXIT_OK;
    cara_written how;
    if (!result) {
        status = audio_status(&h->err);
        goto fail;
    }
    if (flags->verbose)
        show_segments(r, file, result);
    if (h->truncated && !flags->quiet)
        cara_cli_remark(
            "%s ends before its container says; the %.1f s that are there were transcribed", shown,
            result->duration_s);
    if (result->audio_gaps.count && !flags->quiet)
        remark_gaps(shown, &result->audio_gaps);
    if (flags->verbose && !flags->quiet && !flags->language_named && result->language) {
        int at = cara_language_find(result->language);
        cara_cli_remark("%s: detected language: %s", shown,
                        at >= 0 ? cara_language_name(at) : result->language);
    }
    if (flags->verbose && !flags->quiet && flags->draft_model)
        cara_cli_remark("%s: %zu of %zu proposed tokens were accepted", shown,
                        result->drafted_right, result->drafted);
    if (put(r, file, result, &how, &h->err) != CARA_OK) {
        status = (int)cara_cli_exit_for(h->err.code);
        goto fail;
    }
    if (result->cut_short)
        status = report_cut(r, shown, result, how);
    goto end;
fail:
    cara_cli_name(&h->err);
    if (strstr(h->err.text, shown))
        cara_cli_remark("%s", h->err.text);
    else
        cara_cli_remark("%s: %s", shown, h->err.text);
    if (flags->json)
        cara_output_json_error(&r->inputs->at[file], &h->err);
end:
    cara_result_free(h->result);
    h->result = NULL;
    return status;
}

/* ---- several at once ---- */

static void *work(void *ctx) {
    worker *w = ctx;
    run *r = w->run;
    for (;;) {
        pthread_mutex_lock(&r->lock);
        int file = r->stop || cara_cli_interrupted() ? r->n : r->next;
        if (file < r->n)
            r->next++;
        pthread_mutex_unlock(&r->lock);
        if (file >= r->n)
            return NULL;
        transcribe(w, file);
    }
}

/* Waits for a file; 0 where no thread will transcribe it, since the work was stopped. */
static int wait_for_file(run *r, int file) {
    pthread_mutex_lock(&r->lock);
    while (!r->outcomes[file].done && (file < r->next || !cara_cli_interrupted()))
        cara_cond_wait(&r->changed, &r->lock, 0.2); /* a signal wakes no thread here */
    int done = r->outcomes[file].done;
    pthread_mutex_unlock(&r->lock);
    return done;
}

static int was_begun(run *r, int file) {
    pthread_mutex_lock(&r->lock);
    int begun = file < r->next;
    pthread_mutex_unlock(&r->lock);
    return begun;
}

/* All files in order, each as soon as it is done: in this thread where there is one session. */
static int report_all(run *r, worker *here) {
    int failed = 0, first_failure = CARA_EXIT_OK, interrupted = 0, reported = 0;
    for (int i = 0; i < r->n; i++) {
        /* Files that other threads have begun are reported too: they stop at once, and their
         * segments are kept. */
        if (interrupted && (here || !was_begun(r, i)))
            break;
        begin(r, i);
        if (here)
            transcribe(here, i);
        else if (!wait_for_file(r, i)) {
            interrupted = 1;
            break;
        }
        cara_cli_progress_hold(); /* standard output may be the same terminal */
        int status = report(r, i);
        cara_exit flushed = cara_cli_flush_stdout();
        cara_cli_progress_release();
        if (flushed != CARA_EXIT_OK)
            return flushed; /* the rest could not be written either */
        reported++;
        interrupted |= status == CARA_EXIT_INTERRUPTED || cara_cli_interrupted();
        if (status != CARA_EXIT_OK && failed++ == 0)
            first_failure = status;
    }
    if (interrupted && reported < r->n)
        cara_cli_remark("interrupted; %d of %d files were not begun", r->n - reported, r->n);
    if (interrupted)
        return CARA_EXIT_INTERRUPTED;
    if (failed > 0 && (failed < r->n || r->inputs->n_skipped))
        return CARA_EXIT_SOME;
    return first_failure;
}

static int report_all_at_once(run *r, cara_session **sessions) {
    worker workers[CARA_MAX_SESSIONS];
    int started = 0, status;
    while (started < r->at_once) {
        workers[started] = (worker){.run = r, .session = sessions[started]};
        if (cara_thread_start(&workers[started].thread, work, &workers[started]) != 0)
            break;
        started++;
    }
    if (started)
        status = report_all(r, NULL);
    else
        status = (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no thread can be started");
    pthread_mutex_lock(&r->lock);
    r->stop = 1;
    pthread_mutex_unlock(&r->lock);
    for (int i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    return status;
}

int cara_transcribe_files(const cara_transcribe_flags *flags, const cara_options *options,
                          cara_session **sessions, int n_sessions, const cara_inputs *inputs,
                          cara_table *table) {
    int n = (int)inputs->n;
    run r = {.flags = flags,
             .options = options,
             .inputs = inputs,
             .table = table,
             .n = n,
             .at_once = n_sessions < n ? n_sessions : n,
             .reporting = -1};
    r.outcomes = calloc((size_t)n, sizeof *r.outcomes);
    if (!r.outcomes)
        return (int)cara_cli_fail(CARA_EXIT_INTERNAL, "no memory for %d files", n);
    cara_whole_init(&r.whole, n);
    for (int i = 0; i < n; i++)
        cara_whole_weigh(&r.whole, i, inputs->at[i].path);
    pthread_mutex_init(&r.lock, NULL);
    cara_cond_init(&r.changed);
    worker here = {.run = &r, .session = sessions[0]};
    int status = r.at_once > 1 ? report_all_at_once(&r, sessions) : report_all(&r, &here);
    for (int i = 0; i < n; i++)
        cara_result_free(r.outcomes[i].result);
    pthread_cond_destroy(&r.changed);
    pthread_mutex_destroy(&r.lock);
    cara_whole_free(&r.whole);
    free(r.outcomes);
    return status;
}

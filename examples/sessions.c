/* Transcribes several files at once and writes one table of them (CSV). The sessions share the
 * model, and while several decode, each weight is read from memory once for all of them.
 *
 *     cc sessions.c $(pkg-config --cflags --libs caracola) -pthread -o sessions
 *     ./sessions model.cara a.ogg b.ogg c.ogg > notes.csv */
#define _POSIX_C_SOURCE 200809L
#include <caracola/caracola.h>

#include <pthread.h>
#include <stdio.h>

#define MOST 4 /* at once; each session takes memory for its own window */

/* The work of one thread. A session is used by one thread at a time. */
typedef struct job {
    pthread_t thread;
    cara_session *session;
    const char *path;
    cara_result *result; /* NULL where it failed */
    cara_error err;
} job;

static void *work(void *cookie) {
    job *j = cookie;
    cara_audio *audio = NULL;
    j->result = NULL;
    if (cara_audio_open_file(j->path, NULL, &audio, &j->err) == CARA_OK &&
        cara_transcribe(j->session, cara_audio_source(audio), NULL, &j->result, &j->err) != CARA_OK)
        j->result = NULL;
    cara_audio_close(audio);
    return NULL;
}

static int to_file(void *cookie, const char *bytes, size_t n, cara_error *err) {
    (void)err;
    return fwrite(bytes, 1, n, cookie) == n ? CARA_OK : CARA_ERR_IO;
}

/* The rows of one file; what failed is said and left out. Returns 1 for a failure. */
static int report(job *j, cara_transcript_options *table) {
    table->file = j->path;
    if (j->result && cara_transcript_write(j->result, CARA_TRANSCRIPT_CSV, table, to_file, stdout,
                                           &j->err) == CARA_OK)
        return 0;
    fprintf(stderr, "%s: %s\n", j->path, j->err.text);
    return 1;
}

/* Up to MOST files, each in a thread of its own. Returns how many failed. */
static int transcribe(job *jobs, int n, cara_transcript_options *table) {
    int started = 0, failed = 0;
    while (started < n && pthread_create(&jobs[started].thread, NULL, work, &jobs[started]) == 0)
        started++;
    for (int i = 0; i < started; i++) {
        pthread_join(jobs[i].thread, NULL);
        failed += report(&jobs[i], table);
        cara_result_free(jobs[i].result);
    }
    for (int i = started; i < n; i++)
        fprintf(stderr, "%s: no thread could be started\n", jobs[i].path);
    return failed + n - started;
}

int main(int argc, char **argv) {
    cara_model *model = NULL;
    cara_session *sessions[MOST] = {NULL};
    cara_error err;
    job jobs[MOST];
    cara_transcript_options table;
    int files = argc - 2, at_once = files < MOST ? files : MOST, failed = 0;
    if (files < 1) {
        fprintf(stderr, "usage: %s MODEL AUDIO...\n", argv[0]);
        return 2;
    }

    cara_transcript_options_default(&table, sizeof table);
    table.file = "";  /* there is a column for it */
    table.header = 0; /* once, below */
    if (cara_model_open(argv[1], NULL, &model, &err) ||
        cara_sessions_new(model, NULL, at_once, sessions, &err) ||
        cara_transcript_write_header(CARA_TRANSCRIPT_CSV, &table, to_file, stdout, &err)) {
        fprintf(stderr, "%s\n", err.text);
        failed = 1;
    }
    for (int i = 0; i < files && sessions[0]; i += at_once) {
        int n = files - i < at_once ? files - i : at_once;
        for (int k = 0; k < n; k++) {
            jobs[k].session = sessions[k];
            jobs[k].path = argv[2 + i + k];
        }
        failed += transcribe(jobs, n, &table);
    }

    if (fflush(stdout) != 0) {
        perror("standard output");
        failed++;
    }

    for (int i = 0; i < at_once; i++)
        cara_session_free(sessions[i]);
    cara_model_close(model);
    return failed ? 1 : 0;
}

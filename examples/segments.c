/* Prints each segment as soon as it is final, shows the progress, and stops at Ctrl-C.
 *
 *     cc segments.c $(pkg-config --cflags --libs caracola) -o segments
 *     ./segments model.cara note.ogg [LANGUAGE] */
#define _POSIX_C_SOURCE 200809L /* sigaction */
#include <caracola/caracola.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

/* Both callbacks get options.cookie: here the counter of segments. */
static void on_segment(void *cookie, const cara_segment *segment) {
    int *n = cookie;
    if (segment->text[0]) /* openai/whisper keeps empty segments */
        printf("%d. [%.2f s to %.2f s]%s\n", ++*n, segment->start, segment->end, segment->text);
    fflush(stdout);
}

/* Times are in frames of 10 ms. What it returns stops the work where it is not 0. */
static int on_progress(void *cookie, int64_t done, int64_t total) {
    (void)cookie;
    if (total)
        fprintf(stderr, "\r%3d %%", (int)(100 * done / total));
    return interrupted;
}

int main(int argc, char **argv) {
    cara_model *model = NULL;
    cara_session *session = NULL;
    cara_audio *audio = NULL;
    cara_result *result = NULL;
    cara_error err;
    cara_options options;
    int n = 0;
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s MODEL AUDIO [LANGUAGE]\n", argv[0]);
        return 2;
    }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);

    cara_options_default(&options, sizeof options);
    options.language = argc > 3 ? argv[3] : NULL; /* NULL: detected */
    options.on_segment = on_segment;
    options.progress = on_progress;
    options.cookie = &n;

    int failed = cara_model_open(argv[1], NULL, &model, &err) ||
                 cara_session_new(model, NULL, &session, &err) ||
                 cara_audio_open_file(argv[2], NULL, &audio, &err) ||
                 cara_transcribe(session, cara_audio_source(audio), &options, &result, &err);
    if (failed)
        fprintf(stderr, "\n%s\n", err.text);
    else
        fprintf(stderr, "\r%s, %.1f s of audio in %.1f s%s\n", result->language, result->duration_s,
                result->timings.total_s, result->cut_short ? ", stopped before its end" : "");

    cara_result_free(result);
    cara_audio_close(audio);
    cara_session_free(session);
    cara_model_close(model);
    return failed ? 1 : 0;
}

/* The smallest program over libcaracola: writes what an audio file says as subtitles (SRT).
 *
 *     cc file.c $(pkg-config --cflags --libs caracola) -o file
 *     ./file model.cara note.ogg > note.srt */
#include <caracola/caracola.h>

#include <stdio.h>

static int to_file(void *cookie, const char *bytes, size_t n, cara_error *err) {
    (void)err; /* the library has a sentence of its own */
    return fwrite(bytes, 1, n, cookie) == n ? CARA_OK : CARA_ERR_IO;
}

int main(int argc, char **argv) {
    cara_model *model = NULL;
    cara_session *session = NULL;
    cara_audio *audio = NULL;
    cara_result *result = NULL;
    cara_error err;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL AUDIO\n", argv[0]);
        return 2;
    }

    /* Where no options are given, they are openai/whisper's defaults. */
    int failed = cara_model_open(argv[1], NULL, &model, &err) ||
                 cara_session_new(model, NULL, &session, &err) ||
                 cara_audio_open_file(argv[2], NULL, &audio, &err) ||
                 cara_transcribe(session, cara_audio_source(audio), NULL, &result, &err) ||
                 cara_transcript_write(result, CARA_TRANSCRIPT_SRT, NULL, to_file, stdout, &err);
    if (failed) {
        fprintf(stderr, "%s\n", err.text);
    } else if (fflush(stdout) != 0) {
        perror("standard output");
        failed = 1;
    }

    cara_result_free(result);
    cara_audio_close(audio);
    cara_session_free(session);
    cara_model_close(model);
    return failed ? 1 : 0;
}

/* The smallest program over libcaracola: prints what a voice note says, segment by segment. */
#include <caracola/caracola.h>

#include <stdio.h>

int main(int argc, char **argv) {
    cara_model *model = NULL;
    cara_session *session = NULL;
    cara_audio *audio = NULL;
    cara_result *result = NULL;
    cara_error err;
    cara_options options;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL AUDIO\n", argv[0]);
        return 2;
    }
    cara_options_default(&options, sizeof options);

    int failed = cara_model_open(argv[1], NULL, &model, &err) ||
                 cara_session_new(model, NULL, &session, &err) ||
                 cara_audio_open_file(argv[2], NULL, &audio, &err) ||
                 cara_transcribe(session, cara_audio_source(audio), &options, &result, &err);
    if (failed) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        for (size_t i = 0; i < result->n_segments; i++)
            printf("%7.2f %7.2f %s\n", result->segments[i].start, result->segments[i].end,
                   result->segments[i].text);
    }

    cara_result_free(result);
    cara_audio_close(audio);
    cara_session_free(session);
    cara_model_close(model);
    return failed ? 1 : 0;
}

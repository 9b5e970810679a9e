// The library from C++: every header compiles, and what it declares links.
#include <caracola/caracola.h>

#include <cstring>
#include <iostream>
#include <string>

static int to_string(void *cookie, const char *bytes, size_t n, cara_error *) {
    static_cast<std::string *>(cookie)->append(bytes, n);
    return CARA_OK;
}

int main(int argc, char **argv) {
    cara_model *model = nullptr;
    cara_session *session = nullptr;
    cara_audio *audio = nullptr;
    cara_result *result = nullptr;
    cara_error err;
    cara_options options;
    std::string text;
    if (argc != 3)
        return 2;
    cara_options_default(&options, sizeof options);
    bool failed = cara_model_open(argv[1], nullptr, &model, &err) ||
                  cara_session_new(model, nullptr, &session, &err) ||
                  cara_audio_open_file(argv[2], nullptr, &audio, &err) ||
                  cara_transcribe(session, cara_audio_source(audio), &options, &result, &err) ||
                  cara_transcript_write(result, CARA_TRANSCRIPT_TXT, nullptr, to_string, &text, &err);
    if (failed)
        std::cerr << err.text << "\n";
    else if (std::strcmp(cara_version(), CARA_VERSION) != 0)
        std::cerr << "compiled for " CARA_VERSION ", running with " << cara_version() << "\n";
    else
        std::cout << text;
    cara_result_free(result);
    cara_audio_close(audio);
    cara_session_free(session);
    cara_model_close(model);
    return failed;
}

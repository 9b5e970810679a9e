// Times whisper.cpp: WHISPER_CPP_BENCH MODEL.bin THREADS RUNS prints one JSON object (docs/bench.md).
#include <whisper.h>

#include "peer.h"

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    const int threads = atoi(argv[2]), runs = atoi(argv[3]);
    whisper_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    double start = now_ms();
    whisper_context_params params = whisper_context_default_params();
    params.use_gpu = false;
    whisper_context *ctx = whisper_init_from_file_with_params(argv[1], params);
    if (!ctx)
        return 1;
    const double load = now_ms() - start;
    whisper_token tokens[BEAMS] = {11, 12, 13, 14, 15};
    std::vector<double> encode, decode, beam;
    int failed = whisper_set_mel(ctx, nullptr, 0, whisper_model_n_mels(ctx));
    for (int r = -1; r < runs && !failed; r++) { // the first round warms up
        start = now_ms();
        failed |= whisper_encode(ctx, 0, threads);
        const double encoded = now_ms();
        for (int i = 0; i < STEPS; i++)
            failed |= whisper_decode(ctx, tokens, 1, 4 + i, threads);
        const double decoded = now_ms();
        for (int i = 0; i < STEPS; i++)
            failed |= whisper_decode(ctx, tokens, BEAMS, 0, threads);
        if (r < 0)
            continue;
        encode.push_back(encoded - start);
        decode.push_back((decoded - encoded) / STEPS);
        beam.push_back((now_ms() - decoded) / STEPS);
    }
    whisper_free(ctx);
    return failed ? 1 : report(encode, decode, beam, load);
}

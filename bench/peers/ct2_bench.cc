// Times CTranslate2: CT2_BENCH MODEL-FOLDER THREADS RUNS prints one JSON object (docs/bench.md).
#include <ctranslate2/models/whisper.h>
#include <ctranslate2/utils.h>

#include "peer.h"

using namespace ctranslate2;

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    set_num_threads(static_cast<size_t>(atoi(argv[2])));
    const int runs = atoi(argv[3]);
    double start = now_ms();
    auto model = models::Model::load(argv[1], Device::CPU, 0, ComputeType::INT8);
    auto whisper = models::WhisperReplica::create_from_model(*model);
    const double load = now_ms() - start;
    const dim_t mels = static_cast<dim_t>(whisper->n_mels());
    std::vector<float> mel(static_cast<size_t>(mels) * 3000);
    for (size_t i = 0; i < mel.size(); i++)
        mel[i] = static_cast<float>(i * 2654435761u % 2000) / 1000 - 1;
    StorageView features({1, mels, 3000}, mel);
    StorageView states;

    // A step's time is the difference between a long and a short answer: generate() also makes the
    // cross-attention keys and values, which count as encoding.
    auto generate = [&](size_t beams, size_t tokens, size_t *n) {
        models::WhisperOptions options;
        options.beam_size = beams;
        options.max_length = 2 * (tokens + 4); // it generates half of that at most
        options.suppress_tokens = {50257};     // never an end
        options.suppress_blank = false;
        const double from = now_ms();
        auto out = whisper->generate(states, std::vector<std::vector<size_t>>{{50258, 50259, 50359, 50363}}, options);
        const double took = now_ms() - from;
        *n = out[0].sequences_ids[0].size();
        return took;
    };
    std::vector<double> encode, decode, beam;
    for (int r = -1; r < runs; r++) { // the first round warms up
        start = now_ms();
        states = whisper->encode(features, true);
        const double encoded = now_ms() - start;
        double step[2], first = 0;
        for (int b = 0; b < 2; b++) {
            size_t few, many;
            const double a = generate(b ? BEAMS : 1, 4, &few), z = generate(b ? BEAMS : 1, 4 + STEPS, &many);
            step[b] = (z - a) / static_cast<double>(many - few);
            if (b == 0)
                first = a - static_cast<double>(few) * step[0];
        }
        if (r < 0)
            continue;
        encode.push_back(encoded + std::max(first, 0.0));
        decode.push_back(step[0]);
        beam.push_back(step[1]);
    }
    return report(encode, decode, beam, load);
}

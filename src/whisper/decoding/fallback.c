#include "whisper/decoding/fallback.h"

int cara_needs_fallback(const cara_options *o, const cara_decoding *d) {
    int too_repetitive = d->compression_ratio > o->compression_ratio_threshold;
    int too_unlikely = d->avg_logprob < o->logprob_threshold;
    int silent = d->no_speech_prob > o->no_speech_threshold && too_unlikely;
    return !silent && (too_repetitive || too_unlikely);
}

int cara_should_skip(const cara_options *o, const cara_decoding *d) {
    return d->no_speech_prob > o->no_speech_threshold && !(d->avg_logprob > o->logprob_threshold);
}

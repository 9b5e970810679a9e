/* Which tokens may follow: the logit filters of whisper/decoding.py. */
#ifndef WHISPER_RULES_H
#define WHISPER_RULES_H

#include "kernels/kernels.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cara_rules {
    const cara_kernels *kernels; /* for sums of probabilities */
    int32_t n_vocab;
    int32_t eot;
    int32_t no_timestamps; /* -1 where the vocabulary has none */
    int32_t
        timestamp_begin; /* timestamps are the ids from here to n_vocab - 1, ascending in time */

    int suppress_blank;   /* SuppressBlank: neither `blank` nor eot may come first */
    const int32_t *blank; /* [n_blank] */
    size_t n_blank;

    const int32_t *suppress; /* SuppressTokens: never; [n_suppress], each < n_vocab */
    size_t n_suppress;

    double repetition_penalty; /* of CTranslate2; 0 or 1: none */
    int no_repeat_ngram_size;  /* the same; 0: none */

    int timestamps;                /* ApplyTimestampRules; 0 with without_timestamps */
    int32_t max_initial_timestamp; /* most steps of time that the first may be; -1: no limit */
} cara_rules;

/* Sets the logits [n_vocab] of all tokens to -INFINITY that may not follow the tokens sampled so
 * far in this window, `sampled` [n], and lowers those of tokens that are repeated. */
void cara_rules_apply(const cara_rules *rules, const int32_t *sampled, size_t n, float *logits);

#endif

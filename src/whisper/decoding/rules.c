#include "whisper/decoding/rules.h"

#include "whisper/decoding/probability.h"

#include <math.h>
#include <string.h>

/* Forbids the ids from `from` up to but without `to`. */
static void forbid(const cara_rules *rules, float *logits, int64_t from, int64_t to) {
    if (to > rules->n_vocab)
        to = rules->n_vocab;
    for (int64_t i = from < 0 ? 0 : from; i < to; i++)
        logits[i] = -INFINITY;
}

static void forbid_all(const cara_rules *rules, float *logits, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        forbid(rules, logits, ids[i], (int64_t)ids[i] + 1);
}

/* ApplyTimestampRules */
static void apply_timestamps(const cara_rules *rules, const int32_t *sampled, size_t n,
                             float *logits) {
    int32_t begin = rules->timestamp_begin;
    if (rules->no_timestamps >= 0)
        forbid(rules, logits, rules->no_timestamps, (int64_t)rules->no_timestamps + 1);

    /* Timestamps come in pairs, except the first one and one directly before eot. */
    int last_was = n >= 1 && sampled[n - 1] >= begin;
    int penultimate_was = n < 2 || sampled[n - 2] >= begin;
    if (last_was && penultimate_was)
        forbid(rules, logits, begin, rules->n_vocab);
    else if (last_was)
        forbid(rules, logits, 0, rules->eot);

    /* Timestamps never decrease, and no segment has length 0: else a window could repeat
     * forever. */
    for (size_t i = n; i-- > 0;) {
        if (sampled[i] >= begin) {
            int equal_allowed = last_was && !penultimate_was; /* start of the next segment */
            forbid(rules, logits, begin, (int64_t)sampled[i] + !equal_allowed);
            break;
        }
    }

    if (n == 0) {
        forbid(rules, logits, 0, begin);
        if (rules->max_initial_timestamp >= 0)
            forbid(rules, logits, (int64_t)begin + rules->max_initial_timestamp + 1,
                   rules->n_vocab);
    }

    /* Where the timestamps together are likelier than any single text token, one of them is
     * sampled. Both sides would be lowered by the same log(sum(exp)), so the logits serve as they
     * are. */
    float timestamps =
        cara_log_sum_exp(rules->kernels, logits + begin, (size_t)(rules->n_vocab - begin));
    if (timestamps > cara_max(logits, (size_t)begin))
        forbid(rules, logits, 0, begin);
}

/* RepetitionPenalty of CTranslate2's decoding_utils.cc: once for each token, however often it came.
 */
static void penalise(const cara_rules *rules, const int32_t *sampled, size_t n, float *logits) {
    float penalty = (float)rules->repetition_penalty;
    for (size_t i = 0; i < n; i++) {
        size_t before = 0;
        while (sampled[before] != sampled[i])
            before++;
        float *logit = &logits[sampled[i]];
        if (before == i)
            *logit = *logit < 0 ? *logit * penalty : *logit / penalty;
    }
}

/* NoRepeatNgram of the same: what followed the newest size - 1 tokens before. */
static void forbid_ngrams(const cara_rules *rules, const int32_t *sampled, size_t n,
                          float *logits) {
    size_t rest = (size_t)rules->no_repeat_ngram_size - 1;
    for (size_t i = 0; i + rest < n; i++)
        if (memcmp(sampled + i, sampled + (n - rest), rest * sizeof *sampled) == 0)
            forbid_all(rules, logits, sampled + i + rest, 1);
}

void cara_rules_apply(const cara_rules *rules, const int32_t *sampled, size_t n, float *logits) {
    if (rules->repetition_penalty > 0 && rules->repetition_penalty != 1)
        penalise(rules, sampled, n, logits);
    if (rules->no_repeat_ngram_size > 0)
        forbid_ngrams(rules, sampled, n, logits);
    if (rules->suppress_blank && n == 0) {
        forbid_all(rules, logits, rules->blank, rules->n_blank);
        forbid(rules, logits, rules->eot, (int64_t)rules->eot + 1);
    }
    forbid_all(rules, logits, rules->suppress, rules->n_suppress);
    if (rules->timestamps)
        apply_timestamps(rules, sampled, n, logits);
}

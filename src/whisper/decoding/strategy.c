#include "whisper/decoding/strategy.h"

#include "whisper/decoding/probability.h"

/* Draws from softmax(logits / temperature) by walking the cumulated weights. */
static int32_t sample(const cara_strategy *self, const float *logits) {
    size_t n = (size_t)self->n_vocab, chosen = 0;
    const float *weights = self->weights;
    if (!cara_softmax(self->kernels, logits, n, self->temperature, self->weights))
        return (int32_t)cara_argmax(logits, n);
    double total = 0; /* 1, except for rounding */
    for (size_t i = 0; i < n; i++)
        total += weights[i];
    double left = cara_random_next(self->random) * total;
    for (size_t i = 0; i < n; i++) {
        if (weights[i] > 0) {
            chosen = i; /* also the last possible one, should rounding leave a rest */
            left -= weights[i];
            if (left < 0)
                break;
        }
    }
    return (int32_t)chosen;
}

static int greedy_update(cara_strategy *self, cara_sequences *rows) {
    int completed = 1;
    for (int i = 0; i < rows->n; i++) {
        const float *row = rows->logits[i];
        int32_t *tokens = rows->tokens + (size_t)i * rows->cap;
        int32_t next = self->eot;
        if (tokens[rows->len - 1] != self->eot) {
            next = self->temperature > 0 ? sample(self, row)
                                         : (int32_t)cara_argmax(row, (size_t)self->n_vocab);
            rows->sum_logprobs[i] +=
                row[next] - cara_log_sum_exp(self->kernels, row, (size_t)self->n_vocab);
        }
        tokens[rows->len] = next;
        rows->source[i] = i;
        completed &= next == self->eot;
    }
    rows->len++;
    return completed;
}

static size_t greedy_finalize(cara_strategy *self, const cara_sequences *rows, cara_candidate *out,
                              size_t most) {
    size_t n = (size_t)rows->n < most ? (size_t)rows->n : most;
    for (size_t i = 0; i < n; i++) {
        const int32_t *tokens = rows->tokens + i * rows->cap;
        size_t end = rows->begin;
        while (end < rows->len && tokens[end] != self->eot)
            end++;
        out[i] = (cara_candidate){tokens + rows->begin, end - rows->begin, rows->sum_logprobs[i]};
    }
    return n;
}

cara_strategy cara_strategy_greedy(const cara_kernels *kernels, int32_t n_vocab, int32_t eot,
                                   double temperature, cara_random *random, float *weights) {
    return (cara_strategy){.update = greedy_update,
                           .finalize = greedy_finalize,
                           .kernels = kernels,
                           .n_vocab = n_vocab,
                           .eot = eot,
                           .temperature = temperature,
                           .random = random,
                           .weights = weights};
}

#include "whisper/decoding/beams.h"

#include "whisper/decoding/probability.h"

#include <math.h>
#include <string.h>

/* A token that may continue a row. */
typedef struct choice {
    int32_t token;
    float score; /* of the row with it: the sum of all log-probabilities */
} choice;

struct cara_beams {
    size_t max_candidates; /* completed when so many sequences have ended */
    size_t cap;
    choice *choices;          /* [beam_size, beam_size + 1], each row's likeliest first */
    size_t *next;             /* [beam_size] the first choice of each row that was not taken yet */
    float *sums;              /* [beam_size] sum_logprobs of the next step */
    int32_t *spare;           /* [beam_size, cap] tokens of the next step */
    int32_t *ended;           /* [cara_beams_most(), cap] */
    cara_candidate *finished; /* [cara_beams_most()], with tokens in `ended` */
    size_t n_finished;
};

/* round() of Python: halves to even. */
static size_t max_candidates(int beam_size, double patience) {
    return (size_t)rint(beam_size * patience);
}

size_t cara_beams_most(int beam_size, double patience) {
    size_t n = max_candidates(beam_size, patience);
    return n > (size_t)beam_size ? n : (size_t)beam_size;
}

/* topk() of logits [n], the first of equal ones first; a NaN counts as the lowest. */
static void top(const float *logits, size_t n, choice *out, size_t k) {
    enum { BLOCK = 256 };
    size_t found = 0;
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t end = at + BLOCK < n ? at + BLOCK : n;
        if (found == k && cara_max(logits + at, end - at) <= out[k - 1].score)
            continue;
        for (size_t i = at; i < end; i++) {
            float x = isnan(logits[i]) ? -INFINITY : logits[i];
            if (found == k && x <= out[k - 1].score)
                continue;
            size_t place = found < k ? found++ : k - 1;
            for (; place > 0 && out[place - 1].score < x; place--)
                out[place] = out[place - 1];
            out[place] = (choice){(int32_t)i, x};
        }
    }
}

/* The row whose best choice left is the likeliest, the first of equal ones; -1 where none has any
 * left. */
static int likeliest(const cara_beams *b, int n_rows, size_t k) {
    int best = -1;
    float score = 0;
    for (int i = 0; i < n_rows; i++) {
        if (b->next[i] == k)
            continue;
        float here = b->choices[(size_t)i * k + b->next[i]].score;
        if (best < 0 || here > score) {
            best = i;
            score = here;
        }
    }
    return best;
}

/* A sequence of sampled tokens, eot left out, for the ranker. */
static void finish(cara_beams *b, const int32_t *sampled, size_t n, float sum_logprob) {
    int32_t *tokens = b->ended + b->n_finished * b->cap;
    memcpy(tokens, sampled, n * sizeof *tokens);
    b->finished[b->n_finished++] = (cara_candidate){tokens, n, sum_logprob};
}

static int beams_update(cara_strategy *self, cara_sequences *rows) {
    cara_beams *b = self->beams;
    size_t k = (size_t)rows->n + 1, n_vocab = (size_t)self->n_vocab;
    /* Before the first step all rows are the same, and the reference's dictionary of sequences
     * keeps one of them. */
    int is_first = rows->len == rows->begin, n_rows = is_first ? 1 : rows->n;
    for (int i = 0; i < n_rows; i++) {
        choice *choices = b->choices + (size_t)i * k;
        top(rows->logits[i], n_vocab, choices, k);
        float lse = cara_log_sum_exp(self->kernels, rows->logits[i], n_vocab);
        for (size_t j = 0; j < k; j++) {
            float score = rows->sum_logprobs[i] + (choices[j].score - lse);
            choices[j].score = isnan(score) ? -INFINITY : score;
        }
        b->next[i] = 0;
    }
    int saved = 0, row;
    while (saved < rows->n && (row = likeliest(b, n_rows, k)) >= 0) {
        const choice *taken = &b->choices[(size_t)row * k + b->next[row]++];
        const int32_t *tokens = rows->tokens + (size_t)row * rows->cap;
        if (taken->token == self->eot) {
            if (b->n_finished < b->max_candidates)
                finish(b, tokens + rows->begin, rows->len - rows->begin, taken->score);
            continue;
        }
        int32_t *moved = b->spare + (size_t)saved * rows->cap;
        memcpy(moved, tokens, rows->len * sizeof *moved);
        moved[rows->len] = taken->token;
        b->sums[saved] = taken->score;
        rows->source[saved] = is_first ? saved : row;
        saved++;
    }
    memcpy(rows->sum_logprobs, b->sums, (size_t)rows->n * sizeof *b->sums);
    int32_t *before = rows->tokens;
    rows->tokens = b->spare;
    b->spare = before;
    rows->len++;
    return b->n_finished >= b->max_candidates;
}

/* Sequences that ended, and where these are fewer than the beams, the likeliest of those that did
 * not, the last of equal ones first. */
static size_t beams_finalize(cara_strategy *self, const cara_sequences *rows, cara_candidate *out,
                             size_t most) {
    cara_beams *b = self->beams;
    float *sums = b->sums;
    memcpy(sums, rows->sum_logprobs, (size_t)rows->n * sizeof *sums);
    for (int left = rows->n; left > 0 && b->n_finished < (size_t)rows->n; left--) {
        int best = -1;
        for (int i = 0; i < rows->n; i++)
            if (!isnan(sums[i]) && (best < 0 || sums[i] >= sums[best]))
                best = i;
        finish(b, rows->tokens + (size_t)best * rows->cap + rows->begin, rows->len - rows->begin,
               sums[best]);
        sums[best] = NAN; /* taken */
    }
    size_t n = b->n_finished < most ? b->n_finished : most;
    memcpy(out, b->finished, n * sizeof *out);
    return n;
}

int cara_strategy_beams(const cara_kernels *kernels, int32_t n_vocab, int32_t eot, int beam_size,
                        double patience, size_t cap, cara_arena *arena, cara_strategy *out) {
    size_t n = (size_t)beam_size, most = cara_beams_most(beam_size, patience);
    cara_beams *b = cara_arena_alloc(arena, 1, sizeof *b);
    if (!b)
        return -1;
    *b = (cara_beams){
        .max_candidates = max_candidates(beam_size, patience),
        .cap = cap,
        .choices = cara_arena_alloc(arena, n * (n + 1), sizeof *b->choices),
        .next = cara_arena_alloc(arena, n, sizeof *b->next),
        .sums = cara_arena_alloc(arena, n, sizeof *b->sums),
        .spare = cara_arena_alloc(arena, n * cap, sizeof *b->spare),
        .ended = cara_arena_alloc(arena, most * cap, sizeof *b->ended),
        .finished = cara_arena_alloc(arena, most, sizeof *b->finished),
    };
    if (!b->choices || !b->next || !b->sums || !b->spare || !b->ended || !b->finished)
        return -1;
    *out = (cara_strategy){.update = beams_update,
                           .finalize = beams_finalize,
                           .kernels = kernels,
                           .n_vocab = n_vocab,
                           .eot = eot,
                           .beams = b};
    return 0;
}

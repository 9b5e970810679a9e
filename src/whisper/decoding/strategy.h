/* How the next tokens are chosen: TokenDecoder of whisper/decoding.py. Greedy and sampled here,
 * beam search in beams.h. */
#ifndef WHISPER_STRATEGY_H
#define WHISPER_STRATEGY_H

#include "kernels/kernels.h"
#include "whisper/decoding/random.h"

#include <stddef.h>
#include <stdint.h>

/* Candidates for one window. All have the same length: those that ended go on with eot. */
typedef struct cara_sequences {
    int n;
    size_t begin; /* tokens before the first sampled one */
    size_t len;
    size_t cap;
    int32_t *tokens;     /* [n, cap] */
    float **logits;      /* [n] filtered logits [n_vocab] of each; NULL where it has ended */
    float *sum_logprobs; /* [n] */
    int *source;         /* [n]; whose cache each row goes on from (itself; with beams, another) */
} cara_sequences;

/* A finished candidate, borrowed from the rows. */
typedef struct cara_candidate {
    const int32_t *tokens; /* [n_tokens], sampled ones only, without eot */
    size_t n_tokens;
    double sum_logprob;
} cara_candidate;

typedef struct cara_strategy cara_strategy;
typedef struct cara_beams cara_beams; /* of beams.c */
struct cara_strategy {
    /* Appends one token to each row given its logits, and counts its log-probability; beam search
     * also replaces rows by others, and sets `source`. Returns 1 when nothing is left to decode. */
    int (*update)(cara_strategy *self, cara_sequences *rows);
    /* Writes the candidates to rank, at most `most`; returns how many. */
    size_t (*finalize)(cara_strategy *self, const cara_sequences *rows, cara_candidate *out,
                       size_t most);
    const cara_kernels *kernels;
    int32_t n_vocab;
    int32_t eot;
    double temperature;  /* 0: the likeliest token */
    cara_random *random; /* borrowed; used where temperature > 0 */
    float *weights;      /* [n_vocab] scratch, likewise */
    cara_beams *beams;   /* NULL where it is no beam search */
};

/* GreedyDecoder. `random` and `weights` [n_vocab], which is scratch, may be NULL at temperature 0.
 */
cara_strategy cara_strategy_greedy(const cara_kernels *kernels, int32_t n_vocab, int32_t eot,
                                   double temperature, cara_random *random, float *weights);

#endif

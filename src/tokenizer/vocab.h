/* The tokens of a tiktoken rank file, by rank and by bytes. */
#ifndef TOKENIZER_VOCAB_H
#define TOKENIZER_VOCAB_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cara_vocab {
    int32_t n;        /* ranks 0..n-1 */
    size_t longest;   /* bytes of the longest token */
    uint8_t *pool;    /* the bytes of all tokens */
    uint32_t *start;  /* [n] where each token begins in the pool */
    uint32_t *length; /* [n] */
    int32_t *slots;   /* [mask + 1] open hash of ranks by bytes; -1 is free */
    uint32_t mask;
} cara_vocab;

/* Reads exactly `n_ranks` lines of "<base64> <rank>", each rank 0..n_ranks-1 once, no two tokens of
 * the same bytes, all 256 single bytes among them. One token may be empty (OpenAI's multilingual
 * file ends with "= 50256"). `n_vocab` is for the errors' text.
 * Errors: VOCAB (position: the bad line's first byte), MEMORY. On failure *vocab holds nothing. */
int cara_vocab_parse(cara_vocab *vocab, const char *text, size_t n, int32_t n_ranks,
                     int32_t n_vocab, cara_error *err);
void cara_vocab_free(cara_vocab *vocab);

/* The rank of these bytes, or -1. */
int32_t cara_vocab_rank(const cara_vocab *vocab, const uint8_t *bytes, size_t n);

#endif

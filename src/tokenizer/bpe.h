/* Byte-pair merging of one piece of text. */
#ifndef TOKENIZER_BPE_H
#define TOKENIZER_BPE_H

#include "tokenizer/vocab.h"

/* Writes the ids of piece[0..n) to ids (room for n) and their number to *n_ids, as tiktoken does: a
 * piece that is a token is that token; else neighbours merge, lowest rank first, leftmost among
 * equals, until none can. O(n log n). Returns 0, or -1 without memory. */
int cara_bpe_piece(const cara_vocab *vocab, const uint8_t *piece, size_t n, int32_t *ids,
                   size_t *n_ids);

#endif

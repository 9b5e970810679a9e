/* Valid UTF-8 to token ids: cutting, then merging each piece. */
#ifndef TOKENIZER_ENCODE_H
#define TOKENIZER_ENCODE_H

#include "tokenizer/split.h"
#include "tokenizer/vocab.h"

/* The ids of text [n], valid UTF-8; ids has room for n. Returns 0, or -1 without memory. */
int cara_encode_text(const cara_splitter *splitter, const cara_vocab *vocab, const uint8_t *text,
                     size_t n, int32_t *ids, size_t *n_ids);

#endif

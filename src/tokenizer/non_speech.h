/* Tokenizer.non_speech_tokens. */
#ifndef TOKENIZER_NON_SPEECH_H
#define TOKENIZER_NON_SPEECH_H

#include "tokenizer/vocab.h"

#define CARA_NON_SPEECH_MAX 160 /* two for each of its symbols */

/* Fills ids[CARA_NON_SPEECH_MAX], ascending, without repeats; *n is how many.
 * Returns 0, or -1 without memory. */
int cara_non_speech_tokens(const cara_vocab *vocab, int32_t *ids, size_t *n);

/* The ids of valid UTF-8; ids has room for n. Returns 0, or -1 without memory. */
int cara_encode_valid(const cara_vocab *vocab, const uint8_t *text, size_t n, int32_t *ids,
                      size_t *n_ids);

#endif

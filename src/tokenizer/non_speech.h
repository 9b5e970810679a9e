/* Tokenizer.non_speech_tokens. */
#ifndef TOKENIZER_NON_SPEECH_H
#define TOKENIZER_NON_SPEECH_H

#include "tokenizer/split.h"
#include "tokenizer/vocab.h"

#define CARA_NON_SPEECH_MAX 160 /* two for each of its symbols */

/* Fills ids[CARA_NON_SPEECH_MAX], ascending, without repeats; *n is how many.
 * Returns 0, or -1 without memory. */
int cara_non_speech_tokens(const cara_splitter *splitter, const cara_vocab *vocab, int32_t *ids,
                           size_t *n);

#endif

/* Tokens to words, for word times: Tokenizer.split_to_word_tokens() of whisper/tokenizer.py. */
#ifndef TOKENIZER_WORDS_H
#define TOKENIZER_WORDS_H

#include "tokenizer/tokenizer.h"

/* A word of a text, with the space or the punctuation that its tokens begin with. */
typedef struct cara_token_word {
    const char *text; /* valid UTF-8: what is ill-formed became U+FFFD */
    size_t n_tokens;  /* consecutive ones; at least 1 */
} cara_token_word;

/* Splits ids [n], text tokens and eot, into words, which together hold every id. `language` is an
 * index for cara_language_code(): Chinese, Japanese, Thai, Lao, Burmese and Cantonese, which are
 * written without spaces, are split wherever a character is whole; other languages before a space,
 * a punctuation mark and eot. *words [*n_words] is in the arena. CARA_OK, or MEMORY. */
int cara_tokenizer_words(const cara_tokenizer *tokenizer, int language, const int32_t *ids,
                         size_t n, cara_arena *arena, const cara_token_word **words,
                         size_t *n_words, cara_error *err);

#endif

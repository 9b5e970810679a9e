/* Text to token ids and back, as openai/whisper's tokenizer.py over tiktoken's byte-level BPE. */
#ifndef TOKENIZER_TOKENIZER_H
#define TOKENIZER_TOKENIZER_H

#include "base/error.h"
#include "base/memory/arena.h"
#include "base/memory/buf.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cara_tokenizer cara_tokenizer; /* read-only after it is made; shared by threads */

/* The special tokens' ids (tokenizer.py: Tokenizer). */
typedef struct cara_special_tokens {
    int32_t eot; /* <|endoftext|> */
    int32_t sot; /* <|startoftranscript|> */
    int32_t translate;
    int32_t transcribe;
    int32_t sot_lm;          /* <|startoflm|> */
    int32_t sot_prev;        /* <|startofprev|> */
    int32_t no_speech;       /* <|nospeech|> */
    int32_t no_timestamps;   /* <|notimestamps|> */
    int32_t timestamp_begin; /* <|0.00|>; 1,501 of them, 20 ms apart */
    int32_t language_begin;  /* first language token, in the order of cara_language_code(); -1 for
                              * English-only models, which never use the ones they have */
} cara_special_tokens;

/* Makes a tokenizer from the bytes of a tiktoken rank file ("<base64> <rank>" lines). `n_vocab` is
 * the model's (51864 English-only; 51865 with 99 languages; 51866 with 100): it says the layout
 * of the special tokens and must fit the number of ranks. The bytes are not kept.
 * Errors: VOCAB (with the position of the bad line), MEMORY, INTERNAL. On failure *out is NULL. */
int cara_tokenizer_new(const void *tiktoken, size_t n, int32_t n_vocab, cara_tokenizer **out,
                       cara_error *err);
void cara_tokenizer_free(cara_tokenizer *tokenizer);

const cara_special_tokens *cara_tokenizer_special(const cara_tokenizer *tokenizer);
int cara_tokenizer_is_multilingual(const cara_tokenizer *tokenizer);
int cara_tokenizer_n_languages(const cara_tokenizer *tokenizer); /* 0, 99 or 100 */

/* Ordinary text to ids (specials in the text are text: encode_ordinary). *ids is in the arena.
 * Ill-formed UTF-8 is read as U+FFFD. Errors: MEMORY (also for texts of more than 8 MiB). */
int cara_tokenizer_encode(const cara_tokenizer *tokenizer, const char *text, size_t n,
                          cara_arena *arena, int32_t **ids, size_t *n_ids, cara_error *err);

/* Appends the bytes of the ids below timestamp_begin, specials as "<|...|>" (Tokenizer.decode()).
 * The bytes may be ill-formed where a token ends inside a character: pass the whole run through
 * cara_utf8_replace() once, as Python's errors="replace" does. Ids out of range are left out.
 * CARA_OK, or MEMORY where `out` met its limit. */
int cara_tokenizer_decode(const cara_tokenizer *tokenizer, const int32_t *ids, size_t n,
                          cara_buf *out);

/* The same as a string in the arena: ids as valid UTF-8, ill-formed bytes as U+FFFD, and a NUL
 * byte, which no C string can hold, too. NULL where there is no memory. */
const char *cara_tokenizer_text(const cara_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                cara_arena *arena);

/* Tokenizer.non_speech_tokens, ascending; borrowed from the tokenizer. */
const int32_t *cara_tokenizer_non_speech(const cara_tokenizer *tokenizer, size_t *n);

/* encode(" "), which suppress_blank forbids first together with eot; borrowed. */
const int32_t *cara_tokenizer_blank(const cara_tokenizer *tokenizer, size_t *n);

/* The rank file again, as bytes, for `.cara` files. Borrowed from the tokenizer. */
const void *cara_tokenizer_source(const cara_tokenizer *tokenizer, size_t *n);

#endif

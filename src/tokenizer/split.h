/* The first step of byte-level BPE: cutting text into the pieces within which tokens merge. */
#ifndef TOKENIZER_SPLIT_H
#define TOKENIZER_SPLIT_H

#include <stddef.h>
#include <stdint.h>

typedef enum cara_char_class {
    CARA_CHAR_OTHER = 0,
    CARA_CHAR_LETTER = 1, /* \p{L} */
    CARA_CHAR_NUMBER = 2, /* \p{N} */
    CARA_CHAR_SPACE = 3,  /* \s: the White_Space property */
} cara_char_class;

cara_char_class cara_char_class_of(uint32_t code_point);

/* Length in bytes of the piece that begins at text[0..n), n > 0, valid UTF-8. The pieces are the
 * matches of GPT-2's expression (openai/whisper: tokenizer.py, pat_str):
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t cara_split_piece(const uint8_t *text, size_t n);

#endif

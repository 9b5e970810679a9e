/* The first step of byte-level BPE: cutting text into the pieces within which tokens merge. */
#ifndef TOKENIZER_SPLIT_H
#define TOKENIZER_SPLIT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* GPT-2's expression (openai/whisper: tokenizer.py, pat_str), compiled; read-only after it is made,
 * shared by threads. */
typedef struct cara_splitter cara_splitter;

/* On failure *out is NULL. MEMORY, INTERNAL. */
int cara_splitter_new(cara_splitter **out, cara_error *err);
void cara_splitter_free(cara_splitter *splitter);

/* One piece of a text; non-zero stops. */
typedef int (*cara_piece_fn)(void *ctx, const uint8_t *piece, size_t n);

/* Gives the pieces of text [n], valid UTF-8, in order. Together they are the text. Returns 0, or -1
 * without memory or where `piece` stopped. */
int cara_split(const cara_splitter *splitter, const uint8_t *text, size_t n, cara_piece_fn piece,
               void *ctx);

#endif

/* The decoder's self-attention cache (kv cache of decoding.py): slots, each with the keys and
 * values of one sequence of tokens, in f32 or f16. A token adds a position, which later tokens
 * read. */
#ifndef WHISPER_SELF_CACHE_H
#define WHISPER_SELF_CACHE_H

#include "whisper/network/pass.h"

typedef struct cara_self_cache cara_self_cache;

/* n_slots sequences of up to n_ctx tokens, fed by `pass`, which is borrowed. NULL on no memory. */
cara_self_cache *cara_self_cache_new(const cara_pass *pass, size_t n_ctx, size_t n_slots,
                                     int is_f16);
void cara_self_cache_free(cara_self_cache *cache); /* NULL is allowed */

/* Memory for a slot's tokens, once, before it is used: it is taken as positions are filled. -1
 * where there is none. */
int cara_self_cache_reserve(cara_self_cache *cache, int slot);
int cara_self_cache_is_reserved(const cara_self_cache *cache, int slot);

/* Empties a slot, whose tokens attend to `audio` from now on. Slots begin empty, with audio 0. */
void cara_self_cache_start(cara_self_cache *cache, int slot, int audio);

int cara_self_cache_audio(const cara_self_cache *cache, int slot);
size_t cara_self_cache_length(const cara_self_cache *cache, int slot); /* tokens that it holds */

/* The slot's next n tokens, whose keys and values cara_self_cache_attend() kept, count. */
void cara_self_cache_extend(cara_self_cache *cache, int slot, size_t n);

/* As cara_decoder_truncate(), _fork() and _reorder(). */
void cara_self_cache_truncate(cara_self_cache *cache, int slot, size_t length);
void cara_self_cache_fork(cara_self_cache *cache, int from, int first, int n);
void cara_self_cache_reorder(cara_self_cache *cache, int first, const int *source, int n);

/* Keeps the pass's k and v of all rows, then attention of its q over each row's own past, to its
 * norm. */
void cara_self_cache_attend(cara_self_cache *cache, size_t layer);

#endif

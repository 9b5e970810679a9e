/* The decoder's cross-attention cache: an audio is the keys and values of one window, made once
 * for every layer and read for each token, in f32 or int8. */
#ifndef WHISPER_CROSS_CACHE_H
#define WHISPER_CROSS_CACHE_H

#include "whisper/network/pass.h"

typedef struct cara_cross_cache cara_cross_cache;

/* n_audios of up to n_audio_ctx states, read by `pass`, which is borrowed; is_i8 where the weights
 * of all keys and values are int8, too. The memory of an audio is taken as it is set. NULL where
 * there is none. */
cara_cross_cache *cara_cross_cache_new(const cara_pass *pass, size_t n_audios, size_t n_audio_ctx,
                                       int is_i8);
void cara_cross_cache_free(cara_cross_cache *cache); /* NULL is allowed */

/* From its next setting on, an audio has n positions (1 to n_audio_ctx, the initial value); until
 * then it counts as never set. */
void cara_cross_cache_set_ctx(cara_cross_cache *cache, int audio, size_t n);

/* To set an audio: clear it, set each layer from states [n, n_state] by its own weights, and mark
 * it as set. No pass may be under way: its memory is used. */
void cara_cross_cache_clear(cara_cross_cache *cache, int audio);
void cara_cross_cache_set_layer(cara_cross_cache *cache, int audio, size_t layer,
                                const cara_dense *key, const cara_dense *value,
                                const float *states);
void cara_cross_cache_mark_set(cara_cross_cache *cache, int audio);
int cara_cross_cache_is_set(const cara_cross_cache *cache, int audio);

/* Attention of the pass's q over each run's audio, to its norm. */
void cara_cross_cache_attend(cara_cross_cache *cache, size_t layer);

/* What a head's softmax is taken of (qk of timing.py): q . k / sqrt(d) of the pass's q of a run,
 * over its audio's n_ctx positions, to scores [run->n, n_ctx]. */
void cara_cross_cache_scores(const cara_cross_cache *cache, size_t layer, size_t head,
                             const cara_pass_run *run, float *scores);

/* Positions of an audio. */
size_t cara_cross_cache_ctx(const cara_cross_cache *cache, int audio);

#endif

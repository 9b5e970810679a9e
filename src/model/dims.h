/* What is known of dims: which are sound, which are published, and their alignment heads. */
#ifndef MODEL_DIMS_H
#define MODEL_DIMS_H

#include "base/memory/arena.h"
#include "model/weights.h"

#define CARA_NAME_MAX 39 /* bytes of a model's name */

/* Refuses dims that no Whisper has: MODEL_SHAPE, naming the member, its value and what it may be.
 */
int cara_dims_check(const cara_dims *dims, cara_error *err);

/* The published model of these dims, or "custom". large-v1 and large-v2 have the same dims: they
 * are distinguished by the file's name ("large-v2.pt", any folder); under any other name it is
 * "large".
 */
const char *cara_dims_name(const cara_dims *dims, const char *path);

/* 1 where the vocabulary is that of a multilingual model, as is_multilingual of whisper/model.py.
 */
int cara_dims_are_multilingual(const cara_dims *dims);

/* MB that transcribing takes beside the weights: keys and values of a window and of five
 * candidates, and the encoder's rows. */
double cara_dims_working_mb(const cara_dims *dims);

/* The dims of a published model by name; 0, or -1 where there is none of that name. */
int cara_dims_published(const char *name, cara_dims *dims);
/* Name i of those, or NULL past the last. */
const char *cara_dims_published_name(size_t i);

/* The published heads of that model; else, as whisper/model.py, all heads of the upper half of the
 * decoder's layers. *heads is in the arena. MEMORY. */
int cara_dims_alignment_heads(const cara_dims *dims, const char *name, cara_arena *arena,
                              cara_alignment_head **heads, size_t *n, cara_error *err);

#endif

/* A Whisper model: read-only after opening, shared by threads. */
#ifndef CARACOLA_MODEL_H
#define CARACOLA_MODEL_H

#include <caracola/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cara_model cara_model;

/* whisper/model.py: ModelDimensions. */
typedef struct cara_dims {
    int32_t n_mels;
    int32_t n_audio_ctx;
    int32_t n_audio_state;
    int32_t n_audio_head;
    int32_t n_audio_layer;
    int32_t n_vocab;
    int32_t n_text_ctx;
    int32_t n_text_state;
    int32_t n_text_head;
    int32_t n_text_layer;
} cara_dims;

/* Opens a `.cara` or OpenAI's `.pt`, recognised by the bytes. The file is mapped and must stay as
 * it is while the model is open. `vocab_path`: a tiktoken rank file, used before any other; NULL
 * for the one inside the model or, for `.pt`, a `*.tiktoken` beside it. On success *out is the
 * caller's, to be closed with cara_model_close(). On failure *out is NULL. Returns CARA_OK or
 *   CARA_ERR_NOT_FOUND      no such model file
 *   CARA_ERR_IO             the system refused to read it
 *   CARA_ERR_MEMORY         no memory
 *   CARA_ERR_MODEL_FORMAT   no model file that is known, or one of a newer version
 *   CARA_ERR_MODEL_CORRUPT  sizes, offsets or counts in the file are wrong
 *   CARA_ERR_MODEL_SHAPE    a tensor is missing or has another shape than the dims ask
 *   CARA_ERR_VOCAB          no vocabulary, one that cannot be read, or does not fit the model
 *   CARA_ERR_INTERNAL       the PCRE2 that is installed has no Unicode support */
CARA_API CARA_MUST_USE int cara_model_open(const char *path, const char *vocab_path,
                                           cara_model **out, cara_error *err);

/* Borrowed from the model; all 0 where `model` is NULL. It cannot fail. */
CARA_API const cara_dims *cara_model_dims(const cara_model *model);

/* "tiny", "small", "large-v3", ... where the dims are those of a published model, else "custom"; or
 * the name that a `.cara` was given when it was written. Never NULL; "" where `model` is NULL. */
CARA_API const char *cara_model_name(const cara_model *model);

/* 1 with language tokens, 0 for English-only models (whisper/model.py: is_multilingual), and
 * where `model` is NULL. */
CARA_API int cara_model_is_multilingual(const cara_model *model);

/* Called now and then with bytes of weights; non-zero stops the work. */
typedef int (*cara_model_progress_fn)(void *cookie, int64_t done, int64_t total);

/* cara_convert_options_default() must fill it first. Pointers are borrowed for the call. */
typedef struct cara_convert_options {
    size_t struct_size; /* set by cara_convert_options_default() */
    /* How the weights are stored. "default" or NULL: each as it is. "int8": matrices and
     * convolutions with a scale for each output channel, the rest as it is. "float16", "bfloat16",
     * "float32". */
    const char *compute_type;
    const char *name; /* at most 63 printable ASCII characters, no blank; NULL: the model's own */
    int replace;      /* 1: a file that is there is replaced; default 0 */
    int threads;      /* 0: as many as this process may run on */
    cara_model_progress_fn progress; /* called by the calling thread; may be NULL */
    void *cookie;
} cara_convert_options;

/* Fills the caller's struct of `size` bytes (sizeof *options) with the defaults. It cannot fail. */
CARA_API void cara_convert_options_default(cara_convert_options *options, size_t size);

/* Writes the model with its vocabulary as the file `path` in the format `.cara`, which is mapped
 * and used in place: whole, or not at all. Equal models and options give equal bytes. `options` may
 * be NULL: the defaults. All are borrowed for the call. Returns CARA_OK or
 *   CARA_ERR_USAGE          an option out of its range; struct_size was not set, or is that of a
 *                           newer header
 *   CARA_ERR_CONFLICT       the file is there already, and `replace` is 0
 *   CARA_ERR_NOT_FOUND      no such folder
 *   CARA_ERR_IO             the system refused to write it
 *   CARA_ERR_MEMORY         no memory
 *   CARA_ERR_CANCELLED      the progress callback asked to stop */
CARA_API CARA_MUST_USE int cara_model_convert(const cara_model *model, const char *path,
                                              const cara_convert_options *options, cara_error *err);

/* Closes the model; no session may use it any more. NULL is allowed. */
CARA_API void cara_model_close(cara_model *model);

#ifdef __cplusplus
}
#endif
#endif
